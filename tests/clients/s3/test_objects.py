"""Put, get, head, ranges, conditions, copies, tags and deletes, by boto3 with its defaults."""

import concurrent.futures
import datetime
import hashlib

import pytest
import requests
from botocore.exceptions import ClientError


def code_of(raised) -> tuple[str, int]:
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_what_was_put_comes_back_with_its_headers_and_metadata(s3, bucket):
    body = b"hello, lake"
    put = s3.put_object(
        Bucket=bucket,
        Key="a/b c+d.txt",
        Body=body,
        ContentType="text/plain",
        CacheControl="no-store",
        ContentDisposition="inline",
        ContentLanguage="de",
        ContentEncoding="identity",
        Metadata={"one": "1", "two": "zwei"},
    )
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert put["ChecksumCRC32"]
    got = s3.get_object(Bucket=bucket, Key="a/b c+d.txt", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got["ContentType"] == "text/plain"
    assert got["CacheControl"] == "no-store"
    assert got["ContentDisposition"] == "inline"
    assert got["ContentLanguage"] == "de"
    assert got["ContentEncoding"] == "identity"
    assert got["Metadata"] == {"one": "1", "two": "zwei"}
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    head = s3.head_object(Bucket=bucket, Key="a/b c+d.txt")
    assert head["ContentLength"] == len(body)
    assert head["ETag"] == put["ETag"]


@pytest.mark.parametrize("size", [0, 1, 4096, 128 * 1024, 128 * 1024 + 1, 1 << 20, (3 << 20) + 17])
def test_every_size_reads_back_whole_and_in_ranges(s3, bucket, size):
    body = bytes((i * 7 + i // 251) % 256 for i in range(size))
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    if not size:
        return
    middle = size // 2
    for asked, wanted in [
        ("bytes=0-0", body[:1]),
        (f"bytes={middle}-", body[middle:]),
        ("bytes=-1", body[-1:]),
        (f"bytes=0-{size * 2}", body),
        (f"bytes=-{size * 2}", body),
        (f"bytes={middle}-{middle + 100}", body[middle : middle + 101]),
    ]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["Body"].read() == wanted, asked
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={size}-")
    assert code_of(raised) == ("InvalidRange", 416)


def test_a_range_of_an_object_that_has_changed_is_the_whole(s3, bucket, server):
    """What If-Range is for: a resumed download never joins two versions (RFC 9110, 13.1.5)."""
    tag = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["ETag"]
    date = s3.head_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPHeaders"][
        "last-modified"
    ]
    over_s3 = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    over_rest = f"{server.http}/api/v1/lake/buckets/{bucket}/objects/k"
    for url, headers in ((over_s3, {}), (over_rest, server.bearer())):
        for if_range, status, body in [
            (tag, 206, b"23"),
            (date, 206, b"23"),
            ('"other"', 200, b"0123456789"),
            (f"W/{tag}", 200, b"0123456789"),  # a weak tag promises no bytes
            ("Thu, 01 Jan 1970 00:00:00 GMT", 200, b"0123456789"),
            ("nonsense", 200, b"0123456789"),
        ]:
            asked = headers | {"Range": "bytes=2-3", "If-Range": if_range}
            answer = requests.get(url, headers=asked, timeout=30)
            assert (answer.status_code, answer.content) == (status, body), (url, if_range)


def test_keys_are_names_and_never_paths(s3, bucket):
    keys = [
        "a",
        "a/",
        "a//b",
        "/lead",
        "x/../y",
        "../../etc/passwd",
        "%41",
        "+ +",
        "ä/ö.txt",
        "k?q=1&b#c",
        "k" * 1022,
        "tab\there",
        "quote\"'<>&",
    ]
    for number, key in enumerate(keys):
        s3.put_object(Bucket=bucket, Key=key, Body=str(number).encode())
    for number, key in enumerate(keys):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == str(number).encode(), key
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(keys, key=str.encode)
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket=bucket, Key="k" * 1025, Body=b"")
    assert code_of(raised) == ("KeyTooLongError", 400)


def test_missing_things_have_their_own_codes(s3, bucket):
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=bucket, Key="none")
    assert code_of(raised) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as raised:
        s3.head_object(Bucket=bucket, Key="none")
    assert code_of(raised) == ("404", 404)
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket="no-such-bucket-here", Key="k", Body=b"")
    assert code_of(raised) == ("NoSuchBucket", 404)
    with pytest.raises(ClientError) as raised:
        s3.head_bucket(Bucket="no-such-bucket-here")
    assert code_of(raised)[1] == 404
    assert s3.delete_object(Bucket=bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_reads_heed_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    assert s3.get_object(Bucket=bucket, Key="k", IfMatch=etag)["Body"].read() == b"1"
    assert s3.get_object(Bucket=bucket, Key="k", IfNoneMatch='"other"')["Body"].read() == b"1"
    assert (
        s3.get_object(Bucket=bucket, Key="k", IfMatch=etag, IfUnmodifiedSince=now - hour)[
            "Body"
        ].read()
        == b"1"
    )
    assert s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=now - hour)["Body"].read() == b"1"
    for arguments, status in [
        ({"IfMatch": '"other"'}, 412),
        ({"IfNoneMatch": etag}, 304),
        ({"IfModifiedSince": now + hour}, 304),
        ({"IfUnmodifiedSince": now - hour}, 412),
        ({"IfNoneMatch": etag, "IfModifiedSince": now - hour}, 304),
    ]:
        for call in (s3.get_object, s3.head_object):
            with pytest.raises(ClientError) as raised:
                call(Bucket=bucket, Key="k", **arguments)
            assert code_of(raised)[1] == status, arguments


