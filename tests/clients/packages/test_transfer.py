"""Packages that leave a server and come into another one: exactly these bytes, or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import subprocess
import tarfile
import threading

import numpy
import pytest
import requests
from package_files import files_below
from programs import binary

FORMATS = ["dir", "tar", "oci"]


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A second server, to which packages move."""
    from strata_server import Server

    running = Server(tmp_path_factory.mktemp("other")).start()
    yield running
    assert running.stop() == 0
    running.strata("stop", "--now", check=False)


def versions(server, name: str) -> int:
    answer = requests.get(
        f"{server.http}/api/v1/models/{name}", headers=server.bearer(), timeout=30
    )
    return len(answer.json()["versions"]) if answer.ok else 0


def manifest_at(server, name: str, version: int) -> dict:
    path = f"{server.http}/api/v1/models/{name}/versions/{version}/package"
    return requests.get(path, headers=server.bearer(), timeout=30).json()


@pytest.mark.parametrize("form", FORMATS)
def test_a_package_moves_whole_and_comes_out_the_same_twice(
    server, other, booster, tmp_path, form, monkeypatch
):
    name, expected, frame = booster
    for copy in ("a", "b"):
        server.strata("model", "export", name, str(tmp_path / copy), "--format", form)
    whole = [
        files_below(tmp_path / copy) if form != "tar" else (tmp_path / copy).read_bytes()
        for copy in ("a", "b")
    ]
    assert whole[0] == whole[1]
    server.strata("model", "alias", name, "live", "1")
    server.strata("model", "export", f"{name}@live", str(tmp_path / "c"), "--format", form)
    made = other.strata("model", "import", str(tmp_path / "a"), "--name", name, "-o", "json").stdout
    made = json.loads(made)
    before, after = manifest_at(server, name, 1), manifest_at(other, name, made["version"])
    assert after["manifest"] == before["manifest"] and after["served_by"] == "lightgbm"
    assert after["manifest_digest"] == before["manifest_digest"]
    # The stock client loads it from there.
    for key, value in other.env.items():
        monkeypatch.setenv(key, value)
    import mlflow

    client = mlflow.MlflowClient(other.http, other.http)
    uri = client.get_model_version_download_uri(name, str(made["version"]))
    assert uri.startswith("mlflow-artifacts:/")
    there = mlflow.artifacts.download_artifacts(
        artifact_uri=uri, dst_path=str(tmp_path / "got"), tracking_uri=other.http
    )
    loaded = mlflow.pyfunc.load_model(there)
    assert numpy.array_equal(loaded.predict(frame), expected)


def test_an_exported_directory_is_the_model_and_loads_as_it_is(server, booster, tmp_path):
    import mlflow

    name, expected, frame = booster
    server.strata("model", "export", name, str(tmp_path / "m"))
    assert numpy.array_equal(mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(frame), expected)
    manifest = json.loads((tmp_path / "m.package.json").read_text())
    assert {one["path"]: one["sha256"] for one in manifest["files"]} == {
        path: hashlib.sha256(content).hexdigest()
        for path, content in files_below(tmp_path / "m").items()
    }


