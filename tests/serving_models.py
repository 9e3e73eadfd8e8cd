"""Models that several tests train."""

from __future__ import annotations


def train(frame, late, rounds: int = 20, **options):
    import lightgbm

    return lightgbm.train(
        {"objective": "binary", "verbose": -1, "seed": 1, **options},
        lightgbm.Dataset(frame, late),
        rounds,
    )
