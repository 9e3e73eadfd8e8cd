"""What jobs elsewhere tell of data turns the question about it; what is harmless turns nothing."""

from __future__ import annotations

import statistics
import time

import lineage_client as ol
import pytest
from openlineage.client.event_v2 import DatasetEvent, Job, JobEvent, StaticDataset
from openlineage.client.facet_v2 import symlinks_dataset
from world import QUESTIONS, World

GOOD = {question: "good" for question in QUESTIONS}
COLUMNS = (("id", "BIGINT"), ("wind", "DOUBLE"))
SOURCE = "postgres://db.example:5432"


class Upstream:
    """An honest world whose object a job elsewhere makes, from a table elsewhere."""

    def __init__(self, server, folder) -> None:
        self.world = World(server, folder)
        self.client = ol.client(server)
        self.loader = f"{self.world.name}.load"
        self.importer = f"{self.world.name}.import"
        self.source = f"{self.world.name}.public.raw"
        put = self.world.put_raw

        def put_and_tell() -> None:
            put()
            self.load()
            self.fetch()

        self.world.put_raw = put_and_tell
        self.world.build()

    def fetch(self, state: str = "COMPLETE", error: str = "") -> None:
        """The job that fills the table elsewhere."""
        outputs = [ol.written(SOURCE, self.source, 1000, ol.schema(*COLUMNS))]
        self.client.emit(ol.run_event(self.importer, state, outputs=outputs, error=error))

    def load(self, state="COMPLETE", rows=1000, columns=COLUMNS, checks=(), job="", key="") -> None:
        """The job that makes the object."""
        inputs = [ol.read(SOURCE, self.source, ol.assertions(*checks) if checks else None)]
        outputs = [
            ol.written(f"s3://{self.world.bucket}", key or "raw.parquet", rows, ol.schema(*columns))
        ]
        self.client.emit(ol.run_event(job or self.loader, state, inputs=inputs, outputs=outputs))


@pytest.fixture(scope="module")
def upstream(server, tmp_path_factory) -> Upstream:
    return Upstream(server, tmp_path_factory.mktemp("upstream"))


FAULTS = {
    "run failed": (lambda u: u.load("FAIL"), "bad", "data.external_failed"),
    "run two jobs up failed": (
        lambda u: u.fetch("FAIL", "disk full"),
        "bad",
        "data.external_failed",
    ),
    "run aborted": (lambda u: u.load("ABORT"), "warning", "data.external_aborted"),
    "check failed": (
        lambda u: u.load(checks=[("not_null", False, "error")]),
        "bad",
        "data.external_quality",
    ),
    "check warned": (
        lambda u: u.load(checks=[("not_null", False, "warn")]),
        "warning",
        "data.external_quality_warned",
    ),
    "column lost": (lambda u: u.load(columns=COLUMNS[:1]), "bad", "data.external_schema"),
    "column of another type": (
        lambda u: u.load(columns=(("id", "TEXT"), ("wind", "DOUBLE"))),
        "bad",
        "data.external_schema",
    ),
    "new column": (
        lambda u: u.load(columns=(*COLUMNS, ("gust", "DOUBLE"))),
        "warning",
        "data.external_columns_added",
    ),
    "no rows": (lambda u: u.load(rows=0), "bad", "data.external_empty"),
    "few rows": (lambda u: u.load(rows=400), "warning", "data.external_rows_fell"),
}

