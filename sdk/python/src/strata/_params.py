"""Values of Python, NumPy and pandas as parameters of a statement."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

# What a JSON number carries exactly; a longer one goes as its digits.
_LEAST, _MOST = -(2**63), 2**64 - 1


def _number(value: float) -> Any:
    # JSON knows neither: NaN is what NumPy and pandas have for "missing".
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def _temporal(value: date | time) -> str | None:
    # pandas' NaT is a datetime that equals nothing, not even itself.
    if value != value:
        return None
    if not isinstance(value, datetime):
        return value.isoformat()
    # As a TIMESTAMP, SQL would drop the offset and keep the hour: in UTC both types agree.
    aware = value.tzinfo is not None and value.utcoffset() is not None
    return (value.astimezone(timezone.utc) if aware else value).isoformat(sep=" ")


def _encode(value: Any, name: str) -> Any:
    """The value in JSON: exactly, as text where JSON has no such type."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if _LEAST <= value <= _MOST else str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Decimal):
        return None if value.is_nan() else f"{value:f}"
    if isinstance(value, date | time):
        return _temporal(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return "".join(f"\\x{byte:02X}" for byte in bytes(value))
    if isinstance(value, Mapping):
        return {str(key): _encode(one, f"{name}[{key!r}]") for key, one in value.items()}
    kind = type(value).__name__
    if kind == "NAType":  # pandas.NA, which cannot even be compared
        return None
    if kind == "datetime64":  # its tolist() gives a bare integer for nanoseconds
        return None if value != value else str(value).replace("T", " ")
    if hasattr(value, "tolist") and kind != "timedelta64":
        return _encode(value.tolist(), name)
    if isinstance(value, Sequence):
        return [_encode(one, f"{name}[{i}]") for i, one in enumerate(value)]
    raise TypeError(
        f"{name}: a value of type {type(value).__module__}.{kind} cannot be a parameter; "
        "convert it to a number, a text, a date or a time"
    )


def encode_params(params: Sequence[Any] | Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    """The parameters as they go over the wire. Raises TypeError naming the one that cannot."""
    if isinstance(params, str | bytes | bytearray):
        raise TypeError(f"params: expected a list or a dict of values, not {params!r:.40}")
    if isinstance(params, Mapping):
        return {str(key): _encode(one, f"params[{key!r}]") for key, one in params.items()}
    return [_encode(one, f"params[{i}]") for i, one in enumerate(params)]
