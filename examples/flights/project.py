"""What every step of the example shares: its folders, the feature set, and the hand-over
between steps.
"""

import json
import os
import subprocess
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
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
    """Where a step keeps its files and its report. Not part of the repository."""
    named = os.environ.get("FLIGHTS_WORK")
    path = (
        Path(named) if named else Path("work") if in_task() else REPOSITORY / "build/flights/work"
    )
    path.mkdir(parents=True, exist_ok=True)
    return path


def in_task() -> bool:
    """Whether the scheduler started this step; it then carries the reports from step to step."""
    return "STRATA_OUTPUTS" in os.environ


def hand_over(step: str, values: dict) -> None:
    """Leaves what the step found for later steps and for the report, whole or not at all."""
    text = json.dumps(values, indent=1, sort_keys=True)
    folders = [work_dir()] + ([Path(os.environ["STRATA_OUTPUTS"])] if in_task() else [])
    for folder in folders:
        draft = folder / f"{step}.draft"
        draft.write_text(text)
        draft.replace(folder / f"{step}.json")


def taken_from(step: str) -> dict:
    """What an earlier step left."""
    folder = Path(os.environ["STRATA_INPUTS"]) / step if in_task() else work_dir()
    path = folder / f"{step}.json"
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
