"""make bench: Strata beside named peers, in one run, on this machine.

  BENCH=objects   only these (commas between): footprint, tracking, objects, inference, tasks
  SECONDS_EACH=3  length of one sample
  REPETITIONS=3   samples of each side, taken in turn

Prints a table with ratios and writes build/bench/results.json. docs/reference/benchmarks.md says
how it measures and how to read it.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import platform
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from suite.footprint import footprint  # noqa: E402
from suite.inference import inference  # noqa: E402
from suite.objects import objects  # noqa: E402
from suite.processes import ROOT, CannotRun, Strata  # noqa: E402
from suite.report import Row, missing, save, table  # noqa: E402
from suite.run import Run  # noqa: E402
from suite.tasks import tasks  # noqa: E402
from suite.tracking import tracking  # noqa: E402

BENCHES = {
    "footprint": (footprint, "all peers"),
    "tracking": (tracking, "mlflow server"),
    "objects": (objects, "SeaweedFS"),
    "inference": (inference, "MLServer"),
    "tasks": (tasks, "HyperQueue"),
}
OUT = ROOT / "build" / "bench"


def commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def main() -> int:
    chosen = [name for name in os.environ.get("BENCH", "").split(",") if name] or list(BENCHES)
    unknown = [name for name in chosen if name not in BENCHES]
    if unknown:
        print(f"bench: '{unknown[0]}' is none of {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    subprocess.run([ROOT / "bench" / "setup"], check=True)
    subprocess.run(["ninja", "-C", str(ROOT / "build" / "release"), "strata_load"], check=True)
    run = Run(
        OUT / "scratch",
        float(os.environ.get("SECONDS_EACH", "3")),
        int(os.environ.get("REPETITIONS", "3")),
    )
    about = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "load_before": os.getloadavg()[0],
        "binary": str(Strata.binary),
        "seconds": run.seconds,
        "repetitions": run.repetitions,
    }
    rows: list[Row] = []
    for name in chosen:
        bench, peer = BENCHES[name]
        print(f"bench: {name} ...", file=sys.stderr)
        try:
            rows += bench(run)
        except CannotRun as reason:
            rows.append(missing(name, peer, str(reason)))
    shutil.rmtree(run.scratch, ignore_errors=True)
    OUT.mkdir(parents=True, exist_ok=True)
    save(OUT / "results.json", about, rows)
    print(f"{about['date']}  {about['commit']}  {about['machine']}")
    print(f"median (smallest - largest) of {run.repetitions} samples a side\n")
    print(table(rows))
    print(f"\nwritten: {OUT / 'results.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
