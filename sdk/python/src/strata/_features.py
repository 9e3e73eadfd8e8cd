"""Definitions of features: the same in Python as in a YAML file, with the same versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ._client import Client, connect, segment

Columns = Mapping[str, str]  # name to bool, int64, double, string or timestamp


@dataclass(frozen=True, kw_only=True)
class _Definition:
    """What people say of a definition; no part of its version."""

    name: str
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The definition as it stands in a file, without what is empty."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "name"}
        given = {name: value for name, value in values.items() if value not in ("", None, {}, ())}
        if isinstance(given.get("features"), Mapping):
            given["features"] = {
                name: one.to_json() if isinstance(one, Aggregate) else one
                for name, one in given["features"].items()
            }
        return given


@dataclass(frozen=True, kw_only=True)
class Entity(_Definition):
    """A thing that has features: the columns that name one, with their types."""

    keys: Columns


@dataclass(frozen=True, kw_only=True)
class Source(_Definition):
    """Where rows come from: exactly one of `stream`, `table` and `object`."""

    columns: Columns
    timestamp: str
    created: str = ""
    stream: bool | None = None
    table: str = ""
    object: str = ""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """What the rows of a key in a window come to: `count`, `sum`, `mean`, `min`, `max`, `variance`,
    `stddev`, `first`, `last` or `count_distinct` `of` an expression, of those rows `where` another
    one is true. At a time t a window slides over (t - window, t]; a `tumbling` one is the newest
    that has ended by t, of those that begin at multiples of its length since 1970.
    """

    aggregate: str
    window: str
    of: str = ""
    where: str = ""
    tumbling: bool = False
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if value not in ("", False)}


@dataclass(frozen=True, kw_only=True)
class View(_Definition):
    """Features over the newest row of each key of its entities, name to expression, or over its
    rows in a window, name to `Aggregate`. Rows of a key at one time are one event, unless columns
    of `event_id` tell them apart.
    """

    entities: Sequence[str]
    source: str
    features: Mapping[str, str | Aggregate]
    event_id: Sequence[str] = ()
    ttl: str = ""
    fresh: str = ""


@dataclass(frozen=True, kw_only=True)
class OnDemandView(_Definition):
    """Features computed at the time of a request, of its fields and other views' features."""

    features: Mapping[str, str]
    request: Columns = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Service(_Definition):
    """An ordered vector of features, each as "view.feature"."""

    features: Sequence[str]


Definition = Entity | Source | View | OnDemandView | Service
_GROUPS: dict[type, str] = {
    Entity: "entities",
    Source: "sources",
    View: "views",
    OnDemandView: "on_demand",
    Service: "services",
}


def _document(definitions: Sequence[Definition]) -> dict[str, Any]:
    document: dict[str, dict[str, Any]] = {}
    for one in definitions:
        group = document.setdefault(_GROUPS[type(one)], {})
        if one.name in group:
            raise ValueError(f"{_GROUPS[type(one)]}.{one.name} is defined twice")
        group[one.name] = one.to_json()
    return document


def _send(verb: str, definitions: Sequence[Definition], client: Client | None) -> list[Any]:
    answer = (client or connect()).json(
        "POST", f"/api/v1/features/{verb}", {"definitions": _document(definitions)}
    )
    changes: list[Any] = answer["changes"]
    return changes


def plan_features(
    definitions: Sequence[Definition], *, client: Client | None = None
) -> list[dict[str, Any]]:
    """What apply_features() would change, and which services and models that touches.

    Raises InvalidArgumentError naming the field.
    """
    return _send("plan", definitions, client)


def apply_features(
    definitions: Sequence[Definition], *, client: Client | None = None
) -> list[dict[str, Any]]:
    """Takes definitions as a whole; those that are not named stay as they are.

    Raises InvalidArgumentError naming the field.
    """
    return _send("apply", definitions, client)


def get_feature(kind: str, name: str, *, client: Client | None = None) -> dict[str, Any]:
    """One definition ("view", "service" ...) with its versions and readers.

    Raises NotFoundError.
    """
    answer: dict[str, Any] = (client or connect()).json(
        "GET", f"/api/v1/features/{segment(kind)}/{segment(name)}"
    )
    return answer


def push_features(
    stream: str,
    rows: Sequence[Mapping[str, Any]] = (),
    *,
    deletes: Sequence[Mapping[str, Any]] = (),
    idempotency_key: str = "",
    client: Client | None = None,
) -> dict[str, Any]:
    """Adds rows (column to value; times as RFC 3339 texts) to a stream; durable when it returns.

    `deletes` are rows of keys and the time since when they are gone. The same push again with its
    `idempotency_key` adds nothing. The answer has its `sequence` in the log and whether it was
    `repeated`. Raises InvalidArgumentError naming the field, NotFoundError, ConflictError.
    """
    body: dict[str, Any] = {"rows": list(rows), "deletes": list(deletes)}
    if idempotency_key:
        body["idempotency_key"] = idempotency_key
    answer: dict[str, Any] = (client or connect()).json(
        "POST", f"/api/v1/features/streams/{segment(stream)}/push", body
    )
    return answer


def get_online_features(
    features: str | Sequence[str],
    entities: Mapping[str, Sequence[Any]],
    *,
    client: Client | None = None,
) -> dict[str, Any]:
    """Features as of now: of a service (its name) or of "view.feature" texts.

    `entities` has a list of values for each key and field of the request, all of one length. Each
    of the answer's `features` has `values`, `statuses` and `event_times`, one for each of those.
    Raises InvalidArgumentError naming the field, NotFoundError.
    """
    body: dict[str, Any] = {"entities": {name: list(values) for name, values in entities.items()}}
    if isinstance(features, str):
        body["service"] = features
    else:
        body["features"] = list(features)
    answer: dict[str, Any] = (client or connect()).json("POST", "/api/v1/features/online", body)
    return answer


def get_historical_features(
    features: str | Sequence[str],
    spine: Mapping[str, Sequence[Any]],
    *,
    known_at: str = "asked",
    client: Client | None = None,
) -> dict[str, Any]:
    """Features as they were: one answer for each row of `spine`, in their order.

    `spine` has a list for each key and field, and the times (RFC 3339 texts) in "event_timestamp".
    Rows count whose event is not later, and that were made by then ("asked"), at all ("now"), or
    by a time. The answer is as that of get_online_features(). Raises InvalidArgumentError naming
    the field, NotFoundError.
    """
    entities = {name: list(values) for name, values in spine.items()}
    body: dict[str, Any] = {"entities": entities, "known_at": known_at}
    if isinstance(features, str):
        body["service"] = features
    else:
        body["features"] = list(features)
    answer: dict[str, Any] = (client or connect()).json("POST", "/api/v1/features/historical", body)
    return answer
