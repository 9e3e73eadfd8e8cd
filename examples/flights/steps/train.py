"""Trains LightGBM on January to September and logs run, training set and model through stock
mlflow.

Equal data gives an equal model, byte for byte: training is deterministic, and the model's folder
holds nothing that depends on time, path or run. (mlflow's own log_model writes its run id, model
id and the time into MLmodel; so the folder is saved with these left out and then logged as a
logged model of the run, which keeps the same links as records.)
"""

import getpass
import hashlib
import logging
import os
import shutil
import sys
import time
from pathlib import Path

# Spinning OpenMP threads cost a busy machine minutes. Read once, when lightgbm is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lightgbm  # noqa: E402
import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from mlflow.data.dataset_source_registry import resolve_dataset_source  # noqa: E402
from mlflow.data.meta_dataset import MetaDataset  # noqa: E402
from mlflow.entities import LoggedModelOutput  # noqa: E402
from mlflow.models import Model, ModelSignature  # noqa: E402
from mlflow.types import ColSpec, Schema  # noqa: E402

from client import connect  # noqa: E402
from progress import Bar  # noqa: E402
from project import (  # noqa: E402
    EXPERIMENT,
    HERE,
    LATE_MINUTES,
    TRAIN,
    checkout_commit,
    feature_names,
    feature_set,
    hand_over,
    work_dir,
)

TREES = 150
PARAMS = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.05,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 7,
    "num_threads": 2,
    "verbosity": -1,
}


def write_training_set(platform, key: str) -> bytes:
    """Labelled flights of the training months, in the order of time, as a Parquet object of the
    lake. SQL writes it, so its lineage leads to the feature table; equal rows give equal bytes.
    Returns the object as it lies in the lake."""
    names = ", ".join(f"f.{name}" for name in feature_names())
    platform.sql(
        f"""COPY (
                SELECT f.flight_id, f.predict_at, {names}, o.late
                FROM features.flights AS f JOIN typed.outcomes AS o ON f.flight_id = o.flight_id
                WHERE f.local_date BETWEEN DATE '{TRAIN[0]}' AND DATE '{TRAIN[1]}'
                    AND o.late IS NOT NULL
                ORDER BY f.predict_at, f.flight_id)
            TO '{platform.object_uri(key)}'
            (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440)"""
    )
    return platform.get_object(key)


def fit(table: pa.Table) -> lightgbm.Booster:
    names = feature_names()
    rows = np.column_stack([table[name].to_numpy() for name in names])
    categorical = [name for name, f in feature_set()["features"].items() if f.get("categorical")]
    data = lightgbm.Dataset(
        rows,
        table["late"].to_numpy(zero_copy_only=False).astype(np.int8),
        feature_name=names,
        categorical_feature=categorical,
    )
    bar = Bar("train", TREES, "trees")
    return lightgbm.train(PARAMS, data, TREES, callbacks=[lambda _: bar.advance()])


def save(booster: lightgbm.Booster, example: pa.Table, folder: Path) -> None:
    """The model as an MLflow folder that depends on nothing but the model and the versions of its
    libraries.
    """
    shutil.rmtree(folder, ignore_errors=True)
    names = feature_names()
    signature = ModelSignature(
        inputs=Schema([ColSpec("double", name) for name in names]),
        outputs=Schema([ColSpec("double")]),
    )
    # It would warn that environments made by uv have no pip, which nothing here needs.
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    model = Model(model_uuid=None, utc_time_created=f"{TRAIN[1]} 00:00:00.000000")
    mlflow.lightgbm.save_model(
        booster,
        str(folder),
        mlflow_model=model,
        signature=signature,
        input_example=pd.DataFrame({name: example[name].to_numpy() for name in names}),
        pip_requirements=[f"mlflow=={mlflow.__version__}", f"lightgbm=={lightgbm.__version__}"],
    )
    # mlflow lists the types of a format that a booster does not even use in the order of a set,
    # which differs by process.
    model.flavors["lightgbm"]["skops_trusted_types"].sort()
    model.save(str(folder / "MLmodel"))


def digests(folder: Path) -> dict[str, str]:
    """sha256 of model.lgb and of the whole folder (of its sorted lines "sha256  path")."""
    of_file = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(of_file.items()))
    return {"model.lgb": of_file["model.lgb"], "folder": hashlib.sha256(lines.encode()).hexdigest()}


def commit_tags() -> dict[str, str]:
    """The code's commit, as told by whoever started the step, or that of its checkout. A task runs
    in a copy without .git, so mlflow cannot find its own tag."""
    commit = os.environ.get("FLIGHTS_COMMIT") or checkout_commit()
    tags = {"git.commit": commit}
    if commit != "unknown":
        tags["mlflow.source.git.commit"] = commit.removesuffix("+changes")
    return tags


def main() -> None:
    platform = connect()
    key = f"training/{TRAIN[0]}_{TRAIN[1]}.parquet"
    content = write_training_set(platform, key)
    digest = hashlib.sha256(content).hexdigest()
    table = pq.read_table(pa.BufferReader(content))
    late = int(np.count_nonzero(table["late"].to_numpy(zero_copy_only=False)))
    print(f"  training set {table.num_rows:,} flights, {late:,} late; sha256:{digest}")

    mlflow.set_experiment(EXPERIMENT)
    owner = os.environ.get("FLIGHTS_OWNER") or getpass.getuser()
    tags = {
        "owner": owner,
        "training_set.sha256": digest,
        "training_set.uri": platform.object_uri(key),
    } | commit_tags()
    with mlflow.start_run(run_name="lightgbm", tags=tags) as run:
        schema = Schema(
            [ColSpec("double", name) for name in feature_names()] + [ColSpec("boolean", "late")]
        )
        # MLflow holds 36 characters of a digest: the first 36 of the SHA-256. The whole one is in
        # the tags.
        source = resolve_dataset_source(platform.object_uri(key))
        mlflow.log_input(
            MetaDataset(source, "flights-training", digest[:36], schema), context="training"
        )
        mlflow.log_params(
            PARAMS
            | {"trees": TREES, "label": f"arr_delay > {LATE_MINUTES}", "rows": table.num_rows}
        )
        mlflow.log_artifact(str(HERE / "features.yaml"))
        started = time.monotonic()
        booster = fit(table)
        seconds = time.monotonic() - started
        mlflow.log_metric("train_seconds", seconds)

        folder = work_dir() / "model"
        save(booster, table.slice(0, 2), folder)
        digest_of = digests(folder)
        client = mlflow.MlflowClient()
        model = mlflow.initialize_logged_model(
            name="flights",
            source_run_id=run.info.run_id,
            model_type="classifier",
            tags=tags
            | {"sha256.model.lgb": digest_of["model.lgb"], "sha256.folder": digest_of["folder"]},
        )
        client.log_model_artifacts(model.model_id, str(folder))
        mlflow.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    hand_over(
        "train",
        {
            "run_id": run.info.run_id,
            "model_id": model.model_id,
            "rows": table.num_rows,
            "seconds": seconds,
            "training_set": {"sha256": digest, "uri": platform.object_uri(key)},
            "digests": digest_of,
            "tags": tags,
        },
    )
    print(
        f"  model      {TREES} trees in {seconds:.1f} s; model.lgb sha256:{digest_of['model.lgb']}"
    )


if __name__ == "__main__":
    main()
