"""Rows pushed into streams and features read as of now, against a fold in Python."""

from __future__ import annotations

import datetime
import json
import pathlib
import random
import shutil
import sys

import pytest
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python" / "src"))
import strata as sdk

NOW = datetime.datetime.now(datetime.UTC)

DEFINITIONS = """
entities:
  {p}carrier: {{keys: {{carrier: string}}}}
  {p}route: {{keys: {{origin: int64, dest: int64}}}}
sources:
  {p}landings:
    stream: true
    columns:
      {{carrier: string, origin: int64, dest: int64, delay: double, flights: int64, gate: string,
       landed: timestamp, made: timestamp}}
    timestamp: landed
    created: made
views:
  {p}carrier_now:
    entities: [{p}carrier]
    source: {p}landings
    features: {{hours: delay / 60, delay: delay, flights: flights, gate: gate, last: landed}}
  {p}fresh: {{entities: [{p}carrier], source: {p}landings, ttl: 1h, features: {{recent: delay}}}}
  {p}route_now: {{entities: [{p}route], source: {p}landings, features: {{minutes: delay}}}}
on_demand:
  {p}trip:
    request: {{distance: double}}
    features: {{pace: distance / {p}carrier_now.hours}}
services:
  {p}flights: {{features: [{p}carrier_now.hours, {p}trip.pace, {p}route_now.minutes]}}
"""


def when(seconds: float) -> str:
    """A time so many seconds before now."""
    return (NOW - datetime.timedelta(seconds=seconds)).isoformat()


@pytest.fixture(scope="module")
def applied(server):
    def apply(name: str) -> str:
        prefix = "on_" + name
        make(server, prefix)
        return prefix

    return apply


def make(server, prefix: str) -> None:
    body = {"yaml": DEFINITIONS.format(p=prefix)}
    url = server.http + "/api/v1/features/apply"
    answer = requests.post(url, json=body, headers=server.bearer(), timeout=20)
    assert answer.status_code == 200, answer.text


def push(server, stream: str, rows=(), deletes=(), **members) -> requests.Response:
    url = f"{server.http}/api/v1/features/streams/{stream}/push"
    body = {"rows": list(rows), "deletes": list(deletes), **members}
    return requests.post(url, json=body, headers=server.bearer(), timeout=20)


def pushed(server, stream: str, *rows, deletes=()) -> int:
    answer = push(server, stream, rows, deletes)
    assert answer.status_code == 200, answer.text
    return answer.json()["sequence"]


def online(server, features: list[str] | str, **entities) -> requests.Response:
    body = {"entities": entities}
    body["service" if isinstance(features, str) else "features"] = features
    url = server.http + "/api/v1/features/online"
    return requests.post(url, json=body, headers=server.bearer(), timeout=20)


def read(server, features, **entities) -> list[tuple]:
    """(value, status) of each feature of the first row."""
    answer = online(server, features, **entities)
    assert answer.status_code == 200, answer.text
    return [(one["values"][0], one["statuses"][0]) for one in answer.json()["features"]]


def test_what_was_pushed_is_read_at_once(server, applied):
    p = applied("a_")
    row = {"carrier": "AA", "origin": 1, "dest": 23, "delay": 30.0, "landed": when(5)}
    sequence = pushed(server, p + "landings", row)
    answer = online(
        server, p + "flights", carrier=["AA"], origin=[1], dest=[23], distance=[100]
    ).json()
    assert [one["values"][0] for one in answer["features"]] == [0.5, 200.0, 30.0]
    assert [one["name"] for one in answer["features"]] == ["hours", "pace", "minutes"]
    assert answer["sequence"] >= sequence
    assert answer["version"].startswith("sha256:")


def test_which_row_counts(server, applied):
    p = applied("b_")
    stream, feature = p + "landings", [p + "carrier_now.delay"]

    def row(delay: float, landed: float, made: float) -> dict:
        return {"carrier": "AA", "delay": delay, "landed": when(landed), "made": when(made)}

    pushed(server, stream, row(1, 100, 90))
    pushed(server, stream, row(2, 200, 10))  # late
    assert read(server, feature, carrier=["AA"]) == [(1.0, "PRESENT")]
    pushed(server, stream, row(3, 100, 80))  # a correction
    assert read(server, feature, carrier=["AA"]) == [(3.0, "PRESENT")]
    pushed(server, stream, row(4, 100, 85))  # an older correction that comes later
    assert read(server, feature, carrier=["AA"]) == [(3.0, "PRESENT")]
    pushed(server, stream, row(5, 100, 80), row(6, 100, 80))  # a tie: the last to come
    assert read(server, feature, carrier=["AA"]) == [(6.0, "PRESENT")]
    gone = {"carrier": "AA", "landed": when(50)}
    pushed(server, stream, deletes=[gone])
    pushed(server, stream, row(7, 60, 1))  # from before the deletion
    assert read(server, feature, carrier=["AA"]) == [(None, "NOT_FOUND")]
    pushed(server, stream, row(8, 40, 40))
    assert read(server, feature, carrier=["AA"]) == [(8.0, "PRESENT")]


