"""How long a server takes to answer after its start, and what it holds in memory while idle."""

from __future__ import annotations

import time
from collections.abc import Callable

from .peers import Mlflow, MlServer, SeaweedFs
from .processes import Program, Strata
from .report import Row, Rows
from .run import Run
from .tasks import Pipelines

SETTLE = 3.0


def sample(start: Callable[[], Program]) -> tuple[float, ...]:
    """Milliseconds to readiness; MiB of the whole process tree once it has settled, twice."""
    program = start()
    try:
        ready = program.start_seconds * 1000
        time.sleep(SETTLE)
        return ready, program.resident() / 2**20, program.proportional() / 2**20
    finally:
        program.stop()


def strata_with_agent(run: Run) -> Strata:
    """A server whose node agent has run a task: the agent starts with the first one and stays."""
    strata = Strata(run.fresh("strata"))
    Pipelines(strata, 1).run()
    return strata


def footprint(run: Run) -> list[Row]:
    """Strata is server and agent, with every door open; each peer does one of its jobs."""
    peers: dict[str, Callable[[], Program]] = {
        Mlflow.title: lambda: Mlflow(run.fresh("mlflow")),
        SeaweedFs.title: lambda: SeaweedFs(run.fresh("seaweedfs")),
        MlServer.title: lambda: MlServer(run.fresh("mlserver"), None),
    }
    rows: list[Row] = []
    for title, start in peers.items():
        found = Rows("footprint", title)
        ours, theirs = [], []
        for _ in range(run.repetitions):
            ours.append(sample(lambda: strata_with_agent(run)))
            theirs.append(sample(start))
        names = {"start to ready": "ms", "idle memory (RSS)": "MiB", "idle memory (PSS)": "MiB"}
        for i, (name, unit) in enumerate(names.items()):
            found.measure(name, unit, False, [s[i] for s in ours], [s[i] for s in theirs])
        rows += found
    return rows
