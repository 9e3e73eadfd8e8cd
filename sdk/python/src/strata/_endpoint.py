"""Predictions of deployed models."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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


def _plain(value: Any, place: str = "data") -> Any:
    """The value in JSON, exactly. What is missing (None, NaN, NaT, pandas.NA) is null."""
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(
                f"{place}: {value} cannot be asked about: JSON has no infinity. Give None or NaN "
                "for a missing value, else a finite number"
            )
        return None if math.isnan(value) else value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), place)
    if isinstance(value, Mapping):
        return {str(key): _plain(one, f"{place}[{key!r}]") for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one, f"{place}[{i}]") for i, one in enumerate(value)]
    return value


def _payload(data: Any) -> dict[str, Any]:
    """The MLflow scoring form that fits: data with column names keep them, the rest is a tensor."""
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        cells = data.to_dict(orient="list")
        rows = [list(row) for row in zip(*cells.values(), strict=True)]
        return {"dataframe_split": {"columns": list(cells), "data": _plain(rows)}}
    if (
        isinstance(data, Sequence)
        and not isinstance(data, str)
        and data
        and isinstance(data[0], Mapping)
    ):
        return {"dataframe_records": _plain(data)}
    return {"inputs": _plain(data)}


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

        A missing value is None or NaN, as in pandas; an infinite one raises ValueError. Raises
        InvalidArgumentError when the data does not fit the model's signature.
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
