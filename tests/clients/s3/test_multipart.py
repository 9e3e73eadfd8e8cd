"""Uploads in parts, directly and through boto3's transfer manager."""

import base64
import hashlib
import os
import zlib

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

PART = 5 << 20


def code_of(raised) -> tuple[str, int]:
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def blocks():
    return [os.urandom(PART), os.urandom(PART + 3), os.urandom(77)]


def composite_etag(parts) -> str:
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'


def upload(s3, bucket, key, blocks, order=None, **arguments):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key, **arguments)["UploadId"]
    parts = {}
    for number in order or range(1, len(blocks) + 1):
        answer = s3.upload_part(
            Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=blocks[number - 1]
        )
        parts[number] = {"PartNumber": number, "ETag": answer["ETag"]}
    return upload_id, [parts[number] for number in sorted(parts)]


def test_parts_in_any_order_make_one_object(s3, bucket, blocks):
    upload_id, parts = upload(
        s3, bucket, "k", blocks, order=[3, 1, 2], ContentType="x/y", Metadata={"m": "1"}
    )
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="k")
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    assert done["ETag"] == composite_etag(blocks)
    again = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    assert again["ETag"] == done["ETag"]
    whole = b"".join(blocks)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == whole
    assert (got["ContentType"], got["Metadata"]) == ("x/y", {"m": "1"})
    across = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={PART - 10}-{PART + 10}")[
        "Body"
    ].read()
    assert across == whole[PART - 10 : PART + 11]
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert second["Body"].read() == blocks[1]
    assert second["PartsCount"] == 3
    assert s3.head_object(Bucket=bucket, Key="k", PartNumber=3)["ContentLength"] == 77
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=bucket, Key="k", PartNumber=4)
    assert code_of(raised)[1] == 416
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_part_sent_again_replaces_the_former_and_unlisted_parts_are_dropped(s3, bucket, blocks):
    upload_id, parts = upload(s3, bucket, "k", blocks)
    newer = os.urandom(PART)
    parts[0]["ETag"] = s3.upload_part(
        Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=1, Body=newer
    )["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": [parts[0], parts[2]]}
    )
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == newer + blocks[2]


def test_lists_of_parts_that_do_not_fit_are_refused(s3, bucket, blocks):
    upload_id, parts = upload(s3, bucket, "k", [blocks[2], blocks[0], blocks[2]])

    def complete(listed):
        with pytest.raises(ClientError) as raised:
            s3.complete_multipart_upload(
                Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": listed}
            )
        return code_of(raised)

    assert complete([parts[1], parts[0]]) == ("InvalidPartOrder", 400)
    assert complete([{**parts[0], "ETag": '"other"'}]) == ("InvalidPart", 400)
    assert complete([{**parts[0], "PartNumber": 9}]) == ("InvalidPart", 400)
    assert complete(parts) == ("EntityTooSmall", 400)
    assert complete([]) == ("MalformedXML", 400)


def test_listing_and_aborting_uploads(s3, bucket, blocks):
    upload_id, _ = upload(s3, bucket, "dir/k", blocks[2:])
    other = s3.create_multipart_upload(Bucket=bucket, Key="dir/k")["UploadId"]
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert sorted(entry["UploadId"] for entry in listed) == sorted([upload_id, other])
    assert [
        e["Prefix"]
        for e in s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")["CommonPrefixes"]
    ] == ["dir/"]
    page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=1)
    rest = s3.list_multipart_uploads(
        Bucket=bucket, KeyMarker=page["NextKeyMarker"], UploadIdMarker=page["NextUploadIdMarker"]
    )
    assert {page["Uploads"][0]["UploadId"], rest["Uploads"][0]["UploadId"]} == {upload_id, other}
    parts = s3.list_parts(Bucket=bucket, Key="dir/k", UploadId=upload_id)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(1, 77)]
    s3.abort_multipart_upload(Bucket=bucket, Key="dir/k", UploadId=upload_id)
    for call in (
        lambda: s3.list_parts(Bucket=bucket, Key="dir/k", UploadId=upload_id),
        lambda: s3.upload_part(
            Bucket=bucket, Key="dir/k", UploadId=upload_id, PartNumber=1, Body=b"x"
        ),
        lambda: s3.abort_multipart_upload(Bucket=bucket, Key="dir/k", UploadId=upload_id),
        lambda: s3.list_parts(Bucket=bucket, Key="another", UploadId=other),
    ):
        with pytest.raises(ClientError) as raised:
            call()
        assert code_of(raised) == ("NoSuchUpload", 404)


