"""Slips of who is new here: the message names the slip and the way out, in the slip's protocol."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ElementTree

import boto3
import pytest
import requests
from botocore.config import Config
from programs import binary


def strata(*arguments: str, env: dict | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("STRATA_")}
    return subprocess.run(
        [binary(), *arguments], env=clean | (env or {}), capture_output=True, text=True, timeout=60
    )


def test_an_s3_request_to_the_http_port_is_told_the_s3_address(server):
    client = boto3.client(
        "s3",
        endpoint_url=server.http,
        aws_access_key_id=server.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.env["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(signature_version="s3v4"),
    )
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.list_buckets()
    assert server.env["AWS_ENDPOINT_URL_S3"] in str(refused.value)
    answer = requests.get(client.generate_presigned_url("list_buckets"), timeout=10)
    assert answer.status_code == 400
    assert ElementTree.fromstring(answer.content).findtext("Code") == "InvalidRequest"


def test_an_api_request_to_the_s3_port_is_told_the_http_address(server):
    env = server.env | {"STRATA_URL": server.env["AWS_ENDPOINT_URL_S3"]}
    for command in (("user", "list"), ("sql", "SELECT 1"), ("token", "revoke", "x")):
        refused = strata(*command, env=env)
        assert refused.returncode != 0 and server.http in refused.stderr, command
    # Without its token it may be meant for a bucket of that name.
    answer = requests.get(env["STRATA_URL"] + "/api/v1/me", timeout=10)
    assert answer.headers["Content-Type"].startswith("application/xml")


def test_a_wrong_variable_is_named_with_the_way_out(server):
    bare = strata("user", "list", env=server.env | {"STRATA_URL": "127.0.0.1:7710"})
    assert bare.returncode == 2 and "STRATA_URL is '127.0.0.1:7710'" in bare.stderr
    wrong = strata("user", "list", env=server.env | {"STRATA_TOKEN": "wrong"})
    assert wrong.returncode == 4
    assert "STRATA_TOKEN" in wrong.stderr and 'eval "$(strata env' in wrong.stderr


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("endpoint create h3 --modl X", "--modl is not an option here: did you mean --model?"),
        ("serve --port 7799", "--port is not an option here: did you mean --http?"),
        ("user list one two", "not expected: one two"),
    ],
)
def test_a_slip_on_the_command_line_is_named(command, told):
    refused = strata(*command.split())
    assert refused.returncode == 2 and told in refused.stderr


def test_a_script_that_is_empty_is_named(server):
    refused = server.strata("sql", "-f", "/dev/null", check=False)
    assert refused.returncode == 2
    assert "there is no SQL in /dev/null: it is empty" in refused.stderr


def test_a_file_of_unknown_form_is_told_how_to_be_read(server):
    bucket = f"{server.env['AWS_ENDPOINT_URL_S3']}/slips"
    for url, body in ((bucket, b""), (bucket + "/big.bin", b"a,b\n1,2\n")):
        requests.put(url, data=body, headers=server.bearer(), timeout=10).raise_for_status()
    refused = server.strata("sql", "SELECT * FROM 's3://slips/big.bin'", check=False)
    assert "read_csv('s3://slips/big.bin')" in refused.stderr
    assert "does not exist" not in refused.stderr
    read = server.strata("sql", "-o", "csv", "SELECT * FROM read_csv('s3://slips/big.bin')")
    assert read.stdout == "a,b\n1,2\n"
