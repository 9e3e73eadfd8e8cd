"""What every step of the example shares: its folders, the feature set, and the hand-over
between steps.
"""

import json
import os
import subprocess
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
BUCKET = os.environ.get("FLIGHTS_BUCKET", "flights")
MODEL = os.environ.get("FLIGHTS_MODEL", "flights")
ENDPOINT = os.environ.get("FLIGHTS_ENDPOINT", "flights")
EXPERIMENT = "flights"
FILES = ("flights.csv", "weather.csv", "planes.csv", "airports.csv", "airlines.csv")
LATE_MINUTES = 15
# Local dates. A month is the unit, because calibration is tested by time.
TRAIN = ("2013-01-01", "2013-09-30")
EVALUATE = ("2013-10-01", "2013-10-31")
REPLAY = ("2013-11-01", "2013-11-30")


def feature_set(path: Path = HERE / "features.yaml") -> dict:
    """The declared set; one that `extends` another adds its features to that."""
    spec = yaml.safe_load(path.read_text())
    if "extends" not in spec:
        return spec
    base = feature_set(path.parent / spec["extends"])
    return base | spec | {"features": base["features"] | spec["features"]}


def feature_names() -> list[str]:
    """The model's inputs, in order."""
    return list(feature_set()["features"])


def work_dir() -> Path:
    """Where steps leave what later steps and the report read. Not part of the repository."""
    path = Path(os.environ.get("FLIGHTS_WORK", HERE.parents[1] / "build/flights/work"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def hand_over(step: str, values: dict) -> None:
    """Leaves `values` for later steps, whole or not at all."""
    path = work_dir() / f"{step}.json"
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(values, indent=1, sort_keys=True))
    draft.replace(path)


def taken_from(step: str) -> dict:
    path = work_dir() / f"{step}.json"
    if not path.exists():
        raise SystemExit(f"{path} is missing: run the step '{step}' first")
    return json.loads(path.read_text())


def sql_script(name: str, lake: str = "") -> str:
    return (HERE / "sql" / name).read_text().replace("${lake}", lake)


def checkout_commit() -> str:
    """The commit of this folder, with "+changes" when files differ from it."""

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)

    head = git("rev-parse", "HEAD")
    if head.returncode != 0:
        return "unknown"
    return head.stdout.strip() + (
        "+changes" if git("status", "--porcelain", "--", ".").stdout.strip() else ""
    )
