"""A boto3 client for a server, with its defaults but for what a test changes."""

import boto3
from botocore.config import Config


def client_for(server, access_key: str | None = None, secret_key: str | None = None, **config):
    return boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=access_key or server.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=secret_key or server.env["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}, **config),
    )
