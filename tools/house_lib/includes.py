"""Who may include whom: floors look down, rooms show a front door, third parties stay confined."""

import re

from house_lib.floors import APP, DOORS, ENGINES, OUTER, House, Place
from house_lib.tree import File, Finding, Tree

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>\n]+>|"[^"\n]+")', re.M)
# Doors that others may stand on: they carry protocols.
CARRIERS = {f"{DOORS}/http", f"{DOORS}/grpc"}
Includes = dict[str, list[tuple[int, str]]]


def includes_of(file: File) -> list[tuple[int, str, bool]]:
    """(line, header, is quoted) for each include directive."""
    found, line, last = [], 1, 0
    for match in _INCLUDE.finditer(file.text):
        line += file.text.count("\n", last, match.start(1))
        last = match.start(1)
        found.append((line, match[1][1:-1], match[1][0] == '"'))
    return found


def check_includes(tree: Tree, house: House) -> tuple[list[Finding], Includes]:
    """The findings, and for each C++ file the headers of the tree that it includes."""
    findings: list[Finding] = []
    graph: Includes = {}
    for file in tree.code_files("cpp"):
        graph[file.path] = edges = []
        place = house.place(file)
        for line, header, quoted in includes_of(file):
            target = tree.files.get("src/" + header) if quoted else None
            if target:
                edges.append((line, target.path))
                reason = place and _refusal(house, file, place, target)
                if reason:
                    findings.append(Finding(file.path, line, "include", *reason))
            elif place:
                findings += _outside(house, file, place, line, header, quoted)
    return findings, graph


def _outside(
    house: House, file: File, place: Place, line: int, header: str, quoted: bool
) -> list[Finding]:
    """Judges an include of something that is not a file under src/."""
    allowed = house.allowed_places(header)
    if allowed is None:
        if quoted:
            return [Finding(file.path, line, "include", f'"{header}" is no file under src/',
                            "Write house headers as paths from src/, third-party ones with <>")]
        if "/" not in header and "." not in header:
            return []  # the standard library
        return [Finding(file.path, line, "third-party", f"<{header}> is not listed in src/FLOORS",
                        "Use a listed library, or add a line that says who may include it")]
    names = {"everywhere", place.floor.name, str(place)} | ({"tests"} if file.is_test else set())
    if names & set(allowed):
        return []
    return [Finding(file.path, line, "third-party", f"<{header}> may not be included in {place}",
                    f"Only {', '.join(allowed)} may; go through a port or a type of theirs")]


def _refusal(house: House, file: File, place: Place, target: File) -> tuple[str, str] | None:
    """Why `file` may not include `target` and what to do instead, or None."""
    there = house.place(target)
    if there is None:
        return None  # an unlisted folder is reported once, as such
    if target.stem.endswith(("_test", "_testing")) and not file.is_test:
        return f"{target.path} is for tests", "Move what production needs into a header of its own"
    same_floor = place.floor is there.floor
    if same_floor and place.room is there.room:
        return None
    if file.is_test:
        if there.floor.order <= place.floor.order or target.name.startswith("memory_"):
            return None
    elif there.floor.name in OUTER and place.floor.name != APP:
        if not (place.floor.name == DOORS and str(there) in CARRIERS):
            return _outer_refusal(place, there)
    if there.floor.order > place.floor.order:
        return (f"{place} may not look up to {there}",
                "Declare a port here for app/ to plug in, or publish an event")
    if same_floor and place.floor.name not in OUTER and there.room.order > place.room.order:
        return (f"{there} is listed after {place} in src/FLOORS",
                "Move the shared part into the earlier room, or use a port or an event")
    if not file.is_test and there.room and not there.room.shows(target.path):
        return (f"{target.path} is private to {there}",
                f"Include {there.room.front_door.removeprefix('src/')} and use the room's verbs")
    return None


def _outer_refusal(place: Place, there: Place) -> tuple[str, str]:
    if place.floor.name == there.floor.name == DOORS:
        return (f"{place} may not include another door, {there}",
                "Share protocol-neutral parts in doors/http, codecs in wire/")
    if place.floor.name == there.floor.name == ENGINES:
        return (f"{place} may not include another engine, {there}",
                "Share the mechanism in runtime/, or the port in the room that owns it")
    if there.floor.name == ENGINES:
        return (f"{place} may not include the engine {there}",
                "Use the port that it implements; app/ plugs the engine in")
    return f"{place} may not include {there}", "Only app/ composes; use a floor's front door"


def check_cycles(house: House, tree: Tree, graph: Includes) -> list[Finding]:
    """Circles between files, and between rooms even where each single include is allowed."""
    findings = []
    files = {path: {target for _, target in edges} for path, edges in graph.items()}
    for circle in _circles(files):
        findings.append(Finding(circle[0], 1, "cycle", "files include each other: " +
                                " -> ".join(p.removeprefix("src/") for p in circle),
                                "Move what both need into a header below them"))
    rooms: dict[str, set[str]] = {}
    where: dict[str, str] = {}
    for path, targets in files.items():
        file = tree.files[path]
        place = house.place(file)
        if not place or file.is_test:
            continue
        here = str(place)
        where.setdefault(here, path)
        for target in targets:
            there = house.place(tree.files[target])
            if there and str(there) != here:
                rooms.setdefault(here, set()).add(str(there))
    for circle in _circles(rooms):
        findings.append(Finding(where[circle[0]], 1, "cycle", "rooms include each other: " +
                                " -> ".join(circle), "Let one of them declare a port"))
    return findings


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """A circle for each edge that leads back in a depth-first walk; empty when there are none."""
    circles, done = [], set()
    for root in sorted(graph):
        # `path` is the walk from the root; `ahead` holds the edges not yet followed of each step.
        path = [] if root in done else [root]
        ahead = [iter(sorted(graph.get(node, ()))) for node in path]
        done.add(root)
        while path:
            target = next(ahead[-1], None)
            if target is None:
                path.pop()
                ahead.pop()
            elif target in path:
                circles.append(path[path.index(target):] + [target])
            elif target not in done:
                done.add(target)
                path.append(target)
                ahead.append(iter(sorted(graph.get(target, ()))))
    return circles


def check_dead_headers(tree: Tree, graph: Includes) -> list[Finding]:
    """Headers that no file but their own .cpp includes."""
    used = set()
    for path, edges in graph.items():
        own = path.rsplit(".", 1)[0] + ".hpp"
        used |= {target for _, target in edges if target not in (own, path)}
    return [
        Finding(f.path, 1, "dead-header", "no other file includes this header",
                "Use it, delete it, or fold it into its .cpp")
        for f in tree.code_files("cpp")
        if f.is_header and f.path.startswith("src/") and f.path not in used and f.name != "pch.hpp"
    ]
