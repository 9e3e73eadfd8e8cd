"""Artifacts through the proxy, and what must not get through it."""

from __future__ import annotations

import hashlib
import os
import pathlib
import socket
import urllib.parse

import matplotlib.figure
import numpy as np
import PIL.Image
import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository


def names(listed):
    return sorted((f.path, f.is_dir, f.file_size) for f in listed)


def test_files_and_directories_come_back(mlflow, client, experiment, tmp_path):
    run = client.create_run(experiment).info.run_id
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "one.txt").write_text("one")
    (tmp_path / "d" / "e" / "two ü%.bin").write_bytes(os.urandom(100_000))
    client.log_artifacts(run, str(tmp_path / "d"), "dir")
    client.log_text(run, "three", "three.txt")
    client.log_dict(run, {"a": 1}, "x/y.json")
    assert names(client.list_artifacts(run)) == [
        ("dir", True, None),
        ("three.txt", False, 5),
        ("x", True, None),
    ]
    assert names(client.list_artifacts(run, "dir")) == [
        ("dir/e", True, None),
        ("dir/one.txt", False, 3),
    ]
    assert names(client.list_artifacts(run, "dir/one.txt")) == []
    back = pathlib.Path(client.download_artifacts(run, "dir", str(tmp_path)))
    sent = (tmp_path / "d" / "e" / "two ü%.bin").read_bytes()
    assert (back / "e" / "two ü%.bin").read_bytes() == sent
    client.log_text(run, "four", "three.txt")
    assert mlflow.artifacts.load_text(f"runs:/{run}/three.txt") == "four"


def test_figures_tables_and_images_come_back(mlflow, client, experiment, tmp_path):
    figure = matplotlib.figure.Figure()
    figure.add_subplot().plot([1, 3, 2])
    image = np.random.default_rng(1).integers(0, 255, (8, 6, 3), dtype="u1")
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_figure(figure, "plots/late.png")
        mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "tables/t.json")
        mlflow.log_table({"x": [3], "y": ["c"]}, "tables/t.json")  # goes on behind the first
        mlflow.log_image(image, "i.png")
        mlflow.log_image(image, key="eye", step=2, synchronous=True)
    run_id = run.info.run_id
    png = pathlib.Path(client.download_artifacts(run_id, "plots/late.png", str(tmp_path)))
    assert PIL.Image.open(png).size == (640, 480)
    table = client.load_table(experiment, "tables/t.json", run_ids=[run_id])
    assert table.to_dict("list") == {"x": [1, 2, 3], "y": ["a", "b", "c"]}
    back = client.download_artifacts(run_id, "i.png", str(tmp_path))
    assert (np.asarray(PIL.Image.open(back)) == image).all()
    steps = [f.path for f in client.list_artifacts(run_id, "images")]
    assert len(steps) >= 1 and all("eye" in path for path in steps)


def test_a_large_file_streams_through(client, experiment, server, tmp_path):
    run = client.create_run(experiment).info.run_id
    content = os.urandom(1 << 20) * 48
    (tmp_path / "large.bin").write_bytes(content)
    client.log_artifact(run, str(tmp_path / "large.bin"))
    url = f"{server.http}/get-artifact"
    answer = requests.get(url, params={"run_id": run, "path": "large.bin"}, headers=server.bearer())
    assert answer.content == content
    assert answer.headers["etag"].strip('"') == hashlib.sha256(content).hexdigest()
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_a_path_is_a_file_or_a_directory_and_never_both(client, experiment, server):
    run = client.create_run(experiment)
    root = f"{experiment}/{run.info.run_id}/artifacts"

    def put(path, body=b"x"):
        return requests.put(
            f"{server.http}/api/2.0/mlflow-artifacts/artifacts/{root}/{path}",
            data=body,
            headers=server.bearer(),
            timeout=60,
        )

    def refused(answer):
        return answer.status_code == 400 and answer.json()["error_code"]

    assert put("a.txt").status_code == 200
    for below in ("a.txt/b", "a.txt/b/c/d"):
        assert refused(put(below)) == "INVALID_PARAMETER_VALUE"
    assert refused(put("a.txt/large", b"x" * (4 << 20))) == "INVALID_PARAMETER_VALUE"
    assert put("d/e/f").status_code == 200
    for above in ("d", "d/e"):
        assert refused(put(above)) == "INVALID_PARAMETER_VALUE"
    # What only begins alike is no folder, and a file is replaced as ever.
    for path in ("a.txt", "a.tx", "a.txt0", "a.txt-", "d-", "d0", "d/e0", "d/e/f"):
        assert put(path).status_code == 200, path
    listed = {f.path for f in client.list_artifacts(run.info.run_id)}
    assert listed == {"a.txt", "a.tx", "a.txt0", "a.txt-", "d", "d-", "d0"}
    client.download_artifacts(run.info.run_id, "")


