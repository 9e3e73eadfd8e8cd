"""Buckets, their empty settings, and listings: order, delimiters, pages and encodings."""

import base64
import uuid

import pytest
from botocore.exceptions import ClientError


def code_of(raised) -> tuple[str, int]:
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_bucket_lives_from_create_to_delete(s3):
    name = f"life-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    s3.head_bucket(Bucket=name)
    assert name in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    with pytest.raises(ClientError) as raised:
        s3.create_bucket(Bucket=name)
    assert code_of(raised) == ("BucketAlreadyOwnedByYou", 409)
    s3.put_object(Bucket=name, Key="k", Body=b"")
    with pytest.raises(ClientError) as raised:
        s3.delete_bucket(Bucket=name)
    assert code_of(raised) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)
    with pytest.raises(ClientError) as raised:
        s3.list_objects_v2(Bucket=name)
    assert code_of(raised) == ("NoSuchBucket", 404)


@pytest.mark.parametrize("name", ["Upper", "ab", "a..b", "-abc", "10.0.0.1", "under_score"])
def test_names_that_are_no_bucket_names_are_refused(server, name):
    import requests

    answer = requests.put(f"{server.s3}/{name}", headers=server.bearer())
    assert answer.status_code == 400
    assert "<Code>InvalidBucketName</Code>" in answer.text


def test_settings_nobody_made_answer_as_on_a_plain_bucket(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Grants"][0]["Permission"] == "FULL_CONTROL"
    for call, code in [
        (s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (s3.get_bucket_cors, "NoSuchCORSConfiguration"),
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
        (s3.get_bucket_tagging, "NoSuchTagSet"),
        (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError"),
    ]:
        with pytest.raises(ClientError) as raised:
            call(Bucket=bucket)
        assert code_of(raised) == (code, 404)
    with pytest.raises(ClientError) as raised:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert code_of(raised) == ("NotImplemented", 501)
    said = raised.value.response["Error"]["Message"]
    assert "one version" in said and "roles" not in said
    with pytest.raises(ClientError) as raised:
        s3.put_bucket_policy(Bucket=bucket, Policy="{}")
    assert "roles" in raised.value.response["Error"]["Message"]


def fill(s3, bucket, keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")


def test_keys_come_in_byte_order(s3, bucket):
    keys = ["a0", "a/", "a-b", "a", "a/b", "B", "ä", "z", "a/b/c", "\U0001f600", "\ufffd"]
    fill(s3, bucket, keys)
    for call in (s3.list_objects_v2, s3.list_objects):
        assert [entry["Key"] for entry in call(Bucket=bucket)["Contents"]] == sorted(
            keys, key=str.encode
        )


def pages(s3, bucket, operation, size, **arguments):
    found, prefixes, sizes = [], [], []
    for page in s3.get_paginator(operation).paginate(
        Bucket=bucket, PaginationConfig={"PageSize": size}, **arguments
    ):
        found += [entry["Key"] for entry in page.get("Contents", [])]
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        sizes.append(len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])))
    return found, prefixes, sizes


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_with_a_delimiter_neither_repeat_nor_skip(s3, bucket, operation, size):
    fill(s3, bucket, ["a-b", "a/1", "a/2", "a/3/x", "a0", "b", "c/1", "c/2", "c//3", "d/"])
    found, prefixes, sizes = pages(s3, bucket, operation, size, Delimiter="/")
    assert found == ["a-b", "a0", "b"]
    assert prefixes == ["a/", "c/", "d/"]
    assert all(count <= size for count in sizes)
    found, prefixes, _ = pages(s3, bucket, operation, size, Delimiter="/", Prefix="c/")
    assert (found, prefixes) == (["c/1", "c/2"], ["c//"])
    found, prefixes, _ = pages(s3, bucket, operation, size, Prefix="a")
    assert (found, prefixes) == (["a-b", "a/1", "a/2", "a/3/x", "a0"], [])
    found, prefixes, _ = pages(s3, bucket, operation, size, Delimiter="/3")
    assert prefixes == ["a/3", "c//3"]


def test_a_common_prefix_over_many_keys_costs_one_entry(s3, bucket):
    fill(s3, bucket, [f"deep/{n:03}" for n in range(150)] + ["a", "z"])
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=3)
    assert [entry["Key"] for entry in page["Contents"]] == ["a", "z"]
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["deep/"]
    assert page["KeyCount"] == 3 and not page["IsTruncated"]


def test_markers_may_name_keys_that_do_not_exist(s3, bucket):
    fill(s3, bucket, ["a", "c", "e"])
    assert [e["Key"] for e in s3.list_objects_v2(Bucket=bucket, StartAfter="b")["Contents"]] == [
        "c",
        "e",
    ]
    assert [e["Key"] for e in s3.list_objects(Bucket=bucket, Marker="c")["Contents"]] == ["e"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0


def test_a_token_that_no_listing_gave_is_refused_and_not_taken_for_the_end(s3, bucket):
    keys = [f"p/{n}" for n in range(9)] + ["q"]
    fill(s3, bucket, keys)
    page = s3.list_objects_v2(Bucket=bucket, Prefix="p/", MaxKeys=2)
    token = page["NextContinuationToken"]
    again = s3.list_objects_v2(Bucket=bucket, Prefix="p/", MaxKeys=3, ContinuationToken=token)
    assert [entry["Key"] for entry in again["Contents"]] == keys[2:5]
    assert again["ContinuationToken"] == token
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="p/", PaginationConfig={"PageSize": 2}
    )
    assert [e["Key"] for one in pages for e in one["Contents"]] == keys[:9]
    flipped = ("A" if token[0] != "A" else "B") + token[1:]
    plain = base64.urlsafe_b64encode(b"p/3").decode().rstrip("=")
    for bad in ("!!", "garbage", "", plain, token[:-2], flipped, token + "AAAA"):
        with pytest.raises(ClientError) as raised:
            s3.list_objects_v2(Bucket=bucket, Prefix="p/", ContinuationToken=bad)
        assert code_of(raised) == ("InvalidArgument", 400), bad
    with pytest.raises(ClientError) as raised:  # of another listing
        s3.list_objects_v2(Bucket=bucket, Prefix="a/", ContinuationToken=token)
    assert code_of(raised) == ("InvalidArgument", 400)


def test_versions_of_a_plain_bucket_are_its_objects(s3, bucket):
    fill(s3, bucket, ["a", "b"])
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(v["Key"], v["VersionId"], v["IsLatest"]) for v in versions] == [
        ("a", "null", True),
        ("b", "null", True),
    ]
    assert s3.get_object(Bucket=bucket, Key="a", VersionId="null")["Body"].read() == b""
