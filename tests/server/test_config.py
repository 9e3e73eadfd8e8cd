"""Settings: one file, variables and flags, checked before anything starts."""

import json
import os
import pathlib
import subprocess

import pytest
from programs import ROOT, binary


def strata(*arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STRATA_")}
    return subprocess.run(
        [binary(), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**environment, **variables},
        timeout=60,
    )


def shown(*arguments, **variables):
    answer = strata("config", "show", "-o", "json", *arguments, **variables)
    assert answer.returncode == 0, answer.stderr
    return {row["key"]: row for row in json.loads(answer.stdout)["settings"]}


def test_every_value_is_shown_with_where_it_came_from(tmp_path):
    (tmp_path / "strata.toml").write_text(
        'http = "127.0.0.1:1"\n[log]\nlevel = "warn"\n[sql]\nmemory = "1GiB"\nthreads = 3\n'
    )
    rows = shown(
        "--data",
        tmp_path,
        "--sql-threads",
        "5",
        STRATA_HTTP="127.0.0.1:2",
        STRATA_SQL_THREADS="4",
    )
    assert (rows["http"]["value"], rows["http"]["where"]) == (
        "127.0.0.1:2",
        "STRATA_HTTP",
    )
    assert (rows["sql.threads"]["value"], rows["sql.threads"]["where"]) == (
        "5",
        "--sql-threads",
    )
    assert rows["log.level"]["value"] == "warn"
    assert rows["log.level"]["where"] == f"{tmp_path}/strata.toml:3:9"
    assert rows["s3"]["origin"] == "default"


def test_a_file_may_be_named_by_flag_or_variable_and_must_then_exist(tmp_path):
    elsewhere = tmp_path / "other.toml"
    elsewhere.write_text('s3 = "127.0.0.1:9"\n')
    for given in (
        shown("--data", tmp_path, "--config", elsewhere),
        shown("--data", tmp_path, STRATA_CONFIG=str(elsewhere)),
    ):
        assert given["s3"]["value"] == "127.0.0.1:9"
    missing = strata("config", "show", "--data", tmp_path, "--config", tmp_path / "none.toml")
    assert missing.returncode == 3


@pytest.mark.parametrize(
    ("text", "variables", "flags", "said"),
    [
        ("[log]\nlevle = 'warn'\n", {}, [], ["strata.toml:2:1", "log.level"]),
        ("[log]\nlevel = 'loud'\n", {}, [], ["strata.toml:2:9", "debug"]),
        ("http = \n", {}, [], ["strata.toml:1:8"]),
        ("", {"STRATA_LOG_LEVL": "warn"}, [], ["STRATA_LOG_LEVL", "STRATA_LOG_LEVEL"]),
        ("", {"STRATA_HTPP": "127.0.0.1:1"}, [], ["STRATA_HTPP", "STRATA_HTTP"]),
        ("", {"STRATA_SQL_MEMORY": "some"}, [], ["STRATA_SQL_MEMORY", "2GiB"]),
        ("", {}, ["--sql-threads", "0"], ["--sql-threads", "less than 1"]),
        ("", {}, ["--http", "0.0.0.0"], ["--http", "0.0.0.0", "127.0.0.1:7700"]),
        ("", {}, ["--http", "here"], ["--http", "127.0.0.1:7700"]),
    ],
)
def test_a_server_does_not_start_on_a_setting_it_cannot_use(tmp_path, text, variables, flags, said):
    (tmp_path / "strata.toml").write_text(text)
    refused = strata("serve", "--data", tmp_path, *flags, **variables)
    assert refused.returncode == 2
    for part in said:
        assert part in refused.stderr
    assert not (tmp_path / "records.db").exists()


def test_the_server_takes_its_settings_from_the_file(fresh_server):
    fresh_server.data.mkdir()
    (fresh_server.data / "strata.toml").write_text(
        '[announce]\nhost = "localhost"\n[log]\nlevel = "error"\n[sql]\nmemory = "256MiB"\n'
    )
    fresh_server.start()
    assert fresh_server.http.startswith("http://localhost:")
    assert fresh_server.env["STRATA_URL"] == fresh_server.http
    fresh_server.strata("sql", "SELECT 1")
    engines = [
        words
        for words in (
            path.read_bytes().split(b"\0") for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")
        )
        if b"warehouse" in words and str(fresh_server.data).encode() in words
    ]
    assert [words[words.index(b"--memory-mb") + 1] for words in engines] == [b"256"]
    assert (fresh_server.data / "logs" / "server.log").read_text() == ""


def test_a_server_on_all_addresses_announces_the_name_of_its_certificate(fresh_server, tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = "subjectAltName=DNS:*.example.org,DNS:localhost,IP:127.0.0.1"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [*request.split(), *files, "-subj", "/CN=x", "-addext", names],
        check=True,
        capture_output=True,
    )
    fresh_server.options = ("--http", "0.0.0.0:0", "--tls-certificate", str(certificate))
    fresh_server.options += ("--tls-private-key", str(key))
    fresh_server.start()
    assert fresh_server.http.startswith("https://localhost:")
    assert fresh_server.s3.startswith("https://127.0.0.1:")
    listed = fresh_server.strata(
        "user", "list", env={**os.environ, "SSL_CERT_FILE": str(certificate)}
    )
    assert "admin" in listed.stdout


def test_the_documented_table_is_the_one_that_the_server_knows():
    page = pathlib.Path(ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert strata("config", "reference").stdout in page
