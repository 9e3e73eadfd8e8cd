from served import (  # noqa: F401
    flights,
    linear,
    make_served,
    mlflow_client,
    other_mlflow,
    table,
    until,
)
