"""Every operation that boto3 knows either does what it says, or is refused and changes nothing."""

from __future__ import annotations

import json

import botocore
import botocore.session
import pytest
import requests
from botocore.exceptions import ClientError
from s3_client import client_for

# What the lake offers. Everything else must be refused.
OFFERED = {
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "GetObject",
    "GetObjectAttributes",
    "GetObjectTagging",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutObject",
    "PutObjectTagging",
    "UploadPart",
    "UploadPartCopy",
}
# Asked of a bucket or object on which nothing was set: the answer that S3 gives there.
PLAIN = {
    "GetBucketAccelerateConfiguration",
    "GetBucketAcl",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketNotification",
    "GetBucketNotificationConfiguration",
    "GetBucketRequestPayment",
    "GetBucketVersioning",
    "GetObjectAcl",
}
# Sent to other hosts than a bucket's, by SDK rules of their own.
ELSEWHERE = {"WriteGetObjectResponse", "CreateSession", "ListDirectoryBuckets"}
MODEL = botocore.session.get_session().get_service_model("s3")


def least(shape, name: str = "", depth: int = 0):
    """The smallest value of a shape that boto3's own checks let through."""
    if shape.type_name == "structure":
        members = shape.required_members
        if getattr(shape, "is_tagged_union", False):
            members = [next(iter(shape.members))]
        return {m: least(shape.members[m], m, depth + 1) for m in members}
    if shape.type_name == "list":
        return [least(shape.member, name, depth + 1)]
    if shape.type_name == "map":
        return {}
    if shape.type_name in ("integer", "long"):
        return 1
    if shape.type_name == "boolean":
        return True
    if shape.type_name == "blob":
        return b"<Body/>"
    if shape.type_name == "timestamp":
        return "2030-01-01T00:00:00Z"
    if getattr(shape, "enum", None):
        return shape.enum[0]
    return "text".ljust(shape.metadata.get("min", 0), "t")


@pytest.mark.parametrize(
    "operation", sorted(set(MODEL.operation_names) - OFFERED - PLAIN - ELSEWHERE)
)
def test_what_is_not_offered_is_refused_and_changes_nothing(server, bucket, operation):
    s3 = client_for(server)
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    shape = MODEL.operation_model(operation).input_shape
    values = least(shape)
    if "Bucket" in shape.members:
        values["Bucket"] = bucket
    if "Key" in shape.members:
        values["Key"] = "kept"
    if "RenameSource" in shape.members:
        values["RenameSource"] = f"/{bucket}/other"
    call = getattr(s3, botocore.xform_name(operation))
    with pytest.raises(ClientError) as refused:
        call(**values)
    status = refused.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert status in (404, 405, 501), refused.value
    assert refused.value.response["Error"]["Code"] not in ("NoSuchBucket", "NoSuchKey")
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"kept"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]


def smallest_call(operation: str, bucket: str) -> dict:
    shape = MODEL.operation_model(operation).input_shape
    values = least(shape) if shape else {}
    if shape and "Bucket" in shape.members:
        values["Bucket"] = bucket
    if shape and "Key" in shape.members:
        values["Key"] = "kept"
    if "CopySource" in values:
        values["CopySource"] = f"{bucket}/kept"
    return values


@pytest.mark.parametrize("caller", ["nobody", "of another scope"])
def test_strangers_are_refused_by_every_operation(server, s3, bucket, caller):
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    if caller == "nobody":
        stranger = client_for(server, signature_version=botocore.UNSIGNED)
    else:
        made = json.loads(
            server.strata("token", "create", "--scope", "node:read", "-o", "json").stdout
        )
        stranger = client_for(server, made["access_key_id"], made["secret_access_key"])
    for operation in sorted(OFFERED | PLAIN):
        with pytest.raises(ClientError) as refused:
            getattr(stranger, botocore.xform_name(operation))(**smallest_call(operation, bucket))
        answer = refused.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403, (operation, answer)
        # The answer to a HEAD has no body that could name the code.
        assert answer["Error"]["Code"] in ("AccessDenied", "403"), (operation, answer)
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]


CUSTOMER_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "0" * 32}


