"""Takes the third-party files of one stage out of the archives that third_party/LOCK names.

Called by tools/setup, with Debian's Python and nothing but its standard library. An archive comes
from the download cache or, when it is not there or differs, through its registry's own client.
Nothing reaches the build folder before its checksum was compared.
"""

import argparse
import concurrent.futures
import contextlib
import fnmatch
import hashlib
import io
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile

ATTEMPTS = 3
DOWNLOAD_TIMEOUT_S = 900


class SetupError(Exception):
    """A failure that the user can act on; the message says what, where and what to do."""


def say(text):
    sys.stderr.write(f"setup: {text}\n")  # one write: several threads speak


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_sha256(what, expected, got):
    if expected != got:
        raise SetupError(
            f"{what}: the checksum differs\n"
            f"expected sha256 {expected}\n"
            f"got      sha256 {got}\n"
            "The registry serves another file than third_party/LOCK names. Do not use it. If the\n"
            "version was changed on purpose, check the file and put its checksum there."
        )


def download_command(archive, build, folder):
    """How the registry's own client is asked to put the archive into `folder`."""
    name = archive["package"].split("==")[0]
    if archive["kind"] == "npm":
        npm = [build / "deps/node/bin/npm", "pack", "--silent", "--ignore-scripts"]
        return npm + ["--pack-destination", folder, archive["package"]]
    # Given the hash, pip compares before it opens anything.
    request = folder / "request.txt"
    request.write_text(f"{archive['package']} --hash=sha256:{archive['sha256']}\n")
    pip = [build / "bootstrap/bin/pip", "--disable-pip-version-check", "--no-input"]
    pip += ["download", "--quiet", "--no-deps", "--no-cache-dir"]
    if archive["kind"] == "pypi-wheel":
        pip += ["--only-binary", name]
        if "python" in archive:
            pip += ["--python-version", archive["python"]]
    else:
        pip += ["--no-binary", name, "--use-pep517", "--no-build-isolation"]
        write_stand_in(archive, folder / "backend")
    return pip + ["--dest", folder, "--requirement", request]


# pip asks a source archive's build back end (PEP 517) for the package's name and version, which for
# some means minutes of compiling. Only the file is wanted, so this answers in the back end's place,
# and nothing that the archive brings is run.
STAND_IN = """
import pathlib, sys

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder) / "{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return info.name

__legacy__ = sys.modules[__name__]  # what pip asks for when a project names no back end
"""


def write_stand_in(archive, folder):
    *packages, module = archive["backend"].split(".")
    for package in packages:
        folder = folder / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    folder.mkdir(parents=True, exist_ok=True)
    name, version = archive["package"].split("==")
    (folder / f"{module}.py").write_text(STAND_IN.format(name=name, version=version))


def download(archive, build, cache):
    """Fetches one archive into the cache, trying again after a failure, and returns its path."""
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(dir=cache, prefix="incoming-") as temporary:
            folder = pathlib.Path(temporary)
            command = download_command(archive, build, folder)
            environment = {**os.environ, "PYTHONPATH": str(folder / "backend")}
            try:
                done = subprocess.run(
                    command, cwd=folder, env=environment, text=True, timeout=DOWNLOAD_TIMEOUT_S,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                )
                failed, output = done.returncode != 0, done.stdout
            except subprocess.TimeoutExpired:
                failed, output = True, f"no answer within {DOWNLOAD_TIMEOUT_S} s"
            arrived = folder / archive["file"]
            if not failed and not arrived.is_file():
                others = ", ".join(p.name for p in folder.iterdir() if p.name != "request.txt")
                raise SetupError(
                    f"{archive['package']}: expected the file {archive['file']}, got {others}\n"
                    "Correct `file` in third_party/LOCK."
                )
            if not failed:
                require_sha256(archive["file"], archive["sha256"], sha256_of(arrived))
                kept = cache / archive["file"]
                arrived.replace(kept)
                return kept
        if "DO NOT MATCH" in output:  # pip's words for a wrong hash: trying again cannot help
            raise SetupError(f"{archive['file']}: the checksum differs\n{output.strip()}")
        if attempt < ATTEMPTS:
            say(f"{archive['package']}: attempt {attempt} failed, trying again")
            time.sleep(2 * attempt)
    words = " ".join(str(part) for part in command)
    raise SetupError(
        f"{archive['package']}: not downloaded in {ATTEMPTS} attempts\n{output.strip()}\n"
        f"The command was: {words}\nCheck the network, then run the same command again."
    )


