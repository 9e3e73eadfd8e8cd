from served import flights, linear, make_served, mlflow_client, table, until  # noqa: F401
