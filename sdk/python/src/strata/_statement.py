"""Whether a statement only looks, read off its text."""

from __future__ import annotations

import re

# What hides words: comments, texts, quoted names, and $tag$texts$tag$.
_HIDDEN = re.compile(
    r"""--[^\n]*
      | /\*.*?(?:\*/|\Z)
      | '(?:[^']|'')*(?:'|\Z)
      | "(?:[^"]|"")*(?:"|\Z)
      | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)""",
    re.DOTALL | re.VERBOSE,
)
_PIECE = re.compile(r"[^\W\d]\w*|[();]")
_LOOKS = frozenset(
    ["select", "from", "values", "table", "describe", "desc", "show", "summarize", "pivot"]
    + ["unpivot"]
)
_CHANGES = frozenset(["insert", "update", "delete", "merge"])


def only_looks(query: str) -> bool:
    """True for one statement that surely changes nothing: a query, or ``WITH`` before a query.

    False in doubt: for several statements, for what takes from a sequence, and for all else.
    """
    text = _HIDDEN.sub(" ", query)
    pieces = [piece.lower() for piece in _PIECE.findall(text)]
    while pieces and pieces[-1] == ";":
        pieces.pop()
    if ";" in pieces or "nextval" in pieces or '"nextval"' in query.lower():
        return False
    words = [piece for piece in pieces if piece != "("]
    if not words or words[0] != "with":
        return bool(words) and words[0] in _LOOKS
    depth = 0
    for piece in pieces[pieces.index("with") + 1 :]:
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth <= 0 and piece in _LOOKS | _CHANGES:
            return piece in _LOOKS
    return False
