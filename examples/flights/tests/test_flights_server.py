"""What the demo says of its server when it does not start, and when it is interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]


def program(folder: Path, script: str) -> Path:
    made = folder / "strata"
    made.write_text("#!/bin/sh\n" + script)
    made.chmod(0o755)
    return made


def test_a_start_that_fails_quotes_its_own_error_once_and_names_the_way_out(tmp_path):
    from server import Server

    (tmp_path / "data").mkdir()
    (tmp_path / "data/serve.log").write_text("Strata is ready, long ago\n")
    line = "strata: cannot listen on 127.0.0.1:7700: Address already in use"
    strata = program(tmp_path, f"echo '{line}'; echo '{line}' >&2; exit 1\n")
    with pytest.raises(SystemExit) as ended:
        Server(strata, tmp_path / "data", fixed_ports=True)
    told = str(ended.value)
    assert "long ago" not in told and told.count(line) == 1
    assert "STRATA_HTTP=127.0.0.1:7710 STRATA_S3=127.0.0.1:7711 make demo" in told


def test_an_interrupt_says_what_runs_on_and_ends_with_130(tmp_path):
    # `strata env` is the first thing that is asked of the server; Ctrl-C comes right then.
    strata = program(tmp_path, "kill -INT $PPID\n")
    run = (
        # Who runs the tests in the background lets its children ignore Ctrl-C.
        "import signal, sys, run\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Up:\n"
        "    url = 'http://127.0.0.1:7700'\n"
        "    def __init__(self, strata, data, fixed_ports): self.strata = strata\n"
        "    def environment(self):\n"
        "        import subprocess; subprocess.run([self.strata, 'env'])\n"
        "run.Server = Up\n"
        f"sys.argv = ['run.py', '--strata', {str(strata)!r}, '--data', 'd', '--work', 'w']\n"
        "sys.exit(run.main())\n"
    )
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    env.pop("ONCE", None)
    done = subprocess.run(
        [sys.executable, "-c", run],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert "Traceback" not in done.stderr
    assert "build/strata stop --now --data d" in done.stderr
