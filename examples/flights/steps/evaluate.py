"""Scores the trained model on October, logs scores and charts to its run, and refuses a model that is not good enough."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402

import chart  # noqa: E402
import metrics  # noqa: E402
from client import connect  # noqa: E402
from project import EVALUATE, feature_names, hand_over, taken_from  # noqa: E402

MIN_AUC = 0.70
MAX_CALIBRATION_ERROR = 0.05


def flights_of(platform, period: tuple[str, str]) -> pa.Table:
    """All flights of the period in the order of time, with what became of them."""
    names = ", ".join(f"f.{name}" for name in feature_names())
    return platform.sql(
        f"""SELECT f.flight_id, CAST(f.local_date AS VARCHAR) AS day, {names}, o.late, o.outcome
            FROM features.flights AS f JOIN typed.outcomes AS o ON f.flight_id = o.flight_id
            WHERE f.local_date BETWEEN DATE '{period[0]}' AND DATE '{period[1]}'
            ORDER BY f.predict_at, f.flight_id"""
    )


def matrix(table: pa.Table) -> np.ndarray:
    return np.column_stack([table[name].to_numpy() for name in feature_names()])


def days_of(table: pa.Table, p: np.ndarray) -> list[dict]:
    day, late = np.array(table["day"].to_pylist()), table["late"].to_numpy(zero_copy_only=False).astype(bool)
    return [
        {"day": d, "observed": float(late[day == d].mean()), "predicted": float(p[day == d].mean())}
        for d in np.unique(day)
    ]


def scores(table: pa.Table, p: np.ndarray) -> dict:
    """Scores of the labelled flights, and how many have no label and why."""
    labelled = pc.is_valid(table["late"]).to_numpy(zero_copy_only=False)
    kept = table.filter(pa.array(labelled))
    late = kept["late"].to_numpy(zero_copy_only=False).astype(bool)
    result = metrics.report(np.array(kept["day"].to_pylist()), late, p[labelled])
    outcome = np.array(table["outcome"].to_pylist())
    result["without_label"] = {kind: int((outcome == kind).sum()) for kind in ("cancelled", "diverted")}
    result["days"] = days_of(kept, p[labelled])
    return result


def complaints(result: dict) -> list[str]:
    """Why the model must not be registered; empty when it may."""
    found = []
    if not result["auc"] >= MIN_AUC:
        found.append(f"AUC {result['auc']:.4f} is below {MIN_AUC}")
    if not result["log_loss"] < result["log_loss_of_base_rate"]:
        found.append(
            f"log loss {result['log_loss']:.4f} is no better than the base rate's {result['log_loss_of_base_rate']:.4f}"
        )
    if not result["calibration_error"] <= MAX_CALIBRATION_ERROR:
        found.append(f"calibration error {result['calibration_error']:.4f} is above {MAX_CALIBRATION_ERROR}")
    return found


def main() -> None:
    trained = taken_from("train")
    platform = connect()
    table = flights_of(platform, EVALUATE)
    booster = mlflow.lightgbm.load_model(f"models:/{trained['model_id']}")
    result = scores(table, booster.predict(matrix(table), num_threads=2))
    found = complaints(result)
    low, high = result["interval_95"]["auc"]
    with mlflow.start_run(run_id=trained["run_id"]):
        for name in ("auc", "log_loss", "calibration_error", "late_rate", "predicted_rate"):
            mlflow.log_metric(f"october_{name}", result[name], model_id=trained["model_id"])
        mlflow.log_metrics({"october_auc_low": low, "october_auc_high": high})
        mlflow.log_dict(result, "evaluation/october.json")
        mlflow.log_text(chart.calibration(result["calibration"], "Calibration, October 2013"), "evaluation/calibration.svg")
        mlflow.log_text(chart.daily(result["days"], "Late rate by day, October 2013"), "evaluation/daily.svg")
        mlflow.set_tag("evaluation", "refused: " + "; ".join(found) if found else "passed")
    hand_over("evaluate", result | {"passed": not found})
    print(f"  October    AUC {result['auc']:.4f} [{low:.4f}, {high:.4f}], log loss {result['log_loss']:.4f}")
    if found:
        raise SystemExit("the model is refused: " + "; ".join(found))


if __name__ == "__main__":
    main()
