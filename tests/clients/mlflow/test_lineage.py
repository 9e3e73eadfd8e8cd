"""What a stock client logs must stand in the lineage graph at once."""

from __future__ import annotations

import boto3
import lightgbm
import numpy
import pandas
import requests


def test_a_model_leads_back_to_its_data_and_code(mlflow, client, server, client_env, name):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="rows.csv", Body=b"x,y\n1,0\n2,1\n")
    mlflow.set_experiment(name)
    frame = pandas.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    dataset = mlflow.data.from_pandas(frame, source=f"s3://{name}/rows.csv", name="rows")
    with mlflow.start_run(tags={"mlflow.source.git.commit": "c0ffee" * 6 + "beef"}) as run:
        mlflow.log_input(dataset, context="training")
        rows = numpy.random.default_rng(1).normal(size=(50, 2))
        settings = {"objective": "regression", "verbose": -1}
        model = lightgbm.train(settings, lightgbm.Dataset(rows, rows[:, 0]), 2)
        info = mlflow.lightgbm.log_model(model, name="m", registered_model_name=name)
    answer = requests.get(f"{server.http}/api/v1/why/model:{name}@1", headers=server.bearer())
    assert answer.status_code == 200, answer.text
    edges = {
        (e["from"].split("@")[0], e["relation"], e["to"].split("@")[0])
        for e in answer.json()["edges"]
    }
    run_node, logged = f"run:{run.info.run_id}", f"logged_model:{info.model_id}"
    assert (logged, "registered", f"model:{name}") in edges
    assert (run_node, "logged", logged) in edges
    assert ("commit:" + "c0ffee" * 6 + "beef", "code", run_node) in edges
    assert ("dataset:rows", "trained", run_node) in edges
    assert (f"object:{name}/rows.csv", "read", "dataset:rows") in edges


def test_a_bare_id_or_name_is_enough_where_it_names_one_thing(mlflow, server, name):
    mlflow.set_experiment(name)
    with mlflow.start_run(tags={"mlflow.source.git.commit": "ab" * 20}) as run:
        pass
    assert f"run:{run.info.run_id}" in server.strata("why", run.info.run_id).stdout.splitlines()[0]
    server.strata("sql", f'CREATE TABLE "one_{name}" AS SELECT 1 AS v')
    for text in (f"one_{name}", f"main.one_{name}"):
        assert server.strata("why", text).stdout.startswith(f"table:main.one_{name}@")
        assert server.strata("impact", text).stdout.startswith(f"table:main.one_{name}@")
    version = server.strata("why", f"one_{name}").stdout.split()[0].split("@")[1]
    assert server.strata("why", f"one_{name}@{version}").stdout.startswith("table:main.one_")


def test_what_is_not_known_or_not_one_thing_is_told_with_how_to_write_it(mlflow, server, name):
    unknown = server.strata("why", "nothing-of-the-kind", check=False)
    assert unknown.returncode == 3
    for form in ("prediction's id", "kind:name@version", "run", "endpoint"):
        assert form in unknown.stderr
    server.strata("sql", f'CREATE TABLE "{name}" AS SELECT 1 AS v')
    mlflow.set_experiment(name)
    frame = pandas.DataFrame({"x": [1.0]})
    with mlflow.start_run():
        mlflow.log_input(mlflow.data.from_pandas(frame, name=name))
    both = server.strata("why", name, check=False)
    assert both.returncode == 2
    assert f"dataset:{name}" in both.stderr and f"table:main.{name}" in both.stderr
