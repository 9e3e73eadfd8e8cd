"""The aws command line, s3fs and Arrow's C++ client, unmodified."""

import json
import os

import fsspec
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet
import pytest
import requests


def test_the_aws_command_line(aws, bucket, tmp_path):
    source = tmp_path / "tree"
    (source / "sub dir").mkdir(parents=True)
    (source / "one.txt").write_text("one")
    (source / "sub dir" / "zwei ä.bin").write_bytes(os.urandom(9 << 20))
    aws("s3", "sync", str(source), f"s3://{bucket}/tree/")
    listing = aws("s3", "ls", f"s3://{bucket}/tree/").stdout.decode()
    assert "PRE sub dir/" in listing and "one.txt" in listing
    aws("s3", "sync", f"s3://{bucket}/tree/", str(tmp_path / "back"))
    for name in ("one.txt", "sub dir/zwei ä.bin"):
        assert (tmp_path / "back" / name).read_bytes() == (source / name).read_bytes()
    aws("s3", "cp", f"s3://{bucket}/tree/one.txt", f"s3://{bucket}/copied.txt")
    assert aws("s3", "cp", f"s3://{bucket}/copied.txt", "-").stdout == b"one"
    aws("s3", "cp", "-", f"s3://{bucket}/piped", stdin=b"from a pipe")
    assert aws("s3", "cp", f"s3://{bucket}/piped", "-").stdout == b"from a pipe"
    head = json.loads(aws("s3api", "head-object", "--bucket", bucket, "--key", "piped").stdout)
    assert head["ContentLength"] == 11
    aws("s3", "rm", "--recursive", f"s3://{bucket}/")
    assert aws("s3", "ls", f"s3://{bucket}/", check=False).stdout == b""
    aws("s3", "rb", f"s3://{bucket}")


