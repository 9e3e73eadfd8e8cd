"""SQL over HTTP and the command line with stock clients: requests, pyarrow, pandas, boto3."""

from __future__ import annotations

import concurrent.futures
import csv
import io
import json
import math
import os
import pathlib
import re
import signal
import threading
import time
import uuid

import pandas
import pyarrow
import pyarrow.parquet
import pytest
import requests
from s3_client import client_for
from sql_client import ask, ended, engine_pid, post, wait_for
from strata_server import Server

ARROW = "application/vnd.apache.arrow.stream"
ENDLESS = (
    "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = 3"
)
PARQUET = "application/vnd.apache.parquet"


def refused(server, sql, **body):
    answer = post(server, sql, **body)
    assert answer.status_code >= 400, answer.text
    return answer.json()["error"]


def name(prefix):
    return f"{prefix}_{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def s3(server):
    return client_for(server)


@pytest.fixture(scope="module")
def bucket(s3):
    made = f"sql-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=made)
    return made


def test_json_answers_keep_types_exact(server):
    answer = ask(
        server,
        """SELECT 9223372036854775807 AS big, 1.50::DECIMAL(9,2) AS price,
        'NaN'::DOUBLE AS nan, NULL AS none,
        DATE '2013-01-31' AS day, [1, 2] AS list, {'a': 'x'} AS struct""",
    )
    assert [c["name"] for c in answer["columns"]] == [
        "big",
        "price",
        "nan",
        "none",
        "day",
        "list",
        "struct",
    ]
    assert answer["columns"][1]["type"] == "DECIMAL(9,2)"
    assert answer["rows"] == [
        [9223372036854775807, 1.5, "NaN", None, "2013-01-31", [1, 2], {"a": "x"}]
    ]
    assert answer["row_count"] == 1 and not answer["truncated"]
    assert answer["statement"] == "SELECT" and answer["query_id"]


def test_arrow_stream_is_read_by_pyarrow(server):
    answer = post(
        server,
        "SELECT range AS i, range / 2 AS half, 'n' || range AS s, "
        "DATE '2013-01-01' + range::INT AS d "
        "FROM range(5000)",
        accept=ARROW,
    )
    assert answer.headers["Content-Type"] == ARROW
    table = pyarrow.ipc.open_stream(answer.content).read_all()
    assert table.num_rows == 5000
    assert table.schema.field("i").type == pyarrow.int64()
    assert table.column("s")[4999].as_py() == "n4999"
    assert table.column("half").to_pylist()[:3] == [0, 0.5, 1]


def test_csv_is_read_by_pandas_and_the_csv_module(server):
    text = post(
        server, "SELECT 'a,\"b\"' AS x, 'two\nlines' AS y, 1.5 AS z, NULL AS n", accept="text/csv"
    ).text
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["x", "y", "z", "n"],
        ['a,"b"', "two\nlines", "1.5", ""],
    ]
    frame = pandas.read_csv(io.StringIO(text))
    assert frame.x[0] == 'a,"b"' and frame.z[0] == 1.5 and math.isnan(frame.n[0])


def test_parquet_answers_are_files(server):
    answer = post(server, "SELECT range AS i FROM range(1000)", accept=PARQUET, limit=10)
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    assert table.column("i").to_pylist() == list(range(10))
    assert refused(server, "CREATE TABLE x (i INT)", accept=PARQUET)["field"] == "sql"


def test_a_long_answer_is_limited_unless_asked(server):
    answer = ask(server, "SELECT * FROM range(20000)")
    assert answer["row_count"] == 10000 and answer["truncated"]
    assert ask(server, "SELECT * FROM range(20000)", limit=0)["row_count"] == 20000
    assert (
        len(post(server, "SELECT * FROM range(3000000)", accept="text/csv").text.splitlines())
        == 3000001
    )


