"""The package that registering a version makes: what it holds, and that it never changes."""

from __future__ import annotations

import hashlib
import json
import platform
import random
import re
import sqlite3

import pytest
import requests
from package_files import canonical
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_model_of_the_stock_client_has_its_whole_package(server, booster, package_of):
    name, _, _ = booster
    found = package_of(name, 1)
    manifest = found["manifest"]
    assert found["manifest_digest"] == digest(canonical(manifest))
    assert found["served_by"] == "lightgbm"
    lines = "".join(f"{one['sha256']}  {one['path']}\n" for one in manifest["files"])
    assert manifest["package_digest"] == digest(lines.encode())
    assert {one["path"] for one in manifest["files"]} >= {"MLmodel", "model.lgb", "conda.yaml"}
    assert [one["name"] for one in manifest["signature"]["inputs"]] == ["wind", "rain"]
    assert manifest["runtime"]["python"] == platform.python_version()
    assert "lightgbm" in manifest["runtime"]["flavors"]
    assert manifest["hardware"] == {
        "accelerator": None,
        "disk_bytes": sum(one["size"] for one in manifest["files"]),
    }
    needs = manifest["dependencies"]
    assert needs["from"] == "requirements.txt" and needs["complete"] and needs["open"] == []
    assert any(line.startswith("lightgbm==") for line in needs["lock"])
    text = f"# python {platform.python_version()}\n" + "".join(f"{x}\n" for x in needs["lock"])
    assert needs["lock_digest"] == digest(text.encode())


def test_the_command_shows_it_by_number_alias_and_name(server, booster):
    name, _, _ = booster
    server.strata("model", "alias", name, "champion", "1")
    answers = [
        json.loads(server.strata("model", "package", reference, "-o", "json").stdout)
        for reference in (name, f"{name}/1", f"{name}@champion", f"models:/{name}@champion")
    ]
    assert all(one == answers[0] for one in answers) and answers[0]["version"] == 1
    shown = server.strata("model", "package", name).stdout
    assert "all locked" in shown and "wind: double" in shown and "model.lgb" in shown
    for wrong, code in ((f"{name}@nobody", 3), (f"{name}/9", 3), (f"{name}/x", 2), ("none", 3)):
        assert server.strata("model", "package", wrong, check=False).returncode == code


MLMODEL = "flavors:\n  python_function:\n    python_version: 3.10.1\n"


def test_open_lines_are_named(name, register, package_of):
    requirements = "Numpy == 1.26.4\npandas>=2\n-r more.txt\n./x.whl\n# note\nscipy==1.*\n"
    conda = "dependencies:\n- python=3.9.7\n- pip<24\n- libgomp=13\n- pip:\n  - ignored\n"
    number = register(
        name, {"MLmodel": MLMODEL, "requirements.txt": requirements, "conda.yaml": conda}
    )
    manifest = package_of(name, number)["manifest"]
    needs = manifest["dependencies"]
    assert needs["complete"] is False
    assert [(one["file"], one["line"], one["text"]) for one in needs["open"]] == [
        ("requirements.txt", 2, "pandas>=2"),
        ("requirements.txt", 3, "-r more.txt"),
        ("requirements.txt", 4, "./x.whl"),
        ("requirements.txt", 6, "scipy==1.*"),
        ("conda.yaml", None, "libgomp=13"),
    ]
    assert "numpy==1.26.4" in needs["lock"] and manifest["runtime"]["python"] == "3.9.7"


@pytest.mark.parametrize(
    ("files", "source", "lock"),
    [
        ({"python_env.yaml": "python: 3.8.1\ndependencies: [a==1, b==2]\n"}, "python_env.yaml", 2),
        ({"conda.yaml": "dependencies: [python=3.8, {pip: [a==1]}]\n"}, "conda.yaml", 1),
    ],
)
def test_other_files_serve_where_requirements_are_missing(
    name, register, package_of, files, source, lock
):
    needs = package_of(name, register(name, files))["manifest"]["dependencies"]
    assert (needs["from"], len(needs["lock"]), needs["complete"]) == (source, lock, True)


def test_one_environment_has_one_lock_digest(name, register, package_of):
    texts = ["a==1\nB_c==2 # why\n", "# first\nb.C == 2\n\na==1\n", "a==1\nb-c==2.0\n"]
    digests = [
        package_of(name, register(name, {"MLmodel": MLMODEL, "requirements.txt": text}))[
            "manifest"
        ]["dependencies"]["lock_digest"]
        for text in texts
    ]
    assert digests[0] == digests[1] != digests[2]


def test_what_cannot_be_read_is_a_problem_and_no_refusal(name, register, package_of):
    files = {"MLmodel": "flavors: [", "conda.yaml": "- x", "data.bin": b"\0\xff"}
    manifest = package_of(name, register(name, files))["manifest"]
    assert len(manifest["problems"]) == 2
    assert manifest["signature"] is None and manifest["dependencies"] is None


def test_a_gpu_is_needed_where_the_lock_says_so(name, register, package_of):
    for line, accelerator in (
        ("torch==2.4.0+cu121", "cuda"),
        ("onnxruntime-gpu==1.20", "cuda"),
        ("nvidia-cublas-cu12==12.1", "cuda"),
        ("onnxruntime==1.20", None),
    ):
        number = register(name, {"requirements.txt": line})
        assert package_of(name, number)["manifest"]["hardware"]["accelerator"] == accelerator, line


