"""What differs between two versions, of models that the stock client logged and registered."""

import hashlib
import json
import pathlib

import lightgbm
import numpy
import pandas
import pytest
import requests


def frame(columns):
    dice = numpy.random.default_rng(1)
    return pandas.DataFrame({name: dice.random(60).astype(kind) for name, kind in columns.items()})


@pytest.fixture
def log(mlflow, name):
    """Trains on columns of these types and registers the model."""

    def register(columns, *, rounds=3, depth="3", called=name, pins=("lightgbm==4.6.0",)):
        mlflow.set_experiment("diff")
        x = frame(columns)
        y = x.iloc[:, 0] * 2
        data = lightgbm.Dataset(x, label=y)
        booster = lightgbm.train({"verbose": -1, "min_data_in_leaf": 2}, data, rounds)
        with mlflow.start_run():
            mlflow.log_param("depth", depth)
            mlflow.log_metric("rmse", float(rounds))
            mlflow.log_input(mlflow.data.from_pandas(x, name=f"set{rounds}"), context="training")
            return mlflow.lightgbm.log_model(
                booster,
                name="model",
                signature=mlflow.models.infer_signature(x, y.to_numpy()),
                pip_requirements=list(pins),
                registered_model_name=called,
            )

    return register


PLAIN = {"wind": "float64", "late": "float32"}


def diff(server, a, b, token=None):
    answer = requests.get(
        server.http + "/api/v1/models/diff",
        params={"a": a, "b": b},
        headers=server.bearer(token),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def of(answer, section):
    return {c["name"]: c for c in answer["changes"] if c["section"] == section}


def test_every_kind_of_difference_is_told(mlflow, server, client, log, name):
    log(PLAIN)
    log(
        {"late": "float64", "wind": "float64", "rain": "float64"},
        rounds=4,
        depth="5",
        pins=("lightgbm==4.6.0", "numpy==2.3.5"),
    )
    client.set_registered_model_alias(name, "champion", 1)
    answer = diff(server, f"{name}@champion", f"models:/{name}/2")
    assert (answer["a"]["version"], answer["b"]["version"]) == (1, 2)
    assert not answer["equal"] and not answer["same_files"] and answer["hidden"] == []
    signature = {(c["change"], c["name"]) for c in answer["changes"] if c["section"] == "signature"}
    assert signature == {
        ("retyped", "input late"),
        ("added", "input rain"),
        ("reordered", "inputs"),
    }
    assert of(answer, "params")["depth"]["a"] == "3"
    assert of(answer, "params")["depth"]["b"] == "5"
    assert (of(answer, "metrics")["rmse"]["a"], of(answer, "metrics")["rmse"]["b"]) == (3, 4)
    assert of(answer, "requirements")["numpy"]["change"] == "added"
    assert of(answer, "requirements")["numpy"]["b"] == "==2.3.5"
    assert "lightgbm" not in of(answer, "requirements")
    assert of(answer, "aliases")["champion"]["change"] == "removed"
    data = {n: c["change"] for n, c in of(answer, "data").items() if n.startswith("dataset:")}
    assert data == {"dataset:set3": "removed", "dataset:set4": "added"}
    # The files, by an oracle: what the client itself downloads.
    sums = []
    for version in (1, 2):
        folder = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}")
        sums.append(
            {
                str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
                for p in pathlib.Path(folder).rglob("*")
                if p.is_file() and p.name != "registered_model_meta"
            }
        )
    wanted = {path for path in sums[0] | sums[1] if sums[0].get(path) != sums[1].get(path)}
    files = of(answer, "files")
    assert set(files) == wanted
    assert files["MLmodel"]["a"]["sha256"] == sums[0]["MLmodel"]
    assert files["MLmodel"]["b"]["sha256"] == sums[1]["MLmodel"]


def test_a_version_equals_itself_by_whatever_name(server, client, log, name):
    log(PLAIN)
    client.set_registered_model_alias(name, "champion", 1)
    for other in (f"{name}/1", f"{name}@champion", name):
        answer = diff(server, f"{name}@champion", other)
        assert answer["equal"] and answer["same_files"] and answer["changes"] == []
    told = server.strata("model", "diff", f"{name}@champion", f"{name}/1")
    assert "equal" in told.stdout.splitlines()


def test_versions_of_two_models_and_every_form_of_output(server, log, name):
    log(PLAIN)
    log(PLAIN, rounds=5, called=name + "-other")
    arguments = ("model", "diff", f"{name}/1", f"{name}-other/1")
    table = server.strata(*arguments).stdout
    assert "SECTION" in table and "rmse" in table
    answer = json.loads(server.strata(*arguments, "-o", "json").stdout)
    assert answer == diff(server, f"{name}/1", f"{name}-other/1")
    assert answer["b"]["model"] == name + "-other" and not of(answer, "signature")
    assert "equal: false" in server.strata(*arguments, "-o", "yaml").stdout


def test_what_a_token_may_not_read_is_left_out_and_named(server, log, name):
    log(PLAIN)
    made = server.strata("token", "create", "--scope", "model:read", "-o", "json").stdout
    answer = diff(server, name, name, json.loads(made)["token"])
    assert answer["hidden"] == ["code", "data", "metrics", "params", "verdicts"]
    assert answer["equal"] is False and answer["changes"] == []


@pytest.mark.parametrize(
    ("a", "b", "field", "status"),
    [
        ("", "m/1", "a", 400),
        ("m/1", "", "b", 400),
        ("m@", "m/1", "a", 400),
        ("m/x", "m/1", "a", 400),
        ("m/1", "m/9", "9", 404),
        ("m/1", "nobody/1", "nobody", 404),
        ("m@none", "m/1", "none", 400),
    ],
)
def test_what_names_no_version_is_refused(server, client, a, b, field, status):
    if not client.search_registered_models("name = 'm'"):
        client.create_registered_model("m")
        client.create_model_version("m", "s3://b/m")
    answer = requests.get(
        server.http + "/api/v1/models/diff",
        params={"a": a, "b": b},
        headers=server.bearer(),
        timeout=30,
    )
    assert answer.status_code == status and field in answer.text, answer.text
