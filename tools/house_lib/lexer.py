"""Just enough of each language's lexing to find code that is not in a comment or a string.

These are heuristics for formatted source: macros that hide braces and nested template literals are
read wrongly, and a rule then sees too little, never too much of a comment.
"""

import re

_CPP = re.compile(
    r"//(?:[^\n\\]|\\.)*"  # line comment, continued by a backslash
    r"|/\*.*?\*/"
    r'|R"([^()\\\s]{0,16})\(.*?\)\1"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|\b\d[\w.]*(?:'\w+)+"  # digit separators, which are not quotes
    r"|'(?:\\.|[^'\\\n])+'",
    re.S,
)
_PYTHON = re.compile(
    r"#[^\n]*"
    r'|"""(?:\\.|[^\\])*?"""'
    r"|'''(?:\\.|[^\\])*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'",
    re.S,
)
_TYPESCRIPT = re.compile(
    r"<!--.*?-->|//[^\n]*|/\*.*?\*/|`(?:\\.|[^`\\])*`"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'",
    re.S,
)
_PATTERNS = {"cpp": _CPP, "python": _PYTHON, "typescript": _TYPESCRIPT}


def strip_code(text: str, language: str) -> str:
    """`text` with comments blanked and strings emptied; keeps every line break."""
    pattern = _PATTERNS.get(language)
    return pattern.sub(_blank, text) if pattern else text


def _blank(match: re.Match[str]) -> str:
    token = match[0]
    breaks = "\n" * token.count("\n")
    first = token[0]
    if first.isdigit():
        return "0"
    if first in "\"'`":
        return first + breaks + first
    if token.startswith('R"'):
        return '"' + breaks + '"'
    return breaks
