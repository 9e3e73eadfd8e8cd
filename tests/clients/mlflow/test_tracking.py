"""Experiments, runs, metrics, params, tags and datasets by the stock client."""

from __future__ import annotations

import concurrent.futures
import math
import sys
import time

import pandas
import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException


def test_an_experiment_lives_through_all_its_states(client, name):
    identifier = client.create_experiment(name, tags={"team": "a"})
    found = client.get_experiment_by_name(name)
    assert (found.experiment_id, found.lifecycle_stage, found.tags) == (
        identifier,
        "active",
        {"team": "a"},
    )
    with pytest.raises(MlflowException) as refused:
        client.create_experiment(name)
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    run = client.create_run(identifier)
    client.set_experiment_tag(identifier, "stage", "b")
    client.delete_experiment_tag(identifier, "team")
    client.rename_experiment(identifier, name + "-2")
    client.delete_experiment(identifier)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    deleted = client.get_experiment_by_name(name + "-2")
    assert (deleted.lifecycle_stage, deleted.tags) == ("deleted", {"stage": "b"})
    with pytest.raises(MlflowException):
        client.create_run(identifier)
    with pytest.raises(MlflowException):
        client.create_experiment(name + "-2")
    client.restore_experiment(identifier)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"
    assert client.get_experiment_by_name("no such " + name) is None


def test_the_default_experiment_is_there(client):
    assert client.get_experiment("0").name == "Default"
    assert "0" in [one.experiment_id for one in client.search_experiments()]


def test_experiments_are_searched_and_paged(client, name):
    for i in range(5):
        client.create_experiment(f"{name}-{i}", tags={"n": str(i)})
    mine = f"name LIKE '{name}%'"
    first = client.search_experiments(filter_string=mine, order_by=["name DESC"], max_results=3)
    second = client.search_experiments(
        filter_string=mine, order_by=["name DESC"], max_results=3, page_token=first.token
    )
    assert [e.name[-1] for e in [*first, *second]] == list("43210")
    assert not second.token
    assert [
        e.name[-1] for e in client.search_experiments(filter_string=mine + " AND tags.n = '2'")
    ] == ["2"]
    assert len(client.search_experiments(filter_string=mine + " AND tags.other IS NULL")) == 5
    upper = f"name ILIKE '{name.upper()}%'"
    assert len(client.search_experiments(filter_string=upper)) == 5
    assert not client.search_experiments(filter_string=upper.replace("ILIKE", "LIKE"))


def test_a_fluent_run_keeps_what_it_logs(mlflow, client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run(run_name="first", tags={"a": "b"}, description="words") as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "kind": "gbdt"})
        for step in range(5):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
        mlflow.log_metrics({"auc": 0.7, "n/dots.and-dash": 2})
        mlflow.set_tags({"c": "d", "e": "ü€"})
        with mlflow.start_run(nested=True) as child:
            pass
    found = client.get_run(run.info.run_id)
    assert found.info.run_name == "first" and found.info.status == "FINISHED"
    assert found.info.end_time >= found.info.start_time
    assert found.data.params == {"lr": "0.1", "depth": "3", "kind": "gbdt"}
    assert found.data.metrics == {"loss": 0.2, "auc": 0.7, "n/dots.and-dash": 2.0}
    assert found.data.tags["e"] == "ü€" and found.data.tags["mlflow.note.content"] == "words"
    assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == run.info.run_id
    frame = mlflow.search_runs(experiment_names=[name], filter_string="params.lr = '0.1'")
    assert list(frame["run_id"]) == [run.info.run_id]
    assert [m.value for m in client.get_metric_history(run.info.run_id, "loss")] == [
        1.0 / (s + 1) for s in range(5)
    ]


def test_a_run_is_renamed_deleted_and_restored(client, experiment):
    run = client.create_run(experiment, run_name="old").info.run_id
    client.update_run(run, name="new")
    assert client.get_run(run).data.tags["mlflow.runName"] == "new"
    client.set_tag(run, "mlflow.runName", "newer")
    assert client.get_run(run).info.run_name == "newer"
    client.set_tag(run, "gone", "soon")
    client.delete_tag(run, "gone")
    assert "gone" not in client.get_run(run).data.tags
    with pytest.raises(MlflowException) as missing:
        client.delete_tag(run, "gone")
    assert missing.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    client.delete_run(run)
    with pytest.raises(MlflowException):
        client.log_metric(run, "m", 1)
    assert client.search_runs([experiment], run_view_type=ViewType.ACTIVE_ONLY) == []
    assert len(client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)) == 1
    client.restore_run(run)
    client.set_terminated(run, "FAILED", end_time=5)
    assert client.get_run(run).info.status == "FAILED" and client.get_run(run).info.end_time == 5


