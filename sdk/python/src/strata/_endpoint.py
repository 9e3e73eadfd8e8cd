"""Predictions of deployed models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._client import Client, connect, segment


@dataclass(frozen=True)
class Prediction:
    """An answer: the values, and what names it for ever.

    ``strata.why(prediction.id)`` explains it.
    """

    values: Any
    id: str
    model_digest: str
    model_version: str


def _payload(data: Any) -> dict[str, Any]:
    """The MLflow scoring form that fits: data with column names keep them, the rest is a tensor."""
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        return {
            "dataframe_split": json.loads(
                data.to_json(orient="split", index=False, double_precision=15)
            )
        }
    if (
        isinstance(data, Sequence)
        and not isinstance(data, str)
        and data
        and isinstance(data[0], Mapping)
    ):
        return {"dataframe_records": [dict(row) for row in data]}
    if isinstance(data, Mapping):
        return {"inputs": dict(data)}
    return {"inputs": data.tolist() if hasattr(data, "tolist") else data}


class Endpoint:
    """A deployed model by its endpoint's name."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    def describe(self) -> dict[str, Any]:
        """What it serves and whether it is ready. Raises NotFoundError."""
        answer: dict[str, Any] = self._client.json("GET", f"/api/v1/endpoints/{segment(self.name)}")
        return answer

    def predict(self, data: Any, *, params: Mapping[str, Any] | None = None) -> Prediction:
        """Predicts for a DataFrame, a list of dicts (rows), a dict of columns or an array.

        Raises InvalidArgumentError when the data does not fit the model's signature.
        """
        body = _payload(data)
        if params:
            body["params"] = dict(params)
        content, fields = self._client.request(
            "POST", f"/endpoints/{segment(self.name)}/invocations", body=json.dumps(body).encode()
        )
        answer = json.loads(content)
        values = (
            answer["predictions"]
            if isinstance(answer, dict) and "predictions" in answer
            else answer
        )
        return Prediction(
            values,
            fields.get("strata-prediction-id", ""),
            fields.get("strata-model-digest", ""),
            fields.get("strata-model-version", ""),
        )


def endpoint(name: str, *, client: Client | None = None) -> Endpoint:
    """The endpoint of that name; nothing is asked before the first call of a method."""
    return Endpoint(client or connect(), name)
