"""Where the program under test is."""

from __future__ import annotations

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def binary() -> pathlib.Path:
    """The program under test: $STRATA_BINARY, or what `make build` made."""
    return pathlib.Path(os.environ.get("STRATA_BINARY", ROOT / "build" / "strata")).resolve()
