"""Aggregates over windows of time: against pandas, online against the past, refusals."""

from __future__ import annotations

import datetime
import math
import pathlib
import random
import sys

import pandas as pd
import pytest
import requests
from feast import (
    Entity,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RepoConfig,
    ValueType,
)
from feast.types import Float64, Int64

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python" / "src"))
import strata as sdk

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
COLUMNS = {
    "carrier": "string",
    "flight": "int64",
    "delay": "double",
    "seats": "int64",
    "landed": "timestamp",
}


def at(second: float) -> str:
    return (START + datetime.timedelta(seconds=second)).isoformat()


def post(server, path: str, body: dict) -> requests.Response:
    url = f"{server.http}/api/v1/features/{path}"
    return requests.post(url, json=body, headers=server.bearer(), timeout=60)


def define(server, prefix: str, features: dict) -> list[dict]:
    return sdk.apply_features(
        [
            sdk.Entity(name=f"{prefix}carrier", keys={"carrier": "string"}),
            sdk.Source(name=f"{prefix}s", stream=True, columns=COLUMNS, timestamp="landed"),
            sdk.View(
                name=f"{prefix}v",
                entities=[f"{prefix}carrier"],
                source=f"{prefix}s",
                event_id=["flight"],
                features=features,
            ),
        ],
        client=sdk.connect(server.http, server.env["STRATA_TOKEN"]),
    )


def push(server, prefix: str, rows: list[dict], **more) -> None:
    answer = post(server, f"streams/{prefix}s/push", {"rows": rows} | more)
    assert answer.status_code == 200, answer.text


def values(answer: requests.Response) -> dict[str, list]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one["values"] for one in answer.json()["features"]}


FEATURES: dict[str, sdk.Aggregate] = {
    "n": sdk.Aggregate(aggregate="count", window="60s"),
    "total": sdk.Aggregate(aggregate="sum", of="delay", window="60s"),
    "avg": sdk.Aggregate(aggregate="mean", of="delay", window="60s"),
    "low": sdk.Aggregate(aggregate="min", of="delay", window="60s"),
    "high": sdk.Aggregate(aggregate="max", of="delay", window="60s"),
    "dev": sdk.Aggregate(aggregate="stddev", of="delay", window="60s"),
    "kinds": sdk.Aggregate(aggregate="count_distinct", of="seats", window="60s"),
    "late": sdk.Aggregate(aggregate="count", window="60s", where="delay > 50"),
    "minute": sdk.Aggregate(aggregate="sum", of="seats", window="60s", tumbling=True),
}


def test_windows_of_the_past_are_those_of_pandas(server):
    dice = random.Random(4)
    rows = [
        {
            "carrier": f"C{dice.randint(0, 2)}",
            "flight": number,
            "delay": dice.random() * 100,
            "seats": dice.randint(0, 9),
            "landed": at(dice.randint(0, 600)),  # many on the edges of windows
        }
        for number in range(400)
    ]
    define(server, "wa_", FEATURES)
    for begin in range(0, 400, 100):
        push(server, "wa_", rows[begin : begin + 100])
    push(server, "wa_", rows[:50])  # again: the same flights at the same times
    keys = [f"C{dice.randint(0, 2)}" for _ in range(200)]
    times = [dice.randint(60, 700) for _ in keys]
    got = values(
        post(
            server,
            "historical",
            {
                "features": [f"wa_v.{name}" for name in FEATURES],
                "entities": {"carrier": keys, "event_timestamp": [at(one) for one in times]},
                "known_at": "now",
            },
        )
    )
    frame = pd.DataFrame(rows)
    frame["second"] = (
        pd.to_datetime(frame["landed"], format="ISO8601") - pd.Timestamp(START)
    ).dt.total_seconds()
    for row, (key, time) in enumerate(zip(keys, times, strict=True)):
        mine = frame[frame["carrier"] == key]
        window = mine[(mine["second"] > time - 60) & (mine["second"] <= time)]
        whole = time // 60 * 60
        minute = mine[(mine["second"] >= whole - 60) & (mine["second"] < whole)]
        delays = window["delay"]
        assert got["n"][row] == len(window)
        assert got["total"][row] == (math.fsum(delays) if len(delays) else None), row
        assert got["avg"][row] == (math.fsum(delays) / len(delays) if len(delays) else None)
        assert got["low"][row] == (delays.min() if len(delays) else None)
        assert got["high"][row] == (delays.max() if len(delays) else None)
        assert got["kinds"][row] == window["seats"].nunique()
        assert got["late"][row] == (delays > 50).sum()
        assert got["minute"][row] == (minute["seats"].sum() if len(minute) else None)
        if len(delays) < 2:
            assert got["dev"][row] is None
        else:
            assert got["dev"][row] == pytest.approx(delays.std(), rel=1e-12)

    # pandas' own windows in time are open at their old end, too.
    one = frame[frame["carrier"] == "C1"].drop_duplicates("second").sort_values("second")
    series = pd.Series(1, index=pd.to_datetime(one["landed"], format="ISO8601"))
    assert series.rolling("60s").count().iloc[-1] >= 1