def test_null_missing_and_expired_are_told_apart(server, applied):
    p = applied("c_")
    pushed(server, p + "landings", {"carrier": "AA", "delay": 9.0, "landed": when(7200)})
    pushed(server, p + "landings", {"carrier": "AA", "gate": None, "landed": when(5)})
    asked = [p + "carrier_now." + name for name in ("delay", "gate", "flights")]
    got = read(server, [*asked, p + "fresh.recent"], carrier=["AA"])
    assert got == [
        (9.0, "PRESENT"),
        (None, "NULL_VALUE"),
        (None, "NOT_FOUND"),
        (None, "OUTSIDE_MAX_AGE"),
    ]
    assert read(server, asked, carrier=["nobody"]) == [(None, "NOT_FOUND")] * 3
    assert read(server, asked, carrier=[None]) == [(None, "NOT_FOUND")] * 3


def test_keys_of_several_columns_are_not_mixed_up(server, applied):
    p = applied("d_")
    rows = [
        {"origin": 1, "dest": 23, "delay": 1.0, "landed": when(5)},
        {"origin": 12, "dest": 3, "delay": 2.0, "landed": when(5)},
    ]
    pushed(server, p + "landings", *rows)
    answer = online(server, [p + "route_now.minutes"], origin=[12, 1, 1, 1], dest=[3, 23, 23, 2])
    assert answer.json()["features"][0]["values"] == [2.0, 1.0, 1.0, None]