def test_parameters_never_become_sql(server):
    answer = ask(server, "SELECT ? AS a, ?::INT + 1 AS b", params=["x'; DROP TABLE t; --", 41])
    assert answer["rows"] == [["x'; DROP TABLE t; --", 42]]
    assert ask(server, "SELECT $who AS w", params={"who": "me"})["rows"] == [["me"]]
    few = refused(server, "SELECT ?", params=[])
    assert "1 parameter and" in few["message"] and "0 values" in few["message"]
    for wrong in ([1, 2], {"who": 1}):
        assert refused(server, "SELECT $me", params=wrong)["field"] == "params"
    assert few["field"] == "params"


def test_errors_point_at_the_place(server):
    error = refused(server, "SELECT 1;\nSELECT *\n  FROM no_such_table_here")
    assert error["code"] == "invalid_argument"
    assert error["field"] == "sql:3:8"
    assert "no_such_table_here" in error["message"] and "line 3, column 8" in error["message"]
    assert refused(server, "SELECT 'unfinished")["field"] == "sql:1:8"
    assert "SELECT" in refused(server, "SELCT 1")["message"]
    assert refused(server, "")["field"] == "sql"
    assert post(server, "SELECT 1", accept="image/png").status_code == 406
    assert post(server, "SELECT 1", accept="application/json;q=0, image/*").status_code == 406
    weighed = post(server, "SELECT 1 AS a", accept="text/csv;q=0.1, application/json")
    assert weighed.json()["rows"] == [[1]]
    assert post(server, "SELECT 1 AS a", accept="text/csv, */*;q=0.1").text == "a\n1\n"


def test_an_unknown_column_is_told_with_its_place_and_the_one_that_was_meant(server):
    table = name("flights")
    ask(server, f"CREATE TABLE {table} (departure INTEGER, carrier TEXT)")
    error = refused(server, f"SELECT carrier,\n       departur FROM {table}")
    assert error["code"] == "invalid_argument" and error["field"] == "sql:2:8"
    assert '"departur"' in error["message"] and '"departure"' in error["message"]
    error = refused(server, f"SELECT * FROM {table[:-1]}")
    assert table in error["message"], error
    own = [refused(server, f"FROM {near}")["message"] for near in ("sqlite_mster", "sequence")]
    assert not re.search("pg_|duckdb_|sqlite_master", " ".join(own)), "the engine's own tables"


def test_names_and_texts_of_any_kind_stay_within_their_statement(server):
    for sql in ("SELECT '\x00'", 'SELECT 1 AS "' + "n" * 100_000 + '"', "SELECT " + "(" * 50_000):
        answer = post(server, sql)
        assert answer.status_code in (200, 400), answer.text[:300]
    assert ask(server, "SELECT 'ünï' AS \"näme\"")["rows"] == [["ünï"]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_blob('warehouse/strata.duckdb')",
        "SELECT * FROM glob('/**')",
        "SELECT * FROM read_csv('/etc' || '/passwd')",
        "COPY (SELECT 1) TO '/tmp/strata-escape'",
        "ATTACH '/tmp/strata-escape.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM 'https://example.org/a.csv'",
        "SET threads = 1",
        "PRAGMA database_list",
        "SELECT current_setting('allowed_directories')",
        "FROM duckdb_settings()",
        "EXPORT DATABASE '/tmp/strata-escape'",
        "CREATE SECRET (TYPE s3)",
        "FROM query('SELECT 1')",
    ],
)
def test_sql_reaches_no_files_and_settings(server, sql):
    error = refused(server, sql)
    assert error["code"] in ("permission_denied", "unsupported", "invalid_argument")
    assert str(server.data) not in error["message"] and "spool" not in error["message"]
    assert not list(pathlib.Path("/tmp").glob("strata-escape*"))


