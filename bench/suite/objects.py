"""PUT and GET of 4 KiB objects over S3, beside SeaweedFS that syncs each object."""

from __future__ import annotations

import pathlib
import random

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from . import load
from .peers import SeaweedFs
from .processes import Strata, port_of
from .report import Row, Rows
from .run import Run

SIZE = 4096
KEYS = 4000
BUCKET = "bench"


def signed(method: str, port: int, keys: Credentials, bodies: list[bytes]) -> list[bytes]:
    """Requests for all keys, signed with the digest of their bodies as boto3 does over http."""
    out = []
    for i, body in enumerate(bodies):
        path = f"/{BUCKET}/objects/{i:06}"
        payload = body if method == "PUT" else b""
        aws = AWSRequest(method, f"http://127.0.0.1:{port}{path}", data=payload)
        S3SigV4Auth(keys, "s3", "us-east-1").add_auth(aws)
        headers = {"Host": f"127.0.0.1:{port}"} | dict(aws.headers.items())
        out.append(load.request(method, path, headers, payload))
    return out


def prepare(side: load.Side, folder: pathlib.Path, keys: Credentials, bodies: list[bytes]) -> None:
    """A bucket, and the requests of both kinds; the PUTs of the warm-up fill the bucket."""
    boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{side.port}",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name="us-east-1",
    ).create_bucket(Bucket=BUCKET)
    for method in ("PUT", "GET"):
        load.write(folder / f"{method}.bin", signed(method, side.port, keys, bodies))


def objects(run: Run) -> list[Row]:
    rows = Rows("4 KiB objects", f"{SeaweedFs.title}, fsync of each object's bytes")
    source = random.Random(7)
    bodies = [source.randbytes(SIZE) for _ in range(KEYS)]
    strata, weed = Strata(run.fresh("strata")), SeaweedFs(run.fresh("seaweedfs"))
    try:
        weed.sync_all()
        sides = [
            load.Side("Strata", strata, port_of(strata.s3), run.fresh("ours")),
            load.Side(weed.title, weed, weed.port, run.fresh("theirs")),
        ]
        env = strata.env
        credentials = [
            Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]),
            Credentials(weed.access, weed.secret),
        ]
        for side, keys in zip(sides, credentials, strict=True):
            prepare(side, side.requests, keys, bodies)
        folders = [side.requests for side in sides]
        for method, connections in (("PUT", 1), ("PUT", 32), ("GET", 32)):
            for side, folder in zip(sides, folders, strict=True):
                side.requests = folder / f"{method}.bin"
            if method == "GET":
                fill(sides, folders)
            samples = load.interleave(*sides, connections, run.seconds, run.repetitions)
            plural = "connection" if connections == 1 else "connections"
            rows.loads(f"{method}, {connections} {plural}", *samples)
    finally:
        strata.stop()
        weed.stop()
    return rows


def fill(sides: list[load.Side], folders: list[pathlib.Path]) -> None:
    """Every key once, so that no GET misses."""
    for side, folder in zip(sides, folders, strict=True):
        every = load.Side(side.name, side.program, side.port, folder / "PUT.bin")
        load.run(every, 32, 120, count=KEYS + 32)
