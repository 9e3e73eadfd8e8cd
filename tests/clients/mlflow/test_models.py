"""Logged and registered models, versions, aliases and flavors by the stock client."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json

import lightgbm
import numpy
import pytest
import requests
from botocore.exceptions import ClientError
from mlflow.exceptions import MlflowException
from s3_client import client_for
from sklearn.linear_model import LogisticRegression

ROWS = numpy.random.default_rng(7).normal(size=(200, 3))
LABELS = (ROWS[:, 0] > 0).astype(int)


def booster(rounds: int = 5) -> lightgbm.Booster:
    settings = {
        "objective": "binary",
        "verbose": -1,
        "num_threads": 1,
        "seed": 1,
        "deterministic": True,
    }
    return lightgbm.train(settings, lightgbm.Dataset(ROWS, LABELS), rounds)


@pytest.fixture
def registered(mlflow, name):
    """Logs a small model and registers it; the version's name and number."""

    def register(rounds: int = 5):
        mlflow.set_experiment("registered")
        with mlflow.start_run():
            info = mlflow.lightgbm.log_model(
                booster(rounds), name="model", registered_model_name=name
            )
        return info

    return register


def test_a_model_comes_back_by_every_address(mlflow, client, name, registered):
    info = registered()
    client.set_registered_model_alias(name, "champion", 1)
    expected = booster().predict(ROWS)
    listed = json.loads(client.get_logged_model(info.model_id).tags["mlflow.modelVersions"])
    assert [(entry["name"], str(entry["version"])) for entry in listed] == [(name, "1")]
    for uri in (
        info.model_uri,
        f"models:/{name}/1",
        f"models:/{name}@champion",
        f"models:/{name}/latest",
    ):
        assert numpy.array_equal(mlflow.lightgbm.load_model(uri).predict(ROWS), expected), uri
    assert numpy.array_equal(
        mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(ROWS), expected
    )
    assert numpy.array_equal(
        mlflow.lightgbm.load_model(f"runs:/{info.run_id}/model").predict(ROWS), expected
    )


def test_sklearn_models_come_back(mlflow, client, name):
    mlflow.set_experiment("sklearn")
    model = LogisticRegression().fit(ROWS, LABELS)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="m",
            registered_model_name=name,
            input_example=ROWS[:2],
            serialization_format="cloudpickle",
        )
    loaded = mlflow.sklearn.load_model(f"models:/{name}/1")
    assert numpy.array_equal(loaded.predict(ROWS), model.predict(ROWS))


def test_autolog_of_sklearn_and_lightgbm(mlflow, client, name):
    mlflow.set_experiment(name)
    mlflow.sklearn.autolog(log_models=True, silent=True)
    mlflow.lightgbm.autolog(log_models=True, silent=True)
    try:
        with mlflow.start_run() as first:
            LogisticRegression(C=0.5).fit(ROWS, LABELS)
        with mlflow.start_run() as second:
            data = lightgbm.Dataset(ROWS, LABELS)
            lightgbm.train(
                {"objective": "binary", "metric": "auc", "verbose": -1}, data, 7, valid_sets=[data]
            )
    finally:
        mlflow.sklearn.autolog(disable=True)
        mlflow.lightgbm.autolog(disable=True)
    sklearn_run, lightgbm_run = (
        client.get_run(first.info.run_id),
        client.get_run(second.info.run_id),
    )
    assert sklearn_run.data.params["C"] == "0.5" and "training_score" in sklearn_run.data.metrics
    assert sklearn_run.inputs.dataset_inputs and len(sklearn_run.outputs.model_outputs) == 1
    assert len(client.get_metric_history(second.info.run_id, "training-auc")) == 7
    assert lightgbm_run.data.params["metric"] == "auc"
    model = client.get_logged_model(lightgbm_run.outputs.model_outputs[0].model_id)
    assert model.status == "READY" and model.source_run_id == second.info.run_id


