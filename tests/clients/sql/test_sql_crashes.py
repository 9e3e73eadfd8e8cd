"""What SQL has done and what is told of it stay together when the server or the engine dies."""

from __future__ import annotations

import concurrent.futures
import hashlib
import pathlib
import signal
import time
import uuid

import requests
from s3_client import client_for
from sql_client import ask, ended, engine_pid, post, wait_for


def test_the_engine_ends_with_the_server_and_keeps_its_tables(fresh_server):
    server = fresh_server.start()
    ask(server, "CREATE TABLE kept AS SELECT 5 AS i")
    pid = engine_pid(server)
    server.kill()
    wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists())
    server.start()
    assert ask(server, "SELECT i FROM kept")["rows"] == [[5]]
    pid = engine_pid(server)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    assert not pathlib.Path(f"/proc/{pid}").exists()


def cpu_ticks(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def told(server, path, **params):
    answer = requests.get(
        f"{server.http}/api/v1/{path}", params=params, headers=server.bearer(), timeout=30
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def records_of(server, table):
    """How often the audit log and the events tell of the table's first state."""
    actions = [e["action"] for e in told(server, "timeline", ref=table + "@1")["entries"]]
    events = told(server, "events", subject=table)["events"]
    return actions, [event["type"] for event in events]


def test_what_a_crash_parts_from_its_record_is_recorded_by_the_next_start(fresh_server):
    """The engine commits, and the server dies before it can record that."""
    server = fresh_server.start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="raw")
    s3.put_object(Bucket="raw", Key="numbers.csv", Body=b"i\n1\n2\n")
    ask(server, "CREATE TABLE former AS SELECT 5 AS x")
    log = server.data / "warehouse" / "strata.duckdb.wal"
    written = log.stat().st_size
    slow = "(SELECT max(hash(range)) FROM range(200000000))"
    sql = f"CREATE TABLE made AS SELECT i, x, {slow} AS h FROM 's3://raw/numbers.csv', former"
    pid = engine_pid(server)
    idle = cpu_ticks(pid)
    query = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, server, sql, query_id=query)
        wait_for(lambda: cpu_ticks(pid) > idle + 20)  # the engine has the statement
        server.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: log.stat().st_size > written)  # and has committed it
        server.kill()
        assert asked.exception(timeout=30) is not None
    server.start()
    assert ended(server, query, "unknown")  # until an engine tells
    assert ask(server, "SELECT count(*) FROM made")["rows"] == [[2]]
    assert ended(server, query, "finished")
    nodes = {node["ref"]: node for node in told(server, "why/table:main.made")["nodes"]}
    assert {ref.split("@")[0] for ref in nodes} == {
        "table:main.made",
        f"query:{query}",
        "table:main.former",
        "object:raw/numbers.csv",
    } | {ref.split("@")[0] for ref, node in nodes.items() if node["kind"] == "query"}
    assert nodes["table:main.made@1"]["owner"] == "admin"
    once = (["table.create"], ["table.committed"])
    assert records_of(server, "table:main.made") == once
    # What is recorded is not recorded again, however often the engine starts.
    assert server.stop() == 0
    server.start()
    ask(server, "SELECT 1")
    assert records_of(server, "table:main.made") == records_of(server, "table:main.former") == once


def written_by(server, query):
    """References of the objects that lineage and the audit log tell of, one for each telling."""
    nodes = told(server, "impact", ref=f"query:{query}")["nodes"]
    entries = told(server, "audit", action="object.copy", limit=1000)["entries"]
    told_of = [e["target"] for e in entries if e["detail"]["query"] == query]
    return sorted(n["ref"] for n in nodes if n["kind"] == "object"), sorted(told_of)


def stored(s3, bucket):
    """References of the objects that are there."""
    refs = []
    for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        digest = hashlib.sha256(body).hexdigest()
        refs.append(f"object:{bucket}/{entry['Key']}@{digest[:16]}")
    return sorted(refs)


def kill_when_something_is_stored(server, s3, bucket, sql):
    """Runs the statement until its first object is there; its id."""
    query = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, server, sql, query_id=query)
        wait_for(lambda: s3.list_objects_v2(Bucket=bucket)["KeyCount"])
        server.kill()
        asked.exception(timeout=30)  # or its answer was faster
    server.start()
    return query


def test_no_object_of_a_copy_is_without_its_sources_after_a_crash(fresh_server):
    """The server dies while it stores what a statement wrote, object by object."""
    server = fresh_server.start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="parts")
    ask(server, "CREATE TABLE source AS SELECT range AS i FROM range(400)")
    sql = "COPY (SELECT i, i AS part FROM source) TO 's3://parts/p' (FORMAT csv, PARTITION_BY part)"
    query = kill_when_something_is_stored(server, s3, "parts", sql)
    there = stored(client_for(server), "parts")
    assert 0 < len(there) < 400
    assert ended(server, query, "unknown")  # it is not known of the files that are not there
    assert written_by(server, query) == (there, there)
    nodes = {node["ref"]: node for node in told(server, f"why/{there[0]}")["nodes"]}
    assert f"query:{query}" in nodes and "table:main.source@1" in nodes
    assert nodes[f"query:{query}"]["owner"] == "admin"
    again = ask(server, sql.replace("/p'", "/again'"))["query_id"]
    lineage, audit = written_by(server, again)
    assert lineage == audit and len(audit) == 400
    assert written_by(server, query) == (there, there)


def test_the_last_object_of_a_script_and_its_record_are_there_together(fresh_server):
    server = fresh_server.start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="one")
    sql = "CREATE TABLE made AS SELECT 1 AS i; COPY made TO 's3://one/made.csv'"
    query = kill_when_something_is_stored(server, s3, "one", sql)
    there = stored(client_for(server), "one")
    assert ended(server, query, "finished")
    assert ask(server, "SELECT i FROM made")["rows"] == [[1]]  # an engine tells what it knows
    assert ended(server, query, "finished")
    assert written_by(server, query) == (there, there) and len(there) == 1
    assert "table:main.made@1" in {n["ref"] for n in told(server, f"why/{there[0]}")["nodes"]}
    assert records_of(server, "table:main.made") == (["table.create"], ["table.committed"])