def test_served_is_the_past_late_corrected_and_deleted_rows_included(server):
    define(server, "wb_", {**FEATURES, "newest": "delay"})
    now = datetime.datetime.now(datetime.UTC)
    dice = random.Random(8)

    def row(number: int) -> dict:
        return {
            "carrier": f"C{number % 5}",
            "flight": number % 40,
            "delay": dice.random() * 100,
            "seats": dice.randint(0, 9),
            "landed": (now - datetime.timedelta(seconds=number % 90)).isoformat(),
        }

    rows = [row(number) for number in range(300)]
    dice.shuffle(rows)
    push(server, "wb_", rows[:200])
    gone = {"carrier": "C3", "landed": (now - datetime.timedelta(seconds=20)).isoformat()}
    push(server, "wb_", [], deletes=[gone])
    push(server, "wb_", rows[200:])
    keys = [f"C{number}" for number in range(6)]
    names = [f"wb_v.{name}" for name in [*FEATURES, "newest"]]
    online = post(server, "online", {"features": names, "entities": {"carrier": keys}}).json()
    past = post(
        server,
        "historical",
        {
            "features": names,
            "entities": {"carrier": keys, "event_timestamp": [online["time"]] * len(keys)},
        },
    ).json()
    assert past["features"] == online["features"]
    statuses = {one["name"]: one["statuses"] for one in online["features"]}
    assert statuses["n"] == ["PRESENT"] * 5 + ["NOT_FOUND"]


def test_an_empty_window_has_a_count_of_zero_and_no_other_value(server):
    define(server, "wc_", FEATURES)
    push(server, "wc_", [{"carrier": "A", "flight": 1, "delay": 3.5, "landed": at(0)}])
    answer = post(
        server,
        "online",
        {"features": [f"wc_v.{name}" for name in FEATURES], "entities": {"carrier": ["A"]}},
    ).json()
    for one in answer["features"]:
        zero = one["name"] in ("n", "late", "kinds")
        assert one["values"] == [0 if zero else None], one
        assert one["statuses"] == ["PRESENT" if zero else "NULL_VALUE"], one


def test_a_longer_window_is_another_version_and_has_the_rows_that_came_before(server):
    now = datetime.datetime.now(datetime.UTC)
    count = {"n": sdk.Aggregate(aggregate="count", window="10s")}
    define(server, "wd_", count)
    hours = [{"landed": (now - datetime.timedelta(hours=h)).isoformat()} for h in range(1, 21)]
    push(server, "wd_", [{"carrier": "A", "flight": 0} | one for one in hours])
    changes = define(server, "wd_", {"n": sdk.Aggregate(aggregate="count", window="11h")})
    changed = {one["name"]: one for one in changes}["wd_v"]
    assert changed["change"] == "version" and changed["changed_features"] == ["n"]
    got = values(post(server, "online", {"features": ["wd_v.n"], "entities": {"carrier": ["A"]}}))
    assert got["n"] == [10]