def test_lake_objects_are_tables_without_http(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="in/a.csv", Body=b"i,s\n1,x\n2,y\n")
    s3.put_object(Bucket=bucket, Key="in/b.csv", Body=b"i,s\n3,z\n")
    assert ask(server, f"SELECT sum(i) FROM 's3://{bucket}/in/a.csv'")["rows"] == [[3]]
    assert ask(server, f"SELECT count(*) FROM read_csv('s3://{bucket}/in/*.csv')")["rows"] == [[3]]
    missing = refused(server, f"SELECT *\nFROM 's3://{bucket}/in/none.csv'")
    assert missing["code"] == "not_found" and missing["field"] == "sql:2:6"
    assert refused(server, f"SELECT * FROM 's3://{bucket}/none/*.csv'")["code"] == "not_found"


def test_copy_writes_objects_that_boto3_reads(server, s3, bucket):
    ask(
        server,
        "COPY (SELECT range AS i, range % 2 AS odd FROM range(10)) "
        f"TO 's3://{bucket}/out/one.parquet'",
    )
    body = s3.get_object(Bucket=bucket, Key="out/one.parquet")["Body"].read()
    assert pyarrow.parquet.read_table(io.BytesIO(body)).num_rows == 10
    ask(
        server,
        f"COPY (SELECT range AS i, range % 2 AS odd FROM range(10)) TO 's3://{bucket}/out/parts' "
        "(FORMAT parquet, PARTITION_BY (odd))",
    )
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="out/parts/")["Contents"]]
    assert any(k.startswith("out/parts/odd=1/") for k in keys)
    assert ask(
        server,
        f"SELECT sum(i) FROM read_parquet('s3://{bucket}/out/parts/**/*.parquet') WHERE odd = 1",
    )["rows"] == [[25]]
    assert (
        refused(server, "COPY (SELECT 1) TO 's3://no-such-bucket-here/x.csv'")["code"]
        == "not_found"
    )


def test_a_script_is_all_or_nothing(server):
    table = name("atomic")
    refused(
        server, f"CREATE TABLE {table} AS SELECT 1 AS i; INSERT INTO {table} VALUES ('no number')"
    )
    assert refused(server, f"SELECT * FROM {table}")["code"] == "invalid_argument"
    answer = ask(
        server,
        f"CREATE TABLE {table} AS SELECT 1 AS i; INSERT INTO {table} VALUES (2); "
        f"SELECT sum(i) FROM {table}",
    )
    assert answer["rows"] == [[3]]


def test_tables_have_versions_and_history(server):
    table = name("versions")
    ask(server, f"CREATE TABLE {table} (i INTEGER, s VARCHAR)")
    ask(server, f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
    query = ask(server, f"DELETE FROM {table} WHERE i = 1")["query_id"]
    listed = requests.get(
        f"{server.http}/api/v1/sql/tables", headers=server.bearer(), timeout=30
    ).json()["tables"]
    [facts] = [t for t in listed if t["name"] == table]
    assert (
        facts["version"] == 3
        and facts["rows"] == 1
        and facts["owner"] == "admin"
        and facts["schema"] == "main"
    )
    assert facts["columns"] == [{"name": "i", "type": "INTEGER"}, {"name": "s", "type": "VARCHAR"}]
    past = requests.get(
        f"{server.http}/api/v1/sql/queries/{query}", headers=server.bearer(), timeout=30
    ).json()
    assert past["state"] == "finished" and past["statement"] == "DELETE" and past["user"] == "admin"
    ask(server, f"DROP TABLE {table}")
    listed = requests.get(
        f"{server.http}/api/v1/sql/tables", headers=server.bearer(), timeout=30
    ).json()["tables"]
    assert table not in [t["name"] for t in listed]


def test_timeouts_and_cancelling_stop_a_statement(server):
    began = time.monotonic()
    error = refused(server, ENDLESS, timeout_ms=300)
    assert error["code"] == "deadline_exceeded" and time.monotonic() - began < 10
    query = str(uuid.uuid4())
    url = f"{server.http}/api/v1/sql/queries/{query}"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, server, ENDLESS, query_id=query)
        wait_for(
            lambda: (
                requests.get(url, headers=server.bearer(), timeout=30).json().get("state")
                == "running"
            )
        )
        assert requests.delete(url, headers=server.bearer(), timeout=30).status_code == 204
        assert running.result(timeout=30)["code"] == "cancelled"
    past = wait_for(lambda: ended(server, query, "cancelled"))
    assert past["error"]["code"] == "cancelled"
    assert requests.delete(url, headers=server.bearer(), timeout=30).status_code == 404


