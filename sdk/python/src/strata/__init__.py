"""Pipelines, SQL, endpoints, features and lineage of a Strata server.

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
from ._features import (
    Aggregate,
    Entity,
    OnDemandView,
    Service,
    Source,
    View,
    apply_features,
    get_feature,
    get_historical_features,
    get_online_features,
    plan_features,
    push_features,
)
from ._flow import Flow, Step, flow, step
from ._labels import log_labels, performance
from ._lineage import impact, why
from ._run import Attempt, Run, StepStatus, get_run, runs
from ._sql import QueryResult, sql
from ._task import input, output

__version__ = "0.1.0"

__all__ = [
    "Aggregate",
    "Attempt",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "Endpoint",
    "Entity",
    "Flow",
    "FlowError",
    "InvalidArgumentError",
    "NotFoundError",
    "OnDemandView",
    "PermissionDeniedError",
    "Prediction",
    "QueryResult",
    "Run",
    "RunFailedError",
    "Service",
    "Source",
    "Step",
    "StepStatus",
    "StrataError",
    "UnavailableError",
    "View",
    "apply_features",
    "connect",
    "endpoint",
    "flow",
    "get_feature",
    "get_historical_features",
    "get_online_features",
    "get_run",
    "impact",
    "input",
    "log_labels",
    "output",
    "performance",
    "plan_features",
    "push_features",
    "runs",
    "sql",
    "step",
    "why",
]
