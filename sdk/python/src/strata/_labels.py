"""Labels of predictions: what turned out to be true, and how good the answers were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ._client import Client, connect, segment

_MOST = 20_000  # labels in one request


def _label(label: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError(f"{value} has no time zone; give one, for example timezone.utc")
            return value.isoformat()
        return value.item() if hasattr(value, "item") else value

    return {name: plain(value) for name, value in label.items() if value is not None}


def log_labels(
    endpoint: str,
    labels: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    *,
    client: Client | None = None,
) -> int:
    """Tells what turned out to be true of predictions; durable when it returns. How many.

    A label has "prediction_id" and "value", and may have "row" (of the request, from 0 on),
    "event_time" (a datetime with a zone or an RFC 3339 text) and "name", where a prediction has
    labels of several kinds. {prediction id: value} is short for labels without these. The same
    label again changes nothing; another value of the same event time corrects it. Raises
    InvalidArgumentError naming label and field, NotFoundError.
    """
    if isinstance(labels, Mapping):
        labels = [{"prediction_id": id, "value": value} for id, value in labels.items()]
    server = client or connect()
    path = f"/api/v1/endpoints/{segment(endpoint)}/labels"
    count = 0
    for at in range(0, len(labels), _MOST):
        body = {"labels": [_label(one) for one in labels[at : at + _MOST]]}
        count += server.json("POST", path, body)["labels"]
    return count


def performance(
    endpoint: str, *, client: Client | None = None, **query: str | float
) -> dict[str, Any]:
    """How good an endpoint's answers were, by the labels that came.

    `query` may have since, until, version, output, label, kind and threshold, as
    ``strata monitor performance`` has them. Raises InvalidArgumentError, NotFoundError.
    """
    path = f"/api/v1/monitors/{segment(endpoint)}/performance"
    answer: dict[str, Any] = (client or connect()).json("GET", path, query=query)
    return answer
