"""The flights of a period: their rows of the feature table, what became of them, and how well a
model foresaw it.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import metrics
from project import feature_names


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
    day, late = (
        np.array(table["day"].to_pylist()),
        table["late"].to_numpy(zero_copy_only=False).astype(bool),
    )
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
    result["without_label"] = {
        kind: int((outcome == kind).sum()) for kind in ("cancelled", "diverted")
    }
    result["days"] = days_of(kept, p[labelled])
    return result
