"""What `make install` puts in place works without the checkout."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess

from programs import ROOT
from strata_server import Server


def loaded_files() -> set[str]:
    """The files that any process has mapped."""
    files = set()
    for maps in pathlib.Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
            files |= {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines()}
    return files


def test_an_installed_server_finds_its_engines(tmp_path, monkeypatch):
    # The build is made already; `-o build` keeps make from looking at it again.
    subprocess.run(
        ["make", "-C", ROOT, "-o", "build", "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/strata"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    monkeypatch.setenv("STRATA_BINARY", str(tmp_path / "opt/strata/bin/strata"))
    server = Server(tmp_path / "data").start()
    try:
        answer = server.strata("sql", "SELECT 6 * 7 AS x", "-o", "json").stdout
        assert "42" in answer
        assert str(tmp_path / "opt/strata/lib/strata/libduckdb.so") in loaded_files()
    finally:
        assert server.stop() == 0