def test_logged_models_hold_params_tags_and_metrics(mlflow, client, name):
    experiment = client.create_experiment(name)
    mlflow.set_experiment(name)
    run = client.create_run(experiment).info.run_id
    made = []
    for i in range(4):
        model = client.create_logged_model(
            experiment,
            name=f"m{i}",
            source_run_id=run,
            tags={"k": str(i)},
            params={"depth": str(i)},
            model_type="gbdt",
        )
        client.log_metric(
            run, "auc", i / 10, model_id=model.model_id, dataset_name="test", dataset_digest="d1"
        )
        client.finalize_logged_model(model.model_id, "READY" if i else "FAILED")
        made.append(model.model_id)
    client.set_logged_model_tags(made[1], {"extra": "yes"})
    client.delete_logged_model_tag(made[1], "k")
    found = client.get_logged_model(made[1])
    assert (
        found.tags == {"extra": "yes"}
        and found.params == {"depth": "1"}
        and found.status == "READY"
    )
    assert [(m.key, m.value, m.dataset_name) for m in found.metrics] == [("auc", 0.1, "test")]

    def search(text="", **more):
        return [m.name for m in client.search_logged_models([experiment], text, **more)]

    assert search() == ["m3", "m2", "m1", "m0"]
    assert search("metrics.auc >= 0.2") == ["m3", "m2"]
    assert search("params.depth = '1'") == ["m1"] and search("tags.k IN ('0', '3')") == ["m3", "m0"]
    assert search("name LIKE 'm%' AND metrics.auc < 0.2") == ["m1", "m0"]
    assert search(order_by=[{"field_name": "metrics.auc", "ascending": True}]) == [
        "m0",
        "m1",
        "m2",
        "m3",
    ]
    assert search("metrics.auc > 0.1", datasets=[{"dataset_name": "other"}]) == []
    assert search(
        "metrics.auc > 0.1", datasets=[{"dataset_name": "test", "dataset_digest": "d1"}]
    ) == ["m3", "m2"]
    page = client.search_logged_models([experiment], max_results=3)
    rest = client.search_logged_models([experiment], max_results=3, page_token=page.token)
    assert [m.name for m in [*page, *rest]] == ["m3", "m2", "m1", "m0"]
    client.delete_logged_model(made[0])
    assert search() == ["m3", "m2", "m1"]
    with pytest.raises(MlflowException):
        client.get_logged_model(made[0])


def test_registered_models_tags_stages_and_search(client, name):
    client.create_registered_model(name, tags={"a": "b"}, description="words")
    with pytest.raises(MlflowException) as taken:
        client.create_registered_model(name)
    assert taken.value.error_code == "RESOURCE_ALREADY_EXISTS"
    client.update_registered_model(name, "other words")
    client.set_registered_model_tag(name, "c", "d")
    client.delete_registered_model_tag(name, "a")
    found = client.get_registered_model(name)
    assert (found.description, found.tags) == ("other words", {"c": "d"})
    assert [
        m.name for m in client.search_registered_models(f"name = '{name}' AND tags.c = 'd'")
    ] == [name]
    assert [m.name for m in client.search_registered_models(f"name ILIKE '{name.upper()}'")] == [
        name
    ]
    for _ in range(3):
        client.create_model_version(name, source="s3://elsewhere/model", tags={"x": "y"})
    client.update_model_version(name, "1", "first")
    client.set_model_version_tag(name, "2", "t", "v")
    client.transition_model_version_stage(name, "1", "Production")
    client.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)
    assert [client.get_model_version(name, v).current_stage for v in "123"] == [
        "Archived",
        "Production",
        "None",
    ]
    assert {v.version for v in client.get_latest_versions(name)} == {"2", "3"}
    versions = client.search_model_versions(
        f"name = '{name}' AND version_number >= 2", order_by=["version_number DESC"]
    )
    assert [int(v.version) for v in versions] == [3, 2]
    page = client.search_model_versions(f"name = '{name}'", max_results=2)
    rest = client.search_model_versions(f"name = '{name}'", max_results=2, page_token=page.token)
    assert [int(v.version) for v in [*page, *rest]] == [3, 2, 1]
    assert client.search_model_versions(f"name = '{name}' AND tags.t = 'v'")[0].version in ("2", 2)
    client.rename_registered_model(name, name + "-2")
    assert client.get_model_version(name + "-2", "2").tags == {"x": "y", "t": "v"}
    client.rename_registered_model(name + "-2", name)  # its own old name
    assert client.get_model_version(name, "2").tags == {"x": "y", "t": "v"}
    client.rename_registered_model(name, name + "-2")
    client.create_registered_model(name + "-3")
    assert int(client.create_model_version(name + "-3", "s3://b/m").version) == 1
    with pytest.raises(MlflowException, match="never given again"):
        client.rename_registered_model(name + "-3", name)  # another model's
    client.delete_registered_model(name + "-2")
    with pytest.raises(MlflowException) as gone:
        client.get_registered_model(name + "-2")
    assert gone.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_version_numbers_never_come_twice(client, name):
    client.create_registered_model(name)
    numbers = [int(client.create_model_version(name, "s3://b/m").version) for _ in range(2)]
    client.delete_model_version(name, "2")
    numbers.append(int(client.create_model_version(name, "s3://b/m").version))
    client.delete_registered_model(name)
    client.create_registered_model(name)
    numbers.append(int(client.create_model_version(name, "s3://b/m").version))
    assert numbers == [1, 2, 3, 4]
    client.create_registered_model(name + "-r")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda _: int(client.create_model_version(name + "-r", "s3://b/m").version),
                range(24),
            )
        )
    assert sorted(made) == list(range(1, 25))


