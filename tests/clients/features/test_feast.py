"""The stock Feast client with a remote online store."""

from __future__ import annotations

import datetime

import pandas as pd
import pytest
import requests
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RepoConfig,
    ValueType,
)
from feast.errors import FeastObjectNotFoundException
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.types import Float64, Int64, String

DEFINITIONS = """
entities: {fe_carrier: {keys: {carrier: string}}}
sources:
  fe_landings:
    stream: true
    columns: {carrier: string, delay: double, flights: int64, gate: string, landed: timestamp}
    timestamp: landed
views:
  fe_now:
    entities: [fe_carrier]
    source: fe_landings
    features: {delay: delay, flights: flights, gate: gate, hours: delay / 60}
  fe_fresh: {entities: [fe_carrier], source: fe_landings, ttl: 1h, features: {recent: delay}}
services: {fe_vector: {features: [fe_now.flights, fe_now.hours]}}
"""
NOW = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


@pytest.fixture(scope="module")
def store(server, tmp_path_factory):
    """A Feast repository of its own registry, whose online store is this server."""
    answer = requests.post(
        server.http + "/api/v1/features/apply",
        json={"yaml": DEFINITIONS},
        headers=server.bearer(),
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    folder = tmp_path_factory.mktemp("feast")
    batch = folder / "landings.parquet"
    frame = {"carrier": ["x"], "delay": [0.0], "flights": [0], "gate": [""], "landed": [NOW]}
    pd.DataFrame(frame).to_parquet(batch)
    config = RepoConfig(
        project="strata_test",
        registry=str(folder / "registry.db"),
        provider="local",
        online_store={"type": "remote", "path": server.http},
        entity_key_serialization_version=3,
        auth={"type": "oidc", "token": server.env["STRATA_TOKEN"]},
    )
    store = FeatureStore(config=config)
    carrier = Entity(name="fe_carrier", join_keys=["carrier"], value_type=ValueType.STRING)
    source = PushSource(
        name="fe_landings", batch_source=FileSource(path=str(batch), timestamp_field="landed")
    )

    def view(name: str, *fields: Field, ttl=None) -> FeatureView:
        schema = [Field(name="carrier", dtype=String), *fields]
        return FeatureView(name=name, entities=[carrier], schema=schema, source=source, ttl=ttl)

    now = view(
        "fe_now",
        Field(name="delay", dtype=Float64),
        Field(name="flights", dtype=Int64),
        Field(name="gate", dtype=String),
    )
    store.apply([carrier, source, now, FeatureService(name="fe_vector", features=[now])])
    return store


def rows(*carriers: str, age_s: int = 5, **columns) -> pd.DataFrame:
    landed = [NOW - datetime.timedelta(seconds=age_s)] * len(carriers)
    return pd.DataFrame({"carrier": list(carriers), **columns, "landed": landed})


def test_a_push_is_read_back_with_values_types_and_names(store):
    frame = rows("AA", "UA", delay=[30.0, 90.0], flights=[1, 2**40], gate=["B7", "ä"])
    store.push("fe_landings", frame)
    answer = store.get_online_features(
        features=["fe_now:delay", "fe_now:flights", "fe_now:gate", "fe_now:hours"],
        entity_rows=[{"carrier": "UA"}, {"carrier": "AA"}, {"carrier": "UA"}],
    ).to_dict()
    assert answer == {
        "carrier": ["UA", "AA", "UA"],
        "delay": [90.0, 30.0, 90.0],
        "flights": [2**40, 1, 2**40],
        "gate": ["ä", "B7", "ä"],
        "hours": [1.5, 0.5, 1.5],
    }


def test_a_feature_service_and_full_names(store):
    store.push("fe_landings", rows("DL", delay=[60.0], flights=[7], gate=["A"]))
    service = store.get_feature_service("fe_vector")
    answer = store.get_online_features(
        features=service, entity_rows=[{"carrier": "DL"}], full_feature_names=True
    ).to_dict()
    assert answer == {"carrier": ["DL"], "fe_now__flights": [7], "fe_now__hours": [1.0]}


def test_missing_null_and_expired_have_their_statuses(store):
    store.push("fe_landings", rows("WN", age_s=7200, delay=[5.0], flights=[None], gate=["A"]))
    response = store.get_online_features(
        features=["fe_now:delay", "fe_now:gate", "fe_fresh:recent"],
        entity_rows=[{"carrier": "WN"}, {"carrier": "nobody"}],
    )
    statuses = {
        name: [int(status) for status in vector.statuses]
        for name, vector in zip(
            response.proto.metadata.feature_names.val, response.proto.results, strict=True
        )
    }
    assert statuses["delay"] == [FieldStatus.PRESENT, FieldStatus.NOT_FOUND]
    assert statuses["recent"] == [FieldStatus.OUTSIDE_MAX_AGE, FieldStatus.NOT_FOUND]
    assert statuses["carrier"] == [FieldStatus.PRESENT] * 2
    nothing = store.get_online_features(
        features=["fe_now:flights"], entity_rows=[{"carrier": "WN"}]
    )
    assert [int(one) for one in nothing.proto.results[1].statuses] == [FieldStatus.NULL_VALUE]
    assert nothing.to_dict()["flights"] == [None]


def test_what_is_not_there_is_an_exception_of_feast(store):
    with pytest.raises(FeastObjectNotFoundException, match="fe_nothing"):
        store.get_online_features(
            features=FeatureService(name="fe_nothing", features=[]), entity_rows=[{"carrier": "AA"}]
        )
    with pytest.raises(RuntimeError, match="delya"):
        store.get_online_features(features=["fe_now:delya"], entity_rows=[{"carrier": "AA"}])


def test_the_feature_servers_own_push_takes_the_columns_of_the_stream(server, store):
    body = {
        "push_source_name": "fe_landings",
        "df": {"carrier": ["B6"], "delay": [12.0], "landed": [NOW.isoformat()]},
        "to": "online_and_offline",
    }
    pushed = requests.post(server.http + "/push", json=body, headers=server.bearer(), timeout=20)
    assert pushed.status_code == 200, pushed.text
    got = store.get_online_features(features=["fe_now:delay"], entity_rows=[{"carrier": "B6"}])
    assert got.to_dict()["delay"] == [12.0]
    body["df"]["delay"] = ["late"]
    refused = requests.post(server.http + "/push", json=body, headers=server.bearer(), timeout=20)
    assert refused.status_code == 400
    assert "rows.0.delay" in refused.json()


def test_without_a_token_nothing_is_answered(server):
    answer = requests.post(server.http + "/get-online-features", json={}, timeout=20)
    assert answer.status_code == 401
    assert isinstance(answer.json(), str)
