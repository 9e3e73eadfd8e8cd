"""Over TLS boto3 sends its checksums as trailers of unsigned chunks, by default."""

import os
import pathlib
import subprocess
import sys

import boto3
import pytest
from botocore.config import Config
from programs import ROOT, binary


@pytest.fixture
def secure_server(fresh_server, tmp_path):
    """A server with a self-signed certificate, and that certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
        + ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True,
        capture_output=True,
    )
    fresh_server.options = ("--tls-certificate", str(certificate), "--tls-private-key", str(key))
    return fresh_server.start(), certificate


def test_boto3_with_its_defaults_over_tls(secure_server, tmp_path):
    server, certificate = secure_server
    assert server.s3.startswith("https://")
    s3 = boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=server.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.env["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        verify=str(certificate),
        config=Config(retries={"max_attempts": 1}),
    )
    s3.create_bucket(Bucket="secure")
    for size in (0, 5, 100_000, 9_000_000):
        body = os.urandom(size)
        (tmp_path / "body").write_bytes(body)
        with open(tmp_path / "body", "rb") as source:
            put = s3.put_object(Bucket="secure", Key="k", Body=source)
        got = s3.get_object(Bucket="secure", Key="k")
        assert got["Body"].read() == body
        assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
        assert "ContentEncoding" not in got
    s3.upload_file(str(tmp_path / "body"), "secure", "by-parts")
    assert s3.get_object(Bucket="secure", Key="by-parts")["Body"].read() == body


BOTO3 = "import boto3; boto3.client('s3').list_buckets()"
MLFLOW = """
import mlflow
with mlflow.start_run():
    mlflow.log_metric("m", 1)
    mlflow.log_text("text", "a.txt")
"""
REQUESTS = (
    "import os, requests; requests.get(os.environ['STRATA_URL'] + '/healthz').raise_for_status()"
)
PACKAGE = "import strata; assert strata.sql('SELECT 7').scalar() == 7"


def test_a_certificate_that_is_not_known_is_told_with_the_way_out(secure_server):
    server, _ = secure_server
    plain = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    refused = server.strata("user", "list", check=False, env=plain)
    assert refused.returncode == 1 and "SSL_CERT_FILE" in refused.stderr


def test_tls_files_that_do_not_fit_are_named_with_their_setting(secure_server, tmp_path):
    server, certificate = secure_server
    server.stop()
    key = str(certificate.with_name("key.pem"))
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-out", other],
        check=True,
        capture_output=True,
    )

    def refused(*options, **environment):
        done = subprocess.run(
            [binary(), "serve", "--data", server.data, "--http", "127.0.0.1:0"]
            + ["--s3", "127.0.0.1:0", *options],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2, done.stderr
        return done.stderr

    good = ["--tls-certificate", str(certificate)]
    assert "--tls-private-key" in refused(*good)
    assert "--tls-certificate" in refused(STRATA_TLS_PRIVATE_KEY=key)
    said = refused(*good, "--tls-private-key", "/none/key.pem")
    assert "--tls-private-key: tls.private_key: '/none/key.pem'" in said
    assert "No such file" in said
    said = refused(*good, STRATA_TLS_PRIVATE_KEY=str(other))
    assert "STRATA_TLS_PRIVATE_KEY: tls.private_key" in said and str(certificate) in said
    said = refused("--tls-certificate", key, "--tls-private-key", str(certificate))
    assert "--tls-certificate: tls.certificate" in said and "swapped" in said


def test_each_client_is_told_of_a_self_signed_certificate_by_its_own_variable(secure_server):
    """As the guide to access says."""
    server, certificate = secure_server
    # Clients of other tests leave words of their own in this process.
    ours = ("MLFLOW_", "AWS_", "SSL_CERT_", "REQUESTS_CA_", "CURL_CA_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    plain |= server.env | {"PYTHONPATH": str(ROOT / "sdk" / "python" / "src")}
    aws = pathlib.Path(sys.executable).with_name("aws")
    page = (ROOT / "docs" / "how-to" / "manage-access.md").read_text()
    for variable, command in (
        ("SSL_CERT_FILE", [binary(), "user", "list"]),
        ("SSL_CERT_FILE", [sys.executable, "-c", PACKAGE]),
        ("AWS_CA_BUNDLE", [aws, "s3", "ls"]),
        ("AWS_CA_BUNDLE", [sys.executable, "-c", BOTO3]),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", [sys.executable, "-c", MLFLOW]),
        ("REQUESTS_CA_BUNDLE", [sys.executable, "-c", REQUESTS]),
        ("CURL_CA_BUNDLE", ["curl", "-sSf", f"{server.http}/healthz"]),
    ):
        assert f"export {variable}=" in page

        def run(env, command=command):
            return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

        told = run(plain | {variable: str(certificate)})
        assert told.returncode == 0, (variable, told.stderr)
        if command[-1] != MLFLOW:  # it would ask again for minutes
            assert run(plain).returncode != 0, variable
