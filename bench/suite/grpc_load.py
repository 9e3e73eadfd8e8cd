"""Load over gRPC by h2load, nghttp2's own program, which costs little of what it measures."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil
import struct
import subprocess

from .processes import CannotRun, Program

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclasses.dataclass
class Side:
    """Who is asked, and the message that it is asked with."""

    name: str
    program: Program
    port: int
    message: pathlib.Path
    headers: dict[str, str]


def inputs(row):
    import tritonclient.grpc as triton

    tensor = triton.InferInput("input", list(row.shape), "FP64")
    tensor.set_data_from_numpy(row)
    return [tensor]


def request(model: str, row) -> bytes:
    """A ModelInferRequest in its frame."""
    from tritonclient.grpc import service_pb2

    message = service_pb2.ModelInferRequest(model_name=model)
    message.inputs.add(name="input", datatype="FP64", shape=row.shape)
    message.raw_input_contents.append(row.astype("f8").tobytes())
    body = message.SerializeToString()
    return b"\0" + struct.pack(">I", len(body)) + body


def check(port: int, model: str, row, headers: dict[str, str], expected) -> None:
    """That the side gives the model's own answer: h2load does not look at the status of calls."""
    import tritonclient.grpc as triton

    lower = {name.lower(): value for name, value in headers.items()}
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        result = client.infer(model, inputs(row), headers=lower)
        name = result.get_response().outputs[0].name
        if abs(result.as_numpy(name).ravel() - expected).max() > 1e-12:
            raise RuntimeError(f"port {port}: another answer than the model's")


def run(side: Side, connections: int, streams: int, seconds: float) -> dict:
    """One sample, with the fields of the load program's report."""
    program = shutil.which("h2load")
    if program is None:
        raise CannotRun("h2load is not installed; it is in Debian's nghttp2-client")
    before = side.program.cpu()
    log = side.message.with_suffix(".log")
    log.unlink(missing_ok=True)
    command = [program, "-c", connections, "-m", streams, "-t", 1, "-D", round(max(1, seconds))]
    command += ["-d", side.message, f"--log-file={log}"]
    for name, value in {
        "content-type": "application/grpc",
        "te": "trailers",
        **{name.lower(): value for name, value in side.headers.items()},
    }.items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://127.0.0.1:{side.port}{METHOD}")
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + 2 * seconds,
    )
    cpu = side.program.cpu() - before
    finished = re.search(r"finished in ([\d.]+)(m?s),", done.stdout)
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
    if done.returncode != 0 or not finished or not counts:
        raise RuntimeError(f"{side.name}: {done.stdout}{done.stderr}")
    answers, failed, errored = map(int, counts.groups())
    if failed or not answers:
        raise RuntimeError(f"{side.name}: {failed} failed, {errored} errored, {answers} answered")
    took = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    scale = 0.001 if finished[2] == "ms" else 1
    return {
        "answers": answers,
        "seconds": float(finished[1]) * scale,
        "p50_us": took[len(took) // 2],
        "p99_us": took[min(len(took) - 1, len(took) * 99 // 100)],
        "broken": 0,
        "cpu_us": cpu / answers * 1e6,
    }


def interleave(
    ours: Side, theirs: Side, connections: int, streams: int, seconds: float, repetitions: int
) -> tuple[list[dict], list[dict]]:
    """Samples of both sides in turn, after a warm-up of each."""
    for side in (ours, theirs):
        run(side, connections, streams, 1)
    pairs = [
        (run(ours, connections, streams, seconds), run(theirs, connections, streams, seconds))
        for _ in range(repetitions)
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