HARMLESS = {
    "the same again": lambda u: u.load(),
    "some rows fewer": lambda u: u.load(rows=900),
    "more rows": lambda u: u.load(rows=5000),
    "a type in other letters": lambda u: u.load(columns=(("id", "bigint"), ("wind", "double"))),
    "a run that began": lambda u: u.load("START"),
    "a run that goes on": lambda u: u.load("RUNNING"),
    "another object": lambda u: u.load("FAIL", job=f"{u.world.name}.other", key="other.parquet"),
    "a check that holds": lambda u: u.load(checks=[("not_null", True, "error")]),
    "an old failure told late": lambda u: u.client.emit(
        ol.run_event(u.loader, "FAIL", time=ol.time_of(86400))
    ),
    "a reader that failed": lambda u: u.client.emit(
        ol.run_event(
            f"{u.world.name}.reader",
            "FAIL",
            inputs=[ol.read(f"s3://{u.world.bucket}", "raw.parquet")],
        )
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_upstream_turns_the_question_about_data(upstream, name):
    put, verdict, code = FAULTS[name]
    world = upstream.world
    put(upstream)
    world.settle(GOOD | {"data": verdict})
    assert code in world.codes("data")
    for one in world.explain()["questions"]:
        for evidence in one["evidence"]:
            if evidence["code"] == code:
                assert evidence["refs"][0].startswith("external_run:")
                assert world.get("/api/v1/why/" + evidence["refs"][0])["nodes"]
    upstream.load(checks=[("not_null", True, "error")])
    upstream.fetch()
    world.settle(GOOD)


@pytest.mark.parametrize(
    ("scheme", "written", "read"),
    [("s3a", "names/a.csv", "names/a.csv"), ("s3", "parts", "parts/day=1/b.csv")],
    ids=["another name", "its folder"],
)
def test_who_made_what_a_job_read_is_found_by(upstream, scheme, written, read):
    world, bucket = upstream.world, upstream.world.bucket
    upstream.client.emit(
        ol.run_event(upstream.loader, "START", inputs=[ol.read(f"s3://{bucket}", read)])
    )
    outputs = [ol.written(f"{scheme}://{bucket}", written)]
    job = f"{world.name}.of-{written}"
    upstream.client.emit(ol.run_event(job, "FAIL", outputs=outputs))
    world.settle(GOOD | {"data": "bad"})
    assert "data.external_failed" in world.codes("data")
    upstream.client.emit(ol.run_event(job, "COMPLETE", outputs=outputs))
    world.settle(GOOD)


def judged_again(upstream) -> None:
    """Events are judged in their order: when these two were, all before them were."""
    upstream.load("ABORT")
    upstream.world.settle(GOOD | {"data": "warning"})
    upstream.load()
    upstream.world.settle(GOOD)


def test_a_retired_job_that_writes_again_counts_again(upstream):
    world, job = upstream.world, f"{upstream.world.name}.retired"
    outputs = [ol.written(f"s3://{world.bucket}", "raw.parquet")]
    upstream.client.emit(ol.run_event(job, "COMPLETE", outputs=outputs))
    own = Job(namespace="airflow", name=job)
    upstream.client.emit(JobEvent(eventTime=ol.time_of(), job=own, producer=ol.PRODUCER))
    judged_again(upstream)
    upstream.client.emit(ol.run_event(job, "FAIL", outputs=outputs))
    world.settle(GOOD | {"data": "bad"})
    upstream.client.emit(ol.run_event(job, "COMPLETE", outputs=outputs))
    world.settle(GOOD)


def test_a_link_that_comes_later_joins_what_made_it(upstream):
    world, job = upstream.world, f"{upstream.world.name}.hive"
    outputs = [ol.written("hive://meta", f"{world.name}.t")]
    upstream.client.emit(ol.run_event(job, "FAIL", outputs=outputs))
    judged_again(upstream)
    raw = symlinks_dataset.Identifier(f"s3://{world.bucket}", "raw.parquet", "FILE")
    facets = {"symlinks": symlinks_dataset.SymlinksDatasetFacet([raw])}
    table = StaticDataset(namespace="hive://meta", name=f"{world.name}.t", facets=facets)
    upstream.client.emit(DatasetEvent(eventTime=ol.time_of(), dataset=table, producer=ol.PRODUCER))
    world.settle(GOOD | {"data": "bad"})
    upstream.client.emit(ol.run_event(job, "COMPLETE", outputs=outputs))
    world.settle(GOOD)


@pytest.mark.parametrize("order", ["told before its end", "told after its end"])
def test_what_another_event_of_a_run_told_counts_once_it_completed(upstream, order):
    run, world = ol.new_run(), upstream.world
    outputs = [ol.written(f"s3://{world.bucket}", "raw.parquet", 0, ol.schema(COLUMNS[0]))]
    events = [
        ol.run_event(upstream.loader, "RUNNING", run, outputs=outputs, time=ol.time_of(0.01)),
        ol.run_event(upstream.loader, "COMPLETE", run),
    ]
    for event in events if order == "told before its end" else reversed(events):
        upstream.client.emit(event)
    world.settle(GOOD | {"data": "bad"})
    assert {"data.external_schema", "data.external_empty"} <= world.codes("data")
    upstream.load()
    world.settle(GOOD)


def test_what_a_run_that_failed_told_of_its_outputs_never_counts(upstream):
    run, world = ol.new_run(), upstream.world
    outputs = [ol.written(f"s3://{world.bucket}", "raw.parquet", 0, ol.schema(COLUMNS[0]))]
    upstream.client.emit(ol.run_event(upstream.loader, "RUNNING", run, outputs=outputs))
    upstream.client.emit(ol.run_event(upstream.loader, "FAIL", run))
    world.settle(GOOD | {"data": "bad"})
    assert not {"data.external_schema", "data.external_empty"} & world.codes("data")
    upstream.client.emit(ol.run_event(upstream.loader, "COMPLETE"))
    world.settle(GOOD)


def test_what_is_harmless_turns_nothing(upstream):
    before = len(upstream.world.turns())
    for _ in range(5):
        for put in HARMLESS.values():
            put(upstream)
    # An event after all others shows that those were looked at.
    upstream.load("ABORT")
    upstream.world.settle(GOOD | {"data": "warning"})
    upstream.load()
    upstream.world.settle(GOOD)
    assert len(upstream.world.turns()) == before + 2


def test_a_failure_is_seen_within_two_seconds(upstream):
    waited = []
    for _ in range(5):
        for state, verdict in (("FAIL", "bad"), ("COMPLETE", "good")):
            upstream.load(state)
            began = time.monotonic()
            upstream.world.settle(GOOD | {"data": verdict})
            waited.append(time.monotonic() - began)
    assert statistics.median(waited) <= 2