def test_params_are_written_once_and_a_batch_is_all_or_nothing(client, experiment):
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, params=[Param("a", "1")])
    client.log_batch(run, params=[Param("a", "1"), Param("b", "2")])
    with pytest.raises(MlflowException) as refused:
        client.log_batch(
            run,
            metrics=[Metric("m", 1, 1, 1)],
            params=[Param("c", "3"), Param("a", "other")],
            tags=[RunTag("t", "v")],
        )
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    data = client.get_run(run).data
    assert data.params == {"a": "1", "b": "2"} and data.metrics == {} and "t" not in data.tags


def test_the_latest_metric_has_the_greatest_step_then_time_then_value(client, experiment):
    run = client.create_run(experiment).info.run_id
    client.log_batch(
        run, metrics=[Metric("m", 5, 100, 3), Metric("m", 9, 200, 2), Metric("m", 7, 100, 3)]
    )
    assert client.get_run(run).data.metrics == {"m": 7.0}
    client.log_metric(run, "m", 1, timestamp=99, step=3)
    assert client.get_run(run).data.metrics == {"m": 7.0}
    client.log_metric(run, "m", 1, timestamp=99, step=4)
    assert client.get_run(run).data.metrics == {"m": 1.0}
    client.log_metric(run, "m", 3, timestamp=1, step=-1)
    assert client.get_run(run).data.metrics == {"m": 1.0}
    assert min(m.step for m in client.get_metric_history(run, "m")) == -1


def test_nan_and_infinity_come_back(client, experiment):
    run = client.create_run(experiment).info.run_id
    values = [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, sys.float_info.max]
    client.log_batch(run, metrics=[Metric("m", v, i, i) for i, v in enumerate(values)])
    back = [m.value for m in client.get_metric_history(run, "m")]
    assert math.isnan(back[0])
    assert back[1:] == [sys.float_info.max, -sys.float_info.max, 0.0, 5e-324, sys.float_info.max]
    client.log_metric(run, "nan", float("nan"))
    assert math.isnan(client.get_run(run).data.metrics["nan"])


def test_the_same_point_twice_counts_once(client, experiment):
    run = client.create_run(experiment).info.run_id
    batch = [Metric("m", i * 0.5, i, i) for i in range(1000)]
    for _ in range(3):
        client.log_batch(run, metrics=batch)
    assert len(client.get_metric_history(run, "m")) == 1000


def test_a_long_history_is_whole_and_pages_fit_together(client, experiment):
    run = client.create_run(experiment).info.run_id
    for start in range(0, 12_000, 1000):
        client.log_batch(
            run, metrics=[Metric("m", math.sin(i), i, i) for i in range(start, start + 1000)]
        )
    history = client.get_metric_history(run, "m")
    assert [(m.step, m.value) for m in history] == [(i, math.sin(i)) for i in range(12_000)]
    store = client._tracking_client.store
    paged, token = [], None
    while True:
        page = store.get_metric_history(run, "m", max_results=5000, page_token=token)
        paged += list(page)
        token = page.token
        if not token:
            break
    assert paged == list(history)


