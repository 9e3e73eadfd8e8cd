"""Over TLS boto3 sends its checksums as trailers of unsigned chunks, by default."""

import os
import subprocess

import boto3
from botocore.config import Config


def test_boto3_with_its_defaults_over_tls(fresh_server, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
        + ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True,
        capture_output=True,
    )
    fresh_server.options = (
        "--tls-certificate",
        str(certificate),
        "--tls-private-key",
        str(key),
    )
    server = fresh_server.start()
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