@pytest.mark.parametrize(
    ("operation", "setting", "code"),
    [
        ("put_object", {"ACL": "public-read"}, "AccessControlListNotSupported"),
        ("put_object", {"GrantRead": 'uri="everyone"'}, "AccessControlListNotSupported"),
        ("put_object", {"StorageClass": "STANDARD_IA"}, "InvalidStorageClass"),
        ("put_object", {"ServerSideEncryption": "AES256"}, "NotImplemented"),
        ("put_object", CUSTOMER_KEY, "NotImplemented"),
        ("put_object", {"WebsiteRedirectLocation": "/x"}, "NotImplemented"),
        ("put_object", {"ObjectLockLegalHoldStatus": "ON"}, "NotImplemented"),
        ("put_object", {"ExpectedBucketOwner": "someone"}, "AccessDenied"),
        ("create_multipart_upload", {"ACL": "public-read"}, "AccessControlListNotSupported"),
        ("create_multipart_upload", {"StorageClass": "GLACIER"}, "InvalidStorageClass"),
        ("get_object", CUSTOMER_KEY, "InvalidRequest"),
        ("get_object", {"ExpectedBucketOwner": "someone"}, "AccessDenied"),
        ("delete_object", {"ExpectedBucketOwner": "someone"}, "AccessDenied"),
        ("copy_object", {"ExpectedSourceBucketOwner": "someone"}, "AccessDenied"),
        ("copy_object", {"ACL": "public-read"}, "AccessControlListNotSupported"),
        ("list_objects_v2", {"ExpectedBucketOwner": "someone"}, "AccessDenied"),
    ],
)
def test_a_setting_that_is_not_offered_is_refused_and_changes_nothing(
    s3, bucket, operation, setting, code
):
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    values = {"Bucket": bucket, "Key": "kept"}
    if operation == "copy_object":
        values.update(Key="copy", CopySource=f"{bucket}/kept")
    if operation == "list_objects_v2":
        del values["Key"]
    with pytest.raises(ClientError, match=code):
        getattr(s3, operation)(**values, **setting)
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"kept"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize("version", ["s3", "s3v4", None])
def test_a_setting_in_the_url_is_refused_too(server, bucket, version):
    url, headers = f"{server.s3}/{bucket}/k?x-amz-acl=public-read", server.bearer()
    if version:
        url = client_for(server, signature_version=version).generate_presigned_url(
            "put_object", {"Bucket": bucket, "Key": "k", "ACL": "public-read"}
        )
        headers = {"x-amz-acl": "public-read"}
    answer = requests.put(url, data=b"1", headers=headers)
    assert (answer.status_code, "AccessControlListNotSupported" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"ACL": "public-read"}, "AccessControlListNotSupported"),
        ({"GrantWrite": 'uri="everyone"'}, "AccessControlListNotSupported"),
        ({"ObjectOwnership": "ObjectWriter"}, "NotImplemented"),
        ({"ObjectLockEnabledForBucket": True}, "NotImplemented"),
        ({"CreateBucketConfiguration": {"Tags": [{"Key": "a", "Value": "b"}]}}, "NotImplemented"),
    ],
)
def test_no_bucket_is_made_with_a_setting_that_is_not_offered(s3, bucket, setting, code):
    with pytest.raises(ClientError, match=code):
        s3.create_bucket(Bucket=bucket + "-2", **setting)
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=bucket + "-2")


def test_settings_that_say_what_is_so_anyway_are_accepted(s3, bucket):
    owner = s3.list_buckets()["Owner"]["ID"]
    s3.create_bucket(
        Bucket=bucket + "-2",
        ACL="private",
        ObjectOwnership="BucketOwnerEnforced",
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    for acl in ("private", "bucket-owner-full-control"):
        s3.put_object(
            Bucket=bucket,
            Key="k",
            Body=b"1",
            ACL=acl,
            StorageClass="STANDARD",
            RequestPayer="requester",
            ExpectedBucketOwner=owner,
        )
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource=f"{bucket}/k",
        ExpectedBucketOwner=owner,
        ExpectedSourceBucketOwner=owner,
    )
    got = s3.get_object(Bucket=bucket, Key="copy", ExpectedBucketOwner=owner)
    assert got["Body"].read() == b"1"


def test_a_refusal_names_its_own_reason(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"a,b")
    csv = {"CSV": {}}
    with pytest.raises(ClientError) as raised:
        s3.select_object_content(
            Bucket=bucket,
            Key="k",
            Expression="SELECT 1",
            ExpressionType="SQL",
            InputSerialization=csv,
            OutputSerialization=csv,
        )
    said = raised.value.response["Error"]["Message"]
    assert "SQL" in said and "roles" not in said


def test_a_bucket_stays_when_one_of_its_settings_is_deleted(s3, bucket):
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.delete_bucket_metrics_configuration(Bucket=bucket, Id="x")
    s3.head_bucket(Bucket=bucket)


def test_an_append_does_not_replace_the_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="log", Body=b"first")
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.put_object(Bucket=bucket, Key="log", Body=b"second", WriteOffsetBytes=5)
    assert s3.get_object(Bucket=bucket, Key="log")["Body"].read() == b"first"


def test_tags_have_the_limits_of_s3_in_characters(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    longest = {"Key": "ä" * 128, "Value": "ö" * 256}
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [longest]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [longest]
    for tag in ({"Key": "a" * 129, "Value": ""}, {"Key": "a", "Value": "v" * 257}):
        with pytest.raises(ClientError, match="InvalidTag"):
            s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [tag]})
