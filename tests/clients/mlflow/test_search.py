"""Each filter and order over runs against what a plain reading of the data gives."""

from __future__ import annotations

import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType


@pytest.fixture(scope="module")
def corpus(server):
    """Twelve runs with known values, made once for all tests."""
    import os

    os.environ.update(server.env)
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=server.env["MLFLOW_TRACKING_URI"])
    experiment = client.create_experiment("search-corpus")
    runs = {}
    for i in range(12):
        run = client.create_run(
            experiment,
            run_name=f"run-{i}",
            start_time=1000 + i // 2,
            tags={"even": str(i % 2 == 0), "mlflow.user": "ann" if i < 6 else "Bob"},
        )
        metrics = [Metric("acc", i / 10, 1, 1), Metric("a b/c", -i, 1, 1)]
        if i == 3:
            metrics.append(Metric("odd", float("nan"), 1, 1))
        if i in (4, 5):
            metrics.append(Metric("odd", float(i), 1, 1))
        client.log_batch(
            run.info.run_id,
            metrics=metrics,
            params=[Param("kind", "GBDT" if i % 3 else "linear"), Param("x.y", str(i))],
            tags=[RunTag("only", "1")] if i == 7 else [],
        )
        if i in (1, 2):
            client.set_terminated(run.info.run_id, "FAILED", end_time=5000 + i)
        runs[run.info.run_id] = i
    return client, experiment, runs


CASES = {
    "": range(12),
    "metrics.acc > 0.75": [8, 9, 10, 11],
    "metrics.acc >= 0.8 AND metrics.acc < 1": [8, 9],
    "metric.acc = 0.5": [5],
    "metrics.acc != 0.5": [i for i in range(12) if i != 5],
    'metrics."a b/c" < -10': [11],
    "metrics.`a b/c` >= -1": [0, 1],
    "metrics.odd = 0": [],
    "metrics.odd != 4": [3, 5],
    "metrics.odd > -1e300": [4, 5],
    "metrics.none != 1": [],
    "params.kind = 'linear'": [0, 3, 6, 9],
    "params.kind != 'linear'": [1, 2, 4, 5, 7, 8, 10, 11],
    "params.kind LIKE 'gb%'": [],
    "params.kind LIKE 'GB%'": [1, 2, 4, 5, 7, 8, 10, 11],
    "params.kind ILIKE 'gb_t'": [1, 2, 4, 5, 7, 8, 10, 11],
    'params."x.y" = "11"': [11],
    "params.x.y IN ('a')": None,
    "tags.only = '1'": [7],
    "tags.only != '2'": [7],
    "tags.only IS NULL AND metrics.acc > 0.9": [10, 11],
    "tags.only IS NOT NULL": [7],
    "tags.`mlflow.user` = 'ann' AND tags.even = 'True'": [0, 2, 4],
    "tags.mlflow.user ILIKE 'BO%'": range(6, 12),
    "attributes.status = 'FAILED'": [1, 2],
    "status != 'FAILED' and metrics.acc < 0.4": [0, 3],
    "attributes.start_time > 1004": [10, 11],
    "created <= 1000": [0, 1],
    "end_time = 5001": [1],
    "attributes.run_name LIKE 'run-1%'": [1, 10, 11],
    "attributes.`Run name` = 'run-4'": [4],
    "run_name != 'run-4' metrics.acc <= 0.5": [0, 1, 2, 3, 5],
    "metrics.acc > 0.5 OR metrics.acc < 0.1": None,
    "(metrics.acc > 0.5)": None,
    "params.kind > 'a'": None,
    "metrics.acc LIKE '1'": None,
    "start_time = 'x'": None,
    "wrong.key = 'x'": None,
    "status IS NULL": None,
}


