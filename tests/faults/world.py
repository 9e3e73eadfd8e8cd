"""A model as teams make it: a pipeline loads a table from an object and trains on it, an endpoint
follows the alias. Faults are put into it and taken out again."""

from __future__ import annotations

import pathlib
import sys
import textwrap
import time
import uuid

import boto3
import requests
import sql_client
from waits import pause

TRAIN = """
    import json, pathlib, subprocess, sys, tempfile

    import lightgbm, mlflow, pandas
    from mlflow.models import infer_signature

    table, model, variant = sys.argv[1:4]
    answer = subprocess.run(
        ["strata", "sql", f"SELECT wind, hour, late FROM {table} ORDER BY id", "-o", "json"],
        check=True, capture_output=True, text=True,
    )
    rows = json.loads(answer.stdout)
    frame = pandas.DataFrame(rows["rows"], columns=[c["name"] for c in rows["columns"]])
    frame = frame.astype({"wind": "float64", "hour": "int64", "late": "int64"})
    inputs = frame[["wind", "hour"]]
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1},
        lightgbm.Dataset(inputs, frame.late), 3,
    )
    # What the run says that it was trained on; the variants say something else than it was.
    said = {
        "missing": frame.drop(columns=["hour"]),
        "retyped": frame.astype({"hour": "float64"}),
        "reordered": frame[["hour", "wind", "late"]],
        "renamed": frame.rename(columns={"wind": "wind_speed"}),
    }.get(variant, frame)
    tags = {
        "commit": {"mlflow.source.git.commit": "c" * 40},
        "dirty": {"mlflow.source.git.commit": "d" * 40, "mlflow.source.git.dirty": "True"},
        "dirty_diff": {
            "mlflow.source.git.commit": "d" * 40,
            "mlflow.source.git.dirty": "True",
            "mlflow.source.git.diff": "-a +b",
        },
    }.get(variant, {})
    needs = {
        "unpinned": ["mlflow==3.17.2", "lightgbm"],
        "range": ["mlflow==3.17.2", "lightgbm>=4"],
        "wildcard": ["mlflow==3.17.2", "lightgbm==4.*"],
    }.get(variant, ["mlflow==3.17.2", "lightgbm==4.7.0"])
    options = {
        "signature": infer_signature(inputs, booster.predict(inputs)),
        "pip_requirements": needs,
    }
    mlflow.set_experiment("faults")
    with mlflow.start_run(tags=tags) as run:
        if variant != "no_set":
            context = "validation" if variant == "other_context" else "training"
            mlflow.log_input(mlflow.data.from_pandas(said, name=table), context=context)
        if variant == "damaged":
            folder = pathlib.Path(tempfile.mkdtemp()) / "model"
            mlflow.lightgbm.save_model(booster, folder, **options)
            whole = (folder / "model.lgb").read_bytes()
            (folder / "model.lgb").write_bytes(whole[:100])
            mlflow.log_artifacts(str(folder), "model")
            version = mlflow.register_model(f"runs:/{run.info.run_id}/model", model).version
        else:
            version = mlflow.lightgbm.log_model(
                booster, name="model", registered_model_name=model, **options
            ).registered_model_version
    mlflow.MlflowClient().set_registered_model_alias(model, "live", str(version))
"""

QUESTIONS = ("owner", "binary", "features", "code", "data")


