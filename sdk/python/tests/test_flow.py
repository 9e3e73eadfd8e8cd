"""What a decorated pipeline says, and how its steps run: no server needed."""

import io
import json
import tarfile

import pytest

import strata
from strata import FlowError, flow, runner, step
from strata._package import pack


@step(retries=2, memory="1GiB", timeout="10m", outputs=["f.txt"])
def features(month: str) -> int:
    with strata.output("f.txt") as path:
        path.write_text(month)
    return 3


@step(cpu=2)
def train(rows: int, trees: int = 100) -> dict:
    return {"rows": rows, "trees": trees}


@step(needs=[features])
def check() -> str:
    return strata.input("features", "f.txt").read_text()


@flow(name="daily", cron="0 6 * * *", timezone="Europe/Berlin")
def daily(month: str = "2013-01", trees: int = 100):
    """Each morning."""
    rows = features(month)
    train(rows, trees)
    check()


def test_the_body_becomes_steps_with_needs_and_references():
    spec = daily.spec()
    assert spec["description"] == "Each morning."
    assert spec["parameters"] == {
        "month": {"type": "string", "default": "2013-01"},
        "trees": {"type": "integer", "default": 100},
    }
    assert list(spec["steps"]) == ["features", "train", "check"]
    assert spec["steps"]["features"]["params"] == {"month": "${params.month}"}
    assert spec["steps"]["features"]["resources"] == {"memory": "1GiB"}
    assert spec["steps"]["train"]["needs"] == ["features"]
    assert spec["steps"]["train"]["params"]["rows"] == "${steps.features.result.json}"
    assert spec["steps"]["check"]["needs"] == ["features"]
    assert spec["steps"]["train"]["python"] == "test_flow:train"
    assert spec["triggers"] == [{"cron": "0 6 * * *", "timezone": "Europe/Berlin"}]
    json.dumps(spec)


def test_a_step_outside_of_a_flow_is_the_plain_function():
    assert train(1) == {"rows": 1, "trees": 100}


def test_mistakes_are_told_when_the_flow_is_read():
    @flow
    def twice():
        train(1)
        train(2)

    @flow
    def late():
        check()

    @flow
    def empty():
        pass

    @flow
    def wrong_argument():
        train(object())

    @flow
    def missing_argument():
        train()

    @flow
    def wrong_parameter(x: list):
        train(1)

    for pipeline, text in [
        (twice, "called twice"),
        (late, "has not called before"),
        (empty, "calls no step"),
        (wrong_argument, "is a object"),
        (missing_argument, "rows"),
        (wrong_parameter, "must be str"),
    ]:
        with pytest.raises(FlowError, match=text):
            pipeline.spec()
    with pytest.raises(TypeError, match="retrys"):
        step(retrys=2)


def test_text_that_looks_like_a_reference_stays_text():
    @step
    def shout(text: str) -> str:
        return text

    @flow
    def literal():
        shout("${params.x}")

    assert literal.spec()["steps"]["shout"]["params"] == {"text": "$${params.x}"}


def test_the_runner_resolves_inputs_and_writes_the_result(tmp_path, monkeypatch):
    (tmp_path / "in" / "features").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    result = tmp_path / "in" / "features" / "result.json"
    result.write_text("7")
    monkeypatch.setenv("STRATA_INPUTS", str(tmp_path / "in"))
    monkeypatch.setenv("STRATA_OUTPUTS", str(tmp_path / "out"))
    monkeypatch.setenv("STRATA_ARGUMENTS", json.dumps({"rows": {"$file": str(result)}, "trees": 5}))
    assert runner.main("test_flow:train") == 0
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == {"rows": 7, "trees": 5}
    monkeypatch.setenv("STRATA_ARGUMENTS", json.dumps({"month": "x"}))
    assert runner.main("test_flow:features") == 0
    assert (tmp_path / "out" / "f.txt").read_text() == "x"
    with pytest.raises(strata.NotFoundError, match="features/result.json"):
        strata.input("features", "nothing")


def test_an_output_that_fails_half_way_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("STRATA_OUTPUTS", str(tmp_path))
    with pytest.raises(RuntimeError), strata.output("f") as path:
        path.write_text("half")
        raise RuntimeError
    assert not (tmp_path / "f").exists()


def test_packing_is_repeatable_and_leaves_out_caches(tmp_path):
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    (tmp_path / ".secret").write_text("x")
    first = pack(tmp_path)
    (tmp_path / "a.py").touch()
    assert pack(tmp_path) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        assert archive.getnames() == ["a.py"]


def test_a_servers_data_with_its_keys_is_never_packed(tmp_path):
    (tmp_path / "a.py").write_text("1")
    data = tmp_path / "data"
    data.mkdir()
    (data / "master.key").write_text("secret")
    (data / "records.db").write_text("")
    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path))) as archive:
        assert archive.getnames() == ["a.py"]
    with pytest.raises(FlowError, match="a server's data and keys"):
        pack(data)


def test_a_missing_server_is_said_clearly(monkeypatch):
    monkeypatch.delenv("STRATA_URL", raising=False)
    with pytest.raises(strata.ConfigurationError, match="STRATA_URL is not set"):
        strata.connect()
    with pytest.raises(strata.UnavailableError, match="cannot reach"):
        strata.connect("http://127.0.0.1:9", "t").json("GET", "/healthz")
