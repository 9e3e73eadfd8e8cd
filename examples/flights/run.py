"""The main job: from the raw CSV files of a year of flights to a live model whose predictions can
be explained.

Starts a server, puts the files into the lake, makes tables, proves that the features do not look
into the future, runs the pipeline (features, training, evaluation, registration, deployment),
replays November as online requests, asks why one prediction came out so, and prints a report. Ends
with a status other than 0 when any check fails. The server stays up, with everything in its pages;
with ONCE=1 it is stopped.
"""

import argparse
import getpass
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

import leakage
import report
from project import HERE, REPOSITORY, checkout_commit, feature_set
from server import Server


INTERRUPTED = 130  # as shells have it for Ctrl-C


class Run:
    """The stages in order, each timed, and the checks that must hold."""

    def __init__(self, server: Server, args: argparse.Namespace):
        self.server, self.args = server, args
        self.flow = yaml.safe_load((HERE / "flow.yaml").read_text())
        self.env = server.environment() | {"FLIGHTS_WORK": str(args.work), "PYTHONUNBUFFERED": "1"}
        self.checks: list[tuple[bool, str]] = []
        self.seconds: dict[str, float] = {}

    def check(self, holds: bool, what: str) -> None:
        self.checks.append((holds, what))

    def stage(self, name: str, work) -> None:
        print(f"\n{name}", flush=True)
        started = time.monotonic()
        work()
        self.seconds[name] = time.monotonic() - started

    def script(self, *command) -> int:
        # In a session of its own: Ctrl-C ends it through this program, which tells what runs on.
        done = subprocess.run(
            [sys.executable, *map(str, command)], env=self.env, start_new_session=True
        )
        return done.returncode

    def must(self, *command) -> None:
        status = self.script(*command)
        if status != 0:
            raise SystemExit(f"{command[0]} failed with status {status}")

    def refuse_leaks(self) -> None:
        for spec in sorted((HERE / "leaky").glob("*.yaml")):
            reasons = leakage.reasons_against(feature_set(spec))
            self.check(bool(reasons), f"a feature set with {spec.stem} is refused")
            print(f"  refused    {spec.stem}: {reasons[0] if reasons else 'NOT REFUSED'}")

    def poison(self) -> None:
        status = self.script(HERE / "poison.py", self.args.csv)
        self.check(status == 0, "poison after four cut times changes no feature known before them")

    def pipeline(self) -> None:
        parameters = {
            "work": str(self.args.work),
            "commit": checkout_commit(),
            "owner": getpass.getuser(),
        }
        if self.args.direct:
            return self.steps_here(parameters)
        self.server.command("flow", "apply", str(HERE / "flow.yaml"), env=self.env)
        given = [
            word for name, value in parameters.items() for word in ("--param", f"{name}={value}")
        ]
        id_ = self.server.command("flow", "run", self.flow["name"], *given, env=self.env).strip()
        subprocess.run([self.args.strata, "flow", "logs", id_, "--follow"], env=self.env)
        print(self.server.command("flow", "status", id_, env=self.env))
        state = json.loads(self.server.command("flow", "status", id_, "-o", "json", env=self.env))
        if state["state"] != "succeeded":
            raise SystemExit(
                f"the pipeline's run {id_} {state['state']}: {state.get('reason', '')}"
            )

    def steps_here(self, parameters: dict) -> None:
        """The pipeline's steps one after another, without the scheduler."""

        def expanded(env: dict) -> dict:
            for name, value in parameters.items():
                env = {key: text.replace(f"${{params.{name}}}", value) for key, text in env.items()}
            return env

        steps, done = self.flow["steps"], []
        while len(done) < len(steps):
            name = next(
                n
                for n, s in steps.items()
                if n not in done and set(s.get("needs", [])) <= set(done)
            )
            env = self.env | expanded(self.flow["env"]) | expanded(steps[name].get("env", {}))
            if subprocess.run(steps[name]["command"], env=env, cwd=HERE).returncode != 0:
                raise SystemExit(f"step {name} failed")
            done.append(name)

    def replay(self) -> None:
        status = self.script(
            HERE / "steps/replay.py", *(["--limit", self.args.limit] if self.args.limit else [])
        )
        self.check(
            status == 0, "each logged vector equals its row of the feature table, byte for byte"
        )
        if status == 0:
            self.check(
                self.results("replay")["model"]["version"]
                == str(self.results("register")["version"]),
                "the version that answered is the one that the pipeline registered",
            )

    def why(self) -> None:
        prediction = self.results("replay")["example"]["prediction_id"]
        print(self.server.command("why", prediction, env=self.env))
        story = self.server.command("why", prediction, "-o", "json", env=self.env)
        for name in ("raw/flights.csv", "raw/weather.csv", self.results("train")["run_id"]):
            self.check(name in story, f"why {prediction} leads to {name}")

    def results(self, step: str) -> dict:
        return json.loads((self.args.work / f"{step}.json").read_text())

    def repeat(self) -> None:
        """A second run on the same data must give the same model and the same numbers."""
        steps = {name: self.results(name) for name in ("train", "evaluate", "replay")}
        now = {
            "training_set": steps["train"]["training_set"]["sha256"],
            "model": steps["train"]["digests"],
            "october": {key: steps["evaluate"][key] for key in ("auc", "log_loss")},
            "november": {key: steps["replay"][key] for key in ("requests", "auc", "log_loss")},
        }
        kept = self.args.work / "numbers.json"
        if kept.exists():
            before = json.loads(kept.read_text())
            if before["november"]["requests"] == now["november"]["requests"]:
                self.check(
                    before == now, "the same model digest and the same numbers as the run before"
                )
        kept.write_text(json.dumps(now, indent=1))

    def all(self) -> None:
        self.stage("Feature sets that look into the future are refused", self.refuse_leaks)
        self.stage(
            "Raw files into the lake, tables by SQL",
            lambda: self.must(HERE / "steps/ingest.py", self.args.csv),
        )
        self.stage("Poison: what becomes known later must not change what was known", self.poison)
        self.stage("Pipeline: features, train, evaluate, register, deploy", self.pipeline)
        self.stage("November as online requests", self.replay)
        self.stage("Why did the riskiest flight get its prediction?", self.why)
        self.repeat()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    build = REPOSITORY / "build"
    parser.add_argument("--strata", type=Path, default=build / "strata", help="the binary")
    parser.add_argument(
        "--csv",
        type=Path,
        default=build / "data/nycflights13",
        help="the folder with the CSV files",
    )
    parser.add_argument(
        "--data", type=Path, default=build / "flights/data", help="the server's data directory"
    )
    parser.add_argument(
        "--work", type=Path, default=build / "flights/work", help="results of the steps"
    )
    parser.add_argument("--limit", type=int, help="replay only so many flights")
    parser.add_argument(
        "--direct", action="store_true", help="run the pipeline's steps without the scheduler"
    )
    args = parser.parse_args()
    for name in ("strata", "csv", "data", "work"):
        setattr(args, name, getattr(args, name).resolve())
    args.work.mkdir(parents=True, exist_ok=True)
    return args


def main() -> int:
    args = arguments()
    once = os.environ.get("ONCE") == "1"
    data = os.path.relpath(args.data)
    started = time.monotonic()
    try:
        server = Server(args.strata, args.data, fixed_ports=not once)
    except KeyboardInterrupt:
        print(f"\ninterrupted; a server may run: build/strata stop --data {data}", file=sys.stderr)
        return INTERRUPTED
    try:
        run = Run(server, args)
        run.all()
        print(report.text(run, time.monotonic() - started))
        status = 0 if all(holds for holds, _ in run.checks) else 1
    except KeyboardInterrupt:
        print("\ninterrupted", end="; " if not once else "\n", file=sys.stderr)
        if not once:
            print(
                f"the server runs on, with the pipeline if it had begun, at {server.url}; stop "
                f"both: build/strata stop --now --data {data}",
                file=sys.stderr,
            )
        return INTERRUPTED
    finally:
        if once:
            server.stop()
    if not once:
        print(f"\nThe server stays up: {server.url}")
        print(f"  sign in:  build/strata login-link --data {data}")
        print(f"  stop it:  build/strata stop --data {data}")
    return status


if __name__ == "__main__":
    sys.exit(main())