class World:
    def __init__(self, server, folder: pathlib.Path) -> None:
        self.server = server
        name = f"w{uuid.uuid4().hex[:8]}"
        self.name = self.table = self.model = self.endpoint = self.flow = self.bucket = name
        self.base = f"{name}_base"
        self.variant = "good"
        self.owner = f"owner-{name}"
        self.team = f"team-{name}"
        self.folder = folder / name
        (self.folder / "src").mkdir(parents=True)
        (self.folder / "src" / "train.py").write_text(textwrap.dedent(TRAIN))
        self.s3 = boto3.client(
            "s3",
            endpoint_url=server.s3,
            aws_access_key_id=server.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=server.env["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )

    # --- the honest world ---

    def build(self) -> "World":
        self.server.strata("team", "create", self.team)
        self.server.strata("user", "create", self.owner)
        self.server.strata("team", "add", self.team, self.owner)
        self.s3.create_bucket(Bucket=self.bucket)
        self.put_raw()
        self.apply()
        self.server.strata("flow", "run", self.flow, "--wait", "-o", "json")
        self.server.strata("model", "owner", self.model, self.owner, "--team", self.team)
        create = ["endpoint", "create", self.endpoint, "--model", f"models:/{self.model}@live"]
        self.server.strata(*create, "--wait", "-o", "json")
        self.settle({question: "good" for question in QUESTIONS})
        return self

    def put_raw(self) -> None:
        self.sql(
            "COPY (SELECT range AS id, range % 31 + 0.5 AS wind, range % 24 AS hour, "
            "(range % 31 > 20)::INT AS late FROM range(1000)) "
            f"TO 's3://{self.bucket}/raw.parquet' (FORMAT parquet)"
        )

    def spec(self, load: str = "", more: str = "") -> str:
        statement = load or self.loading()
        return (
            f"name: {self.flow}\nsource: src\ninterpreter: {sys.executable}\n{more}steps:\n"
            f'  load:\n    command: [strata, sql, "{statement}"]\n'
            f"  train:\n    needs: [load]\n"
            f"    command: [{sys.executable}, train.py, "
            f"{self.table}, {self.model}, {self.variant}]\n"
        )

    def apply(self, load: str = "", more: str = "") -> None:
        path = self.folder / "flow.yaml"
        path.write_text(self.spec(load, more))
        self.server.strata("flow", "apply", str(path))

    def reload(self) -> None:
        """The table as it was at training."""
        self.sql(self.loading())

    def loading(self) -> str:
        return (
            f"CREATE OR REPLACE TABLE {self.base} AS "
            f"SELECT * FROM 's3://{self.bucket}/raw.parquet'; "
            f"CREATE OR REPLACE TABLE {self.table} AS SELECT * FROM {self.base}"
        )

    def train(self, variant: str = "good") -> None:
        """One more version, which the alias then names."""
        self.variant = variant
        self.apply()
        self.run()

    def run(self, check: bool = True) -> None:
        self.server.strata("flow", "run", self.flow, "--wait", "-o", "json", check=check)

    # --- asking ---

    def sql(self, statement: str) -> None:
        sql_client.ask(self.server, statement)

    def get(self, path: str) -> dict:
        answer = requests.get(self.server.http + path, headers=self.server.bearer(), timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def put(self, path: str, body: dict) -> None:
        answer = requests.put(
            self.server.http + path, json=body, headers=self.server.bearer(), timeout=30
        )
        assert answer.ok, answer.text

    def explain(self, query: str = "") -> dict:
        return self.get(f"/api/v1/models/{self.model}/explain?subject=%40live{query}")

    def verdicts(self) -> dict[str, str]:
        return {one["question"]: one["verdict"] for one in self.explain()["questions"]}

    def codes(self, question: str) -> set[str]:
        for one in self.explain()["questions"]:
            if one["question"] == question:
                return {e["code"] for e in one["evidence"] if e["verdict"] == one["verdict"]}
        return set()

    def settle(self, wanted: dict[str, str], limit: float = 20.0) -> None:
        """Waits until the verdicts that the server keeps by itself are these."""
        deadline = time.monotonic() + limit
        while True:
            seen = self.kept()
            if seen == wanted:
                return
            assert time.monotonic() < deadline, (seen, wanted, self.explain())
            pause(0.05)

    def kept(self) -> dict[str, str]:
        """What the server recorded by itself until now."""
        later = "&at=2999-01-01T00:00:00Z"
        answer = requests.get(
            f"{self.server.http}/api/v1/models/{self.model}/explain?subject=%40live{later}",
            headers=self.server.bearer(),
            timeout=30,
        )
        if answer.status_code == 404:
            return {}
        return {one["question"]: one["verdict"] for one in answer.json()["questions"]}

    def turns(self) -> list[dict]:
        """Each change of a verdict of this model, newest first."""
        found = self.get(f"/api/v1/events?subject=model:{self.model}&limit=500")["events"]
        return [event for event in found if event["type"] == "verdict.changed"]
