"""kill -9 of the server at random moments under mixed load: what was acknowledged must be there.

The oracle is this process: it notes a write only once the server has acknowledged it, and after
each restart it looks for everything it ever noted. CRASH_KILLS sets the number of kills (default 25).
"""

import concurrent.futures
import hashlib
import os
import random
import threading
import time

import boto3
import botocore.config
import botocore.exceptions
import requests

KILLS = int(os.environ.get("CRASH_KILLS", "25"))
SEED = int(os.environ.get("CRASH_SEED", str(random.SystemRandom().randrange(1 << 32))))
GONE = (
    requests.RequestException,
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
)
PART = 5 << 20


class Oracle:
    """Everything that the server has acknowledged."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[str, str] = {}
        self.metrics: dict[str, dict[str, list[float]]] = {}
        self.users: set[str] = set()

    def note(self, change) -> None:
        with self.lock:
            change()


def s3_client(server):
    config = botocore.config.Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=20)
    return boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=server.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.env["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=config,
    )


def mlflow_call(server, path: str, body: dict) -> dict:
    answer = requests.post(
        f"{server.http}/api/2.0/mlflow/{path}", json=body, headers=server.bearer(), timeout=20
    )
    answer.raise_for_status()
    return answer.json()


def put_objects(server, oracle: Oracle, dice: random.Random, stop: threading.Event) -> None:
    s3 = s3_client(server)
    while not stop.is_set():
        key = f"k{dice.randrange(10_000_000)}"
        body = dice.randbytes(dice.choice([10, 4096, 200_000]))
        s3.put_object(Bucket="crash", Key=key, Body=body)
        oracle.note(lambda: oracle.objects.update({key: hashlib.sha256(body).hexdigest()}))


def put_multipart(server, oracle: Oracle, dice: random.Random, stop: threading.Event) -> None:
    s3 = s3_client(server)
    while not stop.is_set():
        key = f"m{dice.randrange(10_000_000)}"
        bodies = [dice.randbytes(PART), dice.randbytes(1000)]
        upload = s3.create_multipart_upload(Bucket="crash", Key=key)["UploadId"]
        parts = []
        for number, body in enumerate(bodies, 1):
            part = s3.upload_part(
                Bucket="crash", Key=key, UploadId=upload, PartNumber=number, Body=body
            )
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        s3.complete_multipart_upload(
            Bucket="crash", Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        digest = hashlib.sha256(b"".join(bodies)).hexdigest()
        oracle.note(lambda: oracle.objects.update({key: digest}))


def log_runs(server, oracle: Oracle, dice: random.Random, stop: threading.Event) -> None:
    while not stop.is_set():
        created = mlflow_call(server, "runs/create", {"experiment_id": "0", "start_time": 1})
        run = created["run"]["info"]["run_id"]
        oracle.note(lambda: oracle.metrics.setdefault(run, {"m": []}))
        for step in range(dice.randrange(1, 6)):
            values = [dice.random() for _ in range(20)]
            points = [
                {"key": "m", "value": v, "timestamp": 1, "step": step * 20 + i}
                for i, v in enumerate(values)
            ]
            mlflow_call(server, "runs/log-batch", {"run_id": run, "metrics": points})
            oracle.note(lambda: oracle.metrics[run]["m"].extend(values))


def create_users(server, oracle: Oracle, dice: random.Random, stop: threading.Event) -> None:
    while not stop.is_set():
        name = f"user{dice.randrange(10_000_000)}"
        answer = requests.post(
            f"{server.http}/api/v1/users", json={"name": name}, headers=server.bearer(), timeout=20
        )
        answer.raise_for_status()
        oracle.note(lambda: oracle.users.add(name))


def verify(server, oracle: Oracle, dice: random.Random, everything: bool) -> None:
    s3 = s3_client(server)
    keys = list(oracle.objects)
    for key in keys if everything else dice.sample(keys, min(40, len(keys))):
        body = s3.get_object(Bucket="crash", Key=key)["Body"].read()
        assert hashlib.sha256(body).hexdigest() == oracle.objects[key], key
    listed = {
        entry["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="crash")
        for entry in page.get("Contents", [])
    }
    assert set(keys) <= listed
    runs = list(oracle.metrics)
    for run in runs if everything else dice.sample(runs, min(20, len(runs))):
        history = requests.get(
            f"{server.http}/api/2.0/mlflow/metrics/get-history",
            params={"run_id": run, "metric_key": "m"},
            headers=server.bearer(),
            timeout=20,
        ).json()
        seen = [point["value"] for point in history.get("metrics", [])]
        wanted = oracle.metrics[run]["m"]
        # A batch whose answer was lost may be there or not, but never in part.
        assert seen[: len(wanted)] == wanted, run
        assert (len(seen) - len(wanted)) in (0, 20), run
    known = requests.get(f"{server.http}/api/v1/users", headers=server.bearer(), timeout=20).json()
    assert oracle.users <= {user["name"] for user in known["users"]}


def run_until_killed(server, oracle: Oracle, dice: random.Random) -> None:
    stop = threading.Event()
    jobs = (put_objects, put_objects, put_multipart, log_runs, log_runs, create_users)
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        running = [
            pool.submit(job, server, oracle, random.Random(dice.random()), stop) for job in jobs
        ]
        moment = time.monotonic() + dice.uniform(0.02, 0.6)
        concurrent.futures.wait(
            running,
            timeout=moment - time.monotonic(),
            return_when=concurrent.futures.FIRST_EXCEPTION,
        )
        early = [job.exception() for job in running if job.done()]
        server.kill()
        stop.set()
        for job in running:
            try:
                job.result(timeout=60)
            except GONE:
                pass  # its request was cut off by the kill
    assert not early, early


def test_nothing_acknowledged_is_lost_by_kill_nine(fresh_server):
    print(f"CRASH_SEED={SEED}")
    dice = random.Random(SEED)
    oracle = Oracle()
    fresh_server.start()
    s3_client(fresh_server).create_bucket(Bucket="crash")
    slowest = 0.0
    for _ in range(KILLS):
        run_until_killed(fresh_server, oracle, dice)
        began = time.monotonic()
        fresh_server.start()
        slowest = max(slowest, time.monotonic() - began)
        verify(fresh_server, oracle, dice, everything=False)
    verify(fresh_server, oracle, dice, everything=True)
    assert oracle.objects and oracle.metrics and oracle.users
    print(
        f"{len(oracle.objects)} objects, {len(oracle.metrics)} runs, slowest start {slowest:.2f} s"
    )
