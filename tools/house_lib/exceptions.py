"""tools/house.exceptions: faults that stand for a stated reason, in a list that may only shrink.

Each line is `rule path limit # why`. For rules about sizes the limit is the largest size allowed,
for all others the number of findings. An entry must be exact: when the fault shrinks, so must it.
"""

import re
from typing import NamedTuple

from house_lib.tree import Finding, Tree, git

PATH = "tools/house.exceptions"
SIZE_RULES = {
    "file-lines", "header-lines", "function-lines", "line-length", "folder-files", "room-readme",
}
_ENTRY = re.compile(r"(\S+)\s+(\S+)\s+(\d+)\s+#\s*(\S.*)")


class Entry(NamedTuple):
    line: int
    rule: str
    path: str
    limit: int
    why: str


def parse(text: str) -> tuple[list[Entry], list[Finding]]:
    entries: dict[tuple[str, str], Entry] = {}
    findings = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _ENTRY.fullmatch(line.strip())
        if not match or (match[1], match[2]) in entries:
            findings.append(_finding(number, f"cannot use '{line.strip()}'",
                                     "Write `rule path limit # why`, once for each rule and path"))
            continue
        entries[match[1], match[2]] = Entry(number, match[1], match[2], int(match[3]), match[4])
    return list(entries.values()), findings


def measure(rule: str, findings: list[Finding]) -> int:
    if rule in SIZE_RULES:
        return max((f.measure for f in findings), default=0)
    return len(findings)


def apply(tree: Tree, findings: list[Finding]) -> list[Finding]:
    """Drops what the list allows, and adds what is wrong with the list itself."""
    file = tree.files.get(PATH)
    if not file:
        return findings
    entries, problems = parse(file.text)
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.path), []).append(finding)
    for entry in entries:
        size = measure(entry.rule, groups.get((entry.rule, entry.path), []))
        if size <= entry.limit:
            groups.pop((entry.rule, entry.path), None)
        if size == 0:
            problems.append(_finding(entry.line, f"{entry.rule} {entry.path} has no fault any more",
                                     "Delete the line"))
        elif size < entry.limit:
            problems.append(_finding(entry.line, f"{entry.rule} {entry.path} is down to {size}",
                                     f"Lower the limit to {size}"))
    kept = [finding for group in groups.values() for finding in group]
    return kept + problems + _growth(tree, entries)


def _growth(tree: Tree, entries: list[Entry]) -> list[Finding]:
    """Compares each rule's number of entries and sum of limits with those of the base commit."""
    base = _base(tree)
    before_text = git(tree.root, "show", f"{base}:{PATH}") if base else None
    if before_text is None:
        return []  # the first version of the list, or no history to compare with
    before, now = _totals(parse(before_text)[0]), _totals(entries)
    findings = []
    for rule, (count, total) in now.items():
        old_count, old_total = before.get(rule, (0, 0))
        if count > old_count or total > old_total:
            findings.append(_finding(
                max(e.line for e in entries if e.rule == rule),
                f"{rule} grew from {old_count} entries, {old_total} in all, to {count} and {total}",
                "Mend the fault instead; the list may only shrink"))
    return findings


def _base(tree: Tree) -> str | None:
    """Where the branch left main, or the commit before HEAD on main itself."""
    head = (git(tree.root, "rev-parse", "HEAD") or "").strip()
    for main in ("origin/main", "main"):
        base = (git(tree.root, "merge-base", "HEAD", main) or "").strip()
        if base and base != head:
            return base
    return "HEAD~1" if head else None


def _totals(entries: list[Entry]) -> dict[str, tuple[int, int]]:
    totals: dict[str, tuple[int, int]] = {}
    for entry in entries:
        count, total = totals.get(entry.rule, (0, 0))
        totals[entry.rule] = (count + 1, total + entry.limit)
    return totals


def _finding(line: int, message: str, fix: str) -> Finding:
    return Finding(PATH, line, "exceptions", message, fix)