def test_completion_heeds_conditions(s3, bucket, blocks):
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    upload_id, parts = upload(s3, bucket, "k", blocks[2:])
    with pytest.raises(ClientError) as raised:
        s3.complete_multipart_upload(
            Bucket=bucket,
            Key="k",
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    assert code_of(raised) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == blocks[2]


def test_parts_can_be_copied_from_objects(s3, bucket, blocks):
    s3.put_object(Bucket=bucket, Key="source", Body=blocks[1])
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    parts = []
    for number, asked in enumerate([f"bytes=0-{PART - 1}", f"bytes={PART}-{PART + 2}"], 1):
        copied = s3.upload_part_copy(
            Bucket=bucket,
            Key="k",
            UploadId=upload_id,
            PartNumber=number,
            CopySource=f"{bucket}/source",
            CopySourceRange=asked,
        )
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == blocks[1]


def test_checksums_of_the_whole_and_of_the_parts(s3, bucket, blocks):
    whole = b"".join(blocks)
    upload_id, parts = upload(
        s3, bucket, "full", blocks, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="full", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    crc = base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode()
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (crc, "FULL_OBJECT")
    upload_id, parts = upload(s3, bucket, "parts", blocks, ChecksumAlgorithm="CRC32")
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    joined = b"".join(zlib.crc32(block).to_bytes(4, "big") for block in blocks)
    crc = base64.b64encode(zlib.crc32(joined).to_bytes(4, "big")).decode()
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (f"{crc}-3", "COMPOSITE")
    head = s3.head_object(Bucket=bucket, Key="parts", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == f"{crc}-3"


def test_a_copy_of_parts_gets_a_checksum_of_the_whole(s3, bucket, blocks):
    upload_id, parts = upload(s3, bucket, "parts", blocks, ChecksumAlgorithm="CRC32")
    s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    copied = s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=f"{bucket}/parts", ChecksumAlgorithm="CRC32"
    )["CopyObjectResult"]
    crc = base64.b64encode(zlib.crc32(b"".join(blocks)).to_bytes(4, "big")).decode()
    assert (copied["ChecksumCRC32"], copied["ChecksumType"]) == (crc, "FULL_OBJECT")


def test_a_part_with_another_checksum_than_the_uploads_is_refused(s3, bucket):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")[
        "UploadId"
    ]
    with pytest.raises(ClientError) as raised:
        s3.upload_part(
            Bucket=bucket,
            Key="k",
            UploadId=upload_id,
            PartNumber=1,
            Body=b"1",
            ChecksumAlgorithm="CRC32",
        )
    error = raised.value.response["Error"]
    assert error["Code"] == "InvalidRequest"
    assert "created with SHA256, this part comes with CRC32" in error["Message"]
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="k", UploadId=upload_id)


def test_attributes_list_the_parts_page_by_page(s3, bucket, blocks):
    upload_id, parts = upload(s3, bucket, "k", blocks)
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    marker, seen = 0, []
    for _ in range(len(blocks)):
        page = s3.get_object_attributes(
            Bucket=bucket,
            Key="k",
            ObjectAttributes=["ObjectParts"],
            MaxParts=2,
            PartNumberMarker=marker,
        )["ObjectParts"]
        assert page["TotalPartsCount"] == len(blocks)
        seen += [(part["PartNumber"], part["Size"]) for part in page["Parts"]]
        marker = page["NextPartNumberMarker"]
        if not page["IsTruncated"]:
            break
    assert seen == [(i + 1, len(block)) for i, block in enumerate(blocks)]


def test_the_transfer_manager_round_trips(s3, bucket, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom((21 << 20) + 5))
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
    s3.upload_file(str(source), bucket, "big", Config=config)
    s3.download_file(bucket, "big", str(tmp_path / "target"), Config=config)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-3"')
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copy", Config=config)
    assert s3.head_object(Bucket=bucket, Key="copy")["ContentLength"] == source.stat().st_size