@pytest.mark.parametrize("text", CASES)
def test_a_filter_finds_exactly_its_runs(corpus, text):
    client, experiment, runs = corpus
    if CASES[text] is None:
        from mlflow.exceptions import MlflowException

        with pytest.raises(MlflowException) as refused:
            client.search_runs([experiment], text)
        assert refused.value.get_http_status_code() == 400
        return
    found = [runs[r.info.run_id] for r in client.search_runs([experiment], text)]
    assert sorted(found) == sorted(CASES[text])


def test_run_ids_are_found_by_list(corpus):
    client, experiment, runs = corpus
    some = [r for r, i in runs.items() if i in (2, 9)]
    quoted = ", ".join(f"'{r}'" for r in some)
    assert {
        r.info.run_id for r in client.search_runs([experiment], f"run_id IN ({quoted})")
    } == set(some)
    assert len(client.search_runs([experiment], f"attributes.run_id NOT IN ({quoted})")) == 10
    assert len(client.search_runs([experiment], f"run_id = '{some[0]}'")) == 1


def test_the_natural_order_is_newest_first_then_by_id(corpus):
    client, experiment, _ = corpus
    found = client.search_runs([experiment])
    keys = [(-r.info.start_time, r.info.run_id) for r in found]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("order", "head"),
    [
        (["metrics.acc DESC"], [11, 10, 9]),
        (["metrics.acc ASC"], [0, 1, 2]),
        (["metrics.odd DESC"], [5, 4, 3]),
        (["metrics.odd"], [4, 5, 3]),
        (["params.kind DESC", "metrics.acc"], [0, 3, 6]),
        (["tags.only", "attributes.run_name DESC"], [7, 9, 8]),
        (["attributes.end_time DESC", "metrics.`a b/c`"], [2, 1, 11]),
        (["attributes.status", "metrics.acc desc"], [2, 1, 11]),
    ],
)
def test_an_order_puts_the_missing_last_and_nan_before_them(corpus, order, head):
    client, experiment, runs = corpus
    assert [runs[r.info.run_id] for r in client.search_runs([experiment], order_by=order)][
        :3
    ] == head


@pytest.mark.parametrize(
    "order", [[], ["metrics.odd DESC"], ["params.kind"], ["end_time", "metrics.acc DESC"]]
)
@pytest.mark.parametrize("size", [1, 5, 12])
def test_pages_fit_together_in_every_order(corpus, order, size):
    client, experiment, _ = corpus
    whole = [r.info.run_id for r in client.search_runs([experiment], order_by=order)]
    paged, token = [], None
    while True:
        page = client.search_runs([experiment], order_by=order, max_results=size, page_token=token)
        paged += [r.info.run_id for r in page]
        token = page.token
        if not token:
            break
    assert paged == whole and len(whole) == 12


def test_a_page_is_not_shifted_by_newer_runs(corpus):
    client, _, _ = corpus
    experiment = client.create_experiment("search-paging")
    first = [client.create_run(experiment, start_time=i + 1).info.run_id for i in range(6)]
    page = client.search_runs([experiment], max_results=3)
    client.create_run(experiment, start_time=100)
    rest = client.search_runs([experiment], max_results=3, page_token=page.token)
    assert [r.info.run_id for r in [*page, *rest]] == first[::-1]


def test_a_token_of_another_search_is_refused(corpus):
    from mlflow.exceptions import MlflowException

    client, experiment, _ = corpus
    page = client.search_runs([experiment], max_results=3)
    with pytest.raises(MlflowException):
        client.search_runs([experiment], "metrics.acc > 0", max_results=3, page_token=page.token)


def test_views_and_several_experiments(corpus):
    client, experiment, _ = corpus
    other = client.create_experiment("search-other")
    kept = client.create_run(other).info.run_id
    gone = client.create_run(other).info.run_id
    client.delete_run(gone)
    assert [r.info.run_id for r in client.search_runs([other])] == [kept]
    assert [
        r.info.run_id for r in client.search_runs([other], run_view_type=ViewType.DELETED_ONLY)
    ] == [gone]
    assert len(client.search_runs([other, experiment], run_view_type=ViewType.ALL)) == 14