def test_conditional_writes_keep_the_former_version(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert code_of(raised) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"other"')
    assert code_of(raised) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket=bucket, Key="absent", Body=b"2", IfMatch=etag)
    assert code_of(raised) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as raised:
        s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    assert code_of(raised) == ("PreconditionFailed", 412)


def test_of_many_racing_creators_exactly_one_wins(s3, bucket):
    for key in ("small", "large"):
        bodies = [bytes([n]) * (300_000 if key == "large" else 100) for n in range(16)]

        def create(body, key=key):
            try:
                s3.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
                return body
            except ClientError as error:
                assert error.response["Error"]["Code"] == "PreconditionFailed"
                return None

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            winners = [body for body in pool.map(create, bodies) if body is not None]
        assert len(winners) == 1
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == winners[0]


def test_a_reader_sees_one_whole_version_while_writers_overwrite(s3, bucket):
    sizes = [200, 50_000, 400_000]
    bodies = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
    s3.put_object(Bucket=bucket, Key="k", Body=bodies[0])

    def write(n):
        s3.put_object(Bucket=bucket, Key="k", Body=bodies[n % 3])

    def read(_):
        body = s3.get_object(Bucket=bucket, Key="k")["Body"].read()
        return body in bodies

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        writes = [pool.submit(write, n) for n in range(40)]
        reads = [pool.submit(read, n) for n in range(80)]
        assert all(future.result() for future in reads)
        for future in writes:
            future.result()


