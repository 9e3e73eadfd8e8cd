"""Reads src/FLOORS: floors and rooms in order, public headers, places of third-party headers."""

import re
from dataclasses import dataclass, field

from house_lib.tree import File, Finding, Tree

FLOORS_PATH = "src/FLOORS"
DOORS, ENGINES, APP = "doors", "engines", "app"
OUTER = {DOORS, ENGINES, APP}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ROOM = re.compile(r"([a-z][a-z0-9_]*)(?:\(([^()]*)\))?(?:\s+|$)")
_THIRD_PARTY = re.compile(r"((?:<[^<>]+>\s*)+):\s*(.+)")


@dataclass
class Room:
    floor: str
    name: str
    order: int
    extra: list[str] = field(default_factory=list)

    @property
    def folder(self) -> str:
        return f"src/{self.floor}/{self.name}"

    @property
    def front_door(self) -> str:
        return f"{self.folder}/{self.name}.hpp"

    def shows(self, header: str) -> bool:
        """Whether other rooms may include `header`, a path that begins with src/."""
        if self.floor in OUTER and not self.extra:
            return True
        return header == self.front_door or header.removeprefix(self.folder + "/") in self.extra


@dataclass
class Floor:
    name: str
    order: int
    rooms: dict[str, Room] = field(default_factory=dict)


@dataclass
class Place:
    """Where a file lives; `room` is None on a floor without rooms."""

    floor: Floor
    room: Room | None

    def __str__(self) -> str:
        return f"{self.floor.name}/{self.room.name}" if self.room else self.floor.name


@dataclass
class House:
    floors: dict[str, Floor] = field(default_factory=dict)
    third_party: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def place(self, file: File) -> Place | None:
        """None for files outside src/ and for folders that src/FLOORS does not list."""
        parts = file.path.split("/")
        if parts[0] != "src" or len(parts) < 3 or parts[1] not in self.floors:
            return None
        floor = self.floors[parts[1]]
        if not floor.rooms:
            return Place(floor, None)
        room = floor.rooms.get(parts[2]) if len(parts) > 3 else None
        return Place(floor, room) if room else None

    def allowed_places(self, header: str) -> list[str] | None:
        """The places of a third-party header, by its longest listed prefix; None when unlisted."""
        found = [
            key for key in self.third_party
            if key == header or key.endswith("/") and header.startswith(key)
        ]
        return self.third_party[max(found, key=len)] if found else None

    def _complain(self, line: int, message: str, fix: str) -> None:
        self.findings.append(Finding(FLOORS_PATH, line, "floors", message, fix))

    def _add_floor(self, line: int, name: str, rooms: str) -> None:
        if not _NAME.fullmatch(name) or name in self.floors:
            self._complain(line, f"'{name}' is not a new floor name",
                           "Name each floor once, in snake_case")
            return
        floor = self.floors[name] = Floor(name, len(self.floors))
        rest = rooms.strip()
        while rest:
            match = _ROOM.match(rest)
            if not match or match[1] in floor.rooms:
                self._complain(line, f"cannot read the rooms of {name} from '{rest}'",
                               "List each room once: `room` or `room(extra.hpp)`")
                return
            extra = [e for e in re.split(r"[,\s]+", match[2] or "") if e]
            floor.rooms[match[1]] = Room(name, match[1], len(floor.rooms), extra)
            rest = rest[match.end():]

    def _add_third_party(self, line: int, text: str) -> None:
        match = _THIRD_PARTY.fullmatch(text)
        if not match:
            self._complain(line, f"cannot read '{text}'", "Write `<header>: place place`")
            return
        for header in re.findall(r"<([^<>]+)>", match[1]):
            self.third_party[header] = match[2].split()

    def _check_places(self) -> None:
        known = {"tests", "everywhere", *self.floors}
        known |= {f"{f.name}/{r}" for f in self.floors.values() for r in f.rooms}
        for header, places in self.third_party.items():
            for place in set(places) - known:
                self._complain(1, f"<{header}> names the unknown place '{place}'",
                               "Name a floor, floor/room, `tests` or `everywhere`")


def read_floors(tree: Tree) -> House:
    """Parses src/FLOORS; what cannot be read becomes findings, and the rest still counts."""
    house = House()
    file = tree.files.get(FLOORS_PATH)
    if not file:
        if "src" in tree.folders:
            house._complain(1, "the file is missing", "List the floors bottom-up")
        return house
    entries: list[tuple[int, str]] = []
    for number, raw in enumerate(file.lines, 1):
        text = raw.split("#", 1)[0].rstrip()
        if not text:
            continue
        if text[0].isspace() and entries:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {text.strip()}")
        else:
            entries.append((number, text.strip()))
    for number, text in entries:
        if text.startswith("<"):
            house._add_third_party(number, text)
        else:
            name, _, rooms = text.partition(":")
            house._add_floor(number, name.strip(), rooms)
    house._check_places()
    return house