def test_aliases_move_and_leave_a_trail(client, server, name):
    client.create_registered_model(name)
    for _ in range(3):
        client.create_model_version(name, "s3://b/m")
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "challenger", "2")
    assert client.get_model_version_by_alias(name, "champion").version in ("2", 2)
    assert sorted(client.get_model_version(name, "2").aliases) == ["challenger", "champion"]
    client.delete_model_version(name, "2")
    with pytest.raises(MlflowException):
        client.get_model_version_by_alias(name, "champion")
    client.set_registered_model_alias(name, "champion", "3")
    client.delete_registered_model_alias(name, "champion")
    history = requests.get(f"{server.http}/api/v1/models/{name}", headers=server.bearer()).json()[
        "alias_history"
    ]
    moves = [(m["alias"], m["from"], m["to"]) for m in reversed(history)]
    assert moves == [
        ("champion", None, 1),
        ("champion", 1, 2),
        ("challenger", None, 2),
        ("challenger", 2, None),
        ("champion", 2, None),
        ("champion", None, 3),
        ("champion", 3, None),
    ]
    assert all(m["actor"] for m in history)
    for bad in ("latest", "v12", "a/b", "a b", ""):
        with pytest.raises(MlflowException) as refused:
            client.set_registered_model_alias(name, bad, "1")
        assert refused.value.get_http_status_code() == 400
    with pytest.raises(MlflowException):
        client.set_registered_model_alias(name, "champion", "99")


def test_a_copied_version_is_the_same_model(mlflow, client, server, name, registered):
    registered()
    copied = client.copy_model_version(f"models:/{name}/1", name + "-copy")
    assert numpy.array_equal(
        mlflow.lightgbm.load_model(f"models:/{name}-copy/1").predict(ROWS), booster().predict(ROWS)
    )
    assert copied.run_id == client.get_model_version(name, "1").run_id
    digests = [
        requests.get(f"{server.http}/api/v1/models/{n}", headers=server.bearer()).json()[
            "versions"
        ][0]["digest"]
        for n in (name, name + "-copy")
    ]
    assert digests[0] == digests[1] and digests[0].startswith("sha256:")


def test_equal_models_have_one_digest_and_other_models_another(client, server, name, registered):
    for rounds in (5, 5, 6):
        registered(rounds)
    versions = requests.get(f"{server.http}/api/v1/models/{name}", headers=server.bearer()).json()[
        "versions"
    ]
    third, second, first = versions
    assert first["digest"] == second["digest"] != third["digest"]
    assert first["package_digest"] != second["package_digest"]
    assert first["owner"] and first["team"] and first["run_id"] and first["model_id"]


