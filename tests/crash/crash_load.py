"""Mixed load on a server that will be killed, and what an outsider knows of it.

The oracle is this process. It notes a write as intended before it is sent and as acknowledged once
the server has answered, so after a crash it can tell what must be there, what may be there, and
what nobody ever wrote. Tasks write outside of the server: each attempt may create its mark once.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import pathlib
import random
import threading
import time

import botocore.exceptions
import requests
from s3_client import client_for
from waits import pause

GONE = (
    requests.RequestException,
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
)
PART = 5 << 20
BATCH = 20
ABSENT = "absent"
ENDED = {"succeeded", "failed", "cancelled"}


class Register:
    """A place that holds one value, written by one thread."""

    def __init__(self) -> None:
        self.possible = {ABSENT}  # what it may hold now
        self.ever = {ABSENT}  # what it may hold or have held

    def intend(self, value: str) -> None:
        self.ever.add(value)
        self.possible = self.possible | {value}

    def acknowledge(self, value: str) -> None:
        self.possible = {value}


class Registers:
    """All places of one kind by name."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.all: dict[str, Register] = {}

    def of(self, name: str) -> Register:
        with self.lock:
            return self.all.setdefault(name, Register())

    def names(self) -> list[str]:
        with self.lock:
            return list(self.all)


class Oracle:
    """What was sent, and what was acknowledged."""

    def __init__(self, marks: pathlib.Path) -> None:
        self.marks = marks
        self.objects = Registers()
        self.aliases = Registers()
        self.metrics: dict[str, list[float]] = {}
        self.versions: dict[str, list[str]] = {}  # acknowledged version numbers of each model
        self.users: set[str] = set()
        self.flow_runs: list[str] = []
        self.audit_head = ""  # of the log as it was when last looked at


class Client:
    """A user's stock clients for one life of the server."""

    def __init__(self, server) -> None:
        self.server, self.url = server, server.http
        self.http = requests.Session()
        self.http.headers.update(server.bearer())

    @functools.cached_property
    def s3(self):
        return client_for(self.server, connect_timeout=5, read_timeout=20)

    def call(self, method: str, path: str, body=None, data=None, params=None):
        answer = self.http.request(
            method, self.url + path, json=body, data=data, params=params, timeout=20
        )
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def mlflow(self, path: str, body: dict) -> dict:
        return self.call("POST", f"/api/2.0/mlflow/{path}", body)


class Job:
    """What one thread does until its server is killed."""

    def __init__(self, client: Client, oracle: Oracle, dice: random.Random, number: int) -> None:
        self.client, self.oracle, self.dice, self.number = client, oracle, dice, number
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            self.once()

    def once(self) -> None:
        raise NotImplementedError


class Objects(Job):
    """Puts, overwrites and deletes of small and large objects."""

    def once(self) -> None:
        key = f"k{self.number}/{self.dice.randrange(60)}"
        place = self.oracle.objects.of(key)
        if self.dice.random() < 0.15:
            place.intend(ABSENT)
            self.client.s3.delete_object(Bucket="crash", Key=key)
            place.acknowledge(ABSENT)
            return
        body = self.dice.randbytes(self.dice.choice([10, 4096, 200_000]))
        digest = hashlib.sha256(body).hexdigest()
        place.intend(digest)
        self.client.s3.put_object(Bucket="crash", Key=key, Body=body)
        place.acknowledge(digest)