def test_a_statement_that_exhausts_the_memory_fails_alone(server):
    error = refused(
        server,
        "SELECT list(hash(range) || repeat('x', 100000)) FROM range(100000000)",
        timeout_ms=100000,
    )
    assert error["code"] in ("resource_exhausted", "deadline_exceeded"), error
    assert ask(server, "SELECT 1")["rows"] == [[1]]


def test_a_killed_engine_fails_its_statement_only(server):
    table = name("kept")
    ask(server, f"CREATE TABLE {table} AS SELECT 7 AS i")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, server, ENDLESS)
        url = f"{server.http}/api/v1/sql/queries"
        wait_for(
            lambda: any(
                q["state"] == "running" and "1000000000" in q["sql"]
                for q in requests.get(url, headers=server.bearer(), timeout=30).json()["queries"]
            )
        )
        pid = wait_for(lambda: engine_pid(server))
        os.kill(pid, signal.SIGKILL)
        error = running.result(timeout=60)
    assert error["code"] == "unavailable" and "killed by signal 9" in error["message"]
    assert ask(server, f"SELECT i FROM {table}")["rows"] == [[7]]
    assert engine_pid(server) != pid


def test_rights_are_the_callers(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="secret.csv", Body=b"i\n1\n")
    user = name("reader")
    server.strata("user", "create", user, "--role", "member")

    def token(scope):
        made = server.strata(
            "token", "create", "--user", user, "--scope", scope, "-o", "json"
        ).stdout
        return json.loads(made)["token"]

    only_sql = token("sql")
    assert post(server, "SELECT 1", token=only_sql).status_code == 200
    assert post(server, f"CREATE TABLE {name('t')} (i INT)", token=only_sql).status_code == 403
    assert (
        post(server, f"SELECT * FROM 's3://{bucket}/secret.csv'", token=only_sql).status_code == 403
    )
    assert post(server, "SELECT 1", token=token("tracking")).status_code == 403
    assert (
        requests.post(f"{server.http}/api/v1/sql", json={"sql": "SELECT 1"}, timeout=30).status_code
        == 401
    )


def test_lineage_leads_from_a_table_to_its_objects(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="raw.csv", Body=b"i\n1\n2\n")
    first, second = name("first"), name("second")
    ask(server, f"CREATE TABLE {first} AS SELECT * FROM 's3://{bucket}/raw.csv'")
    ask(server, f"CREATE TABLE {second} AS SELECT i + 1 AS j FROM {first}")
    answer = requests.get(
        f"{server.http}/api/v1/why/table:main.{second}", headers=server.bearer(), timeout=30
    )
    assert answer.status_code == 200, answer.text
    assert f"{bucket}/raw.csv" in answer.text and f"main.{first}" in answer.text


def test_predictions_are_a_view(server):
    answer = ask(server, "SELECT prediction_id, endpoint FROM strata.predictions LIMIT 1")
    assert [c["name"] for c in answer["columns"]] == ["prediction_id", "endpoint"]
    assert refused(server, "DROP VIEW strata.predictions")["code"] == "unsupported"


def test_many_clients_at_once(server):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda i: ask(server, f"SELECT {i} + sum(range) FROM range(100000)")["rows"][0][0],
                range(64),
            )
        )
    assert answers == [i + 4999950000 for i in range(64)]


