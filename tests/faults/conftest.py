from served import mlflow_client, table  # noqa: F401
