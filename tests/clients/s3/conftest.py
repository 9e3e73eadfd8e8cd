"""Stock S3 clients against the server, each test in a bucket of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid

import pytest
from s3_client import client_for


@pytest.fixture(scope="session")
def s3(server):
    return client_for(server)


@pytest.fixture
def bucket(s3):
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def viewer(server):
    """Credentials of a user who may read but not write."""
    name = f"viewer-{uuid.uuid4().hex[:6]}"
    server.strata("user", "create", name, "--role", "viewer")
    return json.loads(server.strata("token", "create", "--user", name, "-o", "json").stdout)


@pytest.fixture
def aws(server):
    """Runs the stock command line client."""
    program = os.path.join(os.path.dirname(sys.executable), "aws")
    environment = {**os.environ, **server.env}

    def run(*arguments: str, check: bool = True, stdin: bytes | None = None):
        return subprocess.run(
            [program, *arguments],
            env=environment,
            capture_output=True,
            check=check,
            timeout=120,
            input=stdin,
        )

    return run
