"""What the stock OpenLineage client tells is known, once, whatever the order."""

from __future__ import annotations

import gzip
import itertools
import json
import uuid

import boto3
import lineage_client as ol
import pytest
import requests
from openlineage.client.event_v2 import DatasetEvent, Job, JobEvent, StaticDataset
from openlineage.client.serde import Serde


@pytest.fixture
def name() -> str:
    return f"j{uuid.uuid4().hex[:10]}"


def get(server, path: str, **query) -> dict:
    answer = requests.get(server.http + path, params=query, headers=server.bearer(), timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def post(server, body, path: str = "/api/v1/lineage") -> requests.Response:
    return requests.post(server.http + path, json=body, headers=server.bearer(), timeout=30)


def runs_of(server, job: str) -> list[dict]:
    return get(server, "/api/v1/lineage/runs", namespace="airflow", name=job)["runs"]


def job_of(server, job: str) -> dict:
    (found,) = get(server, "/api/v1/lineage/jobs", search=job)["jobs"]
    return found


def store(server):
    return boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=server.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.env["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )


def objects_of(server, run: str) -> set[str]:
    """What a run read, with its versions."""
    nodes = get(server, f"/api/v1/why/external_run:{run}")["nodes"]
    return {f"{node['name']}@{node['version']}" for node in nodes if node["kind"] == "object"}


def test_a_run_is_known_with_what_it_read_and_wrote(server, name):
    client = ol.client(server)
    run = ol.new_run()
    inputs = [ol.read("postgres://db:5432", f"{name}.public.raw")]
    outputs = [ol.written("postgres://db:5432", f"{name}.public.clean", 7, ol.schema(("a", "int")))]
    client.emit(ol.run_event(name, "START", run, inputs, time=ol.time_of(60)))
    client.emit(ol.run_event(name, "COMPLETE", run, inputs, outputs))
    (seen,) = runs_of(server, name)
    assert (seen["id"], seen["state"]) == (run, "COMPLETE")
    assert seen["started"] < seen["ended"]
    assert [one["name"] for one in seen["inputs"]] == [f"{name}.public.raw"]
    assert [one["name"] for one in seen["outputs"]] == [f"{name}.public.clean"]
    datasets = get(server, "/api/v1/lineage/datasets", search=f"{name}.public.clean")["datasets"]
    assert datasets[0]["facets"]["schema"]["fields"][0]["name"] == "a"
    assert datasets[0]["writers"] == [{"namespace": "airflow", "name": name}]
    refs = {node["ref"] for node in get(server, f"/api/v1/why/external_run:{run}")["nodes"]}
    assert f"external_dataset:postgres://db:5432/{name}.public.raw" in refs


def test_the_order_of_events_does_not_matter_and_neither_does_repetition(server, name):
    def told(job: str, order) -> dict:
        client = ol.client(server)
        for at in order:
            client.emit(events[at](job))
        (run,) = runs_of(server, job)
        known = job_of(server, job)
        return {
            "run": {k: run[k] for k in ("state", "started", "ended", "error", "inputs", "outputs")},
            "job": {k: known[k] for k in ("inputs", "outputs", "seen")},
        }

    times = [ol.time_of(seconds) for seconds in (90, 60, 30)]
    runs: dict[str, str] = {}

    def event(state, at, **more):
        def make(job):
            run = runs.setdefault(job, ol.new_run())
            return ol.run_event(job, state, run, time=times[at], **more)

        return make

    events = [
        event("START", 0, inputs=[ol.read("x", f"{name}.in")]),
        event("RUNNING", 1),
        event("FAIL", 2, outputs=[ol.written("x", f"{name}.out")], error="disk full"),
    ]
    orders = list(itertools.permutations(range(3))) + [(2, 2, 0, 1, 0, 2)]
    seen = [told(f"{name}-{i}", order) for i, order in enumerate(orders)]
    assert seen[0]["run"]["state"] == "FAIL"
    assert seen[0]["run"]["error"] == "disk full"
    assert all(one == seen[0] for one in seen)


def test_the_same_event_again_changes_nothing(server, name):
    event = json.loads(
        Serde.to_json(ol.run_event(name, "COMPLETE", outputs=[ol.written("x", name, 3)]))
    )
    assert post(server, event).json() == {"changed": True}
    before = get(server, "/api/v1/events", subject=f"external_job:airflow/{name}")["events"]
    assert post(server, event).json() == {"changed": False}
    after = get(server, "/api/v1/events", subject=f"external_job:airflow/{name}")["events"]
    assert before == after and len(before) == 1


def test_a_complete_without_a_start_leads_from_the_job_to_the_object(server, name):
    s3 = store(server)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="raw/a.csv", Body=b"a\n1\n")
    s3.put_object(Bucket=name, Key="folder/part-0.parquet", Body=b"x")
    run = ol.new_run()
    inputs = [ol.read("kafka://broker:9092", f"{name}.topic")]
    outputs = [ol.written(f"s3://{name}", "raw/a.csv"), ol.written(f"s3a://{name}", "/folder")]
    ol.client(server).emit(ol.run_event(name, "COMPLETE", run, inputs, outputs))
    for key in ("raw/a.csv", "folder/part-0.parquet"):
        graph = get(server, f"/api/v1/why/object:{name}/{key}")
        refs = {node["ref"] for node in graph["nodes"]}
        assert f"external_run:{run}" in refs
        assert f"external_dataset:kafka://broker:9092/{name}.topic" in refs
    source = f"external_dataset:kafka://broker:9092/{name}.topic"
    follows = get(server, "/api/v1/impact", ref=source)["nodes"]
    assert {n["kind"] for n in follows} == {"external_dataset", "external_run", "object"}


@pytest.mark.parametrize("first", ["START", "RUNNING"])
def test_a_run_leads_to_what_it_read_when_it_began(server, name, first):
    s3, client, run = store(server), ol.client(server), ol.new_run()
    s3.create_bucket(Bucket=name)
    source = [ol.read(f"s3://{name}", "raw.csv")]
    versions, began = [], ""
    for body in (b"1", b"2"):
        s3.put_object(Bucket=name, Key="raw.csv", Body=body)
        probe = ol.new_run()
        client.emit(ol.run_event(f"{name}.probe", "START", probe, source))
        versions.append(objects_of(server, probe))
        began = began or ol.time_of()
    assert len(versions[0]) == 1 and versions[0] != versions[1]
    events = [
        ol.run_event(name, "START", run, source if first == "START" else (), time=began),
        ol.run_event(name, "RUNNING", run, source),
    ]
    for event in events if first == "START" else reversed(events):
        client.emit(event)
    assert objects_of(server, run) == versions[0]


def test_a_run_without_a_start_made_no_file_of_the_run_before(server, name):
    s3, client = store(server), ol.client(server)
    s3.create_bucket(Bucket=name)
    runs = []
    for part in ("0", "1"):
        s3.put_object(Bucket=name, Key=f"folder/{part}.csv", Body=b"x")
        runs.append(ol.new_run())
        outputs = [ol.written(f"s3://{name}", "folder")]
        client.emit(ol.run_event(name, "COMPLETE", runs[-1], outputs=outputs))
    for part, run in enumerate(runs):
        nodes = get(server, f"/api/v1/why/object:{name}/folder/{part}.csv")["nodes"]
        assert [n["name"] for n in nodes if n["kind"] == "external_run"] == [run]


def test_a_jobs_own_event_says_what_it_uses_from_then_on(server, name):
    client = ol.client(server)
    client.emit(
        ol.run_event(name, "COMPLETE", outputs=[ol.written("x", f"{name}.old")], time=ol.time_of(9))
    )
    client.emit(
        JobEvent(
            eventTime=ol.time_of(),
            job=Job(namespace="airflow", name=name),
            producer=ol.PRODUCER,
            outputs=[ol.written("x", f"{name}.new")],
        )
    )
    assert [one["name"] for one in job_of(server, name)["outputs"]] == [f"{name}.new"]


def test_a_datasets_event_keeps_its_facets(server, name):
    dataset = StaticDataset(namespace="x", name=name, facets=ol.schema(("a", "int"), ("b", "text")))
    ol.client(server).emit(
        DatasetEvent(eventTime=ol.time_of(), dataset=dataset, producer=ol.PRODUCER)
    )
    (seen,) = get(server, "/api/v1/lineage/datasets", search=name)["datasets"]
    assert [field["name"] for field in seen["facets"]["schema"]["fields"]] == ["a", "b"]


def test_a_batch_says_which_events_it_refused(server, name):
    good = json.loads(Serde.to_json(ol.run_event(name, "COMPLETE")))
    late = json.loads(Serde.to_json(ol.run_event(name, "FAIL", time="2999-01-01T00:00:00Z")))
    answer = post(server, [good, {"eventTime": "x"}, late], "/api/v1/lineage/batch").json()
    assert answer["status"] == "partial_success"
    assert answer["summary"] == {"received": 3, "successful": 1, "failed": 2}
    assert [one["index"] for one in answer["failed_events"]] == [1, 2]
    assert len(runs_of(server, name)) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"eventTime": "yesterday"}, "eventTime"),
        ({"eventTime": "2999-01-01T00:00:00Z"}, "eventTime"),
        ({"eventType": "DONE"}, "eventType"),
        ({"run": {"runId": "7"}}, "run.runId"),
        ({"job": {"namespace": "a"}}, "job.name"),
        ({"job": {"namespace": "a", "name": "x" * (1 << 20)}}, "job.name"),
        ({"outputs": [{"namespace": "a", "name": "b", "facets": {"schema": 7}}]}, "outputs[0]"),
        ({"inputs": [{"namespace": "a", "name": "b"}] * 501}, "inputs"),
    ],
)
def test_a_wrong_event_is_refused_with_its_field(server, name, change, field):
    event = json.loads(Serde.to_json(ol.run_event(name, "COMPLETE"))) | change
    answer = post(server, event)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["field"].startswith(field)
    assert len(error["message"]) < 400
    assert not get(server, "/api/v1/lineage/jobs", search=name)["jobs"]


def test_a_body_that_unpacks_to_too_much_is_refused(server):
    headers = server.bearer() | {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    body = gzip.compress(b'{"a": "' + b"x" * (5 << 20) + b'"}')
    path = f"{server.http}/api/v1/lineage"
    assert requests.post(path, data=body, headers=headers, timeout=30).status_code == 413


def test_a_client_without_the_permission_is_refused(server, name):
    made = server.strata("token", "create", "--scope", "lineage:read", "-o", "json").stdout
    client = ol.client(server, json.loads(made)["token"])
    with pytest.raises(requests.HTTPError, match="403"):
        client.emit(ol.run_event(name, "START"))


def test_the_command_line_lists_jobs_and_runs(server, name):
    ol.client(server).emit(ol.run_event(name, "FAIL", error="no space"))
    assert "FAIL" in server.strata("lineage", "jobs", name).stdout
    assert "no space" in server.strata("lineage", "runs", "airflow", name).stdout