def test_s3fs(server, s3, bucket):
    files = fsspec.filesystem(
        "s3",
        key=server.env["AWS_ACCESS_KEY_ID"],
        secret=server.env["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=server.s3,
        skip_instance_cache=True,
    )
    with files.open(f"{bucket}/d/a.csv", "wb") as out:
        out.write(b"x,y\n1,2\n")
    big = os.urandom(12 << 20)
    with files.open(f"{bucket}/d/big", "wb", block_size=5 << 20) as out:
        out.write(big)
    assert sorted(files.ls(f"{bucket}/d")) == [f"{bucket}/d/a.csv", f"{bucket}/d/big"]
    assert files.cat(f"{bucket}/d/a.csv") == b"x,y\n1,2\n"
    with files.open(f"{bucket}/d/big", "rb") as source:
        source.seek(7 << 20)
        assert source.read(100) == big[7 << 20 : (7 << 20) + 100]
    files.copy(f"{bucket}/d/a.csv", f"{bucket}/d/b.csv")
    files.mv(f"{bucket}/d/b.csv", f"{bucket}/e/c.csv")
    assert files.exists(f"{bucket}/e/c.csv") and not files.exists(f"{bucket}/d/b.csv")
    assert files.glob(f"{bucket}/**/*.csv") == [f"{bucket}/d/a.csv", f"{bucket}/e/c.csv"]
    assert files.info(f"{bucket}/d/a.csv")["size"] == 8
    files.rm(f"{bucket}/d", recursive=True)
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["e/c.csv"]
    with pytest.raises(FileNotFoundError):
        files.cat(f"{bucket}/none")


def test_arrow(server, bucket):
    files = pyarrow.fs.S3FileSystem(
        access_key=server.env["AWS_ACCESS_KEY_ID"],
        secret_key=server.env["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=server.s3.removeprefix("http://"),
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )
    table = pa.table({"n": list(range(400_000)), "t": [f"text {n % 1000}" for n in range(400_000)]})
    pyarrow.parquet.write_table(table, f"{bucket}/data/part.parquet", filesystem=files)
    assert pyarrow.parquet.read_table(f"{bucket}/data/part.parquet", filesystem=files).equals(table)
    only = pyarrow.parquet.read_table(
        f"{bucket}/data/part.parquet", filesystem=files, columns=["n"]
    )
    assert only["n"][-1].as_py() == 399_999
    with files.open_output_stream(f"{bucket}/data/stream") as out:
        for _ in range(12):
            out.write(b"x" * (1 << 20))
    infos = files.get_file_info(pyarrow.fs.FileSelector(f"{bucket}/data"))
    assert sorted((info.base_name, info.type.name) for info in infos) == [
        ("part.parquet", "File"),
        ("stream", "File"),
    ]
    assert files.get_file_info(f"{bucket}/data/stream").size == 12 << 20
    assert files.get_file_info(f"{bucket}/none").type.name == "NotFound"
    files.copy_file(f"{bucket}/data/stream", f"{bucket}/copy")
    files.move(f"{bucket}/copy", f"{bucket}/moved")
    files.create_dir(f"{bucket}/empty")
    assert files.get_file_info(f"{bucket}/empty").type.name == "Directory"
    files.delete_dir(f"{bucket}/data")
    assert files.get_file_info(f"{bucket}/data/stream").type.name == "NotFound"
    files.create_dir(f"{bucket}-two")
    files.delete_dir(f"{bucket}-two")


def test_the_lakes_own_api(server, s3, bucket):
    api = f"{server.http}/api/v1/lake/buckets"
    bearer = server.bearer()
    key = "dir/<script>ä.html"
    url = f"{api}/{bucket}/objects/{requests.utils.quote(key, safe='/')}"
    stored = requests.put(url, data=b"<b>hi</b>", headers={**bearer, "Content-Type": "text/html"})
    assert stored.status_code == 200 and stored.json()["digest"].startswith("sha256:")
    listed = requests.get(
        f"{api}/{bucket}/objects", params={"delimiter": "/"}, headers=bearer
    ).json()
    assert (listed["prefixes"], listed["objects"], listed["cursor"]) == (["dir/"], [], None)
    listed = requests.get(
        f"{api}/{bucket}/objects", params={"prefix": "dir/"}, headers=bearer
    ).json()
    assert listed["objects"][0]["key"] == key
    got = requests.get(url, headers=bearer)
    assert got.content == b"<b>hi</b>"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert requests.get(url, headers={**bearer, "Range": "bytes=3-4"}).content == b"hi"
    found = [
        entry
        for entry in requests.get(api, headers=bearer).json()["buckets"]
        if entry["name"] == bucket
    ]
    assert (found[0]["objects"], found[0]["bytes"]) == (1, 9)
    assert requests.delete(url, headers=bearer).status_code == 204
    assert requests.get(url, headers=bearer).status_code == 404
    assert requests.get(api).status_code == 401
    assert requests.post(api, json={"name": "Bad Name"}, headers=bearer).status_code == 400
    assert requests.post(api, json={"name": f"{bucket}-b"}, headers=bearer).status_code == 201
    assert requests.delete(f"{api}/{bucket}-b", headers=bearer).status_code == 204
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_what_was_acknowledged_survives_kill_minus_nine(fresh_server):
    from s3_client import client_for

    fresh_server.start()
    s3 = client_for(fresh_server)
    s3.create_bucket(Bucket="durable")
    bodies = {
        f"k{n}": os.urandom(size) for n, size in enumerate([10, 5000, 130_000, 131_073, 2_000_000])
    }
    for key, body in bodies.items():
        s3.put_object(Bucket="durable", Key=key, Body=body)
    s3.put_object(Bucket="durable", Key="gone", Body=b"x" * 200_000)
    s3.delete_object(Bucket="durable", Key="gone")
    fresh_server.kill()
    fresh_server.start()
    s3 = client_for(fresh_server)
    for key, body in bodies.items():
        assert s3.get_object(Bucket="durable", Key=key)["Body"].read() == body
    assert len(s3.list_objects_v2(Bucket="durable")["Contents"]) == len(bodies)
