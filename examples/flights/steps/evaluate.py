"""Scores the trained model on October, logs scores and charts to its run, and refuses a model
that is not good enough.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mlflow  # noqa: E402

import chart  # noqa: E402
from client import connect  # noqa: E402
from periods import flights_of, matrix, scores  # noqa: E402
from project import EVALUATE, hand_over, taken_from  # noqa: E402

MIN_AUC = 0.70
MAX_CALIBRATION_ERROR = 0.05


def complaints(result: dict) -> list[str]:
    """Why the model must not be registered; empty when it may."""
    found = []
    if not result["auc"] >= MIN_AUC:
        found.append(f"AUC {result['auc']:.4f} is below {MIN_AUC}")
    if not result["log_loss"] < result["log_loss_of_base_rate"]:
        found.append(
            f"log loss {result['log_loss']:.4f} is no better than the base rate's "
            f"{result['log_loss_of_base_rate']:.4f}"
        )
    if not result["calibration_error"] <= MAX_CALIBRATION_ERROR:
        found.append(
            f"calibration error {result['calibration_error']:.4f} is above {MAX_CALIBRATION_ERROR}"
        )
    return found


def main() -> None:
    trained = taken_from("train")
    platform = connect()
    table = flights_of(platform, EVALUATE)
    booster = mlflow.lightgbm.load_model(f"models:/{trained['model_id']}")
    result = scores(table, booster.predict(matrix(table), num_threads=1))
    found = complaints(result)
    low, high = result["interval_95"]["auc"]
    with mlflow.start_run(run_id=trained["run_id"]):
        for name in ("auc", "log_loss", "calibration_error", "late_rate", "predicted_rate"):
            mlflow.log_metric(f"october_{name}", result[name], model_id=trained["model_id"])
        mlflow.log_metrics({"october_auc_low": low, "october_auc_high": high})
        mlflow.log_dict(result, "evaluation/october.json")
        mlflow.log_text(
            chart.calibration(result["calibration"], "Calibration, October 2013"),
            "evaluation/calibration.svg",
        )
        mlflow.log_text(
            chart.daily(result["days"], "Late rate by day, October 2013"), "evaluation/daily.svg"
        )
        mlflow.set_tag("evaluation", "refused: " + "; ".join(found) if found else "passed")
    hand_over("evaluate", result | {"passed": not found})
    print(
        f"  October    AUC {result['auc']:.4f} [{low:.4f}, {high:.4f}], "
        f"log loss {result['log_loss']:.4f}"
    )
    if found:
        raise SystemExit("the model is refused: " + "; ".join(found))


if __name__ == "__main__":
    main()
