"""The Python of the documents, as a reader takes it: pasted line by line, or from the wheel."""

from __future__ import annotations

import code
import os
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "sdk/python/README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.M | re.S)


BLOCKS = [
    pytest.param(block, id=f"{document.relative_to(REPOSITORY)}-{number}")
    for document in DOCUMENTS
    for number, block in enumerate(blocks(document, "python"))
]


class Pasted(code.InteractiveConsole):
    """Compiles what `python` would run of each line, and runs nothing."""

    def __init__(self):
        super().__init__()
        self.faults: list[str] = []

    def runcode(self, compiled) -> None:
        pass

    def write(self, data: str) -> None:
        self.faults.append(data)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_can_be_pasted_into_an_interactive_python(block):
    console = Pasted()
    for line in [*block.splitlines(), ""]:  # the reader ends it with Enter
        console.push(line)
    assert "".join(console.faults) == ""


def test_the_wheel_is_installed_as_the_readme_says_and_answers(server, tmp_path):
    (install, *_) = blocks(REPOSITORY / "sdk/python/README.md", "sh")
    # The shell of the README, in which nothing else leads to the package.
    path = os.pathsep.join([str(REPOSITORY / "build/venv/bin"), os.environ["PATH"]])
    env = {**os.environ, **server.env, "PATH": path, "HOME": str(tmp_path)}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        ["sh", "-ec", install], cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "42"
    assert list(tmp_path.glob("strata-python/lib/*/site-packages/strata/__init__.py"))
