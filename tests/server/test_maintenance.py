"""Backup, fsck and doctor, on data that a server has written."""

import json
import os
import subprocess

import pytest
import requests
from programs import binary
from s3_client import client_for


def strata(*arguments):
    return subprocess.run(
        [binary(), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def filled(fresh_server):
    """A server with small, large and multipart objects, tables in two projects and a run."""
    fresh_server.start()
    s3 = client_for(fresh_server)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="small", Body=b"small")
    s3.put_object(Bucket="kept", Key="large", Body=os.urandom(300_000))
    upload = s3.create_multipart_upload(Bucket="kept", Key="parts")["UploadId"]
    parts = []
    for number, size in ((1, 5 << 20), (2, 1000)):
        part = s3.upload_part(
            Bucket="kept", Key="parts", UploadId=upload, PartNumber=number, Body=os.urandom(size)
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        Bucket="kept", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    fresh_server.strata("project", "create", "other")
    fresh_server.strata("sql", "CREATE TABLE t AS SELECT 42 AS v")
    fresh_server.strata("sql", "CREATE TABLE t AS SELECT 43 AS v", "--project", "other")
    return fresh_server


def answers(server):
    """What a client sees of the filled server."""
    s3 = client_for(server)
    objects = {
        key: s3.get_object(Bucket="kept", Key=key)["Body"].read()
        for key in ("small", "large", "parts")
    }
    tables = [
        server.strata("sql", "FROM t", "-o", "csv", "--project", project).stdout.split()
        for project in ("default", "other")
    ]
    return objects, tables


def test_a_server_started_on_a_backup_of_a_running_one_answers_the_same(filled, tmp_path):
    before = answers(filled)
    copy = tmp_path / "copy"
    made = filled.strata("backup", "--out", str(copy), "-o", "json")
    report = json.loads(made.stdout)
    assert report["findings"] == [] and report["objects"] == 3
    # What comes later is not in it; what stood then is, whatever happens to it now.
    client_for(filled).delete_object(Bucket="kept", Key="large")
    filled.strata("sql", "DROP TABLE t")
    restored = type(filled)(copy).start()
    try:
        assert answers(restored) == before
        me = requests.get(
            restored.http + "/api/v1/me", headers=restored.bearer(filled.env["STRATA_TOKEN"])
        )
        assert me.json()["user"] == "admin"
    finally:
        restored.stop()
        restored.strata("stop", "--now", check=False)
    again = filled.strata("backup", "--out", str(copy), check=False)
    assert again.returncode == 5


def test_a_backup_into_the_data_directory_is_refused(filled, tmp_path):
    (tmp_path / "link").symlink_to(filled.data)
    for out in (filled.data / "x", filled.data / "lake" / "x" / "y", tmp_path / "link" / "x"):
        refused = filled.strata("backup", "--out", str(out), check=False)
        assert refused.returncode == 2 and "the data directory itself" in refused.stderr
        assert not out.exists()
    beside = filled.data.with_name(filled.data.name + "-copy")
    filled.strata("backup", "--out", str(beside))
    assert (beside / "records.db").exists()


def test_fsck_wants_the_server_stopped_and_finds_a_single_changed_byte(filled):
    refused = filled.strata("fsck", check=False)
    assert refused.returncode == 5
    filled.stop()
    whole = filled.strata("fsck", "-o", "json")
    assert json.loads(whole.stdout)["findings"] == []
    victim = max((filled.data / "lake" / "files").rglob("*"), key=lambda p: p.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(content)
    damaged = filled.strata("fsck", check=False)
    assert damaged.returncode == 1
    assert "kept/parts" in damaged.stdout
    victim.unlink()
    gone = filled.strata("fsck", "-o", "json", check=False)
    assert gone.returncode == 1
    assert any("kept/parts" in finding for finding in json.loads(gone.stdout)["findings"])


def test_fsck_counts_files_that_nothing_names_without_removing_them(filled):
    filled.stop()
    stray = filled.data / "lake" / "files" / "ab" / "ab00000000000001"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left by a crash")
    checked = json.loads(filled.strata("fsck", "-o", "json").stdout)
    assert checked["orphans"] == 1
    assert stray.exists()


def test_what_is_no_data_directory_is_said_to_be_none(tmp_path):
    assert strata("fsck", "--data", tmp_path).returncode == 3
    assert strata("backup", "--data", tmp_path, "--out", tmp_path / "x").returncode == 3


def test_fsck_counts_one_thing_as_one(fresh_server):
    fresh_server.start()
    s3 = client_for(fresh_server)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="one", Body=b"1")
    flow = {"name": "f", "steps": {"a": {"command": ["sh", "-c", "echo 1 > $STRATA_OUTPUTS/o"]}}}
    flow["steps"]["a"]["outputs"] = ["o"]
    (fresh_server.data / "f.yaml").write_text(json.dumps(flow))
    fresh_server.strata("flow", "run", str(fresh_server.data / "f.yaml"), "--wait")
    fresh_server.stop()
    said = fresh_server.strata("fsck").stdout
    assert "1 object (1 B) and 1 file of pipelines are what their digests say" in said


def test_doctor_names_what_is_missing_and_fails_on_it(tmp_path):
    good = strata(
        "doctor", "--data", tmp_path, "--http", "127.0.0.1:0", "--s3", "127.0.0.1:0", "-o", "json"
    )
    checks = {row["what"]: row["state"] for row in json.loads(good.stdout)["checks"]}
    assert checks["SQL engine"] == checks["LightGBM models"] == checks["ONNX models"] == "ok"
    assert checks["address http"] == "ok"
    assert "Landlock" in checks and "clock" in checks
    assert good.returncode == (1 if "bad" in checks.values() else 0)
    (tmp_path / "strata.toml").write_text("htpt = 'x'\n")
    bad = strata("doctor", "--data", tmp_path)
    assert bad.returncode == 1
    assert "strata.toml:1:1" in bad.stdout


def test_doctor_sees_that_an_address_is_taken(fresh_server, tmp_path):
    fresh_server.start()
    address = fresh_server.http.removeprefix("http://")
    answer = strata("doctor", "--data", tmp_path / "other", "--http", address)
    assert answer.returncode == 1
    assert address in answer.stdout
