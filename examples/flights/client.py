"""The way to the platform with stock clients: boto3 for objects, HTTP for SQL and predictions,
mlflow in the steps.

Everything is found through the environment that `strata env` prints. With FLIGHTS_LOCAL=DIR
instead, SQL and objects live in DIR (local.py), which is how the tests build features without a
server.
"""

import io
import os

import pyarrow as pa
import pyarrow.ipc

from project import BUCKET


class SqlError(RuntimeError):
    pass


class RequestError(RuntimeError):
    pass


class Platform:
    """A running server. Methods block; errors of the server are raised with its own words."""

    def __init__(self, environ=os.environ):
        for name in ("STRATA_URL", "STRATA_TOKEN"):
            if not environ.get(name):
                raise SystemExit(f'{name} is not set; run: eval "$(strata env --data DIR)"')
        import requests

        self.url = environ["STRATA_URL"].rstrip("/")
        self.token = environ["STRATA_TOKEN"]
        self.lake = f"s3://{BUCKET}/raw"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {self.token}"

    def sql(self, text: str) -> pa.Table:
        """Runs a list of statements and returns the rows of the last one."""
        answer = self._session.post(
            f"{self.url}/api/v1/sql",
            json={"sql": text},
            headers={"Accept": "application/vnd.apache.arrow.stream"},
            timeout=300,
        )
        if not answer.ok:
            raise SqlError(f"SQL failed ({answer.status_code}): {answer.text.strip()}")
        if "arrow" not in answer.headers.get("Content-Type", ""):
            return pa.table({})  # a statement without rows
        with pa.ipc.open_stream(io.BytesIO(answer.content)) as reader:
            return reader.read_all()

    def get(self, path: str):
        answer = self._session.get(f"{self.url}{path}", timeout=60)
        if not answer.ok:
            raise RequestError(f"GET {path} failed ({answer.status_code}): {answer.text.strip()}")
        return answer.json()

    def put_file(self, key: str, path, progress=None) -> None:
        """Stores a file as `key` of the example's bucket; `progress` is told of bytes sent."""
        self._s3().upload_file(str(path), BUCKET, key, Callback=progress)

    def get_object(self, key: str) -> bytes:
        return self._s3().get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def create_bucket(self) -> None:
        s3 = self._s3()
        if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=BUCKET)

    def object_uri(self, key: str) -> str:
        return f"s3://{BUCKET}/{key}"

    def _s3(self):
        import boto3

        return boto3.client("s3")


def connect():
    """The platform that the environment names."""
    if os.environ.get("FLIGHTS_LOCAL"):
        from local import LocalPlatform

        return LocalPlatform(os.environ["FLIGHTS_LOCAL"])
    return Platform()
