"""Signatures of models, both ways with the stock package `model-signing` (OpenSSF)."""

from __future__ import annotations

import json
import pathlib
import subprocess

import model_signing
import pytest
import requests
from package_files import files_below

FILES = {"MLmodel": "flavors: {}\n", "weights/a.bin": b"\0\1\2" * 300, "weights/b": b""}


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> pathlib.Path:
    """Key pairs on each curve, and an authority with a signer's certificate."""
    folder = tmp_path_factory.mktemp("keys")
    for name, curve in (
        ("p256", "prime256v1"),
        ("other", "prime256v1"),
        ("p384", "secp384r1"),
        ("p521", "secp521r1"),
        ("root", "prime256v1"),
        ("stranger", "prime256v1"),
    ):
        openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", folder / f"{name}.raw")
        openssl(
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-in",
            folder / f"{name}.raw",
            "-out",
            folder / f"{name}.pem",
        )
        openssl("pkey", "-in", folder / f"{name}.pem", "-pubout", "-out", folder / f"{name}.pub")
    for name in ("root", "stranger"):
        openssl(
            "req", "-x509", "-new", "-key", folder / f"{name}.pem", "-subj", f"/CN={name}",
            "-days", 30, "-out", folder / f"{name}.crt",
        )  # fmt: skip
    (folder / "signer.ext").write_text("keyUsage=digitalSignature\n")
    (folder / "server.ext").write_text("keyUsage=keyEncipherment\n")
    for name in ("signer", "server"):
        openssl(
            "req",
            "-new",
            "-key",
            folder / "p256.pem",
            "-subj",
            f"/CN={name}",
            "-out",
            folder / "csr",
        )
        openssl(
            "x509", "-req", "-in", folder / "csr", "-CA", folder / "root.crt", "-CAkey",
            folder / "root.pem", "-CAcreateserial", "-days", 30, "-extfile",
            folder / f"{name}.ext", "-out", folder / f"{name}.crt",
        )  # fmt: skip
    return folder


@pytest.fixture
def trusting(server, keys):
    """Trusts keys and certificates of that name for the time of a test."""
    added = []

    def trust(name: str, ending: str = "pub") -> None:
        server.strata("trust", "add", name, str(keys / f"{name}.{ending}"))
        added.append(name)

    yield trust
    for name in added:
        server.strata("trust", "remove", name)


def state(server, name: str, version: int = 1) -> dict:
    path = f"{server.http}/api/v1/models/{name}/versions/{version}/signature"
    return requests.get(path, headers=server.bearer(), timeout=30).json()


def written(folder: pathlib.Path) -> str:
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return str(folder)


@pytest.mark.parametrize("key", ["p256", "p384", "p521"])
def test_the_stock_package_verifies_what_we_sign(
    server, name, register, keys, tmp_path, trusting, key
):
    register(name, FILES)
    trusting(key)
    signed = server.strata("model", "sign", name, "--key", str(keys / f"{key}.pem"))
    assert signed.stdout == f"valid, by {key}\n"
    server.strata("model", "export", name, str(tmp_path / "m"))
    verifying = model_signing.verifying.Config().use_elliptic_key_verifier(
        public_key=keys / f"{key}.pub"
    )
    verifying.verify(tmp_path / "m", tmp_path / "m/model.sig")
    (tmp_path / "m/weights/b").write_bytes(b"x")
    with pytest.raises(ValueError, match="mismatch"):
        verifying.verify(tmp_path / "m", tmp_path / "m/model.sig")


def test_the_stock_package_verifies_what_we_sign_with_a_certificate(
    server, name, register, keys, tmp_path, trusting
):
    register(name, FILES)
    trusting("root", "crt")
    command = ("model", "sign", name, "--key", str(keys / "p256.pem"), "--certificate")
    assert server.strata(*command, str(keys / "signer.crt")).stdout == "valid, by CN=signer\n"
    server.strata("model", "export", name, str(tmp_path / "m"))
    model_signing.verifying.Config().use_certificate_verifier(
        certificate_chain=[keys / "root.crt"]
    ).verify(tmp_path / "m", tmp_path / "m/model.sig")
    wrong = server.strata(*command, str(keys / "stranger.crt"), check=False)
    assert wrong.returncode != 0 and "another key" in wrong.stderr


@pytest.mark.parametrize("key", ["p256", "p384", "p521"])
def test_we_verify_what_the_stock_package_signs(server, name, keys, tmp_path, trusting, key):
    folder = pathlib.Path(written(tmp_path / "m"))
    model_signing.signing.Config().use_elliptic_key_signer(
        private_key=keys / f"{key}.pem"
    ).set_hashing_config(
        model_signing.hashing.Config().set_ignored_paths(paths=["model.sig"])
    ).sign(folder, folder / "model.sig")
    server.strata("model", "import", str(folder), "--name", name)
    assert state(server, name)["state"] == "untrusted"
    assert server.strata("model", "verify", name, check=False).returncode == 1
    trusting(key)
    found = state(server, name)
    assert (found["state"], found["signer"]) == ("valid", key)
    assert server.strata("model", "verify", name).stdout == f"valid, by {key}\n"
    # It goes out as it came, in every form, and comes in again.
    original = json.loads((folder / "model.sig").read_text())
    for form in ("dir", "tar", "oci"):
        server.strata("model", "export", name, str(tmp_path / form), "--format", form)
        server.strata("model", "import", str(tmp_path / form), "--name", f"{name}-{form}")
        again = state(server, f"{name}-{form}")
        assert (again["state"], again["bundle"]) == ("valid", original), form
    assert files_below(tmp_path / "dir").keys() == {*FILES, "model.sig"}


