"""Sends the flights of November to the endpoint one by one, in the order of time, as if it were
then.

Several connections, one flight a request, kept alive. Afterwards the scores are compared with what
happened, the answers with the model that the alias `champion` names, and the vector that the server
logged for each prediction with the flight's row in the feature table.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mlflow  # noqa: E402
import numpy as np  # noqa: E402

from client import connect  # noqa: E402
from periods import flights_of, matrix, scores  # noqa: E402
from progress import Bar  # noqa: E402
from project import (  # noqa: E402
    ENDPOINT,
    MODEL,
    REPLAY,
    feature_names,
    hand_over,
)

LOG_WAIT_SECONDS = 30


@dataclass
class Answer:
    p: float
    prediction_id: str
    digest: str
    version: str
    seconds: float


def encoder(metadata: dict, names: list[str]):
    """How the endpoint wants one row (Open Inference Protocol v2): one tensor of all features, or
    one tensor for each. Python writes a double so that it is read back as the same bits."""
    inputs = metadata["inputs"]
    if len(inputs) == 1:
        head = tensor_head(inputs[0]["name"], [1, len(names)])
        return lambda id_, row: request(id_, [f"{head}{','.join(map(repr, row))}]}}"])
    if [tensor["name"] for tensor in inputs] != names:
        raise SystemExit(
            f"the endpoint's inputs are {[t['name'] for t in inputs]}; the feature set has {names}"
        )
    heads = [tensor_head(tensor["name"], [1] * len(tensor["shape"])) for tensor in inputs]
    return lambda id_, row: request(
        id_, [f"{head}{value!r}]}}" for head, value in zip(heads, row, strict=True)]
    )


def tensor_head(name: str, shape: list[int]) -> str:
    return f'{{"name":{json.dumps(name)},"shape":{shape},"datatype":"FP64","data":['


def request(id_: str, tensors: list[str]) -> bytes:
    return f'{{"id":{json.dumps(id_)},"inputs":[{",".join(tensors)}]}}'.encode()


def probability(body: bytes) -> float:
    """The one number of the answer."""
    outputs = json.loads(body)["outputs"]
    values = np.ravel(outputs[0]["data"])
    if len(outputs) != 1 or len(values) != 1:
        raise RuntimeError(f"expected one probability, got {body[:300]!r}")
    return float(values[0])


class Replay:
    """Hands out flights in order to a fixed number of connections; the first failure stops all."""

    def __init__(
        self, url: str, token: str, ids: list[str], rows: list[list[float]], encode, bar: Bar
    ):
        self.url, self.token, self.ids, self.rows, self.encode, self.bar = (
            urlsplit(url),
            token,
            ids,
            rows,
            encode,
            bar,
        )
        self.answers: list[Answer | None] = [None] * len(ids)
        self.failure: Exception | None = None
        self.next = iter(range(len(ids)))
        self.lock = threading.Lock()

    def run(self, connections: int) -> float:
        """Returns the seconds that all requests took together."""
        threads = [threading.Thread(target=self._connection) for _ in range(connections)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failure:
            raise SystemExit(f"the replay stopped: {self.failure}")
        return time.monotonic() - started

    def _connection(self) -> None:
        try:
            connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=30)
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
            while self.failure is None:
                with self.lock:
                    i = next(self.next, None)
                if i is None:
                    break
                self.answers[i] = self._ask(connection, headers, i)
                self.bar.advance()
            connection.close()
        except Exception as error:  # kept for the caller, who stops the replay with it
            self.failure = error

    def _ask(self, connection, headers: dict, i: int) -> Answer:
        body = self.encode(self.ids[i], self.rows[i])
        started = time.perf_counter()
        connection.request("POST", f"/v2/models/{ENDPOINT}/infer", body, headers)
        response = connection.getresponse()
        content = response.read()
        seconds = time.perf_counter() - started
        if response.status != 200:
            raise RuntimeError(
                f"{self.ids[i]}: {response.status} {content[:300].decode(errors='replace')}"
            )
        return Answer(
            probability(content),
            response.headers["Strata-Prediction-Id"],
            response.headers["Strata-Model-Digest"],
            response.headers["Strata-Model-Version"],
            seconds,
        )


def logged(platform, ids: list[str], version: str) -> dict[str, bytes]:
    """prediction id -> the bytes of the vector that the server logged, in the order of the feature
    set. Waits until the log of this version holds all of `ids`."""
    names = feature_names()
    members = ", ".join(f"inputs.{name} AS {name}" for name in names)
    query = f"""SELECT prediction_id, {members} FROM strata.predictions
                WHERE endpoint = '{ENDPOINT}' AND version = '{version}'"""
    wanted, deadline = set(ids), time.monotonic() + LOG_WAIT_SECONDS
    while True:
        table = platform.sql(query)
        if wanted <= set(table["prediction_id"].to_pylist()) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    rows = np.column_stack([table[name].to_numpy() for name in names]).astype("<f8")
    found = table["prediction_id"].to_pylist()
    return {id_: row.tobytes() for id_, row in zip(found, rows, strict=True) if id_ in wanted}


def champion() -> tuple[str, object]:
    """Version and booster that the alias names now, whoever trained and registered it: these steps
    by hand, or the pipeline."""
    version = mlflow.MlflowClient().get_model_version_by_alias(MODEL, "champion").version
    return str(version), mlflow.lightgbm.load_model(f"models:/{MODEL}/{version}")


def checks(
    table, rows: np.ndarray, answers: list[Answer], vectors: dict[str, bytes], model
) -> list[str]:
    """What is wrong with the replay; empty when nothing is. `model` is what should have answered:
    its version and its booster."""
    found = []
    ids = [answer.prediction_id for answer in answers]
    if len(set(ids)) != len(ids) or not all(ids):
        found.append(f"{len(ids)} answers carry {len(set(ids))} different prediction ids")
    lacking = [id_ for id_ in ids if id_ not in vectors]
    if lacking:
        found.append(f"{len(lacking)} predictions are not in the log, the first is {lacking[0]}")
    other = [
        flight
        for flight, id_, row in zip(table["flight_id"].to_pylist(), ids, rows, strict=True)
        if id_ in vectors and vectors[id_] != row.astype("<f8").tobytes()
    ]
    if other:
        found.append(
            f"{len(other)} logged vectors differ from the feature table, the first is {other[0]}"
        )
    if len({(a.digest, a.version) for a in answers}) != 1:
        found.append(
            f"answers come from several models: {sorted({(a.version, a.digest) for a in answers})}"
        )
    expected, booster = model
    if answers[0].version != expected:
        found.append(f"answers come from version {answers[0].version}, the champion is {expected}")
    offline = booster.predict(rows, num_threads=1)
    apart = float(np.abs(offline - np.array([a.p for a in answers])).max())
    if apart > 1e-12:
        found.append(f"online and offline predictions differ by up to {apart:.3g}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--limit", type=int, help="only so many flights")
    args = parser.parse_args()
    platform = connect()
    table = flights_of(platform, REPLAY)
    table = table.slice(0, args.limit) if args.limit else table
    rows = matrix(table)
    encode = encoder(platform.get(f"/v2/models/{ENDPOINT}"), feature_names())
    bar = Bar("replay", table.num_rows, "requests")
    replay = Replay(
        platform.url, platform.token, table["flight_id"].to_pylist(), rows.tolist(), encode, bar
    )
    seconds = replay.run(args.connections)
    answers = replay.answers
    result = scores(table, np.array([a.p for a in answers]))
    found = checks(
        table,
        rows,
        answers,
        logged(platform, [a.prediction_id for a in answers], answers[0].version),
        champion(),
    )
    latency = np.array([a.seconds for a in answers]) * 1000
    result |= {
        "requests": len(answers),
        "requests_per_second": len(answers) / seconds,
        "latency_ms": {
            "p50": float(np.percentile(latency, 50)),
            "p99": float(np.percentile(latency, 99)),
        },
        "connections": args.connections,
        "model": {"digest": answers[0].digest, "version": answers[0].version},
        "example": {
            "flight": table["flight_id"][int(np.argmax([a.p for a in answers]))].as_py(),
            "prediction_id": max(answers, key=lambda a: a.p).prediction_id,
            "p": max(a.p for a in answers),
        },
        "failed_checks": found,
    }
    hand_over("replay", result)
    print(f"  November   AUC {result['auc']:.4f}, {result['requests_per_second']:,.0f} requests/s")
    if found:
        raise SystemExit("the replay is not sound: " + "; ".join(found))


if __name__ == "__main__":
    main()
