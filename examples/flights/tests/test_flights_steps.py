"""Steps as far as they can be judged without a server: the model's folder, requests, the checks
of the replay.
"""

import json
import os
import re
import subprocess
import sys

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
import replay
import yaml

import project
from project import HERE, feature_names

NAMES = feature_names()
AWKWARD = [0.1 + 0.2, -0.0, 1 / 3, 5e-324, 1.7976931348623157e308, -100.0, 1040.2]

SAVE = """
import sys; sys.path[:0] = [{example!r}, {steps!r}]
import json, numpy, pyarrow, lightgbm, train
from pathlib import Path
rows = numpy.random.default_rng(1).uniform(0, 9, (3000, {n}))
table = pyarrow.table({{name: rows[:, i] for i, name in enumerate(train.feature_names())}})
table = table.append_column("late", pyarrow.array(rows[:, 0] > 5))
train.TREES = 5
folder = Path(sys.argv[1])
train.save(train.fit(table), table.slice(0, 2), folder)
print(json.dumps(train.digests(folder)))
"""


def test_equal_data_gives_an_equal_model_folder(tmp_path):
    script = SAVE.format(example=str(HERE), steps=str(HERE / "steps"), n=len(NAMES))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, tmp_path / f"model{seed}"],
            env=os.environ | {"PYTHONHASHSEED": seed, "OMP_WAIT_POLICY": "PASSIVE"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    results = [process.communicate() for process in started]
    digests = [json.loads(out.splitlines()[-1]) for out, _ in results]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    "inputs",
    [
        [{"name": "input", "shape": [-1, len(NAMES)], "datatype": "FP64"}],
        [{"name": name, "shape": [-1, 1], "datatype": "FP64"} for name in NAMES],
        [{"name": name, "shape": [-1], "datatype": "FP64"} for name in NAMES],
    ],
)
def test_a_request_carries_the_very_bits_of_the_row(inputs):
    row = (AWKWARD * len(NAMES))[: len(NAMES)]
    body = json.loads(replay.encoder({"inputs": inputs}, NAMES)("2013-11-01-UA-1-EWR", row))
    sent = [value for tensor in body["inputs"] for value in tensor["data"]]
    assert np.array(sent, dtype="<f8").tobytes() == np.array(row, dtype="<f8").tobytes()
    assert all(np.prod(tensor["shape"]) == len(tensor["data"]) for tensor in body["inputs"])
    assert body["id"] == "2013-11-01-UA-1-EWR"


def test_inputs_in_another_order_are_refused():
    inputs = [{"name": name, "shape": [-1, 1], "datatype": "FP64"} for name in reversed(NAMES)]
    with pytest.raises(SystemExit, match="inputs"):
        replay.encoder({"inputs": inputs}, NAMES)


@pytest.fixture
def replayed():
    """A sound replay of 50 flights, and the model that should have answered. No step left a report
    here: the pipeline's leave theirs elsewhere."""
    rows = np.random.default_rng(5).uniform(0, 9, (50, len(NAMES)))
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "min_data_in_leaf": 5},
        lightgbm.Dataset(rows, rows[:, 0] > 5),
        3,
    )
    answers = [
        replay.Answer(float(p), f"p{i}", "sha256:a", "4", 0.001)
        for i, p in enumerate(booster.predict(rows))
    ]
    table = pa.table({"flight_id": [f"flight{i}" for i in range(len(rows))]})
    vectors = {f"p{i}": row.tobytes() for i, row in enumerate(rows)}
    return table, rows, answers, vectors, ("4", booster)


def test_a_sound_replay_has_nothing_to_complain_of(replayed):
    assert replay.checks(*replayed) == []


def test_a_logged_vector_off_by_one_bit_is_found(replayed):
    table, rows, answers, vectors, model = replayed
    vectors["p7"] = np.nextafter(rows[7], 10).tobytes()
    (complaint,) = replay.checks(table, rows, answers, vectors, model)
    assert "flight7" in complaint


def test_a_prediction_that_is_not_in_the_log_is_found(replayed):
    table, rows, answers, vectors, model = replayed
    del vectors["p3"]
    (complaint,) = replay.checks(table, rows, answers, vectors, model)
    assert "p3" in complaint


@pytest.mark.parametrize(
    "change", [{"version": "3"}, {"digest": "sha256:b"}, {"p": 0.5}, {"prediction_id": "p1"}]
)
def test_an_answer_of_another_model_is_found(replayed, change):
    table, rows, answers, vectors, model = replayed
    for name, value in change.items():
        setattr(answers[9], name, value)
    assert replay.checks(table, rows, answers, vectors, model) != []


def test_a_version_that_is_not_the_champion_is_found(replayed):
    *replay_of_4, (_, booster) = replayed
    (complaint,) = replay.checks(*replay_of_4, ("5", booster))
    assert "5" in complaint


def test_the_pipeline_names_scripts_and_steps_that_exist():
    steps = yaml.safe_load((HERE / "flow.yaml").read_text())["steps"]
    for name, step in steps.items():
        script = HERE / step["command"][1]
        assert script.exists()
        assert set(step.get("needs", [])) <= set(steps)
        # A step needs those whose reports it takes, and names the report that it leaves.
        taken = set(re.findall(r'taken_from\("(\w+)"\)', script.read_text()))
        assert taken <= set(step.get("needs", []))
        assert step["outputs"] == [f"{name}.json"]


def test_reports_travel_through_the_scheduler(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLIGHTS_WORK", raising=False)
    monkeypatch.setenv("STRATA_OUTPUTS", str(tmp_path / "out"))
    monkeypatch.setenv("STRATA_INPUTS", str(tmp_path / "in"))
    project.hand_over("train", {"rows": 3})
    (tmp_path / "out" / "train.json").rename(tmp_path / "in" / "train" / "train.json")
    assert project.taken_from("train") == {"rows": 3}
    with pytest.raises(SystemExit, match="evaluate"):
        project.taken_from("evaluate")
