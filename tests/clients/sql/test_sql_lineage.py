"""What `why` and `impact` tell of SQL statements: each statement's own sources, with the states of
the tables that it saw."""

from __future__ import annotations

import concurrent.futures
import uuid

import pytest
import requests
from s3_client import client_for
from waits import pause


def ask(server, sql, **body):
    answer = requests.post(
        f"{server.http}/api/v1/sql", json={"sql": sql, **body}, headers=server.bearer(), timeout=120
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def graph(server, path):
    answer = requests.get(f"{server.http}/api/v1/{path}", headers=server.bearer(), timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def why(server, ref):
    """References of all that led to it, queries left out; objects without their version."""
    nodes = graph(server, f"why/{ref}")["nodes"]
    return {
        n["ref"] if n["kind"] != "object" else f"object:{n['name']}"
        for n in nodes[1:]
        if n["kind"] != "query"
    }


def impact(server, ref):
    nodes = graph(server, f"impact?ref={ref}")["nodes"]
    return {n["ref"] for n in nodes[1:] if n["kind"] != "query"}


def name(prefix):
    return f"{prefix}_{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def s3(server):
    return client_for(server)


@pytest.fixture(scope="module")
def files(s3):
    """Three small files; the place of each without its number."""
    bucket = f"lineage-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    for i in (1, 2, 3):
        s3.put_object(Bucket=bucket, Key=f"in/{i}.csv", Body=f"i,j\n{i},0\n".encode())
    return f"{bucket}/in"


CHANGES = {
    "INSERT": "INSERT INTO {table} SELECT * FROM 's3://{files}/2.csv'",
    "COPY FROM": "COPY {table} FROM 's3://{files}/2.csv'",
    "UPDATE": "UPDATE {table} SET j = 7",
    "DELETE": "DELETE FROM {table} WHERE i = 2",
    "MERGE": "MERGE INTO {table} t USING (SELECT * FROM 's3://{files}/2.csv') s ON t.i = s.i "
    "WHEN NOT MATCHED THEN INSERT VALUES (s.i, s.j)",
    "ALTER": "ALTER TABLE {table} ADD COLUMN k INTEGER",
}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_changes_a_table_keeps_its_earlier_sources(server, files, kind):
    table = name("app")
    ask(server, f"CREATE TABLE {table} AS SELECT * FROM 's3://{files}/1.csv'")
    ask(server, CHANGES[kind].format(table=table, files=files))
    sources = why(server, f"table:main.{table}")
    wanted = {f"table:main.{table}@1", f"object:{files}/1.csv"}
    if "2.csv" in CHANGES[kind]:
        wanted.add(f"object:{files}/2.csv")
    assert sources == wanted
    assert f"table:main.{table}@2" in impact(server, f"object:{files}/1.csv")


def test_a_renamed_table_keeps_its_sources(server, files):
    old, new = name("old"), name("new")
    ask(server, f"CREATE TABLE {old} AS SELECT * FROM 's3://{files}/1.csv'")
    ask(server, f"ALTER TABLE {old} RENAME TO {new}")
    assert why(server, f"table:main.{new}") == {f"table:main.{old}@1", f"object:{files}/1.csv"}


@pytest.mark.parametrize(
    "replace",
    [
        "CREATE OR REPLACE TABLE {table} AS SELECT * FROM 's3://{files}/2.csv'",
        "DROP TABLE {table}; CREATE TABLE {table} AS SELECT * FROM 's3://{files}/2.csv'",
        "TRUNCATE {table}; INSERT INTO {table} SELECT * FROM 's3://{files}/2.csv'",
    ],
)
def test_what_replaces_a_table_leaves_its_earlier_sources(server, files, replace):
    table = name("app")
    ask(server, f"CREATE TABLE {table} AS SELECT * FROM 's3://{files}/1.csv'")
    ask(server, replace.format(table=table, files=files))
    sources = why(server, f"table:main.{table}")
    assert f"object:{files}/2.csv" in sources
    assert f"object:{files}/1.csv" not in sources and f"table:main.{table}@1" not in sources


def test_a_table_that_was_there_already_is_not_made_again(server, files):
    table = name("app")
    ask(server, f"CREATE TABLE {table} AS SELECT * FROM 's3://{files}/1.csv'")
    ask(server, f"CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM 's3://{files}/2.csv'")
    assert why(server, f"table:main.{table}") == {f"object:{files}/1.csv"}


def test_a_view_leads_to_the_tables_below_it(server, files):
    table, view, made = name("app"), name("over"), name("made")
    ask(server, f"CREATE TABLE {table} AS SELECT * FROM 's3://{files}/1.csv'")
    ask(server, f"CREATE VIEW {view} AS SELECT i + 1 AS k FROM {table}")
    assert why(server, f"table:main.{view}") == {f"table:main.{table}@1", f"object:{files}/1.csv"}
    ask(server, f"CREATE TABLE {made} AS SELECT * FROM {view}")
    assert f"object:{files}/1.csv" in why(server, f"table:main.{made}")


def test_tables_of_one_script_have_their_own_sources(server, files):
    one, two, both = name("one"), name("two"), name("both")
    ask(
        server,
        f"CREATE TABLE {one} AS SELECT * FROM 's3://{files}/1.csv';"
        f"CREATE TABLE {two} AS SELECT * FROM 's3://{files}/2.csv';"
        f"CREATE TABLE {both} AS FROM {one} UNION ALL FROM {two};"
        f"INSERT INTO {two} SELECT * FROM 's3://{files}/3.csv'",
    )
    objects = {i: f"object:{files}/{i}.csv" for i in (1, 2, 3)}
    assert why(server, f"table:main.{one}") == {objects[1]}
    assert why(server, f"table:main.{two}@1") == {objects[2]}
    assert why(server, f"table:main.{two}") == {objects[2], objects[3], f"table:main.{two}@1"}
    assert why(server, f"table:main.{both}") == {
        objects[1],
        objects[2],
        f"table:main.{one}@1",
        f"table:main.{two}@1",
    }


def test_a_script_with_its_own_transactions_tells_what_it_committed(server, files):
    kept, undone = name("kept"), name("undone")
    answer = requests.post(
        f"{server.http}/api/v1/sql",
        json={
            "sql": f"BEGIN; CREATE TABLE {kept} AS SELECT * FROM 's3://{files}/1.csv'; COMMIT;"
            f"BEGIN; CREATE TABLE {undone} AS SELECT * FROM 's3://{files}/2.csv'; ROLLBACK;"
            "SELECT no_such_column"
        },
        headers=server.bearer(),
        timeout=60,
    )
    assert answer.status_code == 400, answer.text
    assert why(server, f"table:main.{kept}") == {f"object:{files}/1.csv"}
    missing = requests.get(
        f"{server.http}/api/v1/why/table:main.{undone}", headers=server.bearer(), timeout=30
    )
    assert missing.status_code == 404


def test_a_query_names_the_state_that_it_read(server):
    """Rows that are committed while a statement runs are not in what it makes. Nobody outside can
    tell when a statement looks at its tables, so it is tried until a commit comes behind that."""
    big = name("big")
    ask(server, f"CREATE TABLE {big} AS SELECT range AS i FROM range(1000)")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for state in range(1, 20):
            made, query = name("made"), str(uuid.uuid4())
            running = pool.submit(
                ask,
                server,
                f"CREATE TABLE {made} AS SELECT count(*) AS n, count(DISTINCT i) AS rows "
                f"FROM {big}, range(100000) r WHERE hash(i + r.range) % 3 > 0",
                query_id=query,
            )
            while not is_running(server, query) and not running.done():
                pause(0.01)
            pause(0.1 * state)
            ask(server, f"INSERT INTO {big} SELECT range + {state * 1000} FROM range(1000)")
            overlapped = not running.done()
            running.result()
            ((rows,),) = ask(server, f"SELECT rows FROM {made}")["rows"]
            assert rows in (state * 1000, (state + 1) * 1000)
            seen = {f"table:main.{big}@{i}" for i in range(1, rows // 1000 + 1)}
            assert why(server, f"table:main.{made}") == seen
            if overlapped and rows == state * 1000:
                return
    pytest.fail("no commit came while a statement ran")


def is_running(server, query):
    answer = requests.get(
        f"{server.http}/api/v1/sql/queries/{query}", headers=server.bearer(), timeout=30
    )
    return answer.ok and answer.json()["state"] == "running"


def test_writers_at_the_same_time_make_one_line_of_states(server):
    table = name("app")
    ask(server, f"CREATE TABLE {table} (i INTEGER)")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: ask(server, f"INSERT INTO {table} VALUES ({i})"), range(12)))
    sources = why(server, f"table:main.{table}@13")
    assert sources == {f"table:main.{table}@{i}" for i in range(1, 13)}


def test_the_numbers_of_states_are_not_for_users(server):
    for sql in (
        "SELECT * FROM strata.strata_commits",
        "SELECT * FROM strata.strata_commit_records",
        'DELETE FROM "STRATA"."strata_commits"',
        'CREATE TABLE "STRATA".x (i INTEGER)',
    ):
        answer = requests.post(
            f"{server.http}/api/v1/sql", json={"sql": sql}, headers=server.bearer(), timeout=60
        )
        assert answer.json()["error"]["code"] == "unsupported", answer.text
    listed = graph(server, "sql/tables")["tables"]
    assert "strata_commits" not in [t["name"] for t in listed]


def test_a_table_is_found_without_its_schema(server, files):
    table = name("app")
    ask(server, f"CREATE TABLE {table} AS SELECT * FROM 's3://{files}/1.csv'")
    assert why(server, f"table:{table}") == {f"object:{files}/1.csv"}
    assert why(server, f"table:{table}@1") == {f"object:{files}/1.csv"}
    assert f"table:main.{table}@1" in server.strata("why", f"table:{table}").stdout


def test_looking_leaves_nothing_in_the_graph(server, s3):
    bucket = f"lineage-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="seen.csv", Body=b"i\n1\n")
    table = name("made")
    looked = ask(server, f"SELECT * FROM 's3://{bucket}/seen.csv'")["query_id"]
    made = ask(server, f"CREATE TABLE {table} AS FROM 's3://{bucket}/seen.csv'")["query_id"]
    nodes = graph(server, f"impact?ref=object:{bucket}/seen.csv")["nodes"][1:]
    assert {n["ref"] for n in nodes} == {f"query:{made}", f"table:main.{table}@1"}
    past = graph(server, f"sql/queries/{looked}")
    assert past["id"] == looked and "seen.csv" in past["sql"]


def audited(server, query):
    entries = graph(server, "audit?limit=1000")["entries"]
    return [(e["action"], e["target"]) for e in entries if e["detail"].get("query") == query]


def test_what_sql_changes_is_in_the_audit_log(server, s3, files):
    table = name("app")
    bucket = files.split("/")[0]

    def told(sql):
        return audited(server, ask(server, sql)["query_id"])

    assert told(f"CREATE TABLE {table} (i INTEGER)") == [("table.create", f"table:main.{table}@1")]
    assert told(f"INSERT INTO {table} VALUES (1)") == [("table.insert", f"table:main.{table}@2")]
    assert told(f"TRUNCATE {table}") == [("table.truncate", f"table:main.{table}@3")]
    [(action, target)] = told(f"COPY {table} TO 's3://{bucket}/out.csv'")
    assert action == "object.copy" and target.startswith(f"object:{bucket}/out.csv@")
    assert told(f"DROP TABLE {table}") == [("table.drop", f"table:main.{table}@3")]
    assert [action for action, _ in told(f"CREATE SCHEMA {table}")] == ["schema.create"]
    assert told("SELECT 1") == [] and told(f"DROP TABLE IF EXISTS {table}") == []


def test_what_finds_its_work_done_or_nothing_to_do_leaves_no_trace(server, files):
    n = name("once")
    from_file = f"SELECT * FROM 's3://{files}/1.csv'"
    ask(server, f"CREATE TABLE base_{n} (i INTEGER)")

    def told(sql):
        return audited(server, ask(server, sql)["query_id"])

    def states():
        tables = {t["name"]: t["version"] for t in graph(server, "sql/tables")["tables"]}
        about = [f"events?subject=table:main.{table}_{n}&limit=500" for table in "tv"]
        return tables, [event["sequence"] for e in about for event in graph(server, e)["events"]]

    twice = (
        f"CREATE TABLE IF NOT EXISTS t_{n} AS {from_file}",
        f"CREATE VIEW IF NOT EXISTS v_{n} AS SELECT * FROM t_{n}",
        f"CREATE SCHEMA IF NOT EXISTS s_{n}",
        f"CREATE MACRO IF NOT EXISTS m_{n}(x) AS x + 1",
        f"CREATE SEQUENCE IF NOT EXISTS q_{n}",
        f"CREATE TYPE IF NOT EXISTS k_{n} AS ENUM ('a')",
        f"CREATE INDEX IF NOT EXISTS i_{n} ON base_{n} (i)",
        f"ALTER TABLE t_{n} ADD COLUMN IF NOT EXISTS z INTEGER",
        f"ALTER TABLE t_{n} DROP COLUMN IF EXISTS z",
        f"DROP INDEX IF EXISTS i_{n}",
        f"DROP TYPE IF EXISTS k_{n}",
        f"DROP SEQUENCE IF EXISTS q_{n}",
        f"DROP MACRO IF EXISTS m_{n}",
        f"DROP SCHEMA IF EXISTS s_{n}",
        f"DROP VIEW IF EXISTS v_{n}",
        f"DROP TABLE IF EXISTS t_{n}",
        f"ALTER TABLE IF EXISTS t_{n} ADD COLUMN z INTEGER",
    )
    for sql in twice[:-1]:
        assert len(told(sql)) == 1, sql
        before = states()
        assert told(sql) == [], sql
        assert states() == before, sql
    before = states()
    assert told(twice[-1]) == [] and states() == before
    # In one script with what does something, too.
    both = told(f"CREATE SCHEMA IF NOT EXISTS main; CREATE TABLE IF NOT EXISTS t_{n} (i INTEGER)")
    assert [action for action, _ in both] == ["table.create"]