def test_stock_feast_reads_windows(server, tmp_path):
    define(server, "we_", FEATURES)
    now = datetime.datetime.now(datetime.UTC)
    batch = tmp_path / "landings.parquet"
    frame = {"carrier": ["x"], "n": [0], "total": [0.0], "landed": [now.replace(tzinfo=None)]}
    pd.DataFrame(frame).to_parquet(batch)
    store = FeatureStore(
        config=RepoConfig(
            project="windows",
            registry=str(tmp_path / "registry.db"),
            provider="local",
            online_store={"type": "remote", "path": server.http},
            auth={"type": "oidc", "token": server.env["STRATA_TOKEN"]},
            entity_key_serialization_version=3,
        )
    )
    carrier = Entity(name="we_carrier", join_keys=["carrier"], value_type=ValueType.STRING)
    source = PushSource(
        name="we_s", batch_source=FileSource(path=str(batch), timestamp_field="landed")
    )
    view = FeatureView(
        name="we_v",
        entities=[carrier],
        schema=[Field(name="n", dtype=Int64), Field(name="total", dtype=Float64)],
        source=source,
    )
    store.apply([carrier, source, view])
    push(
        server,
        "we_",
        [{"carrier": "A", "flight": n, "delay": 1.5, "landed": now.isoformat()} for n in range(3)],
    )
    got = store.get_online_features(
        features=["we_v:n", "we_v:total"], entity_rows=[{"carrier": "A"}]
    ).to_dict()
    assert got["n"] == [3] and got["total"] == [4.5]