def test_a_sample_keeps_both_ends(client, experiment, server, client_env):
    import requests

    run = client.create_run(experiment).info.run_id
    client.log_batch(run, metrics=[Metric("m", i, i, i) for i in range(1000)])
    client.log_batch(run, metrics=[Metric("m", i, i, i) for i in range(1000, 2000)])
    ask = {"run_ids": [run], "metric_key": "m", "max_results": 10}
    url = server.http + "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
    points = requests.get(url, params=ask, headers=server.bearer()).json()["metrics"]
    assert len(points) == 10 and (points[0]["step"], points[-1]["step"]) == (0, 1999)
    points = requests.get(
        url, params={**ask, "start_step": 100, "end_step": 110}, headers=server.bearer()
    ).json()["metrics"]
    assert points[0]["step"] == 100 and points[-1]["step"] == 110
    refused = requests.get(url, params={**ask, "start_step": 100}, headers=server.bearer())
    assert refused.status_code == 400 and refused.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_many_writers_of_one_run_lose_nothing(client, experiment):
    run = client.create_run(experiment).info.run_id

    def write(worker: int) -> None:
        for i in range(20):
            client.log_batch(
                run,
                metrics=[Metric(f"m{k}", worker, i, worker * 1000 + i) for k in range(5)],
                params=[Param("same", "value")],
            )

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    for k in range(5):
        assert len(client.get_metric_history(run, f"m{k}")) == 160
    assert client.get_run(run).data.metrics["m0"] == 7.0


def test_one_of_many_writers_of_a_param_wins(client, experiment):
    run = client.create_run(experiment).info.run_id

    def write(value: int) -> str:
        try:
            client.log_param(run, "p", value)
            return str(value)
        except MlflowException:
            return ""

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        won = [v for v in pool.map(write, range(8)) if v]
    assert won == [client.get_run(run).data.params["p"]]


def test_datasets_and_their_contexts_are_kept(mlflow, client, name):
    mlflow.set_experiment(name)
    frame = pandas.DataFrame({"x": [1, 2], "y": [0, 1]})
    with mlflow.start_run() as run:
        mlflow.log_input(
            mlflow.data.from_pandas(frame, name="rows", targets="y"),
            context="training",
            tags={"k": "v"},
        )
    inputs = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert [(i.dataset.name, {t.key: t.value for t in i.tags}) for i in inputs] == [
        ("rows", {"k": "v", "mlflow.data.context": "training"})
    ]
    ids = [run.info.experiment_id]
    for text, hits in {
        "dataset.name = 'rows'": 1,
        "datasets.name LIKE 'ro%'": 1,
        "dataset.context = 'training'": 1,
        "dataset.context IN ('test', 'training')": 1,
        "dataset.name NOT IN ('rows')": 0,
        "dataset.digest = 'x'": 0,
    }.items():
        assert len(client.search_runs(ids, text)) == hits, text


def test_limits_and_bad_input_are_refused_as_the_callers_mistake(client, experiment):
    run = client.create_run(experiment).info.run_id
    store = client._tracking_client.store
    for attempt in (
        lambda: store.log_batch(run, [Metric("m", 1, 1, 1)] * 1001, [], []),
        lambda: store.log_batch(run, [], [Param(str(i), "x") for i in range(101)], []),
        lambda: store.log_batch(run, [], [Param("a", "1"), Param("a", "1")], []),
        lambda: store.log_batch(run, [Metric("m", 1, -1, 1)], [], []),
        lambda: store.log_batch(run, [Metric("../m", 1, 1, 1)], [], []),
        lambda: store.log_batch(run, [Metric("m" * 251, 1, 1, 1)], [], []),
        lambda: store.log_batch("0" * 32, [], [], []),
        lambda: store.search_runs([experiment], "metrics.a = 'x'", ViewType.ALL, 10, [], None),
        lambda: store.search_runs(
            [experiment], "", ViewType.ALL, 10, ["metrics.a", "metrics.a"], None
        ),
        lambda: store.search_runs(["abc"], "", ViewType.ALL, 10, [], None),
        lambda: store.search_runs([experiment], "", ViewType.ALL, 50_001, [], None),
        lambda: store.search_runs([experiment], "", ViewType.ALL, 10, [], "nonsense"),
        lambda: store.get_experiment("999999"),
        lambda: store.get_run("no-such-run"),
    ):
        began = time.monotonic()
        with pytest.raises(MlflowException) as refused:
            attempt()
        assert refused.value.get_http_status_code() in (400, 404)
        assert time.monotonic() - began < 10


def test_long_values_are_cut_like_the_stock_server_cuts_them(client, experiment):
    run = client.create_run(experiment).info.run_id
    store = client._tracking_client.store
    store.log_batch(run, [], [Param("p", "ü" * 7000)], [RunTag("t", "x" * 9000)])
    data = client.get_run(run).data
    assert data.params["p"] == "ü" * 6000 and data.tags["t"] == "x" * 8000