def test_command_line(server, tmp_path):
    assert server.strata("sql", "SELECT 1 AS one, 'x' AS two").stdout.splitlines()[0].split() == [
        "one",
        "two",
    ]
    assert json.loads(server.strata("sql", "SELECT 42 AS a", "-o", "json").stdout)["rows"] == [[42]]
    assert server.strata("sql", "SELECT 1 AS a, 2 AS b", "-o", "csv").stdout == "a,b\n1,2\n"
    script = tmp_path / "q.sql"
    script.write_text("SELECT range AS i FROM range(5)")
    out = tmp_path / "q.parquet"
    server.strata("sql", "-f", str(script), "-o", "parquet", "--out", str(out))
    assert pyarrow.parquet.read_table(out).num_rows == 5
    arrow = tmp_path / "q.arrow"
    server.strata("sql", "-f", str(script), "-o", "arrow", "--out", str(arrow))
    assert pyarrow.ipc.open_stream(arrow.read_bytes()).read_all().num_rows == 5
    failed = server.strata(
        "sql",
        "SELECT * FROM nothing_here",
        "-o",
        "csv",
        "--out",
        str(tmp_path / "none.csv"),
        check=False,
    )
    assert failed.returncode != 0 and "nothing_here" in failed.stderr
    assert not list(tmp_path.glob("none*"))


def test_a_file_is_written_in_the_form_of_its_suffix_or_as_a_table(server, tmp_path):
    def write(name, *form, sql="SELECT 1 AS a, 2 AS b", check=True):
        return server.strata("sql", sql, "--out", str(tmp_path / name), *form, check=check)

    for name in ("x.csv", "x.json", "x.parquet", "x.arrow", "x.txt"):
        assert write(name).stdout == ""
    assert (tmp_path / "x.csv").read_text() == "a,b\n1,2\n"
    assert json.loads((tmp_path / "x.json").read_text())["rows"] == [[1, 2]]
    assert pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist() == [{"a": 1, "b": 2}]
    read = pyarrow.ipc.open_stream((tmp_path / "x.arrow").read_bytes()).read_all()
    assert read.to_pylist() == [{"a": 1, "b": 2}]
    assert (tmp_path / "x.txt").read_text().splitlines() == ["a  b", "-  -", "1  2"]
    write("y.txt", "-o", "table", sql="SELECT range AS i FROM range(1500)")
    assert len((tmp_path / "y.txt").read_text().splitlines()) == 1502
    write("z.csv", "-o", "json")
    assert json.loads((tmp_path / "z.csv").read_text())["rows"] == [[1, 2]]
    assert write("w.txt", sql="FROM nothing_here", check=False).returncode != 0
    assert not list(tmp_path.glob("w*")) and not list(tmp_path.glob("*.part"))


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(server, tmp_path):
    nowhere = str(tmp_path / "none" / "x.csv")
    refused = server.strata("sql", "SELECT 1", "--out", nowhere, check=False)
    assert refused.returncode == 3
    assert nowhere in refused.stderr and ".part" not in refused.stderr
    refused = server.strata("sql", "SELECT 1", "--out", str(tmp_path), check=False)
    assert refused.returncode == 2 and str(tmp_path) in refused.stderr
    assert not tmp_path.with_name(tmp_path.name + ".part").exists()


def test_nodes_tell_what_they_are_and_cost(server):
    def node():
        return json.loads(server.strata("node", "list", "-o", "json").stdout)["nodes"][0]

    wait_for(lambda: node()["measured"])
    facts = node()
    assert facts["cores"] >= 1 and facts["memory_bytes"] > 0 and facts["isa"]
    assert facts["measured"]["memory_gb_s"] > 0 and facts["measured"]["fdatasync_p99_us"] > 0
    server.strata("node", "price", facts["name"], "--per-hour", "3600", "--currency", "EUR")
    assert node()["price"] == {"per_hour": 3600, "currency": "EUR"}
    query = ask(server, "SELECT sum(hash(range)) FROM range(3000000)")["query_id"]
    past = wait_for(lambda: ended(server, query, "finished"))
    assert past["cpu_ms"] > 0 and past["cost"] == pytest.approx(
        past["cpu_ms"] / 1000 / facts["cores"], rel=1e-3
    )
    wrong = server.strata(
        "node", "price", facts["name"], "--per-hour", "1", "--currency", "euro", check=False
    )
    assert wrong.returncode == 2 and "currency" in wrong.stderr