def test_we_verify_what_the_stock_package_signs_with_a_certificate(
    server, name, keys, tmp_path, trusting
):
    def signed(model: str, certificate: str) -> dict:
        folder = pathlib.Path(written(tmp_path / model))
        model_signing.signing.Config().use_certificate_signer(
            private_key=keys / "p256.pem",
            signing_certificate=keys / f"{certificate}.crt",
            certificate_chain=[keys / "root.crt"],
        ).sign(folder, folder / "model.sig")
        server.strata("model", "import", str(folder), "--name", model)
        return state(server, model)

    assert signed(f"{name}-a", "signer")["state"] == "untrusted"
    trusting("stranger", "crt")
    assert state(server, f"{name}-a")["state"] == "untrusted"
    trusting("root", "crt")
    assert state(server, f"{name}-a")["signer"] == "CN=signer"
    found = signed(f"{name}-b", "server")
    assert found["state"] == "untrusted" and "digitalSignature" in found["reason"]


def test_a_signature_of_other_files_is_invalid(server, name, register, keys, trusting):
    trusting("p256")
    register(name, FILES)
    server.strata("model", "sign", name, "--key", str(keys / "p256.pem"))
    bundle = state(server, name)["bundle"]
    for files, said in (
        ({**FILES, "weights/b": b"x"}, "'weights/b' is another"),
        ({**FILES, "more": b""}, "'more' is not signed"),
        ({"MLmodel": FILES["MLmodel"]}, "'weights/a.bin' was signed and is not there"),
    ):
        number = register(name, files)
        path = f"{server.http}/api/v1/models/{name}/versions/{number}/signature"
        put = requests.put(path, data=json.dumps(bundle), headers=server.bearer(), timeout=30)
        assert put.json()["state"] == "invalid" and said in put.json()["reason"]
    # What Git and the signature itself need is nobody's to sign.
    number = register(name, {**FILES, ".gitattributes": "x", "model.sig": "no signature"})
    path = f"{server.http}/api/v1/models/{name}/versions/{number}/signature"
    put = requests.put(path, data=json.dumps(bundle), headers=server.bearer(), timeout=30)
    assert put.json()["state"] == "valid", put.text


def test_a_package_that_was_registered_with_its_signature_has_it(
    server, name, register, keys, tmp_path, trusting
):
    folder = pathlib.Path(written(tmp_path / "m"))
    model_signing.signing.Config().use_elliptic_key_signer(private_key=keys / "p256.pem").sign(
        folder, folder / "model.sig"
    )
    trusting("p256")
    register(name, files_below(folder))
    assert state(server, name)["state"] == "valid"
    for form in ("dir", "tar", "oci"):
        server.strata("model", "export", name, str(tmp_path / form), "--format", form)
        server.strata("model", "import", str(tmp_path / form), "--name", f"{name}-{form}")
        assert state(server, f"{name}-{form}")["state"] == "valid"


def test_what_is_no_signature_or_key_is_refused(server, name, register, keys, tmp_path):
    register(name, {"own": name})  # a package that nobody signed: signatures are of bytes
    path = f"{server.http}/api/v1/models/{name}/versions/1/signature"
    for body in (b"", b"{}", b"[1]", b'{"mediaType": "x"}', b"\xff", b"x" * (9 << 20)):
        answer = requests.put(path, data=body, headers=server.bearer(), timeout=30)
        assert answer.status_code in (400, 413, 501), answer.text
        assert answer.json()["error"]["message"]
    assert state(server, name)["state"] == "none"
    openssl("genpkey", "-algorithm", "RSA", "-out", tmp_path / "rsa.pem")
    openssl("pkey", "-in", tmp_path / "rsa.pem", "-pubout", "-out", tmp_path / "rsa.pub")
    (tmp_path / "junk").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    for wrong in (tmp_path / "rsa.pub", tmp_path / "junk", keys / "p256.pem", tmp_path / "none"):
        refused = server.strata("trust", "add", "wrong", str(wrong), check=False)
        assert refused.returncode in (2, 3), wrong
    for wrong in (tmp_path / "rsa.pem", keys / "p256.pub", tmp_path / "none"):
        refused = server.strata("model", "sign", name, "--key", str(wrong), check=False)
        assert refused.returncode in (2, 3), wrong
    assert state(server, name)["state"] == "none"


def test_only_an_administrator_changes_whom_a_project_trusts(server, keys, name):
    server.strata("user", "create", name, "--role", "member")
    token = json.loads(server.strata("token", "create", "--user", name, "-o", "json").stdout)
    headers = server.bearer(token["token"])
    root = f"{server.http}/api/v1/signing"
    assert requests.get(root, headers=headers, timeout=30).ok
    key = {"name": name, "pem": (keys / "other.pub").read_text()}
    for method, path, body in (
        ("POST", "/keys", key),
        ("DELETE", f"/keys/{name}", None),
        ("PUT", "", {"required": True}),
    ):
        answer = requests.request(method, root + path, json=body, headers=headers, timeout=30)
        assert answer.status_code == 403, path
    assert requests.post(root + "/keys", json=key, headers=server.bearer(), timeout=30).ok
    again = requests.post(root + "/keys", json=key, headers=server.bearer(), timeout=30)
    assert again.status_code == 409
    server.strata("trust", "remove", name)
    gone = server.strata("trust", "remove", name, check=False)
    assert gone.returncode == 3
    audited = requests.get(
        f"{server.http}/api/v1/audit?target=signing:{name}", headers=server.bearer(), timeout=30
    ).json()["entries"]
    assert [one["action"] for one in audited] == ["signing.distrust", "signing.trust"]
