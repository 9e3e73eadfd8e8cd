"""Pipelines written with the decorators of the Python package."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

SDK = pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python" / "src"


PIPELINE = '''
import strata
from strata import flow, step

@step(retries=1, outputs=["words.txt"])
def words(text: str) -> int:
    """Counts; writes a file beside its result."""
    print("counting", text)
    with strata.output("words.txt") as path:
        path.write_text("\\n".join(text.split()))
    return len(text.split())

@step(needs=[words])
def report(count: int, factor: float = 2.0) -> dict:
    first = strata.input("words", "words.txt").read_text().split()[0]
    return {"count": count * factor, "first": first}

@flow(name="sdk-words", env={"PYTHONPATH": "SDK_PATH"})
def counting(text: str = "a b c", factor: float = 2.0):
    """Counts words."""
    report(words(text), factor)

if __name__ == "__main__":
    run = counting.run(text="to be or not").wait(timeout=60)
    print("result", run.result("report"), run.artifact("words", "words.txt").decode().split()[1])
    print("steps", sorted((s.name, s.state) for s in run.steps.values()))
    print("log", "".join(run.logs("words")).strip())
    try:
        run.cancel()
    except strata.ConflictError as error:
        print("refused", error)
'''


@pytest.fixture
def project(server, tmp_path):
    # Steps import the package from its source folder, as if it were installed in their interpreter.
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace("SDK_PATH", str(SDK)))
    env = os.environ | server.env | {"PYTHONPATH": str(SDK)}
    return tmp_path, env


def python(folder, env, script) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, script], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


def test_a_decorated_pipeline_runs_on_the_server(project):
    folder, env = project
    done = python(folder, env, "pipeline.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "result {'count': 8.0, 'first': 'to'} be" in done.stdout
    assert "[('report', 'succeeded'), ('words', 'succeeded')]" in done.stdout
    assert "log counting to be or not" in done.stdout
    assert "has ended already: succeeded" in done.stdout.partition("refused")[2]


def test_the_sample_of_the_readme_runs_as_written(project):
    folder, env = project
    text = (SDK.parent / "README.md").read_text()
    sample = text.split("```python\n")[1].split("```")[0]
    # As if the package were installed in the interpreter of the steps.
    inside = sample.replace("@flow(", f"@flow(env={{'PYTHONPATH': {str(SDK)!r}}}, ", 1)
    assert inside != sample
    (folder / "daily.py").write_text(inside)
    done = python(folder, env, "daily.py")
    assert done.stdout == "900.0\n", done.stdout + done.stderr


def test_errors_are_exceptions_that_name_the_fix(server):
    import strata

    client = strata.connect(server.env["STRATA_URL"], server.env["STRATA_TOKEN"])
    with pytest.raises(strata.NotFoundError, match="no run"):
        strata.get_run("nothing", client=client)
    with pytest.raises(strata.PermissionDeniedError):
        strata.connect(server.env["STRATA_URL"], "wrong").json("GET", "/api/v1/flows")
