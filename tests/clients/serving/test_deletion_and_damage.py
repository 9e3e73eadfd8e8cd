"""What an endpoint and its log do when what they stand on is deleted or damaged."""

from __future__ import annotations

import glob
import json
import pathlib

import pytest
import requests

ROW = {"distance": 500, "wind": 12.25, "hour": 9, "cold": True}


class Serving:
    """Endpoints of a server of the test's own, with a model of one or two versions."""

    def __init__(self, running, mlflow, booster, signature) -> None:
        self.running, self.mlflow = running, mlflow
        self.booster, self.signature = booster, signature
        self.experiment = mlflow.create_experiment("deletion")
        self.register()
        self.register()

    def register(self) -> None:
        """One more version of the same model."""
        self.mlflow.set_tracking_uri(self.running.http)
        self.mlflow.set_registry_uri(self.running.http)
        with self.mlflow.start_run(experiment_id=self.experiment):
            self.mlflow.lightgbm.log_model(
                self.booster, name="model", registered_model_name="m", signature=self.signature
            )

    @property
    def client(self):
        """A stock client of the server as it runs now, on whatever port."""
        return self.mlflow.MlflowClient(self.running.http, self.running.http)

    def create(self, name: str, reference: str) -> None:
        self.running.strata("endpoint", "create", name, "--model", reference, "--wait")

    def show(self, name: str) -> dict:
        return json.loads(self.running.strata("endpoint", "show", name, "-o", "json").stdout)

    def ask(self, name: str) -> requests.Response:
        return requests.post(
            f"{self.running.http}/endpoints/{name}/invocations",
            json={"dataframe_records": [ROW]},
            headers=self.running.bearer(),
            timeout=30,
        )

    def sql(self, text: str, check: bool = True):
        return self.running.strata("sql", text, "-o", "csv", check=check)


@pytest.fixture
def serving(fresh_server, other_mlflow, table):
    from mlflow.models import infer_signature
    from serving_models import train

    frame = table[0].drop(columns=["origin"])
    booster = train(frame, table[1], 3)
    signature = infer_signature(frame, booster.predict(frame))
    return Serving(fresh_server, other_mlflow, booster, signature)


def test_a_deleted_version_goes_on_answering_and_the_endpoint_says_so(serving, until):
    running = serving.running
    serving.client.set_registered_model_alias("m", "live", "2")
    serving.create("by-alias", "models:/m@live")
    serving.create("by-version", "models:/m/1")
    versions = {"by-alias": "2", "by-version": "1"}
    expected = serving.ask("by-alias").json()

    def all_degraded() -> bool:
        return all(serving.show(name)["state"] == "degraded" for name in versions)

    def check() -> None:
        for name, version in versions.items():
            shown, answer = serving.show(name), serving.ask(name)
            assert answer.status_code == 200 and answer.json() == expected, answer.text
            assert answer.headers["Strata-Model-Version"] == version
            assert shown["live"]["version"] == version and shown["live"]["deployment"] == 1
            assert "m" in shown["error"]

    serving.client.delete_model_version("m", "1")  # which no alias names
    until(lambda: serving.show("by-version")["state"] == "degraded")
    assert serving.show("by-alias")["state"] == "ready"
    serving.client.delete_model_version("m", "2")
    until(all_degraded)
    check()
    running.kill()
    running.start()
    until(all_degraded)
    check()
    # Naming a version that is there mends it; one version by its number stays deleted.
    serving.register()
    serving.client.set_registered_model_alias("m", "live", "3")
    until(lambda: serving.show("by-alias")["state"] == "ready")
    assert serving.ask("by-alias").headers["Strata-Model-Version"] == "3"
    assert serving.show("by-alias")["error"] is None
    assert serving.show("by-version")["state"] == "degraded"


def test_a_deleted_model_goes_on_answering_until_the_endpoint_is_deleted(serving, until):
    running = serving.running
    serving.client.set_registered_model_alias("m", "live", "1")
    serving.create("e", "models:/m@live")
    expected = serving.ask("e").json()
    serving.client.delete_registered_model("m")
    until(lambda: serving.show("e")["state"] == "degraded")
    assert serving.ask("e").json() == expected
    running.kill()
    running.start()
    until(lambda: serving.show("e")["state"] == "degraded")
    assert serving.ask("e").json() == expected
    why = running.strata("why", serving.ask("e").headers["Strata-Prediction-Id"]).stdout
    assert "model:m@1" in why
    running.strata("endpoint", "delete", "e")
    assert serving.ask("e").status_code == 404
    gone = running.strata("endpoint", "create", "e", "--model", "models:/m@live", check=False)
    assert gone.returncode == 3 and "m" in gone.stderr


COUNT = "SELECT endpoint, count(*) FROM strata.predictions GROUP BY 1 ORDER BY 1"


def test_sql_names_a_damaged_file_of_the_log_and_reads_the_others_without_it(serving):
    running = serving.running
    for name in ("hurt", "whole"):
        serving.create(name, "models:/m/1")
        assert serving.ask(name).ok
    assert serving.sql(COUNT).stdout.split()[1:] == ["hurt,1", "whole,1"]
    (path,) = map(pathlib.Path, glob.glob(str(running.data / "predictions/*/hurt/*.parquet")))
    good = path.read_bytes()
    for damaged in (good[:-20], good[: len(good) // 2], b"PAR1", b"", bytes(len(good))):
        path.write_bytes(damaged)
        refused = serving.sql(COUNT, check=False)
        assert refused.returncode != 0, refused.stdout
        assert path.name in refused.stderr and str(running.data) not in refused.stderr
        assert "fsck" in refused.stderr, refused.stderr
        listed = requests.get(
            f"{running.http}/api/v1/endpoints/hurt/predictions",
            headers=running.bearer(),
            timeout=30,
        ).json()
        assert listed["unreadable_files"] == 1 and listed["predictions"] == []
        # What else SQL can reach is as before.
        assert serving.sql("SELECT 41 + 1 AS n").stdout.split()[-1] == "42"
    path.rename(running.data.parent / path.name)
    assert serving.sql(COUNT).stdout.split()[1:] == ["whole,1"]
    assert serving.ask("hurt").ok and serving.ask("whole").ok
    assert serving.sql(COUNT).stdout.split()[1:] == ["hurt,1", "whole,2"]
