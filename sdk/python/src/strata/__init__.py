"""Pipelines, SQL, endpoints and lineage of a Strata server.

The server is found by the environment variables STRATA_URL and STRATA_TOKEN, which
``strata env`` prints and every step of a pipeline has.
"""

from ._client import Client, connect
from ._endpoint import Endpoint, Prediction, endpoint
from ._errors import (
    ConfigurationError,
    ConflictError,
    FlowError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RunFailedError,
    StrataError,
    UnavailableError,
)
from ._flow import Flow, Step, flow, step
from ._lineage import impact, why
from ._run import Attempt, Run, StepStatus, get_run, runs
from ._sql import QueryResult, sql
from ._task import input, output

__version__ = "0.1.0"

__all__ = [
    "Attempt",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "Endpoint",
    "Flow",
    "FlowError",
    "InvalidArgumentError",
    "NotFoundError",
    "PermissionDeniedError",
    "Prediction",
    "QueryResult",
    "Run",
    "RunFailedError",
    "Step",
    "StepStatus",
    "StrataError",
    "UnavailableError",
    "connect",
    "endpoint",
    "flow",
    "get_run",
    "impact",
    "input",
    "output",
    "runs",
    "sql",
    "step",
    "why",
]
