"""Files of packages, as tests compare them."""

from __future__ import annotations

import json
import pathlib


def canonical(value) -> bytes:
    """JSON as the reference describes a manifest's bytes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def files_below(folder: pathlib.Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
