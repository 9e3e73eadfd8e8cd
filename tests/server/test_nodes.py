"""What a node tells of its devices, and how a server ends while clients are in the middle."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse

import pytest
from s3_client import client_for

# The calls of NVML that a driver has, for a machine with two devices of which one is lost.
NVML = r"""
#include <string.h>
struct memory { unsigned long long total, free, used; };
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) {
  static int first;
  *device = &first;
  return i == 0 ? 0 : 15;
}
int nvmlDeviceGetName(void *device, char *name, unsigned size) {
  strncpy(name, "Test Accelerator 80GB", size);
  return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, struct memory *out) {
  out->total = 80ULL << 30;
  return 0;
}
int nvmlSystemGetDriverVersion(char *version, unsigned size) {
  strncpy(version, "550.54.15", size);
  return 0;
}
"""


def test_a_node_names_the_gpus_that_the_driver_knows(fresh_server, tmp_path, monkeypatch):
    compiler = shutil.which("clang-19") or shutil.which("cc")
    library = tmp_path / "driver" / "libnvidia-ml.so.1"
    library.parent.mkdir()
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", library],
        input=NVML.encode(),
        check=True,
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    server = fresh_server.start()
    (node,) = json.loads(server.strata("node", "list", "-o", "json").stdout)["nodes"]
    (gpu,) = node["gpus"]
    assert gpu["name"] == "Test Accelerator 80GB" and gpu["driver"] == "550.54.15"
    assert gpu["memory_bytes"] == 80 << 30
    assert "Test Accelerator" in server.strata("node", "list").stdout


@pytest.mark.parametrize("kind", ["upload", "download"])
def test_a_server_ends_while_a_client_is_in_the_middle(fresh_server, kind):
    """A client that neither goes on nor goes away holds up the end for some seconds only."""
    server = fresh_server.start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="held")
    size = 64 << 20
    s3.put_object(Bucket="held", Key="whole", Body=b"x" * size)
    name = "put_object" if kind == "upload" else "get_object"
    key = "half" if kind == "upload" else "whole"
    url = urllib.parse.urlsplit(s3.generate_presigned_url(name, {"Bucket": "held", "Key": key}))
    with socket.create_connection((url.hostname, url.port)) as line:
        verb = "PUT" if kind == "upload" else "GET"
        head = f"{verb} {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        if kind == "upload":
            line.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode() + b"x" * (size // 2))
            deadline = time.monotonic() + 30
            while not uploading(server):
                assert time.monotonic() < deadline
        else:
            line.sendall(f"{head}\r\n".encode())
            assert line.recv(1000).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
        # What is cut short shows: nothing that came looks like the whole.
        received = 0
        while piece := read(line):
            received += len(piece)
        assert received < size
    server.start()
    kept = [item["Key"] for item in client_for(server).list_objects_v2(Bucket="held")["Contents"]]
    assert kept == ["whole"]


def uploading(server) -> bool:
    """Whether bytes of an unfinished upload have come to the disk."""
    return any(path.stat().st_size > 0 for path in (server.data / "lake").rglob("incoming/*"))


def read(line) -> bytes:
    try:
        return line.recv(1 << 20)
    except ConnectionResetError:
        return b""
