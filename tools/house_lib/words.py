"""Identifiers with a better replacement, unfinished work, machine paths, characters and names."""

import re

from house_lib.bans import (
    CPP_BANS, HEADER_BANS, PYTHON_BANS, PYTHON_TEST_BANS, TYPESCRIPT_BANS, Ban,
)
from house_lib.floors import House
from house_lib.tree import File, Finding, Tree

# Written in halves, so that this file passes its own check.
_UNFINISHED_WORDS = ["TO" "DO", "FIX" "ME", "X" "XX", "no" "commit"]
_UNFINISHED = re.compile(rf"\b(?:{'|'.join(_UNFINISHED_WORDS)})\b")
_PATHS = ["/" "work/", "/" "root/"]
_MACHINE_PATH = re.compile(rf"(?<![\w.$}}~*/-])(?:{'|'.join(_PATHS)})")
_SNAKE = re.compile(r"[a-z_][a-z0-9_]*")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_CPP_TEST = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST)\s*\(", re.M)
_PYTHON_TEST = re.compile(r"^(?:async )?def test_", re.M)


def check_banned(tree: Tree, house: House) -> list[Finding]:
    findings = []
    for file in tree.code_files():
        exempt = {"tests"} if file.is_test else set()
        if file.language == "cpp" and file.path.startswith("src/"):
            place = house.place(file)
            exempt |= {place.floor.name, str(place)} if place else set()
            table = CPP_BANS + HEADER_BANS if file.is_header else CPP_BANS
        elif file.language == "python":
            table = PYTHON_BANS
            if file.name.startswith("test_"):
                table = PYTHON_BANS + PYTHON_TEST_BANS
        elif file.language == "typescript":
            table = TYPESCRIPT_BANS
            if file.ext == ".mjs" or file.stem.endswith(".config"):
                exempt.add("config")
        else:
            continue
        for ban in table:
            findings += _banned(file, ban, exempt)
    return findings


def _banned(file: File, ban: Ban, exempt: set[str]) -> list[Finding]:
    # The compiler directives of TypeScript stand in comments.
    code = file.text if ban.words[0].startswith("@") else file.code
    if not any(word in code for word in ban.words) or ban.places & exempt:
        return []
    findings = []
    for match in ban.pattern.finditer(code):
        found = " ".join(match[0].split()).rstrip("( ")
        line = code.count("\n", 0, match.start()) + 1
        findings.append(Finding(file.path, line, "banned", found, ban.instead))
    return findings


def check_words(tree: Tree) -> list[Finding]:
    """Unfinished work and absolute paths of one machine, in every text file."""
    findings = []
    for file in tree.files.values():
        if file.is_foreign:
            continue
        for line, word in _hits(file, _UNFINISHED, _UNFINISHED_WORDS):
            findings.append(Finding(file.path, line, "word", word,
                                    "Finish it, or open an issue and take the word out"))
        for line, path in _hits(file, _MACHINE_PATH, _PATHS):
            findings.append(Finding(file.path, line, "machine-path",
                                    f"{path} is a path of one machine",
                                    "Use a relative path, a setting or a temporary folder"))
    return findings


def _hits(file: File, pattern: re.Pattern[str], words: list[str]) -> list[tuple[int, str]]:
    """(line, text) of each match; a plain search for `words` first spares most files the rest."""
    text = file.text
    if not any(word in text for word in words):
        return []
    return [(text.count("\n", 0, m.start()) + 1, m[0]) for m in pattern.finditer(text)]


def check_characters(tree: Tree) -> list[Finding]:
    """Sources are ASCII; tests and the browser UI may hold any text."""
    findings = []
    for file in tree.code_files():
        if file.text.isascii() or file.is_test or file.path.startswith("web/"):
            continue
        for number, line in enumerate(file.lines, 1):
            match = _NOT_ASCII.search(line)
            if match:
                findings.append(Finding(file.path, number, "non-ascii",
                                        f"U+{ord(match[0]):04X} in a source file",
                                        "Write it in ASCII, or escape it in the string"))
    return findings


def check_names(tree: Tree) -> list[Finding]:
    """File names that say the language, the style and whether it is a test; header guards."""
    findings = []

    def add(file: File, rule: str, message: str, fix: str) -> None:
        findings.append(Finding(file.path, 1, rule, message, fix))

    for file in tree.code_files():
        if file.language == "cpp":
            if file.ext not in (".cpp", ".hpp"):
                add(file, "name", f"{file.ext} is not used here", "Name it .cpp or .hpp")
            if file.is_header and not re.search(r"^#pragma once$", file.text, re.M):
                add(file, "pragma-once", "the header lacks its guard", "Begin with #pragma once")
            if not file.is_test and _CPP_TEST.search(file.code):
                add(file, "name", "tests in a file not named as one", "Name it *_test.cpp")
        elif file.language == "python" and file.ext:
            if _PYTHON_TEST.search(file.code) and not file.name.startswith("test_"):
                add(file, "name", "tests in a file not named as one", "Name it test_*.py")
        if file.language in ("cpp", "python") and not _SNAKE.fullmatch(file.stem):
            add(file, "name", f"{file.name} is not snake_case", "Rename it in snake_case")
    return findings


def check_dead_tools(tree: Tree) -> list[Finding]:
    """Scripts under tools/ that no other file names or imports."""
    findings = []
    for tool in tree.code_files():
        if not tool.path.startswith("tools/") or tool.is_test or tool.name == "__init__.py":
            continue
        imported = re.compile(rf"\b(?:import|from)\b.*\b{re.escape(tool.stem)}\b")
        name = tool.name if tool.ext else tool.path
        for other in tree.files.values():
            if other is not tool and (
                name in other.text
                or (tool.ext == ".py" and other.language == "python" and tool.stem in other.text
                    and imported.search(other.text))
            ):
                break
        else:
            findings.append(Finding(tool.path, 1, "dead-tool", "no other file names this tool",
                                    "Call it from the Makefile or CI, document it, or delete it"))
    return findings