def test_the_package_digest_is_the_documented_one(
    client, server, name, registered, mlflow, tmp_path
):
    registered()
    answer = requests.get(
        f"{server.http}/api/v1/models/{name}/versions/1/files", headers=server.bearer()
    ).json()
    lines = "".join(
        f"{f['sha256']}  {f['path']}\n"
        for f in sorted(answer["files"], key=lambda f: f["path"].encode())
    )
    assert answer["package_digest"] == "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
    local = mlflow.artifacts.download_artifacts(
        f"models:/{name}/1", dst_path=str(tmp_path / "model")
    )
    for file in answer["files"]:
        content = (tmp_path / "model" / file["path"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (
            file["sha256"],
            file["size"],
        ), local


def test_registered_files_never_change(client, server, name, registered, tmp_path):
    info = registered()
    (tmp_path / "MLmodel").write_text("flavors: {}")
    root = f"{server.http}/api/2.0/mlflow-artifacts/artifacts/"
    uri = client.get_model_version_download_uri(name, "1").removeprefix("mlflow-artifacts:/")
    for attempt in (
        requests.put(root + uri + "/MLmodel", data=b"x", headers=server.bearer()),
        requests.put(root + uri + "/new.txt", data=b"x", headers=server.bearer()),
        requests.delete(root + uri + "/model.lgb", headers=server.bearer()),
        requests.delete(root + uri.rsplit("/", 1)[0], headers=server.bearer()),
    ):
        assert attempt.status_code == 409, attempt.text
        assert attempt.json()["error_code"] == "RESOURCE_CONFLICT"
    # The same files are objects, which boto3 reaches.
    s3 = client_for(server)
    model, bucket = f"{uri}/model.lgb", "mlflow-artifacts"
    source = {"Bucket": bucket, "Key": f"{uri}/MLmodel"}
    for change in (
        lambda: s3.put_object(Bucket=bucket, Key=model, Body=b"x"),
        lambda: s3.put_object(Bucket=bucket, Key=f"{uri}/new.txt", Body=b"x"),
        lambda: s3.copy_object(Bucket=bucket, Key=model, CopySource=source),
        lambda: s3.delete_object(Bucket=bucket, Key=model),
    ):
        with pytest.raises(ClientError, match="AccessDenied.*never change"):
            change()
    removed = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": model}]})
    assert [error["Code"] for error in removed["Errors"]] == ["AccessDenied"]
    assert s3.get_object(Bucket=bucket, Key=model)["ContentLength"] > 0
    client.delete_model_version(name, "1")
    assert (
        requests.put(root + uri + "/new.txt", data=b"x", headers=server.bearer()).status_code == 200
    )
    assert info.model_id


def test_sources_that_are_not_the_callers_are_refused(client, name):
    client.create_registered_model(name)
    run = client.create_run("0").info.run_id
    other = client.create_run("0").info.run_id
    for source, run_id in (
        ("/etc/passwd", None),
        ("file:///etc/passwd", None),
        ("file:/etc", run),
        ("relative/path", None),
        ("mlflow-artifacts:/../../etc", None),
        (f"mlflow-artifacts:/0/{run}/artifacts/../../x", run),
        (f"mlflow-artifacts:/0/{run}/artifacts/%2e%2e/x", run),
        (f"mlflow-artifacts:/0/{run}/artifacts/m", other),
        (f"mlflow-artifacts:/0/{run}/artifacts/m", None),
        ("runs:/" + "0" * 32 + "/m", None),
        ("models:/no-such/1", None),
        ("models:/m-" + "0" * 32, None),
        ("s3://bucket/../x", None),
        ("s3://bucket/x#../../y", None),
    ):
        with pytest.raises(MlflowException) as refused:
            client.create_model_version(name, source, run_id)
        assert refused.value.get_http_status_code() == 400, (source, refused.value)
    assert client.search_model_versions(f"name = '{name}'") == []


def test_prompts_stay_out_of_searches_that_do_not_ask_for_them(mlflow, client, name):
    mlflow.genai.register_prompt(name, "Say {{ what }}.")
    client.create_registered_model(name + "-m")
    mine = f"name LIKE '{name}%'"
    assert [m.name for m in client.search_registered_models(mine)] == [name + "-m"]
    assert [p.name for p in mlflow.genai.search_prompts(f"name = '{name}'")] == [name]
    assert mlflow.genai.load_prompt(f"prompts:/{name}/1").format(what="hello") == "Say hello."


def test_models_are_in_the_command_line(client, server, name):
    client.create_registered_model(name)
    client.create_model_version(name, "s3://b/m")
    assert name in server.strata("model", "list").stdout
    moved = server.strata("model", "alias", name, "champion", "1")
    assert moved.returncode == 0 and client.get_model_version_by_alias(
        name, "champion"
    ).version in ("1", 1)
    shown = server.strata("model", "show", name, "-o", "json")
    assert '"champion": 1' in shown.stdout
    assert server.strata("model", "show", "no-" + name, check=False).returncode == 3


def test_a_prompt_is_no_model_to_strata_and_keeps_its_aliases(mlflow, server, name):
    mlflow.genai.register_prompt(name, "Say {{ what }}.")
    mlflow.genai.register_prompt(name, "Sing {{ what }}.")
    mlflow.genai.set_prompt_alias(name, "best", 1)
    for command in (["show", name], ["alias", name, "best", "2"], ["alias", name, "other", "2"]):
        refused = server.strata("model", *command, check=False)
        assert refused.returncode == 3 and "is a prompt" in refused.stderr
    assert name not in server.strata("model", "list").stdout
    assert mlflow.genai.load_prompt(f"prompts:/{name}@best").template == "Say {{ what }}."
