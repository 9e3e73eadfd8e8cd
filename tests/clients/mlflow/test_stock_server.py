"""The same calls on MLflow's own server and on this one must find the same."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
import requests
import urllib3
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A stock server on SQLite; its address. The port is free a moment before it is taken."""
    folder = tmp_path_factory.mktemp("stock")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/stock.db", "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--artifacts-destination", str(folder / "artifacts")],
        env=environment,
        cwd=folder,
        stdout=(folder / "log.txt").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    patience = urllib3.Retry(240, backoff_factor=0.5, backoff_max=0.5)
    with requests.Session() as session:
        session.mount(url, requests.adapters.HTTPAdapter(max_retries=patience))
        ready = session.get(url + "/health", timeout=60)
    assert ready.text == "OK", (folder / "log.txt").read_text()
    yield url
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=30)


@pytest.fixture(scope="module")
def pair(stock, server):
    """The same runs on both servers: (client, experiment, run names by id) twice."""
    os.environ.update(server.env)
    import mlflow

    sides = []
    for url in (stock, server.http):
        client = mlflow.MlflowClient(tracking_uri=url)
        experiment = client.create_experiment("side-by-side")
        names = {}
        for i in range(20):
            run = client.create_run(experiment, run_name=f"r{i}", start_time=1000 + i // 3)
            metrics = [Metric("a", (i * 7) % 11 / 10, 1, 1), Metric("a.b c", -i, 1, 1)]
            if i % 4 == 0:
                odd = float("nan") if i == 8 else float("inf") if i == 12 else float(i)
                metrics.append(Metric("odd", odd, 1, 1))
            tags = [RunTag("t", f"v{i % 3}"), RunTag("mlflow.source.name", f"x{i}.py")]
            params = [Param("p", "AbC" if i % 2 else "abd"), Param("with space", str(i))]
            client.log_batch(run.info.run_id, metrics, params, tags if i % 5 else tags[:1])
            if i % 6 == 0:
                client.set_terminated(run.info.run_id, "FAILED", end_time=9000 + i)
            names[run.info.run_id] = run.info.run_name
        sides.append((client, experiment, names))
    return sides


def found(side, text, order):
    client, experiment, names = side
    try:
        return [
            names[r.info.run_id] for r in client.search_runs([experiment], text, order_by=order)
        ]
    except MlflowException as refused:
        assert refused.get_http_status_code() == 400, refused
        return "refused"


FILTERS = [
    "",
    "metrics.a > 0.3",
    "metric.a >= 0.3 and metrics.a <= 0.7",
    "metrics.a = 0.5",
    "metrics.a != 0.5",
    "metrics.a > -1",
    "metrics.a > 3e-1",
    "metrics.a > .3",
    'metrics."a.b c" < -15',
    "metrics.`a.b c` = -3",
    "metrics.odd = 0",
    "metrics.odd != 4",
    "metrics.odd > 10",
    "metrics.missing != 3",
    "params.p = 'AbC'",
    'params.p = "AbC"',
    "params.p != 'AbC'",
    "params.p LIKE 'Ab%'",
    "params.p LIKE 'ab%'",
    "params.p ILIKE 'ab_'",
    "params.`with space` = '3'",
    "tags.t = 'v1'",
    "tags.t LIKE '%'",
    "tags.mlflow.source.name LIKE '%9.py'",
    "tags.`mlflow.source.name` IS NULL",
    "tags.mlflow.source.name IS NOT NULL AND tags.t = 'v2'",
    "params.nothing is null",
    "status = 'FAILED'",
    "attributes.status != 'FAILED'",
    "attribute.status LIKE 'FA%'",
    "start_time >= 1004",
    "attributes.start_time != 1001",
    "created < 1002",
    "end_time > 9000",
    "run_name = 'r4'",
    "attributes.`run name` LIKE 'r1%'",
    "attributes.`Run name` ILIKE 'R1_'",
    "run_name IN ('r1', 'r2')",
    "tags.t IN ('v1')",
    "metrics.a > 0.3 params.p = 'AbC'",
    "AND metrics.a > 0.3",
    "metrics.a > 0.3 AND",
    "metrics.a > 0.3 OR metrics.a < 0.1",
    "(metrics.a > 0.3)",
    "metrics.a > 0.3;",
    "metrics.a",
    "metrics.a > 'x'",
    "metrics.a == 0.3",
    "params.p = AbC",
    "params.p = 3",
    "params.p > 'a'",
    "0.3 < metrics.a",
    "unknown.a = 'x'",
    "attributes.unknown = 'x'",
    "dataset.name = 'x'",
    "dataset.size = 'x'",
    "start_time = 'x'",
    "status IS NULL",
    "params.p NOT LIKE 'a%'",
    "user_id = 'nobody'",
    "artifact_uri LIKE '%artifacts'",
]


@pytest.mark.parametrize("text", FILTERS)
def test_filters_find_the_same_runs(pair, text):
    stock, ours = (
        sorted(f) if isinstance(f := found(s, text, ["attributes.run_name"]), list) else f
        for s in pair
    )
    assert ours == stock


ORDERS = [
    ["metrics.a DESC", "run_name"],
    ["metrics.a", "run_name DESC"],
    ["metrics.odd DESC", "run_name"],
    ["metrics.odd ASC", "run_name"],
    ["params.p", "metrics.a desc", "attributes.run_name"],
    ["tags.t DESC", "run_name"],
    ["tags.mlflow.source.name", "run_name"],
    ["attributes.end_time DESC", "run_name"],
    ["end_time", "run_name"],
    ["start_time ASC", "run_name"],
    ["attributes.status", "run_name"],
    ["metrics.missing", "run_name"],
    ["params.`with space` desc"],
    ["run_name desc"],
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: ", ".join(order))
def test_orders_give_the_same_rows(pair, order):
    stock, ours = (found(side, "", order) for side in pair)
    assert ours == stock


@pytest.mark.parametrize(
    "order", ["", "metrics.a sideways", "'x'", "metrics.a, params.p", "dataset.name", "nothing"]
)
def test_orders_that_one_refuses_the_other_refuses(pair, order):
    assert found(pair[1], "", [order]) == found(pair[0], "", [order]) == "refused"


def test_histories_and_summaries_agree(pair):
    views = []
    for client, experiment, names in pair:
        run = client.create_run(experiment, run_name="history").info.run_id
        points = [(3, 5, 1.0), (1, 9, 2.0), (3, 5, 1.0), (3, 5, 4.0), (-2, 5, 7.0), (0, 0, -0.5)]
        client.log_batch(run, [Metric("h", value, time_, step) for step, time_, value in points])
        history = [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run, "h")]
        views.append((history, client.get_run(run).data.metrics))
        client.delete_run(run)
    assert views[0] == views[1]