def test_artifacts_are_deleted_by_the_client(client, experiment):
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "a", "d/a.txt")
    client.log_text(run, "b", "d/b.txt")
    store = get_artifact_repository(client.get_run(run).info.artifact_uri)
    store.delete_artifacts("d/a.txt")
    assert [f.path for f in client.list_artifacts(run, "d")] == ["d/b.txt"]
    store.delete_artifacts("d")
    assert client.list_artifacts(run) == []


def test_what_is_not_there_is_not_found(client, experiment, server):
    run = client.create_run(experiment).info.run_id
    root = f"{server.http}/api/2.0/mlflow-artifacts/artifacts"
    missing = requests.get(f"{root}/{experiment}/{run}/artifacts/none", headers=server.bearer())
    assert missing.status_code == 404 and missing.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert requests.get(root, params={"path": "no/such"}, headers=server.bearer()).json() == {
        "files": []
    }
    assert requests.get(f"{root}/x").status_code == 401


def raw(server, method: str, target: str, body: bytes = b"") -> int:
    """One request with the target exactly as written, which no HTTP library would send."""
    host, port = urllib.parse.urlsplit(server.http).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        token = server.env["STRATA_TOKEN"]
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        head += f"Authorization: Bearer {token}\r\n"
        connection.sendall(
            head.encode("latin-1")
            + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "a/../../b",
        "%2e%2e/%2e%2e/etc/passwd",
        "%252e%252e/b",
        "..%2f..%2fb",
        "/etc/passwd",
        "%2fetc/passwd",
        "a%5c..%5cb",
        "a\\..\\b",
        "a%00b",
        "a%23b",
        "a%2523b",
        "./a",
        "a//b",
        "a%0ab",
        "%ff",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_name_leads_out_of_the_store(server, method, path):
    status = raw(
        server,
        method,
        "/api/2.0/mlflow-artifacts/artifacts/" + path,
        b"x" if method == "PUT" else b"",
    )
    assert status in (400, 404, 405), (method, path, status)
    if method == "PUT":
        assert status == 400


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "%2e%2e/x", "a\\x", "a#b"])
def test_no_query_leads_out_of_the_store(client, experiment, server, path):
    run = client.create_run(experiment).info.run_id
    for url, query in (
        ("/get-artifact", {"run_id": run, "path": path}),
        ("/api/2.0/mlflow/artifacts/list", {"run_id": run, "path": path}),
        ("/api/2.0/mlflow-artifacts/artifacts", {"path": path}),
    ):
        answer = requests.get(server.http + url, params=query, headers=server.bearer())
        assert (
            answer.status_code == 400 and answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        ), (url, answer.text)


@pytest.mark.parametrize(
    "location",
    ["file:///tmp/x", "/tmp/x", "relative", "s3://b/../x", "mlflow-artifacts:/../x", "s3://b/a#b"],
)
def test_an_experiment_never_points_at_the_servers_disk(client, name, location):
    with pytest.raises(MlflowException) as refused:
        client._tracking_client.store.create_experiment(name, artifact_location=location)
    assert refused.value.get_http_status_code() == 400


def test_multipart_and_presigned_are_declined_as_not_offered(server):
    for method, path in (
        ("POST", "mlflow-artifacts/mpu/create/x"),
        ("POST", "mlflow-artifacts/mpu/complete/x"),
        ("GET", "mlflow-artifacts/presigned/x"),
        ("POST", "mlflow/artifacts/presigned-upload-url"),
    ):
        answer = requests.request(
            method, f"{server.http}/api/2.0/{path}", json={}, headers=server.bearer()
        )
        assert answer.status_code == 501 and answer.json()["error_code"] == "NOT_IMPLEMENTED"