def test_why_says_what_became_of_every_row(server):
    define(
        server,
        "wg_",
        {
            "n": sdk.Aggregate(aggregate="count", of="delay", window="60s", where="seats > 0"),
            "newest": "delay",
        },
    )
    started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=200)

    def row(second: float, flight: int, **more) -> dict:
        landed = (started + datetime.timedelta(seconds=second)).isoformat()
        return {"carrier": "A", "flight": flight, "landed": landed} | more

    push(server, "wg_", [row(0, 0, delay=1.0, seats=1)])  # 0: a deletion takes it
    push(server, "wg_", [], deletes=[row(10, 0)])
    push(server, "wg_", [row(20, 2, delay=2.0, seats=1)])  # 2: before the window
    push(server, "wg_", [row(100, 3, delay=3.0, seats=1)])  # 3: corrected by 4
    push(server, "wg_", [row(100, 3, delay=4.0, seats=1)])
    push(server, "wg_", [row(110, 5, delay=5.0, seats=0)])  # 5: filtered
    push(server, "wg_", [row(111, 6, delay=None, seats=1)])  # 6: NULL
    push(server, "wg_", [row(115, 7, seats=1)])  # 7: says nothing of delay
    push(server, "wg_", [row(120, 8, delay=8.0, seats=1)])
    push(server, "wg_", [row(105, 9, delay=9.0, seats=1)])  # 9: late, and in the window
    push(server, "wg_", [row(190, 10, delay=10.0, seats=1)])  # 10: later than asked
    asked = (started + datetime.timedelta(seconds=150)).isoformat()

    def why(at: str | None) -> dict:
        body = {"name": "wg_v", "entities": {"carrier": ["A"]}} | ({"at": at} if at else {})
        answer = post(server, "why", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    got = why(None)
    first = {one["name"]: one for one in got["features"]}
    assert {one["name"]: one["value"] for one in got["values"]} == {"n": 1, "newest": 10.0}

    def reasons(feature: dict) -> dict[str, str]:
        by_place = sorted(feature["rows"], key=lambda one: one["sequence"])
        assert all(one["pushed_by"] for one in by_place)
        return dict(zip("0123456789X", (one["reason"] for one in by_place), strict=True))

    assert reasons(first["newest"]) == {
        "0": "deleted",
        "1": "deletion",
        "2": "superseded",
        "3": "superseded",
        "4": "superseded",
        "5": "superseded",
        "6": "superseded",
        "7": "says nothing",
        "8": "superseded",
        "9": "superseded",
        "X": "counted",
    }
    # Nothing had been pushed by then, so nothing was known.
    then = {one["name"]: one for one in why(asked)["features"]}
    assert set(reasons(then["n"]).values()) == {"not known yet", "later"}


def test_why_of_a_window_with_times_of_its_own(server):
    """Rows that say when they were made are explained as of the past."""
    definitions = """
entities: {wh_c: {keys: {c: string}}}
sources:
  wh_s:
    stream: true
    columns: {c: string, id: int64, x: double, ok: bool, t: timestamp, made: timestamp}
    timestamp: t
    created: made
views:
  wh_v:
    entities: [wh_c]
    source: wh_s
    event_id: [id]
    features:
      total: {aggregate: sum, of: x, window: 60s, where: ok}
      newest: x
"""
    assert post(server, "apply", {"yaml": definitions}).status_code == 200

    def row(second: int, number: int, made: int | None = None, **more) -> dict:
        times = {"t": at(second), "made": at(second if made is None else made)}
        return {"c": "A", "id": number} | times | more

    expected = [
        (row(0, 0, x=1.0, ok=True), "outside of the window", "superseded"),
        (row(100, 1, x=2.0, ok=True), "superseded", "superseded"),
        (row(100, 1, made=101, x=3.0, ok=True), "counted", "superseded"),
        (row(110, 2, x=4.0, ok=False), "filtered", "superseded"),
        (row(111, 3, x=None, ok=True), "null", "superseded"),
        (row(120, 4, x=5.0, ok=True), "counted", "counted"),
        (row(115, 5, x=6.0, ok=True), "counted", "late"),
        (row(90, 6, x=7.0, ok=True), "outside of the window", "late"),  # 60 s ago to the second
        (row(140, 7, made=170, x=8.0, ok=True), "not known yet", "not known yet"),
        (row(160, 8, x=9.0, ok=True), "later", "later"),
    ]
    for one, _, _ in expected:
        pushed = post(server, "streams/wh_s/push", {"rows": [one]})
        assert pushed.status_code == 200, pushed.text
    body = {"name": "wh_v", "entities": {"c": ["A"]}, "at": at(150)}
    got = post(server, "why", body).json()
    assert {one["name"]: one["value"] for one in got["values"]} == {"newest": 5.0, "total": 14.0}
    for feature in got["features"]:
        rows = sorted(feature["rows"], key=lambda one: one["sequence"])
        place = 1 if feature["name"] == "total" else 2
        assert [one["reason"] for one in rows] == [one[place] for one in expected], feature["name"]
    shown = server.strata("feature", "why", "wh_v.total", "--entity", "c=A", "--at", at(150))
    assert "wh_v.total = 14" in shown.stdout and "outside of the window" in shown.stdout


@pytest.mark.parametrize(
    ("change", "field"),
    [({"name": "nothing"}, None), ({"at": "soon"}, "at"), ({"entities": {}}, "entities.carrier")],
)
def test_a_question_why_that_does_not_fit_is_refused(server, change, field):
    define(server, "wi_", {"n": sdk.Aggregate(aggregate="count", window="1h")})
    refused = post(server, "why", {"name": "wi_v", "entities": {"carrier": ["A"]}} | change)
    assert refused.status_code == (404 if field is None else 400), refused.text
    assert field is None or refused.json()["error"]["field"] == field


@pytest.mark.parametrize(
    ("feature", "field"),
    [
        ({"aggregate": "median", "of": "x", "window": "1h"}, "aggregate"),
        ({"aggregate": "sum", "of": "delay"}, "window"),
        ({"aggregate": "sum", "of": "carrier", "window": "1h"}, "of"),
        ({"aggregate": "count", "window": "1h", "where": "delay"}, "where"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(server, feature, field):
    with pytest.raises(sdk.InvalidArgumentError) as refused:
        define(server, "wf_", {"f": feature})
    assert f"views.wf_v.features.f.{field}" in str(refused.value)
