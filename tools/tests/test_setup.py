"""tools/setup.d/fetch.py against archives made here: no network."""

import hashlib
import os
import pathlib
import stat
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FETCH = ROOT / "tools/setup.d/fetch.py"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Machine:
    """A download cache, a build folder and a lock with one archive of the stage `deps`."""

    def __init__(self, folder):
        self.cache, self.build, self.lock = folder / "cache", folder / "build", folder / "LOCK"
        self.cache.mkdir()
        # A pip that has no network: what it is asked for never arrives.
        pip = self.build / "bootstrap/bin/pip"
        pip.parent.mkdir(parents=True)
        pip.write_text("#!/bin/sh\necho no route to host\nexit 1\n")
        pip.chmod(0o755)

    def write_lock(self, archive, takes):
        fields = {"name": "engine", "version": "1.0", "stage": "deps", "kind": "pypi-wheel"}
        fields |= {"package": "engine==1.0"} | archive
        lines = ["[[archive]]"] + [f'{key} = "{value}"' for key, value in fields.items()]
        for take in takes:
            lines += ["[[archive.take]]"]
            lines += [f"{k} = {v}" if k == "only" else f'{k} = "{v}"' for k, v in take.items()]
        self.lock.write_text("\n".join(lines) + "\n")

    def fetch(self):
        return subprocess.run(
            [sys.executable, FETCH, "--lock", self.lock, "--build", self.build, "deps"],
            env={**os.environ, "STRATA_CACHE_DIR": str(self.cache)}, capture_output=True, text=True,
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def cached_zip(machine, files):
    path = machine.cache / "engine.whl"
    with zipfile.ZipFile(path, "w") as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return {"file": path.name, "sha256": sha256(path.read_bytes())}


def test_a_cached_archive_gives_its_files_without_the_network(machine):
    archive = cached_zip(machine, {"lib/engine.so": b"code", "other": b"x"})
    machine.write_lock(
        archive,
        [{"from": "lib/engine.so", "to": "deps/engine/engine.so", "sha256": sha256(b"code")}],
    )
    done = machine.fetch()
    assert done.returncode == 0, done.stderr
    assert (machine.build / "deps/engine/engine.so").read_bytes() == b"code"
    assert not (machine.build / "deps/engine/other").exists()


def test_a_file_that_differs_is_refused_with_both_checksums_and_leaves_nothing(machine):
    archive = cached_zip(machine, {"engine.so": b"evil"})
    wanted = sha256(b"good")
    machine.write_lock(
        archive, [{"from": "engine.so", "to": "deps/engine/engine.so", "sha256": wanted}]
    )
    done = machine.fetch()
    assert done.returncode == 1
    assert "engine.so" in done.stderr
    assert wanted in done.stderr and sha256(b"evil") in done.stderr
    assert list((machine.build / "deps/engine").iterdir()) == []


def test_a_cached_archive_that_differs_is_not_used(machine):
    archive = cached_zip(machine, {"engine.so": b"code"})
    machine.write_lock(
        archive | {"sha256": "0" * 64}, [{"from": "engine.so", "to": "deps/engine/engine.so"}]
    )
    done = machine.fetch()
    assert done.returncode == 1
    assert "no route to host" in done.stderr  # it was asked for again
    assert not (machine.build / "deps/engine").exists()


def test_a_path_that_leaves_its_folder_is_refused(machine):
    archive = cached_zip(machine, {"lib/../../../escaped": b"x"})
    machine.write_lock(archive, [{"from": "lib/", "to": "deps/engine/", "only": '["*"]'}])
    assert machine.fetch().returncode == 1
    assert not list(machine.build.rglob("escaped"))
    assert not (machine.build.parent / "escaped").exists()


def test_a_missing_part_is_named(machine):
    archive = cached_zip(machine, {"engine.so": b"code"})
    machine.write_lock(archive, [{"from": "engine.dll", "to": "deps/engine/engine.dll"}])
    done = machine.fetch()
    assert done.returncode == 1
    assert "engine.dll" in done.stderr


def test_programs_in_a_tar_stay_executable_and_old_files_go(machine):
    path = machine.cache / "engine.tgz"
    tool = machine.build.parent / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    with tarfile.open(path, "w:gz") as bundle:
        bundle.add(tool, "package/bin/tool")
    stale = machine.build / "deps/engine/stale"
    stale.parent.mkdir(parents=True)
    stale.touch()
    machine.write_lock(
        {"file": path.name, "sha256": sha256(path.read_bytes())},
        [{"from": "package/", "to": "deps/engine/", "only": '["bin/*"]'}],
    )
    done = machine.fetch()
    assert done.returncode == 0, done.stderr
    placed = machine.build / "deps/engine/bin/tool"
    assert placed.stat().st_mode & stat.S_IXUSR
    assert not stale.exists()
