"""Packs the source folder of a pipeline: the same content gives the same bytes."""

from __future__ import annotations

import io
import os
import pathlib
import tarfile

from ._errors import FlowError

_LEFT_OUT = {"__pycache__", "node_modules"}
_LIMIT = 64 << 20


def pack(folder: pathlib.Path) -> bytes:
    """A tar archive of all files below ``folder`` but hidden ones, caches and a server's data.

    A server's data directory holds its keys: below ``folder`` it is left out, as ``folder`` itself
    it is refused.
    """
    if _holds_a_server(folder):
        raise FlowError(
            f"the source folder {folder} holds a server's data and keys; "
            "name a folder with the flow's own files with @flow(source=...)"
        )
    names: list[pathlib.Path] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in _LEFT_OUT and not f.startswith("."))
        here = pathlib.Path(root)
        if (here / "pyvenv.cfg").exists() or _holds_a_server(here):
            folders[:] = []
            continue
        names += [
            here / f
            for f in files
            if not f.startswith(".") and not f.endswith(".pyc") and (here / f).is_file()
        ]
    total = sum(name.stat().st_size for name in names)
    if total > _LIMIT:
        raise FlowError(
            f"the source folder {folder} has {total >> 20} MiB in {len(names)} files, "
            f"more than {_LIMIT >> 20} MiB; "
            "keep data in the lake, or name a smaller folder with @flow(source=...)"
        )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(names):
            entry = tarfile.TarInfo(name.relative_to(folder).as_posix())
            content = name.read_bytes()
            entry.size = len(content)
            entry.mode = 0o755 if os.access(name, os.X_OK) else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _holds_a_server(folder: pathlib.Path) -> bool:
    return (folder / "master.key").exists() and (folder / "records.db").exists()