def obtain(archive, build, cache):
    """The archive's path in the cache, its checksum compared in this call."""
    kept = cache / archive["file"]
    if kept.is_file():
        if sha256_of(kept) == archive["sha256"]:
            return kept
        say(f"{archive['file']}: the cached copy differs from third_party/LOCK, fetching it again")
        kept.unlink()
    say(f"fetching {archive['name']} {archive['version']}")
    return download(archive, build, cache)


def entries(path):
    """Yields (name, executable, open) for each regular file of a zip or tar archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as bundle:
            for info in bundle.infolist():
                if not info.is_dir():
                    executable = bool((info.external_attr >> 16) & stat.S_IXUSR)
                    yield info.filename, executable, lambda info=info: bundle.open(info)
    else:
        with tarfile.open(path) as bundle:
            for info in bundle:
                if info.isfile():
                    executable = bool(info.mode & stat.S_IXUSR)
                    yield info.name, executable, lambda info=info: bundle.extractfile(info)


def destination(take, name):
    """Where a file of the archive goes, relative to the build folder; None: not wanted."""
    source = take["from"]
    if not source.endswith("/"):
        return take["to"] if name == source else None
    if not name.startswith(source):
        return None
    rest = name[len(source):]
    if ".." in pathlib.PurePosixPath(rest).parts:
        raise SetupError(f"{name}: a path that leaves its folder; refusing the archive")
    return take["to"] + rest if any(fnmatch.fnmatchcase(rest, p) for p in take["only"]) else None


def place(source, target, executable, expected):
    """Writes one file beside its target, compares, then renames: no reader sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    digest = hashlib.sha256()
    with open(partial, "wb") as out:
        while block := source.read(1 << 20):
            digest.update(block)
            out.write(block)
    if expected is not None and digest.hexdigest() != expected:
        partial.unlink()
        require_sha256(target.name, expected, digest.hexdigest())
    partial.chmod(0o755 if executable else 0o644)
    partial.replace(target)


def unpack(archive, path, build):
    found = set()
    for name, executable, opened in entries(path):
        for index, take in enumerate(archive["take"]):
            relative = destination(take, name)
            if relative is None:
                continue
            found.add(index)
            with contextlib.ExitStack() as stack:
                source = stack.enter_context(opened())
                if "member" in take:
                    inner = stack.enter_context(zipfile.ZipFile(io.BytesIO(source.read())))
                    source = stack.enter_context(inner.open(take["member"]))
                place(source, build / relative, executable, take.get("sha256"))
    for index, take in enumerate(archive["take"]):
        if index not in found:
            raise SetupError(
                f"{archive['file']}: holds no {take['from']}\nCorrect `from` in third_party/LOCK."
            )


def forget_previous(archives, build):
    """Removes the folders that this stage fills: what LOCK no longer names must not stay."""
    folders = {pathlib.PurePosixPath(t["to"]).parts[:2] for a in archives for t in a["take"]}
    for parts in folders:
        shutil.rmtree(build.joinpath(*parts), ignore_errors=True)


def wrap_npm(build):
    """Replaces npm's starters, which hunt for `node` in PATH, by ones that know where it is."""
    home = build / "deps/node"
    for tool in ("npm", "npx"):
        starter = home / "bin" / tool
        starter.unlink(missing_ok=True)
        starter.write_text(
            "#!/bin/sh\n"
            'bin="$(dirname "$(readlink -f "$0")")"\n'
            'PATH="$bin:$PATH"; export PATH\n'
            "# The machine's settings, as Debian's npm reads them.\n"
            'if [ -z "${NPM_CONFIG_GLOBALCONFIG:-}" ] && [ -r /etc/npmrc ]; then\n'
            "  NPM_CONFIG_GLOBALCONFIG=/etc/npmrc; export NPM_CONFIG_GLOBALCONFIG\n"
            "fi\n"
            f'exec "$bin/node" "$bin/../lib/node_modules/npm/bin/{tool}-cli.js" "$@"\n'
        )
        starter.chmod(0o755)


def run(options):
    lock = tomllib.loads(options.lock.read_text())
    archives = [a for a in lock["archive"] if a["stage"] == options.stage]
    if not archives:
        raise SetupError(f"third_party/LOCK has no archive of the stage '{options.stage}'")
    cache = pathlib.Path(os.environ["STRATA_CACHE_DIR"])
    cache.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        paths = list(pool.map(lambda archive: obtain(archive, options.build, cache), archives))
    forget_previous(archives, options.build)
    for archive, path in zip(archives, paths):
        unpack(archive, path, options.build)
    if options.stage == "node":
        wrap_npm(options.build)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lock", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("stage")
    try:
        run(parser.parse_args())
    except SetupError as error:
        first, *rest = str(error).splitlines()
        say(first)
        for line in rest:
            print(f"       {line}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
