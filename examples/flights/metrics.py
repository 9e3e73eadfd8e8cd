"""Scores of probabilities, with intervals that resample days: flights of one day share its
weather, so a month is about thirty independent observations, not thirty thousand.
"""

import numpy as np


def auc(late: np.ndarray, p: np.ndarray) -> float:
    """Area under the ROC curve by ranks; ties count half (Mann-Whitney)."""
    _, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(late.sum())
    negatives = len(late) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    return float((ranks[late].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(late: np.ndarray, p: np.ndarray) -> float:
    """Mean negative log likelihood in nats."""
    q = np.clip(p, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(late, np.log(q), np.log1p(-q))))


def calibration(late: np.ndarray, p: np.ndarray, bins: int = 10) -> list[dict]:
    """Predicted against observed rate in `bins` groups of equal size, by rising p."""
    groups = np.array_split(np.argsort(p, kind="stable"), bins)
    return [
        {"n": len(g), "predicted": float(p[g].mean()), "observed": float(late[g].mean())}
        for g in groups
        if len(g)
    ]


def calibration_error(deciles: list[dict]) -> float:
    """Mean absolute gap between predicted and observed rate, weighted by size."""
    n = sum(d["n"] for d in deciles)
    return sum(d["n"] * abs(d["predicted"] - d["observed"]) for d in deciles) / n


def by_day(
    day: np.ndarray, late: np.ndarray, p: np.ndarray, resamples: int = 200, seed: int = 7
) -> dict:
    """95 % intervals of AUC and log loss when whole days are drawn again with replacement."""
    rows_of = [np.flatnonzero(day == d) for d in np.unique(day)]
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        rows = np.concatenate(
            [rows_of[i] for i in random.integers(len(rows_of), size=len(rows_of))]
        )
        draws.append((auc(late[rows], p[rows]), log_loss(late[rows], p[rows])))
    low, high = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    return {"auc": [float(low[0]), float(high[0])], "log_loss": [float(low[1]), float(high[1])]}


def report(day: np.ndarray, late: np.ndarray, p: np.ndarray) -> dict:
    """All scores of one period. `day` labels the local date; `late` is boolean; `p` is the
    probability of late.
    """
    deciles = calibration(late, p)
    return {
        "flights": int(len(late)),
        "late_rate": float(late.mean()),
        "predicted_rate": float(p.mean()),
        "auc": auc(late, p),
        "log_loss": log_loss(late, p),
        "log_loss_of_base_rate": log_loss(late, np.full(len(late), late.mean())),
        "calibration": deciles,
        "calibration_error": calibration_error(deciles),
        "interval_95": by_day(day, late, p),
    }