def test_a_running_statement_does_not_hold_up_the_end_of_the_server(fresh_server):
    server = fresh_server.start()
    ask(server, "SELECT 1")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        query = str(uuid.uuid4())
        running = pool.submit(post, server, ENDLESS, query_id=query)
        wait_for(lambda: ended(server, query, "running"))
        pid = engine_pid(server)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
        assert not pathlib.Path(f"/proc/{pid}").exists()
        assert running.exception(timeout=30) is not None or running.result().status_code >= 400


def test_pivot_finds_its_columns_in_the_data(server, s3, bucket, tmp_path):
    table, pivoted = name("long"), name("wide")
    values = "(VALUES ('a', 1), ('b', 2), ('b', 5)) v(k, x)"
    ask(server, f"CREATE TABLE {table} AS SELECT * FROM {values}")
    wide = f"PIVOT {table} ON k USING sum(x)"
    for sql in (wide, f"SELECT * FROM ({wide})", f"WITH w AS ({wide}) SELECT * FROM w"):
        answer = ask(server, sql)
        assert [column["name"] for column in answer["columns"]] == ["a", "b"]
        assert [[int(cell) for cell in row] for row in answer["rows"]] == [[1, 7]]
    file = tmp_path / "wide.parquet"
    file.write_bytes(post(server, wide, accept=PARQUET).content)
    assert pyarrow.parquet.read_table(file).to_pylist() == [{"a": 1, "b": 7}]
    ask(server, f"CREATE TABLE {pivoted} AS {wide}")
    ask(server, f"INSERT INTO {pivoted} {wide}")
    ask(server, f"COPY ({wide}) TO 's3://{bucket}/wide.csv'")
    assert s3.get_object(Bucket=bucket, Key="wide.csv")["Body"].read() == b"a,b\n1,7\n"
    assert ask(server, f"SELECT count(*), sum(b) FROM {pivoted}")["rows"] == [[2, 14]]
    why = requests.get(
        f"{server.http}/api/v1/why/table:main.{pivoted}", headers=server.bearer(), timeout=30
    )
    assert f"table:main.{table}" in why.text
    assert ask(server, f"EXPLAIN {wide}")["rows"]
    assert ask(server, f"UNPIVOT {table} ON x INTO NAME n VALUE v")["rows"][0] == ["a", "x", 1]
    assert "Did you mean" in refused(server, f"PIVOT {table[:-1]} ON k USING sum(x)")["message"]
    assert "syntax error" in refused(server, f"PIVOT {table} ON k USING sum(x")["message"]
    parameter = f"PIVOT (FROM {table} WHERE x > ?) ON k USING sum(x)"
    assert "IN (val1, val2" in refused(server, parameter, params=[1])["message"]
    listed = ask(server, f"PIVOT (FROM {table} WHERE x > ?) ON k IN ('b') USING sum(x)", params=[2])
    assert listed["rows"] == [[5]]


