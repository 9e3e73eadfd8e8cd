"""The files of a checkout, read once, and the form in which rules report."""

import os
import pathlib
import re
import subprocess
from functools import cached_property
from typing import NamedTuple

from house_lib.lexer import strip_code

LANGUAGES = {
    ".cpp": "cpp", ".hpp": "cpp", ".h": "cpp", ".hh": "cpp", ".cc": "cpp", ".cxx": "cpp",
    ".py": "python", ".pyi": "python", ".sh": "shell", ".cmake": "cmake", ".md": "markdown",
    ".ts": "typescript", ".tsx": "typescript", ".js": "typescript", ".mjs": "typescript",
    ".svelte": "typescript", ".css": "css",
}
CODE = {"cpp", "python", "typescript", "shell"}
LOCKS = {"package-lock.json", "uv.lock", "requirements.lock", "LICENSE"}
SKIPPED_FOLDERS = {".git", "build", "node_modules", "dist", "__pycache__", ".venv"}
MAX_TEXT_BYTES = 1_000_000
SHEBANG = re.compile(r"#!.*?\b(python|bash|sh)[0-9.]*\b")


class Finding(NamedTuple):
    """One fault. `measure` is the size found for rules about sizes, and 1 for the others."""

    path: str
    line: int
    rule: str
    message: str
    fix: str
    measure: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}. {self.fix}."


class File:
    """One file; its path is relative to the root, with forward slashes."""

    def __init__(self, root: str, path: str):
        self.path = path
        self.name = path.rsplit("/", 1)[-1]
        self.folder = path.rpartition("/")[0]
        self.stem, self.ext = os.path.splitext(self.name)
        self._full = os.path.join(root, path)

    @cached_property
    def text(self) -> str:
        """The content, or nothing when the file is binary, very large or a link out of the tree."""
        try:
            if os.path.islink(self._full) or os.path.getsize(self._full) > MAX_TEXT_BYTES:
                return ""
            with open(self._full, "rb") as file:
                data = file.read()
        except OSError:
            return ""
        if b"\0" in data[:4096]:
            return ""
        return data.decode("utf-8", errors="replace").replace("\r\n", "\n")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")[: self.line_count]

    @cached_property
    def line_count(self) -> int:
        return self.text.count("\n") + (1 if self.text and self.text[-1] != "\n" else 0)

    @cached_property
    def language(self) -> str:
        if self.name == "CMakeLists.txt":
            return "cmake"
        if self.ext in LANGUAGES:
            return LANGUAGES[self.ext]
        if not self.ext and self.text.startswith("#!"):
            match = SHEBANG.match(self.text)
            if match:
                return "python" if match[1] == "python" else "shell"
        return ""

    @cached_property
    def code(self) -> str:
        """The text without comments and string contents; line numbers stay the same."""
        return strip_code(self.text, self.language)

    @cached_property
    def is_foreign(self) -> bool:
        """Not written by hand here: generated, locked or vendored."""
        return (
            self.name in LOCKS
            or self.path.startswith("third_party/")
            or "/generated/" in self.path
            or "@" + "generated" in self.text[:400]
        )

    @cached_property
    def is_code(self) -> bool:
        return self.language in CODE and not self.is_foreign

    @cached_property
    def is_test(self) -> bool:
        if self.language == "cpp":
            endings = ("_test", "_fuzz", "_testing")
            return self.stem.endswith(endings) or self.path.startswith("tests/")
        parts = self.path.split("/")[:-1]
        marks = (".test.", ".spec.")
        return (
            "tests" in parts
            or self.stem.startswith("test_")
            or any(mark in self.name for mark in marks)
        )

    @property
    def is_header(self) -> bool:
        return self.ext == ".hpp"

    def line_at(self, offset: int) -> int:
        return self.code.count("\n", 0, offset) + 1


class Tree:
    """Every file that git tracks or would track; outside git, all but build outputs."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self.files = {path: File(str(root), path) for path in sorted(_paths(root))}
        self.folders = {""}
        for path in self.files:
            while "/" in path:
                path = path.rpartition("/")[0]
                self.folders.add(path)

    def code_files(self, language: str | None = None) -> list[File]:
        return [f for f in self.files.values() if f.is_code and language in (None, f.language)]

    def under(self, folder: str) -> list[File]:
        prefix = folder + "/"
        return [f for path, f in self.files.items() if path.startswith(prefix)]


def git(root: pathlib.Path, *arguments: str) -> str | None:
    """What git prints, or None when it fails or `root` is not the top of a checkout."""
    if not (root / ".git").exists():
        return None
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else None


def _paths(root: pathlib.Path) -> list[str]:
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is not None:
        return [p for p in set(listed.split("\0")) if p and os.path.isfile(root / p)]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
        base = os.path.relpath(folder, root).replace(os.sep, "/")
        found += [name if base == "." else f"{base}/{name}" for name in names]
    return found