def test_the_same_push_again_adds_nothing(server, applied):
    p = applied("e_")
    row = {"carrier": "AA", "delay": 1.0, "landed": when(5)}
    first = push(server, p + "landings", [row], idempotency_key="one").json()
    again = push(server, p + "landings", [row], idempotency_key="one").json()
    assert first["sequence"] == again["sequence"]
    assert (first["repeated"], again["repeated"]) == (False, True)
    other = push(server, p + "landings", [row | {"delay": 2.0}], idempotency_key="one")
    assert other.status_code == 409
    assert other.json()["error"]["field"] == "idempotency_key"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"carrier": "AA", "landed": when(-86_400)}, "rows.0.landed"),
        ({"carrier": "AA"}, "rows.0.landed"),
        ({"carrier": "AA", "landed": when(5), "dely": 1}, "rows.0.dely"),
        ({"carrier": "AA", "landed": when(5), "delay": "late"}, "rows.0.delay"),
        ({"carrier": "AA", "landed": when(5), "flights": 1.5}, "rows.0.flights"),
        ({"carrier": "A" * 1_000_000, "landed": when(5)}, "rows.0.carrier"),
        ({"origin": 3, "landed": when(5)}, "rows.0"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_none_of_its_push_is_taken(
    server, applied, row, field
):
    p = applied("f_")
    fine = {"carrier": "never", "delay": 1.0, "landed": when(5)}
    refused = push(server, p + "landings", [row, fine])
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["field"] == field
    assert read(server, [p + "carrier_now.delay"], carrier=["never"]) == [(None, "NOT_FOUND")]


def test_what_is_not_there_is_told(server, applied):
    p = applied("g_")
    assert push(server, p + "nowhere", [{}]).status_code == 404
    assert online(server, p + "nothing", carrier=["AA"]).status_code == 404
    refused = online(server, [p + "carrier_now.delya"], carrier=["AA"])
    assert refused.status_code == 400
    assert "Did you mean 'delay'" in refused.json()["error"]["message"]
    refused = online(server, [p + "carrier_now.delay"], carrier=["AA"], carier=["AA"])
    assert refused.json()["error"]["field"] == "entities.carier"


def test_rows_that_came_before_a_view_are_in_its_features(server, applied):
    p = applied("h_")
    pushed(server, p + "landings", {"carrier": "AA", "origin": 7, "delay": 3.0, "landed": when(5)})
    later = f"""
entities: {{{p}origin: {{keys: {{origin: int64}}}}}}
views:
  {p}origin_now: {{entities: [{p}origin], source: {p}landings, features: {{twice: delay * 2}}}}
"""
    url = server.http + "/api/v1/features/apply"
    made = requests.post(url, json={"yaml": later}, headers=server.bearer(), timeout=20)
    assert made.status_code == 200, made.text
    assert read(server, [p + "origin_now.twice"], origin=[7]) == [(6.0, "PRESENT")]


def fold(rows: list[tuple[int, int, dict | None]]) -> dict[str, float | int | str | None]:
    """What the rows of a key come to: (event, created, columns or None for deleted), as pushed."""
    cells: dict[str, tuple[tuple, object]] = {}
    gone: tuple | None = None
    for place, (event, created, columns) in enumerate(rows):
        stamp = (event, created, place)
        if columns is None:
            gone = max(gone, stamp) if gone else stamp
            continue
        for name, value in columns.items():
            if name not in cells or cells[name][0] < stamp:
                cells[name] = (stamp, value)
    return {name: value for name, (stamp, value) in cells.items() if not gone or gone < stamp}


def test_random_rows_come_to_what_a_fold_in_python_says(server, applied):
    p = applied("i_")
    dice = random.Random(11)
    by_key: dict[str, list] = {}
    for _ in range(40):
        rows, deletes = [], []
        for _ in range(dice.randint(1, 20)):
            key = f"K{dice.randint(0, 9)}"
            event, created = dice.randint(1, 8), dice.randint(1, 3)
            row = {"carrier": key, "landed": when(1000 - event), "made": when(500 - created)}
            columns: dict = {}
            for name, value in (
                ("delay", dice.choice([dice.random() * 100, None, float(dice.randint(-3, 3))])),
                ("flights", dice.choice([dice.randint(-(2**63), 2**63 - 1), None])),
                ("gate", dice.choice(["ä", "", "B7", None])),
            ):
                if dice.random() < 0.6:
                    columns[name] = value
            if dice.random() < 0.15:
                deletes.append((key, event, created, row))
            else:
                rows.append((key, event, created, columns, row | columns))
        for key, event, created, columns, _ in rows:
            by_key.setdefault(key, []).append((event, created, columns))
        for key, event, created, _ in deletes:
            by_key.setdefault(key, []).append((event, created, None))
        pushed(server, p + "landings", *[row[-1] for row in rows], deletes=[d[-1] for d in deletes])
    names = ["delay", "flights", "gate", "hours"]
    keys = sorted(by_key)
    answer = online(server, [f"{p}carrier_now.{name}" for name in names], carrier=keys).json()
    for at, key in enumerate(keys):
        expected = fold(by_key[key])
        for name, feature in zip(names, answer["features"], strict=True):
            column = "delay" if name == "hours" else name
            value = expected.get(column)
            if name == "hours" and value is not None:
                value = value / 60
            status = (
                "NOT_FOUND"
                if column not in expected
                else "NULL_VALUE"
                if value is None
                else "PRESENT"
            )
            assert (feature["values"][at], feature["statuses"][at]) == (value, status), (key, name)


def test_features_survive_a_crash_and_the_loss_of_their_states(fresh_server):
    server = fresh_server.start()
    make(server, "j_")
    for number in range(5):
        row = {"carrier": f"C{number}", "delay": float(number), "landed": when(5)}
        pushed(server, "j_landings", row)
    asked = ["j_carrier_now.delay"]
    keys = [f"C{number}" for number in range(5)]
    server.kill()
    server.start()
    expected = [0.0, 1.0, 2.0, 3.0, 4.0]
    answer = online(server, asked, carrier=keys)
    assert answer.json()["features"][0]["values"] == expected
    assert server.stop() == 0
    shutil.rmtree(server.data / "features" / "state")
    server.start()
    answer = online(server, asked, carrier=keys)
    assert answer.json()["features"][0]["values"] == expected


def test_a_backup_has_the_log_and_a_check_finds_its_damage(fresh_server, tmp_path):
    server = fresh_server.start()
    make(server, "k_")
    for number in range(3):
        pushed(server, "k_landings", {"carrier": "AA", "delay": float(number), "landed": when(9)})
    copy = tmp_path / "copy"
    server.strata("backup", "--out", str(copy))
    server.stop()
    server.strata("stop", "--now", check=False)
    (log,) = (copy / "features" / "log").glob("*.log")
    assert log.read_bytes() == next((server.data / "features" / "log").glob("*.log")).read_bytes()
    (log,) = (server.data / "features" / "log").glob("*.log")
    damaged = bytearray(log.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    # A later file goes on behind the damage, as after another start.
    log.write_bytes(damaged)
    (log.parent / f"{4:020}.log").write_bytes(b"STRATAF1")
    found = server.strata("fsck", check=False)
    assert found.returncode != 0
    assert "missing or damaged" in found.stdout + found.stderr


def test_python_and_the_command_line_push_and_read(server, applied, tmp_path):
    p = applied("l_")
    client = sdk.connect(server.http, server.env["STRATA_TOKEN"])
    row = {"carrier": "AA", "delay": 120.0, "landed": when(5)}
    assert not sdk.push_features(p + "landings", [row], client=client)["repeated"]
    got = sdk.get_online_features([p + "carrier_now.hours"], {"carrier": ["AA"]}, client=client)
    assert got["features"][0]["values"] == [2.0]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([row | {"delay": 180.0, "landed": when(4)}]))
    server.strata("feature", "push", p + "landings", str(file))
    shown = server.strata(
        "feature", "get", "--feature", p + "carrier_now.hours", "--entity", "carrier=AA"
    ).stdout
    assert "3.0" in shown and "PRESENT" in shown


def test_who_may_only_read_does_not_push(server, applied):
    p = applied("m_")
    made = server.strata("token", "create", "--scope", "feature:read", "-o", "json").stdout
    headers = server.bearer(json.loads(made)["token"])
    url = f"{server.http}/api/v1/features/streams/{p}landings/push"
    assert requests.post(url, json={"rows": []}, headers=headers, timeout=20).status_code == 403