def test_keys_that_cannot_be_paths_are_read_with_all_others(server, s3, bucket):
    long = "n" * 300 + ".csv"
    keys = ["a.csv", "a/b.csv", "a//b.csv", "a/./c.csv", "a", f"a/{long}", "ü" * 200 + ".csv"]
    for i, key in enumerate(keys):
        s3.put_object(Bucket=bucket, Key=f"odd/{key}", Body=f"x\n{2**i}\n".encode())
    s3.put_object(Bucket=bucket, Key="odd/marker/", Body=b"")
    pattern = f"s3://{bucket}/odd/**"
    every = 2 ** len(keys) - 1
    reader = f"read_csv('{pattern}', filename = true, header = true)"
    assert ask(server, f"SELECT sum(x)::INT, count(*) FROM {reader}")["rows"] == [
        [every, len(keys)]
    ]
    named = ask(server, f"SELECT filename, x FROM {reader} ORDER BY x")["rows"]
    assert named == [[f"s3://{bucket}/odd/{key}", 2**i] for i, key in enumerate(keys)]
    narrow = f"SELECT x FROM 's3://{bucket}/odd/a/n*.csv'"
    assert ask(server, narrow)["rows"] == [[2 ** keys.index(f"a/{long}")]]
    for i, key in enumerate(keys):
        one = f"SELECT x FROM read_csv('s3://{bucket}/odd/{key}', header = true)"
        assert ask(server, one)["rows"] == [[2**i]], key
    s3.put_object(Bucket=bucket, Key="odd/a//broken.csv", Body=b"x\nword\n")
    wrong = refused(server, f"SELECT * FROM read_csv('{pattern}', columns = {{'x': 'INT'}})")
    assert f"s3://{bucket}/odd/a//broken.csv" in wrong["message"]
    # A pattern that no file name of ours could fit is refused rather than short of an object.
    s3.put_object(Bucket=bucket, Key="deep/" + "m" * 290 + "-" + "m" * 290 + ".csv", Body=b"x\n1\n")
    assert "255" in refused(server, f"SELECT * FROM 's3://{bucket}/deep/m*-*.csv'")["message"]


def test_a_key_with_brackets_is_that_object_and_else_a_pattern(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="set/f[12].csv", Body=b"x\n12\n")
    read = f"SELECT x FROM 's3://{bucket}/set/f[12].csv'"
    assert ask(server, read)["rows"] == [[12]]
    for n in (1, 2, 3):
        s3.put_object(Bucket=bucket, Key=f"set/f{n}.csv", Body=f"x\n{n}\n".encode())
    assert ask(server, read)["rows"] == [[12]]
    s3.delete_object(Bucket=bucket, Key="set/f[12].csv")
    assert sorted(ask(server, read)["rows"]) == [[1], [2]]


def test_files_are_named_as_the_caller_named_them(server, s3, bucket):
    for year in (2012, 2013):
        s3.put_object(Bucket=bucket, Key=f"named/{year}.csv", Body=b"x\n1\n")
    ask(server, f"COPY (SELECT 1 AS x) TO 's3://{bucket}/named.parquet'")
    files = [f"s3://{bucket}/named/{year}.csv" for year in (2012, 2013)]
    pattern = f"s3://{bucket}/named/*.csv"
    listed = ", ".join(f"'{file}'" for file in files)
    for sql in (
        f"SELECT file FROM glob('{pattern}') ORDER BY file",
        f"SELECT filename FROM read_csv('{pattern}', filename = true) ORDER BY ALL",
        f"SELECT t.filename FROM read_csv([{listed}], filename := true, header = true) AS t "
        "ORDER BY ALL",
        f"SELECT origin FROM read_csv('{pattern}', filename = 'origin') ORDER BY origin",
        f"SELECT filename FROM main.read_text('{pattern}') WHERE content LIKE 'x%' ORDER BY ALL",
    ):
        assert [row[0] for row in ask(server, sql)["rows"]] == files, sql
    metadata = f"SELECT DISTINCT file_name FROM parquet_metadata('s3://{bucket}/named.parquet')"
    assert ask(server, metadata)["rows"] == [[f"s3://{bucket}/named.parquet"]]
    plain = ask(server, f"SELECT * FROM read_csv('{pattern}', filename = false)")
    assert [column["name"] for column in plain["columns"]] == ["x"]
    wrong = refused(server, f"SELECT nope FROM read_csv('{pattern}', filename = true)")
    assert wrong["field"] == "sql:1:8" and "nope" in wrong["message"]


