"""Markdown: links that lead somewhere, and the map of the house in docs/architecture.md."""

import posixpath
import re
from urllib.parse import unquote

from house_lib.floors import House
from house_lib.rooms import first_sentence
from house_lib.tree import File, Finding, Tree

MAP_PATH = "docs/architecture.md"
MAP_BEGIN, MAP_END = "<!-- map -->", "<!-- /map -->"

_FENCE = re.compile(r"^([ \t]*)(```+|~~~+).*?^[ \t]*\2[ \t]*$", re.M | re.S)
_CODE_SPAN = re.compile(r"(`+)(?:(?!\1|\n).)+\1")
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_LINK = re.compile(
    r"\]\(\s*<?([^()\s<>]+(?:\([^()\s]*\))?)>?(?:\s+[\"'][^\"'\n]*[\"'])?\s*\)"
    r"|^[ \t]*\[[^\]\n]+\]:[ \t]+<?([^\s>]+)"
    r"|\b(?:src|href)=\"([^\"\n]+)\"",
    re.M,
)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$|<a (?:id|name)=\"([^\"]+)\"", re.M)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.I)


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def _prose(file: File) -> str:
    return _COMMENT.sub(_blank, _CODE_SPAN.sub("", _FENCE.sub(_blank, file.text)))


def _anchors(file: File) -> set[str]:
    """The anchors that GitHub makes from headings."""
    anchors: set[str] = set()
    for match in _HEADING.finditer(_FENCE.sub(_blank, file.text)):
        text = match[2] or re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1])
        slug = match[2] or re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number, name = 0, slug
        while name in anchors:
            number += 1
            name = f"{slug}-{number}"
        anchors.add(name)
    return anchors


def check_links(tree: Tree) -> list[Finding]:
    """Every relative link of every Markdown file names a file, folder or heading that exists."""
    findings = []
    for file in tree.files.values():
        if file.language != "markdown" or file.is_foreign:
            continue
        prose = _prose(file)
        for match in _LINK.finditer(prose):
            link = match[1] or match[2] or match[3]
            problem = None if _SCHEME.match(link) else _broken(tree, file, link)
            if problem:
                line = prose.count("\n", 0, match.start()) + 1
                fix = "Mend or remove the link"
                findings.append(Finding(file.path, line, "link", problem, fix))
    return findings


def _broken(tree: Tree, file: File, link: str) -> str | None:
    path, _, anchor = unquote(link).partition("#")
    path = path.partition("?")[0]
    target = file.path
    if path:
        base = "" if path.startswith("/") else file.folder
        target = posixpath.normpath(posixpath.join(base, path.lstrip("/")))
        if target.startswith(".."):
            return f"{link} leads out of the repository"
    if target not in tree.files:
        return None if target in tree.folders or target == "." else f"{link} does not exist"
    other = tree.files[target]
    if anchor and other.language == "markdown" and anchor not in _anchors(other):
        return f"{link} names no heading of {target}"
    return None


def render_map(tree: Tree, house: House) -> str:
    """The floors from the top down, with each existing room and the first sentence of its README.

    Links are relative to docs/, where the map is shown.
    """
    blocks = []
    for floor in reversed(house.floors.values()):
        if f"src/{floor.name}" not in tree.folders:
            continue
        rows = [_row(tree, r.folder) for r in floor.rooms.values() if r.folder in tree.folders]
        if not floor.rooms:
            rows = [_row(tree, f"src/{floor.name}")]
        if rows:
            blocks.append(f"**{floor.name}**\n\n" + "\n".join(rows))
    return "\n\n".join(blocks) or "No floor has been built yet."


def _row(tree: Tree, folder: str) -> str:
    name = folder.removeprefix("src/")
    readme = tree.files.get(f"{folder}/README.md")
    target = f"../{folder}/README.md" if readme else f"../{folder}"
    sentence = first_sentence(readme.text) if readme else ""
    # Links in the README are relative to the README, so only their text is kept.
    sentence = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", sentence)
    return f"- [`{name}`]({target})" + (f": {sentence}" if sentence else "")


def splice_map(text: str, block: str) -> str | None:
    """`text` with `block` between the markers, or None when the markers are missing."""
    begin, end = text.find(MAP_BEGIN), text.find(MAP_END)
    if begin < 0 or end < begin:
        return None
    return f"{text[:begin]}{MAP_BEGIN}\n\n{block}\n\n{text[end:]}"


def check_map(tree: Tree, house: House, path: str = MAP_PATH) -> list[Finding]:
    """Whether the map that `path` shows is the one that the tree gives; no file, no finding."""
    file = tree.files.get(path)
    if not file:
        return []
    wanted = splice_map(file.text, render_map(tree, house))
    if wanted is None:
        return [Finding(path, 1, "map", "the markers of the map are missing",
                        f"Add {MAP_BEGIN} and {MAP_END}")]
    if wanted == file.text:
        return []
    line = file.text.count("\n", 0, file.text.index(MAP_BEGIN)) + 1
    return [Finding(path, line, "map", "the map does not show the tree as it is",
                    f"Run tools/house map --write {path}")]