@pytest.mark.parametrize("size", [1000, 500_000])
def test_copies_share_nothing_that_a_later_delete_could_take(s3, bucket, size):
    body = bytes(range(250)) * (size // 250)
    s3.put_object(
        Bucket=bucket,
        Key="from/ä +",
        Body=body,
        ContentType="text/x",
        Metadata={"m": "1"},
        Tagging="t=1",
    )
    copied = s3.copy_object(
        Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from/ä +"}
    )
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    s3.copy_object(
        Bucket=bucket,
        Key="to2",
        CopySource=f"{bucket}/to",
        MetadataDirective="REPLACE",
        ContentType="text/y",
        Metadata={"n": "2"},
        TaggingDirective="REPLACE",
        Tagging="u=2",
    )
    s3.delete_object(Bucket=bucket, Key="from/ä +")
    s3.delete_object(Bucket=bucket, Key="to")
    with pytest.raises(ClientError):
        s3.get_object(Bucket=bucket, Key="to")
    got = s3.get_object(Bucket=bucket, Key="to2")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"]) == ("text/y", {"n": "2"})
    assert s3.get_object_tagging(Bucket=bucket, Key="to2")["TagSet"] == [{"Key": "u", "Value": "2"}]
    # onto itself, with new metadata
    s3.copy_object(
        Bucket=bucket,
        Key="to2",
        CopySource=f"{bucket}/to2",
        MetadataDirective="REPLACE",
        Metadata={},
    )
    assert s3.get_object(Bucket=bucket, Key="to2")["Body"].read() == body
    with pytest.raises(ClientError) as raised:
        s3.copy_object(Bucket=bucket, Key="to2", CopySource=f"{bucket}/to2")
    assert code_of(raised) == ("InvalidRequest", 400)
    with pytest.raises(ClientError) as raised:
        s3.copy_object(
            Bucket=bucket, Key="x", CopySource=f"{bucket}/to2", CopySourceIfMatch='"other"'
        )
    assert code_of(raised) == ("PreconditionFailed", 412)


def test_tags_are_set_read_and_removed(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1&b=x%20y")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "x y"},
    ]
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "c", "Value": ""}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "c", "Value": ""}]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    with pytest.raises(ClientError) as raised:
        s3.put_object_tagging(
            Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "c", "Value": ""}] * 2}
        )
    assert code_of(raised) == ("InvalidTag", 400)


def test_many_keys_go_in_one_request(s3, bucket):
    keys = [f"k{n:03}" for n in range(30)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 10)
    answer = s3.delete_objects(
        Bucket=bucket,
        Delete={"Objects": [{"Key": key} for key in keys[:20]] + [{"Key": "never <was>"}]},
    )
    assert [entry["Key"] for entry in answer["Deleted"]] == keys[:20] + ["never <was>"]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": keys[20]}], "Quiet": True})
    assert "Deleted" not in quiet
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == keys[21:]
    with pytest.raises(ClientError) as raised:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})
    assert code_of(raised) == ("MalformedXML", 400)


def test_a_list_of_removals_heeds_the_conditions_of_each_key(s3, bucket):
    for key in ("etag", "size", "time", "version", "same", "quoted"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"12345")
    head = s3.head_object(Bucket=bucket, Key="same")
    etag, modified = head["ETag"], head["LastModified"]
    earlier = modified - datetime.timedelta(days=1)
    refused = [
        {"Key": "etag", "ETag": '"00000000000000000000000000000000"'},
        {"Key": "size", "Size": 6},
        {"Key": "time", "LastModifiedTime": earlier},
        {"Key": "version", "VersionId": "abc"},
        {"Key": "gone", "ETag": etag},
    ]
    right = [
        {"Key": "same", "ETag": etag, "Size": 5, "LastModifiedTime": modified, "VersionId": "null"},
        {"Key": "quoted", "ETag": etag.strip('"')},
        {"Key": "never", "Size": 1},
    ]
    for quiet in (True, False):
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [*refused, *right], "Quiet": quiet}
        )
        assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [
            ("etag", "PreconditionFailed"),
            ("size", "PreconditionFailed"),
            ("time", "PreconditionFailed"),
            ("version", "NoSuchVersion"),
            ("gone", "NoSuchKey"),
        ]
        assert answer["Errors"][3]["VersionId"] == "abc"
        assert ("Deleted" in answer) != quiet
        left = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        assert left == ["etag", "size", "time", "version"]
        for key in ("same", "quoted"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"12345")
        right = [{"Key": "same", "VersionId": "null"}, {"Key": "quoted", "ETag": "*"}]
    assert answer["Deleted"] == [{"Key": "same", "VersionId": "null"}, {"Key": "quoted"}]


