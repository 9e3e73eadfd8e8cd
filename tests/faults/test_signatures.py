"""Faults of signatures turn the question about the binary, and no other one."""

from __future__ import annotations

import json
import subprocess

import pytest
import requests
from world import QUESTIONS, World

GOOD = {question: "good" for question in QUESTIONS}


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """A world on a server of its own, as whom a project trusts concerns all of its models."""
    from strata_server import Server

    folder = tmp_path_factory.mktemp("signatures")
    server = Server(folder / "data").start()
    world = World(server, folder).build()
    for name in ("team", "stranger"):
        key = str(world.folder / f"{name}.pem")
        command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]
        subprocess.run(command, check=True, capture_output=True)
        subprocess.run(
            ["openssl", "pkey", "-in", key, "-pubout", "-out", str(world.folder / f"{name}.pub")],
            check=True,
            capture_output=True,
        )
    yield world
    assert server.stop() == 0
    server.strata("stop", "--now", check=False)


def signature_path(world) -> str:
    version = world.explain()["version"]
    return f"{world.server.http}/api/v1/models/{world.model}/versions/{version}/signature"


def sign(world, who: str) -> None:
    world.server.strata(
        "model", "sign", f"{world.model}@live", "--key", f"{world.folder}/{who}.pem"
    )


def trust(world, *words: str) -> None:
    world.server.strata("trust", *words)


def settled(world, verdict: str, code: str) -> None:
    world.settle(GOOD | {"binary": verdict})
    assert world.verdicts() == GOOD | {"binary": verdict}
    assert code in world.codes("binary"), world.explain()


def test_each_fault_of_a_signature_turns_the_binary_alone(signed):
    world = signed
    world.settle(GOOD)  # unsigned, and nobody asks for more
    trust(world, "require", "on")
    settled(world, "bad", "binary.unsigned")
    sign(world, "team")
    settled(world, "bad", "binary.untrusted_signature")
    trust(world, "add", "team", f"{world.folder}/team.pub")
    settled(world, "good", "binary.signed")
    trust(world, "remove", "team")
    settled(world, "bad", "binary.untrusted_signature")
    trust(world, "require", "off")
    settled(world, "warning", "binary.untrusted_signature")
    trust(world, "add", "team", f"{world.folder}/team.pub")
    settled(world, "good", "binary.signed")
    sign(world, "stranger")
    settled(world, "warning", "binary.untrusted_signature")


def test_a_signature_that_was_tampered_with_is_bad_whoever_made_it(signed):
    world = signed
    trust(world, "remove", "team") if "team" in trusted(world) else None
    trust(world, "add", "team", f"{world.folder}/team.pub")
    sign(world, "team")
    settled(world, "good", "binary.signed")
    path, headers = signature_path(world), world.server.bearer()
    bundle = requests.get(path, headers=headers, timeout=30).json()["bundle"]
    signature = bundle["dsseEnvelope"]["signatures"][0]
    whole = signature["sig"]
    signature["sig"] = whole[:-8] + ("A" if whole[-8] != "A" else "B") + whole[-7:]
    assert requests.put(path, data=json.dumps(bundle), headers=headers, timeout=30).ok
    settled(world, "bad", "binary.bad_signature")
    signature["sig"] = whole
    assert requests.put(path, data=json.dumps(bundle), headers=headers, timeout=30).ok
    settled(world, "good", "binary.signed")
    assert requests.delete(path, headers=headers, timeout=30).ok
    world.settle(GOOD)
    assert "binary.signed" not in world.codes("binary")


def trusted(world) -> set[str]:
    listed = json.loads(world.server.strata("trust", "list", "-o", "json").stdout)
    return {key["name"] for key in listed["keys"]}