def test_long_cells_arrive_whole_in_every_form(server):
    """More than fits into one message between the engine and the server, in one chunk of rows."""
    rows, size = 2048 + 100, 40_000
    sql = f"SELECT i, repeat(chr((65 + i % 26)::INTEGER), {size}) AS text FROM range({rows}) t(i)"
    expected = [chr(65 + i % 26) * size for i in range(rows)]
    answer = ask(server, sql, limit=0)
    assert (answer["row_count"], answer["truncated"]) == (rows, False)
    assert [row[1] for row in answer["rows"]] == expected
    lines = post(server, sql, accept="text/csv", limit=0).text.splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == expected
    stream = post(server, sql, accept="application/vnd.apache.arrow.stream", limit=0).content
    with pyarrow.ipc.open_stream(io.BytesIO(stream)) as reader:
        assert reader.read_all()["text"].to_pylist() == expected
    vectors = "SELECT i, list_transform(range(3072), lambda x: x / 7.0) AS v FROM range(3000) t(i)"
    answer = ask(server, vectors, limit=0)
    assert answer["row_count"] == len(answer["rows"]) == 3000
    assert all(len(row[1]) == 3072 for row in answer["rows"])


def test_queries_whose_clients_went_away_give_their_slots_back(server):
    marked = ENDLESS + f" AND 'left {uuid.uuid4().hex}' <> ''"
    for _ in range(2):
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(
                f"{server.http}/api/v1/sql",
                json={"sql": marked},
                headers=server.bearer(),
                timeout=0.3,
            )

    def states():
        answer = requests.get(
            f"{server.http}/api/v1/sql/queries", headers=server.bearer(), timeout=30
        )
        return [q["state"] for q in answer.json()["queries"] if q["sql"] == marked]

    assert wait_for(lambda: states() == ["cancelled"] * 2)


def test_one_user_cannot_hold_every_slot(server):
    user = name("greedy")
    server.strata("user", "create", user, "--role", "member")
    made = server.strata("token", "create", "--user", user, "-o", "json").stdout
    token = json.loads(made)["token"]
    ids = [uuid.uuid4().hex for _ in range(5)]
    with concurrent.futures.ThreadPoolExecutor(len(ids)) as threads:
        running = [
            threads.submit(post, server, ENDLESS, token=token, query_id=query) for query in ids
        ]

        def state(query):
            answer = requests.get(
                f"{server.http}/api/v1/sql/queries/{query}", headers=server.bearer(), timeout=30
            )
            return answer.json().get("state")

        def cancel(query):
            requests.delete(
                f"{server.http}/api/v1/sql/queries/{query}", headers=server.bearer(), timeout=30
            )

        try:
            wanted = ["queued"] * 2 + ["running"] * 3
            wait_for(lambda: sorted(str(state(query)) for query in ids) == wanted)
            assert ask(server, "SELECT 1")["rows"] == [[1]]
        finally:
            while not all(done.done() for done in running):
                for query in ids:
                    cancel(query)
        codes = {done.result().json()["error"]["code"] for done in running}
        assert codes == {"cancelled"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT list(repeat('x', 1000) || i) FROM range(20000000) t(i)",
        "SELECT length(repeat('x', 4000000) || i) FROM range(20000) t(i) ORDER BY 1 DESC LIMIT 1",
        "SELECT max(length(list_aggregate(list_transform(range(200000000), lambda x: x || 'y'), "
        "'string_agg', ','))) FROM range(3)",
    ],
)
def test_the_engine_does_not_outgrow_its_memory(small_sql_server, sql):
    """Values under construction are beyond the engine's own books."""
    most, ended = 0, threading.Event()

    def look():
        nonlocal most
        while not ended.wait(0.02):
            pid = engine_pid(small_sql_server)
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            held = re.search(r"VmHWM:\s+(\d+) kB", status)
            most = max(most, int(held.group(1)) if held else 0)

    watcher = threading.Thread(target=look)
    watcher.start()
    answer = post(small_sql_server, sql, timeout_ms=60000)
    ended.set()
    watcher.join()
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert error["code"] == "resource_exhausted", error
        assert "memory" in error["message"]
    assert most < 2.5 * 1024 * 1024, f"{most} kB"
    assert ask(small_sql_server, "SELECT 1")["rows"] == [[1]]


@pytest.fixture(scope="module")
def small_sql_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("small"), "--sql-memory", "256MiB").start()
    yield server
    assert server.stop() == 0
    server.strata("stop", "--now", check=False)
