"""The peers, each started as its own documentation says, on the same disk as Strata."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

from .processes import ROOT, CannotRun, Program, answers, free_port, wait_for

VENV = ROOT / "build" / "bench" / "venv"
OFFLINE = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def needed(path: pathlib.Path) -> pathlib.Path:
    if not path.exists():
        raise CannotRun(f"{path.name} is not installed; bench/setup installs it")
    return path


class Mlflow(Program):
    """The stock tracking server on SQLite, with its default number of workers."""

    title = "mlflow server"

    def __init__(self, folder: pathlib.Path) -> None:
        self.port = free_port()
        scripts = pathlib.Path(sys.executable).parent
        command = [needed(scripts / "mlflow"), "server", "--port", self.port]
        command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        command += ["--artifacts-destination", folder / "artifacts"]
        super().__init__(command, folder, **OFFLINE)
        self.start_seconds = self.ready_when(
            lambda: answers(f"http://127.0.0.1:{self.port}/health")
        )


class SeaweedFs(Program):
    """Master, volume, filer and S3 in one process; objects are synced before the answer."""

    title = "SeaweedFS"
    access, secret = "benchaccess", "benchsecretbenchsecret"

    def __init__(self, folder: pathlib.Path) -> None:
        self.weed = needed(VENV / "bin" / "weed")
        folder.mkdir(parents=True, exist_ok=True)
        identity = {
            "name": "bench",
            "credentials": [{"accessKey": self.access, "secretKey": self.secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "volumes").mkdir(exist_ok=True)
        self.port, self.master = free_port(), free_port()
        ports = {"-master.port": self.master, "-volume.port": free_port()}
        ports |= {"-filer.port": free_port(), "-s3.port": self.port}
        # Their gRPC ports are these plus 10,000 unless told otherwise.
        grpc = ["-master.port.grpc", "-volume.port.grpc", "-filer.port.grpc", "-s3.port.grpc"]
        ports |= {name: free_port() for name in grpc}
        self.peers = f"127.0.0.1:{self.master}.{ports['-master.port.grpc']}"
        command = [self.weed, "-logtostderr", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += [f"-dir={folder}/volumes", "-volume.max=100"]
        command += ["-filer", "-s3", f"-s3.config={folder}/s3.json"]
        command += [f"{name}={port}" for name, port in ports.items()]
        super().__init__(command, folder)
        self.start_seconds = self.ready_when(
            lambda: answers(f"http://127.0.0.1:{self.port}/healthz")
        )

    def sync_all(self) -> None:
        """Asks for an fsync of every object's bytes before its answer."""
        line = "fs.configure -locationPrefix=/buckets/ -fsync=true -apply\n"

        def configured() -> bool:
            done = subprocess.run(
                [self.weed, "shell", f"-master={self.peers}"],
                input=line,
                capture_output=True,
                text=True,
                timeout=60,
            )
            return re.search(r'"fsync": *true', done.stdout) is not None

        wait_for(configured, "the setting of fsync", 60)


class MlServer(Program):
    """MLServer with its LightGBM runtime and its default settings."""

    title = "MLServer"
    model = "bench"

    def __init__(self, folder: pathlib.Path, model_file: pathlib.Path | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.grpc_port = free_port(), free_port()
        settings = {
            "host": "127.0.0.1",
            "http_port": self.port,
            "grpc_port": self.grpc_port,
            "metrics_port": free_port(),
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        if model_file is not None:
            model = {
                "name": self.model,
                "implementation": "mlserver_lightgbm.LightGBMModel",
                "parameters": {"uri": str(model_file)},
            }
            (folder / "model-settings.json").write_text(json.dumps(model))
        scripts = VENV / "bin"
        super().__init__([needed(scripts / "mlserver"), "start", folder], folder)
        path = f"models/{self.model}/ready" if model_file is not None else "health/ready"
        self.start_seconds = self.ready_when(
            lambda: answers(f"http://127.0.0.1:{self.port}/v2/{path}")
        )
