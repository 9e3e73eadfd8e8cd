"""Who may do what: signatures in all their forms, and bytes that are not what their sender said."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import subprocess
import sys
import zlib

import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from s3_client import client_for


def code_of(raised) -> tuple[str, int]:
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def error_code(answer) -> str:
    return answer.text.split("<Code>")[1].split("</Code>")[0]


def signed(server, method, path, headers=None, body=b"", payload=None):
    """Headers of a request that botocore signed, for requests that boto3 itself would not send."""
    request = AWSRequest(method, server.s3 + path, headers=headers or {}, data=body)
    request.headers["X-Amz-Content-SHA256"] = payload or hashlib.sha256(body).hexdigest()
    request.context["payload_signing_enabled"] = True

    class Signer(S3SigV4Auth):
        def payload(self, _):
            return payload or hashlib.sha256(body).hexdigest()

    credentials = Credentials(server.env["AWS_ACCESS_KEY_ID"], server.env["AWS_SECRET_ACCESS_KEY"])
    Signer(credentials, "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def test_a_wrong_secret_gets_the_texts_to_compare(server, bucket):
    wrong = client_for(server, secret_key="wrong" * 8)
    with pytest.raises(ClientError) as raised:
        wrong.list_objects_v2(Bucket=bucket)
    assert code_of(raised) == ("SignatureDoesNotMatch", 403)
    error = raised.value.response["Error"]
    assert error["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert error["CanonicalRequest"].startswith(f"GET\n/{bucket}\n")


def test_an_unknown_key_id_is_named(server, bucket):
    with pytest.raises(ClientError) as raised:
        client_for(server, access_key="NOSUCHKEY").list_objects_v2(Bucket=bucket)
    assert code_of(raised) == ("InvalidAccessKeyId", 403)


def test_anonymous_requests_learn_nothing(server, bucket):
    for path in (f"/{bucket}", "/no-such-bucket", f"/{bucket}/k", "/"):
        answer = requests.get(server.s3 + path)
        assert (answer.status_code, error_code(answer)) == (403, "AccessDenied")


def test_a_viewer_reads_but_does_not_write(server, s3, bucket, viewer):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    client = client_for(server, viewer["access_key_id"], viewer["secret_access_key"])
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    for call in (
        lambda: client.put_object(Bucket=bucket, Key="k", Body=b"2"),
        lambda: client.delete_object(Bucket=bucket, Key="k"),
        lambda: client.create_bucket(Bucket="viewers-own"),
        lambda: client.create_multipart_upload(Bucket=bucket, Key="k"),
        lambda: client.copy_object(Bucket=bucket, Key="k2", CopySource=f"{bucket}/k"),
        lambda: client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]}),
    ):
        with pytest.raises(ClientError) as raised:
            call()
        assert code_of(raised) == ("AccessDenied", 403)


def test_a_skewed_clock_is_told(server, bucket):
    headers = signed(server, "GET", f"/{bucket}")
    past = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)).strftime(
        "%Y%m%dT%H%M%SZ"
    )
    headers["X-Amz-Date"] = past
    answer = requests.get(f"{server.s3}/{bucket}", headers=headers)
    assert (answer.status_code, error_code(answer)) == (403, "RequestTimeTooSkewed")


def test_a_header_added_on_the_way_is_refused(server, bucket):
    headers = signed(server, "PUT", f"/{bucket}/k", body=b"1")
    headers["x-amz-meta-added"] = "later"
    answer = requests.put(f"{server.s3}/{bucket}/k", headers=headers, data=b"1")
    assert (answer.status_code, error_code(answer)) == (403, "AccessDenied")


def test_a_body_changed_on_the_way_is_refused_and_the_former_version_stays(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"former")
    for body in (b"changed", b"x" * 300_000):
        headers = signed(server, "PUT", f"/{bucket}/k", body=b"as signed")
        answer = requests.put(f"{server.s3}/{bucket}/k", headers=headers, data=body)
        assert (answer.status_code, error_code(answer)) == (400, "XAmzContentSHA256Mismatch")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"former"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_a_wrong_checksum_is_refused_and_the_former_version_stays(s3, bucket, algorithm):
    s3.put_object(Bucket=bucket, Key="k", Body=b"former")
    size = {"CRC32": 4, "SHA1": 20, "SHA256": 32}[algorithm]
    with pytest.raises(ClientError) as raised:
        s3.put_object(
            Bucket=bucket,
            Key="k",
            Body=b"new",
            **{f"Checksum{algorithm}": base64.b64encode(b"x" * size).decode()},
        )
    assert code_of(raised) == ("BadDigest", 400)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"former"


def test_content_md5_is_checked(server, s3, bucket):
    def put(md5):
        return requests.put(
            f"{server.s3}/{bucket}/k", data=b"body", headers={**server.bearer(), "Content-MD5": md5}
        )

    assert put(base64.b64encode(hashlib.md5(b"body").digest()).decode()).status_code == 200
    answer = put(base64.b64encode(hashlib.md5(b"other").digest()).decode())
    assert (answer.status_code, error_code(answer)) == (400, "BadDigest")
    answer = put("nonsense")
    assert (answer.status_code, error_code(answer)) == (400, "InvalidDigest")


# The published check values, so that no checksum library is needed for the two that Python lacks.
CHECKS = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}


@pytest.mark.parametrize("algorithm", CHECKS)
def test_every_checksum_is_verified_stored_and_given_back(server, bucket, algorithm):
    url = f"{server.s3}/{bucket}/k"
    header = f"x-amz-checksum-{algorithm.lower()}"
    value = base64.b64encode(bytes.fromhex(CHECKS[algorithm])).decode()
    put = requests.put(url, data=b"123456789", headers={**server.bearer(), header: value})
    assert (put.status_code, put.headers[header]) == (200, value)
    got = requests.get(url, headers={**server.bearer(), "x-amz-checksum-mode": "ENABLED"})
    assert got.headers[header] == value
    answer = requests.put(url, data=b"123456780", headers={**server.bearer(), header: value})
    assert (answer.status_code, error_code(answer)) == (400, "BadDigest")
    assert requests.get(url, headers=server.bearer()).text == "123456789"


# boto3 with awscrt, as `pip install boto3[crt]` gives it: it also signs by other code.
WITH_CRT = """
import json, sys
import boto3
from botocore.compat import HAS_CRT
assert HAS_CRT
s3, bucket, size = boto3.client("s3"), sys.argv[1], int(sys.argv[2])
body = (b"123456789" * (size // 9 + 1))[:size]
sums = {}
for algorithm in sys.argv[3:]:
    field = "Checksum" + algorithm
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert type(got["Body"]).__name__ == "StreamingChecksumBody", type(got["Body"])
    assert got["Body"].read() == body
    assert got[field] == put[field]
    sums[algorithm] = put[field]
print(json.dumps(sums))
"""


@pytest.mark.parametrize("size", [9, 300_000])
def test_boto3_with_crt_computes_every_checksum_and_validates_it_on_reading(server, bucket, size):
    env = {**os.environ, **server.env, "BOTO_DISABLE_CRT": "false"}
    done = subprocess.run(
        [sys.executable, "-c", WITH_CRT, bucket, str(size), *CHECKS],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    sums = json.loads(done.stdout)
    assert sorted(sums) == sorted(CHECKS)
    if size == 9:
        assert sums == {
            name: base64.b64encode(bytes.fromhex(value)).decode() for name, value in CHECKS.items()
        }


@pytest.mark.parametrize("algorithm", CHECKS)
def test_a_copy_gets_the_checksum_that_is_asked(s3, bucket, algorithm):
    s3.put_object(Bucket=bucket, Key="k", Body=b"123456789", ChecksumAlgorithm="CRC32")
    value = base64.b64encode(bytes.fromhex(CHECKS[algorithm])).decode()
    copied = s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", ChecksumAlgorithm=algorithm
    )["CopyObjectResult"]
    assert (copied[f"Checksum{algorithm}"], copied["ChecksumType"]) == (value, "FULL_OBJECT")
    head = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == value
    kept = s3.copy_object(Bucket=bucket, Key="kept", CopySource=f"{bucket}/copy")
    assert kept["CopyObjectResult"][f"Checksum{algorithm}"] == value


def test_an_unknown_checksum_algorithm_of_a_copy_is_named(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    answer = requests.put(
        f"{server.s3}/{bucket}/copy",
        headers={
            **server.bearer(),
            "x-amz-copy-source": f"{bucket}/k",
            "x-amz-checksum-algorithm": "CRC31",
        },
    )
    assert (answer.status_code, error_code(answer)) == (400, "InvalidRequest")
    assert "'CRC31' must be CRC32, CRC32C, CRC64NVME, SHA1 or SHA256" in answer.text


def chunked(body, sign, trailer=b""):
    """aws-chunked framing of `body`; `sign` gives the extension of each chunk."""
    framed = b""
    for start in range(0, len(body), 65536):
        piece = body[start : start + 65536]
        framed += f"{len(piece):x}{sign(piece)}\r\n".encode() + piece + b"\r\n"
    return framed + f"0{sign(b'')}\r\n".encode() + trailer + b"\r\n"


def test_unsigned_chunks_with_a_trailing_checksum(server, s3, bucket):
    body = b"abc" * 50_000
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big"))
    headers = {
        "Content-Encoding": "gzip,aws-chunked",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-decoded-content-length": str(len(body)),
    }
    payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

    def put(value):
        sent = signed(server, "PUT", f"/{bucket}/k", headers, payload=payload)
        framed = chunked(body, lambda _: "", b"x-amz-checksum-crc32:" + value + b"\r\n")
        return requests.put(f"{server.s3}/{bucket}/k", headers=sent, data=framed)

    assert put(crc).status_code == 200
    got = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["ContentLength"] == len(body)
    assert got["ContentEncoding"] == "gzip"
    assert got["ChecksumCRC32"] == crc.decode()
    answer = put(b"AAAAAA==")
    assert (answer.status_code, error_code(answer)) == (400, "BadDigest")


@pytest.mark.parametrize("tamper", [False, True])
def test_signed_chunks(server, s3, bucket, tamper):
    body = bytes(range(256)) * 700
    headers = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(body))}
    sent = signed(
        server, "PUT", f"/{bucket}/k", headers, payload="STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    )
    authorization = sent["Authorization"]
    previous = authorization.split("Signature=")[1]
    stamp = sent["X-Amz-Date"]
    scope = authorization.split("Credential=")[1].split(",")[0].split("/", 1)[1]
    key = ("AWS4" + server.env["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()

    def sign(piece):
        nonlocal previous
        text = "\n".join(
            [
                "AWS4-HMAC-SHA256-PAYLOAD",
                stamp,
                scope,
                previous,
                hashlib.sha256(b"").hexdigest(),
                hashlib.sha256(piece).hexdigest(),
            ]
        )
        previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return f";chunk-signature={previous}"

    framed = chunked(body, sign)
    if tamper:
        framed = framed.replace(b"\x40\x41\x42", b"\x40\x41\x43", 1)
    answer = requests.put(f"{server.s3}/{bucket}/k", headers=sent, data=framed)
    if tamper:
        assert (answer.status_code, error_code(answer)) == (403, "SignatureDoesNotMatch")
    else:
        assert answer.status_code == 200
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


@pytest.mark.parametrize("version", [None, "s3v4", "s3"])
def test_presigned_urls_work_for_anyone_with_curl_and_end(server, bucket, version):
    client = client_for(server, **({"signature_version": version} if version else {}))
    put = client.generate_presigned_url(
        "put_object", {"Bucket": bucket, "Key": "a b/ä+.txt"}, ExpiresIn=60
    )
    subprocess.run(
        ["curl", "-sf", "-X", "PUT", "--data-binary", "shared", "-H", "Content-Type:", put],
        check=True,
    )
    get = client.generate_presigned_url(
        "get_object",
        {"Bucket": bucket, "Key": "a b/ä+.txt", "ResponseContentType": "text/shared"},
        ExpiresIn=60,
    )
    answer = requests.get(get)
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (
        200,
        "shared",
        "text/shared",
    )
    assert requests.get(get.replace("%20b", "%20c")).status_code == 403
    assert requests.put(get, data=b"x").status_code == 403
    head = client.generate_presigned_url("head_object", {"Bucket": bucket, "Key": "a b/ä+.txt"})
    assert requests.head(head).headers["Content-Length"] == "6"
    # one that has expired
    ended = (
        client.generate_presigned_url(
            "get_object", {"Bucket": bucket, "Key": "a b/ä+.txt"}, ExpiresIn=-5
        )
        if version == "s3"
        else None
    )
    if ended:
        assert requests.get(ended).status_code == 403


@pytest.mark.parametrize("version", [None, "s3v4", "s3"])
def test_presigned_urls_bind_headers_and_choose_those_of_the_answer(server, bucket, version):
    client = client_for(server, **({"signature_version": version} if version else {}))
    md5 = base64.b64encode(hashlib.md5(b"shared").digest()).decode()
    put = client.generate_presigned_url(
        "put_object",
        {
            "Bucket": bucket,
            "Key": "k",
            "ContentType": "text/plain",
            "ContentMD5": md5,
            "Metadata": {"origin": "mail"},
        },
        ExpiresIn=60,
    )
    headers = {"Content-Type": "text/plain", "Content-MD5": md5, "x-amz-meta-origin": "mail"}
    assert requests.put(put, data=b"shared", headers=headers).status_code == 200
    other = {**headers, "Content-Type": "text/html"}
    assert requests.put(put, data=b"shared", headers=other).status_code == 403
    assert requests.put(put, data=b"others", headers=headers).status_code == 400
    if "AWSAccessKeyId" in put:  # the URL itself carries the headers
        assert requests.put(put, data=b"shared").status_code == 200
        assert requests.put(put, data=b"others").status_code == 400
    head = client_for(server).head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"origin": "mail"})
    wanted = {
        "ResponseContentType": "text/shared",
        "ResponseContentDisposition": 'attachment; filename="f g.txt"',
        "ResponseCacheControl": "no-cache",
        "ResponseContentLanguage": "de",
        "ResponseContentEncoding": "identity",
        "ResponseExpires": datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC),
    }
    get = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k", **wanted})
    answer = requests.get(get)
    assert (answer.status_code, answer.text) == (200, "shared")
    assert answer.headers["Content-Type"] == "text/shared"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="f g.txt"'
    assert (answer.headers["Cache-Control"], answer.headers["Content-Language"]) == (
        "no-cache",
        "de",
    )
    assert answer.headers["Expires"] == "Tue, 01 Jan 2030 00:00:00 GMT"


def test_a_presigned_part_upload(server, s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    url = s3.generate_presigned_url(
        "upload_part",
        {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1},
        ExpiresIn=60,
    )
    etag = requests.put(url, data=b"part").headers["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="k",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]},
    )
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"part"


def test_bearer_and_basic_tokens_open_this_door_too(server, s3, bucket):
    url = f"{server.s3}/{bucket}/k"
    assert requests.put(url, data=b"1", headers=server.bearer()).status_code == 200
    assert requests.get(url, auth=("any", server.env["STRATA_TOKEN"])).text == "1"
    assert requests.get(url, headers={"Authorization": "Bearer wrong"}).status_code == 403


def test_a_bucket_in_the_host_name(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="dir/k", Body=b"by host")
    port = server.s3.rsplit(":", 1)[1]
    for host in (f"{bucket}.localhost:{port}", f"{bucket}.s3.localhost:{port}"):
        headers = {**server.bearer(), "Host": host}
        assert requests.get(f"{server.s3}/dir/k", headers=headers).text == "by host"
        assert (
            "<Key>dir/k</Key>"
            in requests.get(f"{server.s3}/", params={"list-type": 2}, headers=headers).text
        )
    # signed: what is signed is the path as sent, without the bucket
    request = AWSRequest("GET", f"http://{bucket}.localhost:{port}/dir/k")
    credentials = Credentials(server.env["AWS_ACCESS_KEY_ID"], server.env["AWS_SECRET_ACCESS_KEY"])
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    headers = {**dict(request.headers.items()), "Host": f"{bucket}.localhost:{port}"}
    assert requests.get(f"{server.s3}/dir/k", headers=headers).text == "by host"


@pytest.mark.parametrize("style", ["path", "auto"])
def test_unsigned_payloads(server, bucket, style):
    client = client_for(server, s3={"payload_signing_enabled": False, "addressing_style": style})
    client.put_object(Bucket=bucket, Key="k", Body=b"x" * 1000)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x" * 1000


def test_old_clients_that_send_no_checksum(server, bucket):
    client = client_for(
        server,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    head = client.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"]


@pytest.mark.parametrize(
    "request_line",
    [
        ("GET", "/b/%00", 400),
        ("POST", "/", 405),
        ("PUT", "/", 405),
        ("GET", "/b?list-type=3", 400),
        ("DELETE", "/", 405),
        ("GET", "/b/k?partNumber=x", 400),
        ("PUT", "/b/k?partNumber=0&uploadId=u", 400),
    ],
)
def test_nonsense_gets_an_error_in_the_protocols_form(server, request_line):
    method, path, status = request_line
    answer = requests.request(method, server.s3 + path, headers=server.bearer())
    assert answer.status_code == status
    assert "<Error><Code>" in answer.text
    assert answer.headers["x-amz-request-id"]
