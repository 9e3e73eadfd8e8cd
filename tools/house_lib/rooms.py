"""Rooms: listed in src/FLOORS, one front door with a contract, a short README, few files."""

import re

from house_lib.floors import FLOORS_PATH, OUTER, House, Room
from house_lib.tree import Finding, Tree

MAX_FOLDER_FILES = 25
MAX_README_LINES = 40
CONTRACT_WITHIN_LINES = 25
MIN_CONTRACT_CHARS = 80
SRC_ROOT_FILES = {"FLOORS", "CMakeLists.txt", "pch.hpp", "README.md"}


def existing_rooms(tree: Tree, house: House) -> list[Room]:
    return [
        room
        for floor in house.floors.values()
        for room in floor.rooms.values()
        if room.folder in tree.folders
    ]


def check_listed(tree: Tree, house: House) -> list[Finding]:
    """Every folder under src/ is a floor, and every folder of a floor that has rooms is a room."""
    findings, seen = [], set()
    for file in tree.under("src"):
        parts = file.path.split("/")
        if len(parts) == 2:
            if file.name not in SRC_ROOT_FILES:
                findings.append(Finding(file.path, 1, "floors", "the file lives on no floor",
                                        "Move it to the floor that it belongs to"))
            continue
        floor = house.floors.get(parts[1])
        if floor is None:
            if parts[1] not in seen:
                findings.append(Finding(file.path, 1, "floors", f"src/{parts[1]} is not a floor",
                                        f"Move it to a floor, or list it in {FLOORS_PATH}"))
            seen.add(parts[1])
        elif floor.rooms and len(parts) == 3:
            if file.is_code:
                findings.append(Finding(file.path, 1, "floors",
                                        f"the file lives in no room of {floor.name}",
                                        "Move it into the room that owns it"))
        elif floor.rooms and parts[2] not in floor.rooms:
            key = f"{parts[1]}/{parts[2]}"
            if key not in seen:
                findings.append(Finding(file.path, 1, "floors", f"{key} is not a listed room",
                                        f"List it on its floor in {FLOORS_PATH}, in order"))
            seen.add(key)
    return findings


def check_rooms(tree: Tree, house: House) -> list[Finding]:
    """Each existing room has its front door and its README, and what FLOORS says of it holds."""
    findings = []
    for room in existing_rooms(tree, house):
        has_code = any(f.language == "cpp" for f in tree.under(room.folder))
        if has_code and room.floor not in OUTER:
            findings += _check_front_door(tree, room)
        for extra in room.extra if has_code else []:
            if f"{room.folder}/{extra}" not in tree.files:
                findings.append(Finding(FLOORS_PATH, 1, "floors",
                                        f"{room.folder}/{extra} is listed as public but missing",
                                        "Write it, or take it out of the brackets"))
        findings += _check_readme(tree, room)
    return findings


def _check_front_door(tree: Tree, room: Room) -> list[Finding]:
    door = tree.files.get(room.front_door)
    if not door:
        return [Finding(room.front_door, 1, "front-door", "the room has no front door",
                        "Add the one public header, named after the room, with its service class")]
    head = door.lines[:CONTRACT_WITHIN_LINES]
    comment = "".join(ln.strip().lstrip("/* ") for ln in head if re.match(r"\s*(//|/?\*)", ln))
    if len(comment) >= MIN_CONTRACT_CHARS:
        return []
    return [Finding(door.path, 1, "front-door",
                    f"no contract comment in the first {CONTRACT_WITHIN_LINES} lines",
                    "Say what the room promises, what it owns, what it costs and what fails")]


def _check_readme(tree: Tree, room: Room) -> list[Finding]:
    path = f"{room.folder}/README.md"
    readme = tree.files.get(path)
    if not readme:
        return [Finding(path, 1, "room-readme", "the room has no README.md",
                        "Say what it is for, its invariants, its data on disk and its tests")]
    if readme.line_count > MAX_README_LINES:
        return [Finding(path, MAX_README_LINES + 1, "room-readme",
                        f"{readme.line_count} lines, more than {MAX_README_LINES}",
                        "Keep what a newcomer needs; the rest belongs to docs/ or the code",
                        readme.line_count)]
    if not first_sentence(readme.text):
        return [Finding(path, 1, "room-readme", "the README has no opening sentence",
                        "Open with one sentence that says what the room is for")]
    return []


def first_sentence(markdown: str) -> str:
    """The first sentence of the first paragraph, on one line; empty when there is none."""
    for block in re.split(r"\n\s*\n", markdown):
        lines = [ln.strip() for ln in block.strip().split("\n")]
        lines = [ln for ln in lines if not ln.startswith(("#", "<!--"))]
        text = " ".join(" ".join(lines).split())
        if text and text[0] not in "|-*![<":
            match = re.match(r".*?[.!?](?=\s|$)", text)
            return match[0] if match else text
    return ""


def check_folders(tree: Tree, house: House) -> list[Finding]:
    """At most 25 code files in a folder; a room counts with its sub-folders."""
    counts: dict[str, int] = {}
    inner = {r.folder for r in existing_rooms(tree, house) if r.floor not in OUTER}
    for file in tree.code_files():
        parts = file.folder.split("/")
        room = "/".join(parts[:3])
        folder = room if room in inner else file.folder
        counts[folder] = counts.get(folder, 0) + 1
    return [
        Finding(folder, 1, "folder-files", f"{count} code files, more than {MAX_FOLDER_FILES}",
                "Split it by purpose" if folder not in inner else "A room this large is two rooms",
                count)
        for folder, count in sorted(counts.items())
        if count > MAX_FOLDER_FILES
    ]
