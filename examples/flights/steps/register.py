"""Registers the evaluated model, says who owns it and what it was made of, and makes it the
champion.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mlflow  # noqa: E402

from project import MODEL, hand_over, taken_from  # noqa: E402


def main() -> None:
    trained, evaluated = taken_from("train"), taken_from("evaluate")
    if not evaluated["passed"]:
        raise SystemExit("the evaluation refused this model; it is not registered")
    version = mlflow.register_model(
        f"models:/{trained['model_id']}",
        MODEL,
        tags=trained["tags"]
        | {
            "sha256.model.lgb": trained["digests"]["model.lgb"],
            "sha256.folder": trained["digests"]["folder"],
            "october.auc": f"{evaluated['auc']:.6f}",
        },
    )
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(MODEL, "champion", version.version)
    live = client.get_model_version_by_alias(MODEL, "champion")
    if live.version != version.version or live.run_id != trained["run_id"]:
        raise SystemExit(
            f"models:/{MODEL}@champion is version {live.version} of run {live.run_id}, "
            f"not version {version.version} of run {trained['run_id']}"
        )
    hand_over("register", {"name": MODEL, "version": int(version.version), "run_id": live.run_id})
    print(
        f"  registered models:/{MODEL}@champion = version {version.version}, "
        f"owner {trained['tags']['owner']}"
    )


if __name__ == "__main__":
    main()