def test_python_reads_our_archives_and_layouts(server, name, register, tmp_path):
    files = {"MLmodel": "flavors: {}\n", "d" * 90 + "/" + "f" * 120: "deep", "é.bin": b"\0" * 700}
    register(name, files)
    server.strata("model", "export", name, str(tmp_path / "m.tar"), "--format", "tar")
    server.strata("model", "export", name, str(tmp_path / "oci"), "--format", "oci")
    wanted = {path: c.encode() if isinstance(c, str) else c for path, c in files.items()}
    with tarfile.open(tmp_path / "m.tar") as archive:
        members = archive.getmembers()
        read = {one.name: archive.extractfile(one).read() for one in members}
        assert all(one.mtime == 0 and one.mode == 0o644 and one.uid == 0 for one in members)
    manifest = read.pop("strata-package.json")
    assert read == {f"model/{path}": content for path, content in wanted.items()}
    index = json.loads((tmp_path / "oci/index.json").read_text())
    (head,) = index["manifests"]

    def blob(descriptor: dict) -> bytes:
        content = (tmp_path / "oci/blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
        assert "sha256:" + hashlib.sha256(content).hexdigest() == descriptor["digest"]
        assert len(content) == descriptor["size"]
        return content

    image = json.loads(blob(head))
    assert blob(image["config"]) == manifest
    assert image["annotations"]["strata.package-digest"] == json.loads(manifest)["package_digest"]
    with tarfile.open(fileobj=io.BytesIO(blob(image["layers"][0]))) as layer:
        assert {m.name: layer.extractfile(m).read() for m in layer.getmembers()} == wanted
    names = {path for path in files_below(tmp_path / "oci")}
    assert len(names) == 5  # layout, index, manifest, config, layer


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_archives_of_python_come_in(other, name, tmp_path, form):
    long = "d" * 80 + "/" + "f" * 90 if form == tarfile.USTAR_FORMAT else "d" * 200 + "/" + "é" * 90
    files = {"MLmodel": b"flavors: {}\n", long: b"x" * 1000, "empty": b""}
    with tarfile.open(tmp_path / "m.tar", "w", format=form) as archive:
        folder = tarfile.TarInfo("top")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for path, content in files.items():
            member = tarfile.TarInfo(f"./top/{path}")
            member.size, member.mtime, member.uname = len(content), 1234567.5, "someone"
            archive.addfile(member, io.BytesIO(content))
    made = other.strata("model", "import", str(tmp_path / "m.tar"), "--name", name, "-o", "json")
    listed = manifest_at(other, name, json.loads(made.stdout)["version"])["manifest"]["files"]
    assert {one["path"]: one["sha256"] for one in listed} == {
        path: hashlib.sha256(content).hexdigest() for path, content in files.items()
    }


def change(path, old: bytes, new: bytes) -> None:
    """Puts other bytes of the same length in place of the first `old`."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_one_other_byte_is_refused_and_its_file_named(server, other, name, register, tmp_path):
    register(name, {"MLmodel": "flavors: {}\n", "weights/a.bin": b"abcdefgh" * 200})
    for form in FORMATS:
        server.strata("model", "export", name, str(tmp_path / form), "--format", form)
    change(tmp_path / "dir/weights/a.bin", b"abcdefgh", b"abcdefgX")
    change(tmp_path / "tar", b"abcdefgh", b"abcdefgX")
    blobs = (tmp_path / "oci/blobs/sha256").iterdir()
    change(next(b for b in blobs if b"abcdefgh" in b.read_bytes()), b"abcdefgh", b"abcdefgX")
    for form, said in (("dir", "weights/a.bin"), ("tar", "weights/a.bin"), ("oci", "sha256:")):
        refused = other.strata("model", "import", str(tmp_path / form), "--name", name, check=False)
        assert refused.returncode != 0 and said in refused.stderr, form
    (tmp_path / "dir/weights/a.bin").write_bytes(b"abcdefgh" * 200)
    for spoil, said in (
        (lambda: (tmp_path / "dir/more").write_text(""), "more"),
        (lambda: (tmp_path / "dir/more").unlink(), ""),
        (lambda: (tmp_path / "dir/MLmodel").unlink(), "MLmodel"),
    ):
        spoil()
        tried = other.strata("model", "import", str(tmp_path / "dir"), "--name", name, check=False)
        assert (tried.returncode == 0) == (said == "") and said in tried.stderr
    assert versions(other, name) == 1


def test_the_digest_that_is_asked_for_must_be_the_one(other, name, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/MLmodel").write_text("flavors: {}\n")
    digest = hashlib.sha256(b"flavors: {}\n").hexdigest()
    right = "sha256:" + hashlib.sha256(f"{digest}  MLmodel\n".encode()).hexdigest()
    path = str(tmp_path / "m")
    wrong = other.strata(
        "model", "import", path, "--name", name, "--digest", "sha256:" + "0" * 64, check=False
    )
    assert wrong.returncode != 0 and right in wrong.stderr and versions(other, name) == 0
    other.strata("model", "import", path, "--name", name, "--digest", right)
    assert versions(other, name) == 1


def hostile(tmp_path, *members, finish=True):
    """An archive with a model and these members, which Python writes without question."""
    path = tmp_path / "hostile.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, target in (("MLmodel", tarfile.REGTYPE, ""), *members):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return path


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", tarfile.REGTYPE, ""),
        ("/etc/evil", tarfile.REGTYPE, ""),
        ("a/../../evil", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("hard", tarfile.LNKTYPE, "MLmodel"),
        ("device", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("MLmodel", tarfile.REGTYPE, ""),
        ("./MLmodel", tarfile.REGTYPE, ""),
        ("MLmodel/below", tarfile.REGTYPE, ""),
    ],
    ids=lambda member: f"{member[0]}-{member[1]}",
)
def test_hostile_archives_are_refused(other, name, tmp_path, member):
    path = hostile(tmp_path, member)
    refused = other.strata("model", "import", str(path), "--name", name, check=False)
    assert refused.returncode != 0 and len(refused.stderr.splitlines()) == 1
    assert versions(other, name) == 0


def test_packed_cut_and_linked_packages_are_refused(other, name, tmp_path):
    plain = hostile(tmp_path).read_bytes()
    (tmp_path / "cut.tar").write_bytes(plain[:700])
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/MLmodel").symlink_to("/etc/passwd")
    (tmp_path / "huge.tar").write_bytes(plain[:512].replace(b"0" * 11, b"7" * 11, 1) + b"\0" * 1024)
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "cut.tar", "x")
    shutil.make_archive(str(tmp_path / "zip"), "zip", tmp_path / "linked")
    for path in ("cut.tar", "empty", "linked", "huge.tar", "packed.tar.gz", "zip.zip", "missing"):
        refused = other.strata("model", "import", str(tmp_path / path), "--name", name, check=False)
        assert refused.returncode != 0 and refused.stderr, path
    assert versions(other, name) == 0


def test_what_is_there_is_not_written_over(server, name, register, tmp_path):
    register(name, {"MLmodel": "flavors: {}\n"})
    (tmp_path / "there").write_text("mine")
    for form in FORMATS:
        path = str(tmp_path / "there")
        refused = server.strata("model", "export", name, path, "--format", form, check=False)
        assert refused.returncode == 5, refused.stderr
    assert (tmp_path / "there").read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_an_interrupted_import_leaves_no_version(other, name, tmp_path):
    """The command dies in the middle of a file; what it sent is nowhere, and a new try is whole."""
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    with open(folder / "large.bin", "wb") as file:
        file.truncate(600 << 20)
    process = subprocess.Popen(
        [binary(), "model", "import", str(folder), "--name", name, "--data", str(other.data)],
        stderr=subprocess.PIPE,
    )
    begun = threading.Event()

    def watch():
        while process.poll() is None and not begun.is_set():
            for path in (other.data / "lake").rglob("*"):
                try:
                    if path.is_file() and path.stat().st_size > (8 << 20):
                        begun.set()
                except FileNotFoundError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert begun.wait(90)
    process.send_signal(signal.SIGKILL)
    process.wait()
    watcher.join()
    assert versions(other, name) == 0
    (folder / "large.bin").write_bytes(b"small")
    other.strata("model", "import", str(folder), "--name", name)
    assert versions(other, name) == 1


def test_the_server_makes_a_version_of_exactly_what_is_claimed(other, name):
    root = f"{other.http}/api/v1/models/{name}/imports"
    headers = other.bearer()
    import_id = requests.post(root, headers=headers, timeout=30).json()["import"]
    at = f"{root}/{import_id}"
    put = requests.put(f"{at}/files/a/b", data=b"bytes", headers=headers, timeout=30).json()
    assert put["sha256"] == hashlib.sha256(b"bytes").hexdigest()
    for bad in ("..%2Fx", "%2Fx", "a%2F..%2Fb"):
        answer = requests.put(f"{at}/files/{bad}", data=b"x", headers=headers, timeout=30)
        assert answer.status_code == 400, bad
    right = {"path": "a/b", "sha256": put["sha256"]}
    digest = "sha256:" + hashlib.sha256(f"{put['sha256']}  a/b\n".encode()).hexdigest()
    for claim, said in (
        ({"package_digest": "sha256:" + "0" * 64, "files": [right]}, "package_digest"),
        ({"package_digest": digest, "files": [right, {**right, "path": "c"}]}, "'c'"),
        ({"package_digest": digest, "files": [{**right, "sha256": "0" * 64}]}, "'a/b'"),
        ({"package_digest": digest, "files": [{**right, "path": "0"}]}, "'0'"),
        ({"package_digest": digest, "files": []}, "files"),
    ):
        answer = requests.post(f"{at}/finish", json=claim, headers=headers, timeout=30)
        assert answer.status_code == 400 and said in answer.text, claim
    assert versions(other, name) == 0
    claim = {"package_digest": digest, "files": [right]}
    made = requests.post(f"{at}/finish", json=claim, headers=headers, timeout=30)
    assert made.status_code == 201 and made.json()["package_digest"] == digest
    again = requests.post(f"{at}/finish", json=claim, headers=headers, timeout=30)
    assert again.status_code == 404
    late = requests.put(f"{at}/files/a/b", data=b"other", headers=headers, timeout=30)
    assert late.status_code == 404
    got = requests.get(
        f"{other.http}/api/v1/models/{name}/versions/1/files/a/b", headers=headers, timeout=30
    )
    assert got.content == b"bytes"


def test_imports_need_the_right_to_write_models_and_have_a_bound(fresh_server):
    server = fresh_server.start()
    server.strata("user", "create", "reader", "--role", "viewer")
    made = json.loads(server.strata("token", "create", "--user", "reader", "-o", "json").stdout)
    root = f"{server.http}/api/v1/models/m/imports"
    reader = server.bearer(made["token"])
    assert requests.post(root, headers=reader, timeout=30).status_code == 403
    answers = [requests.post(root, headers=server.bearer(), timeout=30) for _ in range(101)]
    assert [one.status_code for one in answers[:100]] == [201] * 100
    assert answers[100].status_code == 503
    gone = f"{root}/{answers[0].json()['import']}"
    assert requests.delete(gone, headers=server.bearer(), timeout=30).ok
    assert requests.post(root, headers=server.bearer(), timeout=30).status_code == 201
