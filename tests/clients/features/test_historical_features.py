"""Features as they were at some times, against pandas and a brute force in Python."""

from __future__ import annotations

import datetime
import json
import pathlib
import random
import sys

import pandas as pd
import pytest
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python" / "src"))
import strata as sdk

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
FEATURES = ["delay", "hours", "gate"]

DEFINITIONS = """
entities: {{{p}carrier: {{keys: {{carrier: string}}}}}}
sources:
  {p}landings:
    stream: true
    columns: {{carrier: string, delay: double, gate: string, landed: timestamp, made: timestamp}}
    timestamp: landed
    created: made
views:
  {p}v:
    entities: [{p}carrier]
    source: {p}landings
    ttl: 1m
    features: {{delay: delay, hours: delay / 60, gate: gate}}
on_demand:
  {p}trip: {{request: {{distance: double}}, features: {{pace: distance / {p}v.hours}}}}
"""


def at(second: float) -> str:
    return (START + datetime.timedelta(seconds=second)).isoformat()


def post(server, path: str, body: dict) -> requests.Response:
    url = f"{server.http}/api/v1/features/{path}"
    return requests.post(url, json=body, headers=server.bearer(), timeout=60)


def make(server, prefix: str, rows: list[dict], pushes: int = 1) -> None:
    answer = post(server, "apply", {"yaml": DEFINITIONS.format(p=prefix)})
    assert answer.status_code == 200, answer.text
    size = -(-len(rows) // pushes)
    for begin in range(0, len(rows), size):
        answer = post(
            server, f"streams/{prefix}landings/push", {"rows": rows[begin : begin + size]}
        )
        assert answer.status_code == 200, answer.text


def history(server, prefix: str, spine: dict, names=FEATURES, **members) -> dict[str, list]:
    client = sdk.connect(server.http, server.env["STRATA_TOKEN"])
    got = sdk.get_historical_features(
        [f"{prefix}v.{name}" for name in names], spine, client=client, **members
    )
    return {
        one["name"]: list(zip(one["values"], one["statuses"], strict=True))
        for one in got["features"]
    }


def test_it_is_what_pandas_joins(server):
    dice = random.Random(3)
    seconds = dice.sample(range(100_000), 600)
    rows = [
        {
            "carrier": f"C{dice.randint(0, 7)}",
            "delay": dice.random() * 100,
            "gate": f"G{number}",
            "landed": at(second / 100),
            "made": at(second / 100),
        }
        for number, second in enumerate(seconds)
    ]
    make(server, "ha_", rows, pushes=7)
    keys = [f"C{dice.randint(0, 8)}" for _ in range(500)]
    times = [dice.randint(0, 110_000) / 100 for _ in keys]
    got = history(server, "ha_", {"carrier": keys, "event_timestamp": [at(one) for one in times]})

    asked = pd.to_datetime([at(one) for one in times], format="ISO8601")
    left = pd.DataFrame({"carrier": keys, "t": asked})
    left["row"] = range(len(left))
    right = pd.DataFrame(rows)
    right["t"] = pd.to_datetime(right["landed"], format="ISO8601")
    joined = pd.merge_asof(
        left.sort_values("t"),
        right[["carrier", "t", "delay", "gate"]].sort_values("t"),
        on="t",
        by="carrier",
        tolerance=pd.Timedelta("1min"),
    ).sort_values("row")
    for row, (delay, gate) in enumerate(zip(joined["delay"], joined["gate"], strict=True)):
        expected = None if pd.isna(delay) else delay
        assert got["delay"][row][0] == expected, row
        assert got["hours"][row][0] == (None if expected is None else expected / 60)
        assert got["gate"][row][0] == (None if expected is None else gate)
    assert {status for _, status in got["delay"]} == {"PRESENT", "NOT_FOUND", "OUTSIDE_MAX_AGE"}


def brute_force(rows: list[dict], key: str | None, time: float, until: float | None, column: str):
    """Of all rows that count, the one of the greatest stamp that says something of the column."""
    best = None
    for place, row in enumerate(rows):
        if row["carrier"] != key or row["event"] > time or column not in row:
            continue
        if row["created"] > (time if until is None else until):
            continue
        stamp = (row["event"], row["created"], place)
        if best is None or best[0] < stamp:
            best = (stamp, row[column])
    if best is None:
        return (None, "NOT_FOUND")
    if time - best[0][0] > 60:
        return (None, "OUTSIDE_MAX_AGE")
    return (best[1], "NULL_VALUE" if best[1] is None else "PRESENT")


@pytest.mark.parametrize(
    ("known_at", "until"), [("asked", None), ("now", float("inf")), (at(150), 150)]
)
def test_late_and_corrected_rows_count_when_they_were_known(server, known_at, until):
    prefix = f"hb{len(known_at)}_"
    dice = random.Random(9)
    rows: list[dict] = []
    for _ in range(400):
        row = {
            "carrier": f"C{dice.randint(0, 3)}",
            "event": dice.randint(0, 200),
            "created": dice.randint(0, 300),
        }
        for column, value in (("delay", dice.choice([None, 1.5, 2.5])), ("gate", str(len(rows)))):
            if dice.random() < 0.6:
                row[column] = value
        rows.append(row)
    sent = []
    for row in rows:
        one = {name: value for name, value in row.items() if name in ("carrier", "delay", "gate")}
        sent.append(one | {"landed": at(row["event"]), "made": at(row["created"])})
    make(server, prefix, sent, pushes=5)
    keys = [dice.choice(["C0", "C1", "C2", "C3", "C4", None]) for _ in range(300)]
    times = [dice.randint(-5, 320) for _ in keys]
    spine = {"carrier": keys, "event_timestamp": [at(one) for one in times]}
    got = history(server, prefix, spine, names=["delay", "gate"], known_at=known_at)
    for row, (key, time) in enumerate(zip(keys, times, strict=True)):
        for column in ("delay", "gate"):
            assert got[column][row] == brute_force(rows, key, time, until, column), (row, column)


def test_rows_keep_their_order_and_are_never_joined_into_one(server):
    make(server, "hc_", [{"carrier": "A", "delay": 60.0, "landed": at(0), "made": at(0)}])
    spine = {
        "carrier": ["A", "A", None, "B", "A"],
        "event_timestamp": [at(60), at(60), at(60), at(60), at(60.000001)],
    }
    got = history(server, "hc_", spine, names=["delay"])
    assert got["delay"] == [
        (60.0, "PRESENT"),
        (60.0, "PRESENT"),
        (None, "NOT_FOUND"),
        (None, "NOT_FOUND"),
        (None, "OUTSIDE_MAX_AGE"),
    ]
    body = {
        "features": ["hc_trip.pace"],
        "entities": {"carrier": ["A"], "distance": [5.0], "event_timestamp": [at(1)]},
    }
    assert post(server, "historical", body).json()["features"][0]["values"] == [5.0]


def test_what_is_read_offline_as_of_now_is_what_is_read_online(server):
    now = datetime.datetime.now(datetime.UTC)
    rows = [
        {"carrier": f"N{number}", "delay": number / 7, "landed": when.isoformat()}
        for number in range(40)
        for when in [now - datetime.timedelta(seconds=number)]
    ]
    make(server, "hd_", rows)
    keys = [f"N{number}" for number in range(41)]
    online = post(
        server, "online", {"features": ["hd_v.hours", "hd_v.delay"], "entities": {"carrier": keys}}
    ).json()
    body = {
        "features": ["hd_v.hours", "hd_v.delay"],
        "entities": {"carrier": keys, "event_timestamp": [online["time"]] * len(keys)},
    }
    assert post(server, "historical", body).json()["features"] == online["features"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_timestamp": None}, "entities.event_timestamp"),
        ({"event_timestamp": ["soon"]}, "entities.event_timestamp.0"),
        ({"event_timestamp": [None]}, "entities.event_timestamp.0"),
        ({"event_timestamp": [at(1), at(2)]}, "entities"),
        ({"carrier": [5]}, "entities.carrier.0"),
        ({"gate": ["x"]}, "entities.gate"),
    ],
)
def test_a_spine_that_does_not_fit_is_refused_with_its_field(server, change, field):
    make(server, "he_", [{"carrier": "A", "landed": at(0)}])
    entities = {"carrier": ["A"], "event_timestamp": [at(1)]} | change
    refused = post(server, "historical", {"features": ["he_v.delay"], "entities": entities})
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["field"] == field


def test_a_row_that_claims_to_be_made_in_the_future_is_refused_by_field(server):
    make(server, "hm_", [{"carrier": "A", "delay": 60.0, "landed": at(0), "made": at(0)}])
    late = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    row = {"carrier": "A", "delay": 1.0, "landed": at(0), "made": late.isoformat()}
    refused = post(server, "streams/hm_landings/push", {"rows": [row]})
    assert refused.status_code == 400 and "made: " in refused.text
    assert "future" in refused.text


def test_the_command_line_reads_a_spine_from_a_file(server, tmp_path):
    make(server, "hf_", [{"carrier": "A", "delay": 90.0, "landed": at(0), "made": at(0)}])
    file = tmp_path / "spine.json"
    file.write_text(json.dumps({"carrier": ["A", "A"], "event_timestamp": [at(-1), at(1)]}))
    shown = server.strata("feature", "get", "--feature", "hf_v.hours", "--offline", str(file))
    assert "1.5" in shown.stdout and "NOT_FOUND, PRESENT" in shown.stdout