@pytest.mark.parametrize(
    "entry",
    [
        "<Object><Key>k</Key><Since>2030-01-01</Since></Object>",
        "<Object><Key>k</Key><Size>five</Size></Object>",
        "<Object><Key>k</Key><Size>-1</Size></Object>",
        "<Object><Key>k</Key><LastModifiedTime>lately</LastModifiedTime></Object>",
        "<Object><Key>k</Key><Key>other</Key></Object>",
        "<Object><Key>k</Key></Object><Bypass>true</Bypass>",
    ],
)
def test_a_list_of_removals_that_is_not_understood_removes_nothing(server, s3, bucket, entry):
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    answer = requests.post(
        f"{server.s3}/{bucket}?delete", headers=server.bearer(), data=f"<Delete>{entry}</Delete>"
    )
    assert (answer.status_code, "<Code>MalformedXML</Code>" in answer.text) == (400, True)
    s3.head_object(Bucket=bucket, Key="k")


def test_one_removal_heeds_its_conditions(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    earlier = modified - datetime.timedelta(days=1)
    for condition in ({"IfMatchSize": 4}, {"IfMatchLastModifiedTime": earlier}):
        with pytest.raises(ClientError) as raised:
            s3.delete_object(Bucket=bucket, Key="k", **condition)
        assert code_of(raised) == ("PreconditionFailed", 412)
        s3.delete_object(Bucket=bucket, Key="never", **condition)
    for name in ("x-amz-if-match-size", "x-amz-if-match-last-modified-time"):
        headers = {**server.bearer(), name: "some"}
        answer = requests.delete(f"{server.s3}/{bucket}/k", headers=headers)
        assert (answer.status_code, "<Code>InvalidArgument</Code>" in answer.text) == (400, True)
    s3.head_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k", IfMatchSize=5, IfMatchLastModifiedTime=modified)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_version_that_does_not_exist_is_neither_read_nor_removed(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    source = {"Bucket": bucket, "Key": "k", "VersionId": "abc"}
    for call in (
        lambda: s3.get_object(Bucket=bucket, Key="k", VersionId="abc"),
        lambda: s3.delete_object(Bucket=bucket, Key="k", VersionId="abc"),
        lambda: s3.copy_object(Bucket=bucket, Key="copy", CopySource=source),
    ):
        with pytest.raises(ClientError) as raised:
            call()
        assert code_of(raised) == ("NoSuchVersion", 404)
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=bucket, Key="k", VersionId="abc")
    empty = requests.delete(f"{server.s3}/{bucket}/k?versionId=", headers=server.bearer())
    assert (empty.status_code, "<Code>InvalidArgument</Code>" in empty.text) == (400, True)
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_response_headers_can_be_overridden(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="application/x",
        ResponseCacheControl="max-age=1",
        ResponseContentDisposition='attachment; filename="f"',
    )
    assert (got["ContentType"], got["CacheControl"]) == ("application/x", "max-age=1")
    assert got["ContentDisposition"] == 'attachment; filename="f"'


def test_too_much_metadata_and_what_cannot_be_kept_are_refused(s3, bucket):
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"m": "x" * 2100})
    assert code_of(raised) == ("MetadataTooLarge", 400)
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket=bucket, Key="k", Body=b"", ServerSideEncryption="aws:kms")
    assert code_of(raised) == ("NotImplemented", 501)


def test_attributes_name_what_is_asked(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"123456789", ChecksumAlgorithm="SHA256")
    got = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectSize"]
    )
    assert got["ETag"] == hashlib.md5(b"123456789").hexdigest()
    assert got["ObjectSize"] == 9
    assert got["Checksum"]["ChecksumSHA256"] == "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="
