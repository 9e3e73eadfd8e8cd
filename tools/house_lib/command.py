"""The command line of `tools/house`."""

import argparse
import pathlib
import sys
import time

from house_lib import documents, exceptions, includes, rooms, sizes, words
from house_lib.floors import House, read_floors
from house_lib.tree import Finding, Tree

DESCRIPTION = """\
Checks that the tree is built as docs/architecture.md says: floors, rooms and includes, sizes,
banned identifiers, dead files, names, links and the map. Prints `path:line: rule: message. fix.`
and exits 1 when anything is wrong. Takes about a second and needs only Python."""


def find_all(tree: Tree, house: House) -> list[Finding]:
    """Every finding of every rule, before exceptions."""
    findings, graph = includes.check_includes(tree, house)
    return [
        *house.findings,
        *findings,
        *includes.check_cycles(house, tree, graph),
        *includes.check_dead_headers(tree, graph),
        *rooms.check_listed(tree, house),
        *rooms.check_rooms(tree, house),
        *rooms.check_folders(tree, house),
        *sizes.check_sizes(tree),
        *words.check_banned(tree, house),
        *words.check_words(tree),
        *words.check_characters(tree),
        *words.check_names(tree),
        *words.check_dead_tools(tree),
        *documents.check_links(tree),
        *documents.check_map(tree, house),
    ]


def check(root: pathlib.Path) -> int:
    started = time.monotonic()
    tree = Tree(root)
    house = read_floors(tree)
    findings = sorted(set(exceptions.apply(tree, find_all(tree, house))))
    for finding in findings:
        print(finding)
    if findings:
        print(f"house: {len(findings)} findings", file=sys.stderr)
        return 1
    count = len(rooms.existing_rooms(tree, house))
    print(f"ok: {len(tree.files)} files, {count} rooms in {time.monotonic() - started:.1f} s")
    return 0


def show_map(root: pathlib.Path, check_path: str | None, write_path: str | None) -> int:
    tree = Tree(root)
    house = read_floors(tree)
    path = check_path or write_path
    if path is None:
        print(documents.render_map(tree, house))
        return 0
    if path not in tree.files:
        print(f"house: {path}: no such file below {root}", file=sys.stderr)
        return 1
    if write_path:
        text = documents.splice_map(tree.files[path].text, documents.render_map(tree, house))
        if text is not None:
            (root / path).write_text(text, encoding="utf-8")
            return 0
    findings = documents.check_map(tree, house, path)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def show_exceptions(root: pathlib.Path) -> int:
    """Prints each entry with the size that it allows and the one that stands."""
    tree = Tree(root)
    file = tree.files.get(exceptions.PATH)
    entries, problems = exceptions.parse(file.text if file else "")
    findings = find_all(tree, read_floors(tree)) if entries else []
    for entry in entries:
        mine = [f for f in findings if (f.rule, f.path) == (entry.rule, entry.path)]
        now = exceptions.measure(entry.rule, mine)
        print(f"{entry.rule} {entry.path}: {now} of {entry.limit}, because {entry.why}")
    for problem in problems:
        print(problem)
    print(f"{len(entries)} exceptions")
    return 1 if problems else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tools/house", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, metavar="DIR",
                        default=pathlib.Path(__file__).resolve().parents[2],
                        help="the tree to check; default: the one that this tool lies in")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("check", help="check everything (the default)")
    the_map = commands.add_parser("map", help="print the map of floors and rooms")
    choice = the_map.add_mutually_exclusive_group()
    choice.add_argument("--check", metavar="FILE", help="fail when FILE shows another map")
    choice.add_argument("--write", metavar="FILE", help="put the map between the markers of FILE")
    commands.add_parser("exceptions", help=f"list {exceptions.PATH} with what stands today")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    if not root.is_dir():
        parser.error(f"--root {root}: no such folder")
    if options.command == "map":
        return show_map(root, options.check, options.write)
    if options.command == "exceptions":
        return show_exceptions(root)
    return check(root)