def test_versions_from_before_get_the_same_manifest_when_asked(fresh_server, tmp_path, monkeypatch):
    """An older server kept no manifests: the first question makes one, from the frozen files."""
    server = fresh_server.start()
    for key, value in server.env.items():
        monkeypatch.setenv(key, value)
    import mlflow

    client = mlflow.MlflowClient(server.http, server.http)
    (tmp_path / "requirements.txt").write_text("a==1\n")
    run = client.create_run("0").info.run_id
    client.log_artifacts(run, str(tmp_path / "requirements.txt").rsplit("/", 1)[0], "m")
    client.create_registered_model("old")
    client.create_model_version("old", f"runs:/{run}/m", run)
    path = "/api/v1/models/old/versions/1/package"
    before = requests.get(server.http + path, headers=server.bearer(), timeout=30).json()
    assert server.stop() == 0
    with sqlite3.connect(next(server.data.rglob("*.db"))) as records:
        assert records.execute("DELETE FROM model_packages").rowcount == 1
    server.start()
    after = requests.get(server.http + path, headers=server.bearer(), timeout=30).json()
    assert after == before


NAMES = ["a", "Foo_Bar", "foo.-_bar", "x1", "-a", "a-", "é", "zope.interface", "A" * 60]
EXTRAS = ["", "[]", "[x]", "[X_y, b]", "[ b ,a,b]", "[a", "[a b]", "[,]"]
VERSIONS = ["1", "1.0.0", "v1.2", "1!2.0", "1.0a1", "1.0.post2", "1.0.dev3", "1.0-1", "1.0+l.1"]
VERSIONS += ["1.*", "1.0.*", "1.0a1.*", "x", "", "1..2", "1.0RC1", "1.0_alpha.2.dev1", "1 2"]
OPERATORS = ["==", ">=", "<=", "<", ">", "!=", "~=", "===", "=", "=>"]
MARKERS = ["python_version<'3.9'", 'os_name == "x" and extra=="y"', "(sys_platform in 'a b')"]
MARKERS += ["not x", "python_version", "'a' == python_version", "(os_name == 'x' or extra != 'y')"]
MARKERS += ["os_name not in 'x'", "os_name == 'x", "implementation_name=='c' or", "foo == 'x'"]


def generated(seed: int, count: int) -> list[str]:
    """Lines of requirements, right and wrong in every part."""
    rng = random.Random(seed)
    lines = []
    while len(lines) < count:
        line = rng.choice(NAMES) + rng.choice(["", " "]) + rng.choice(EXTRAS + [""] * 8)
        if rng.random() < 0.1:
            line += " @ https://example.org/a-1.0.whl#sha256=ab" + rng.choice(["", " "])
        else:
            clauses = [
                rng.choice(OPERATORS[:8] * 3 + OPERATORS)
                + rng.choice(["", " "])
                + rng.choice(VERSIONS)
                for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))
            ]
            text = rng.choice([",", " , "]).join(clauses)
            line += f"({text})" if clauses and rng.random() < 0.2 else text
        if rng.random() < 0.3:
            line += rng.choice(["; ", ";", " ; "]) + rng.choice(MARKERS)
        # An option for pip; "===" with nothing behind it, which only packaging lets pass; and with
        # another clause behind it, of which packaging makes one or two as the blanks fall.
        if line.startswith("-") or re.search(r"===\s*($|[;)]|[^;]*,)", line):
            continue
        lines.append(line)
    return lines


def test_requirements_are_read_as_packaging_reads_them(name, register, package_of):
    """Every line: the same ones are requirements, with the same parts, and locked alike."""
    lines = generated(5, 4000)
    number = register(name, {"requirements.txt": "\n".join(lines) + "\n"})
    needs = package_of(name, number)["manifest"]["dependencies"]
    open_lines = {one["line"] for one in needs["open"]}
    lock = set(needs["lock"])
    read = 0
    wanted = set()
    for index, line in enumerate(lines, 1):
        try:
            expected = Requirement(line)
        except InvalidRequirement:
            assert index in open_lines, f"{line!r} is no requirement"
            assert line.strip() in lock, line
            continue
        read += 1
        locked = not expected.url and any(
            one.operator == "===" or (one.operator == "==" and not one.version.endswith(".*"))
            for one in expected.specifier
        )
        assert (index not in open_lines) == locked, line
        wanted.add(key_of(expected))
    assert read > 500 and len(lines) - read > 500
    ours = set()
    for line in lock:
        try:
            ours.add(key_of(Requirement(line)))
        except InvalidRequirement:
            continue  # kept as it was written
        assert line.startswith(canonicalize_name(Requirement(line).name)), line
    assert ours == wanted


def key_of(one: Requirement) -> tuple:
    return (
        canonicalize_name(one.name),
        frozenset(canonicalize_name(extra) for extra in one.extras),
        frozenset((part.operator, part.version) for part in one.specifier),
        one.url,
        str(one.marker),
    )