class Multipart(Job):
    def once(self) -> None:
        key = f"m{self.number}/{self.dice.randrange(6)}"
        bodies = [self.dice.randbytes(1024) * (PART >> 10), self.dice.randbytes(1000)]
        s3 = self.client.s3
        upload = s3.create_multipart_upload(Bucket="crash", Key=key)["UploadId"]
        parts = []
        for number, body in enumerate(bodies, 1):
            part = s3.upload_part(
                Bucket="crash", Key=key, UploadId=upload, PartNumber=number, Body=body
            )
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        digest = hashlib.sha256(b"".join(bodies)).hexdigest()
        place = self.oracle.objects.of(key)
        place.intend(digest)
        s3.complete_multipart_upload(
            Bucket="crash", Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        place.acknowledge(digest)


class Readers(Job):
    """What is read meanwhile is something that somebody wrote, wholly."""

    def once(self) -> None:
        names = self.oracle.objects.names()
        if names:
            name = self.dice.choice(names)
            assert stored_digest(self.client, name) in self.oracle.objects.of(name).ever, name


class Runs(Job):
    def once(self) -> None:
        created = self.client.mlflow("runs/create", {"experiment_id": "0", "start_time": 1})
        run = created["run"]["info"]["run_id"]
        wanted = self.oracle.metrics.setdefault(run, [])
        for step in range(self.dice.randrange(1, 6)):
            values = [self.dice.random() for _ in range(BATCH)]
            points = [
                {"key": "m", "value": value, "timestamp": 1, "step": step * BATCH + i}
                for i, value in enumerate(values)
            ]
            self.client.mlflow("runs/log-batch", {"run_id": run, "metrics": points})
            wanted.extend(values)


class Versions(Job):
    """Registers versions of models and moves an alias to each."""

    def once(self) -> None:
        name = f"model{self.dice.getrandbits(64)}"
        self.client.mlflow("registered-models/create", {"name": name})
        numbers = self.oracle.versions.setdefault(name, [])
        alias = self.oracle.aliases.of(name)
        for i in range(self.dice.randrange(1, 5)):
            draft = {"name": name, "source": f"s3://elsewhere/{name}/{i}"}
            made = self.client.mlflow("model-versions/create", draft)
            number = str(made["model_version"]["version"])
            numbers.append(number)
            alias.intend(number)
            body = {"name": name, "alias": "live", "version": number}
            self.client.mlflow("registered-models/alias", body)
            alias.acknowledge(number)


class Users(Job):
    def once(self) -> None:
        name = f"user{self.dice.getrandbits(64)}"  # thousands of them: none twice
        self.client.call("POST", "/api/v1/users", {"name": name})
        self.oracle.users.add(name)


def load_flow(marks: pathlib.Path) -> str:
    """Three short steps, one of which fails once, and one that outlives several servers."""
    mark = f"{marks}/$STRATA_RUN_ID.$STRATA_STEP.$STRATA_ATTEMPT"
    begin = f"set -C; echo > {mark} || exit 99; sleep 0.0$STRATA_PARAM_n"
    small = "resources: {cpu: 0.05, memory: 8MiB}"
    return (
        "name: load\nparameters: {n: 1, long: 0}\nsteps:\n"
        f"  a: {{command: '{begin}; echo $STRATA_RUN_ID > $STRATA_OUTPUTS/id', "
        f"outputs: [id], {small}}}\n"
        f"  b:\n    needs: [a]\n    command: '{begin}; test $STRATA_ATTEMPT -gt 1 || exit 3'\n"
        f"    retries: {{count: 1, backoff: 10ms}}\n    {small}\n"
        f"  c: {{command: '{begin}; sleep $STRATA_PARAM_long; "
        f"test `cat $STRATA_INPUTS/a/id` = $STRATA_RUN_ID && exit 5', needs: [a, b], {small}}}\n"
    )


class Tasks(Job):
    def once(self) -> None:
        params = {
            "n": self.dice.randrange(1, 9),
            "long": 3 if self.dice.random() < 0.2 else 0,
        }
        started = self.client.call("POST", "/api/v1/flows/load/runs", {"params": params})
        self.oracle.flow_runs.append(started["id"])
        self.stop.wait(0.1 + self.dice.random() * 0.2)


JOBS = (Objects, Objects, Multipart, Readers, Runs, Runs, Versions, Users, Tasks)


def load_until_killed(server, oracle: Oracle, dice: random.Random) -> None:
    """All jobs at once until a random moment, at which the server is killed."""
    client = Client(server)  # requests and boto3 share connections between threads
    assert client.s3.list_buckets()["Buckets"]
    jobs = [
        kind(client, oracle, random.Random(dice.random()), number)
        for number, kind in enumerate(JOBS)
    ]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(job.run) for job in jobs]
        concurrent.futures.wait(
            running,
            timeout=dice.uniform(0.02, 0.5),
            return_when=concurrent.futures.FIRST_EXCEPTION,
        )
        early = [ended.exception() for ended in running if ended.done()]
        server.kill()
        for job in jobs:
            job.stop.set()
        for ended in running:
            try:
                ended.result(timeout=60)
            except GONE:
                pass  # its request was cut off by the kill
    assert not early, early


def stored_digest(client: Client, key: str) -> str:
    try:
        body = client.s3.get_object(Bucket="crash", Key=key)["Body"].read()
    except client.s3.exceptions.NoSuchKey:
        return ABSENT
    return hashlib.sha256(body).hexdigest()


def sample(dice: random.Random, names: list[str], everything: bool, count: int) -> list[str]:
    return names if everything else dice.sample(names, min(count, len(names)))


def check_objects(client: Client, oracle: Oracle, dice: random.Random, everything: bool) -> None:
    listed = {
        entry["Key"]
        for page in client.s3.get_paginator("list_objects_v2").paginate(Bucket="crash")
        for entry in page.get("Contents", [])
    }
    names = oracle.objects.names()
    assert listed <= set(names)
    for key in sample(dice, names, everything, 15):
        found = stored_digest(client, key)
        assert found in oracle.objects.of(key).possible, key
        assert (found != ABSENT) == (key in listed), key


def check_runs(client: Client, oracle: Oracle, dice: random.Random, everything: bool) -> None:
    for run in sample(dice, list(oracle.metrics), everything, 8):
        wanted = oracle.metrics[run]
        path = "/api/2.0/mlflow/metrics/get-history"
        history = client.call("GET", path, params={"run_id": run, "metric_key": "m"})
        seen = [point["value"] for point in history.get("metrics", [])]
        # A batch whose answer was lost may be there or not, but never in part.
        assert seen[: len(wanted)] == wanted, run
        assert (len(seen) - len(wanted)) in (0, BATCH), run


def check_models(client: Client, oracle: Oracle, dice: random.Random, everything: bool) -> None:
    for name in sample(dice, list(oracle.versions), everything, 8):
        path = "/api/2.0/mlflow/registered-models/get"
        model = client.call("GET", path, params={"name": name})["registered_model"]
        path = "/api/2.0/mlflow/model-versions/search"
        found = client.call("GET", path, params={"filter": f"name='{name}'"})
        numbers = sorted(str(v["version"]) for v in found.get("model_versions", []))
        acknowledged = oracle.versions[name]
        assert numbers[: len(acknowledged)] == acknowledged, name
        assert len(numbers) - len(acknowledged) in (0, 1), name
        aliases = {a["alias"]: str(a["version"]) for a in model.get("aliases", [])}
        assert aliases.get("live", ABSENT) in oracle.aliases.of(name).possible, name


def check_audit(client: Client, oracle: Oracle) -> None:
    """The log's chain is whole and has only grown since its head was last kept."""
    params = {"since": oracle.audit_head} if oracle.audit_head else {}
    report = client.call("GET", "/api/v1/audit/verify", params=params)
    assert report["sound"], report
    oracle.audit_head = f"{report['head']['sequence']}:{report['head']['hash']}"


def check(server, oracle: Oracle, dice: random.Random, everything: bool) -> None:
    """Everything acknowledged is there; nothing is there that nobody wrote."""
    client = Client(server)
    check_objects(client, oracle, dice, everything)
    check_runs(client, oracle, dice, everything)
    check_models(client, oracle, dice, everything)
    known = client.call("GET", "/api/v1/users")
    assert oracle.users <= {user["name"] for user in known["users"]}
    check_audit(client, oracle)


def all_flow_runs(client: Client) -> list[str]:
    runs: list[str] = []
    params: dict = {"flow": "load", "limit": 100}
    while page := client.call("GET", "/api/v1/flow-runs", params=params)["runs"]:
        runs += [run["id"] for run in page]
        params["before"] = page[-1]["sequence"]
    return runs


def check_tasks(server, oracle: Oracle, timeout: float = 120) -> int:
    """Every acknowledged run has ended as its steps did, and no attempt ran twice; their number."""
    client = Client(server)
    runs = all_flow_runs(client)
    assert set(oracle.flow_runs) <= set(runs)
    deadline = time.monotonic() + timeout
    for run in runs:
        while (done := client.call("GET", f"/api/v1/flow-runs/{run}"))["state"] not in ENDED:
            assert time.monotonic() < deadline, json.dumps(done, indent=1)
            pause(0.02)
        codes = {step["step"]: [a["exit_code"] for a in step["attempts"]] for step in done["steps"]}
        assert codes == {"a": [0], "b": [3, 0], "c": [5]}, json.dumps(done, indent=1)
    steps = ("a.1", "b.1", "b.2", "c.1")
    assert {p.name for p in oracle.marks.iterdir()} == {f"{r}.{s}" for r in runs for s in steps}
    return len(runs)
