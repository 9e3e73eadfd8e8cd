"""The endpoints of GrowthBook's SDKs: payload, stream, remote evaluation, tracking."""

from __future__ import annotations

import json
import threading

import pytest
import requests
from flags_client import Flags, node
from growthbook import GrowthBook
from growthbook.plugins import growthbook_tracking_plugin
from strata_server import Server

SPLIT = [{"key": "colour", "variations": ["red", "blue"], "meta": [{"key": "r"}, {"key": "b"}]}]


def features(flags, key: str, **headers) -> requests.Response:
    return requests.get(flags.server.http + "/api/features/" + key, headers=headers, timeout=20)


def test_the_payload_has_an_etag_and_may_be_read_by_any_page(flags):
    flags.set("colour", "none", SPLIT)
    key = flags.key()["key"]
    first = features(flags, key)
    assert first.json()["status"] == 200
    assert first.json()["features"]["colour"]["defaultValue"] == "none"
    assert first.headers["x-sse-support"] == "enabled"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert "max-age" in first.headers["Cache-Control"]
    etag = first.headers["ETag"]
    assert features(flags, key, **{"If-None-Match": etag}).status_code == 304
    assert features(flags, key, **{"If-None-Match": "W/" + etag}).status_code == 304
    flags.state("colour", "off")
    changed = features(flags, key, **{"If-None-Match": etag})
    assert changed.json()["features"]["colour"] == {"defaultValue": "none"}
    assert changed.json()["dateUpdated"] > first.json()["dateUpdated"]
    flags.state("colour", "killed")
    assert features(flags, key).json()["features"] == {}


def test_an_unknown_or_revoked_key_is_refused_for_good(flags):
    key = flags.key()
    assert features(flags, key["key"]).status_code == 200
    assert flags.call("DELETE", "flag-keys/" + key["id"]).json()["revoked"]
    for bad in (key["key"], "sdk-nothing"):
        answer = features(flags, bad)
        assert answer.status_code == 400 and answer.headers["x-unrecoverable"] == "1"
        assert answer.json()["status"] == 400 and answer.json()["error"]
    answer = requests.options(flags.server.http + "/api/eval/" + key["key"])
    assert answer.status_code == 204 and answer.headers["Access-Control-Allow-Methods"]


class Stream:
    """The events of /sub, as they come."""

    def __init__(self, flags, key: str, **headers) -> None:
        url = flags.server.http + "/sub/" + key
        self.answer = requests.get(url, stream=True, headers=headers, timeout=30)
        assert self.answer.status_code == 200, self.answer.text
        self.lines = self.answer.iter_lines(decode_unicode=True)

    def next(self) -> dict:
        event: dict[str, str] = {}
        for line in self.lines:
            if not line and "event" in event:
                return event
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                event[name] = value
        return {}


def test_a_stream_tells_each_change_with_the_whole_payload(flags):
    flags.set("colour", "none", SPLIT)
    key = flags.key()
    stream = Stream(flags, key["key"])
    first = stream.next()
    assert first["event"] == "features"
    assert json.loads(first["data"])["features"]["colour"]["defaultValue"] == "none"
    flags.set("colour", "other", SPLIT)
    second = stream.next()
    assert json.loads(second["data"])["features"]["colour"]["defaultValue"] == "other"
    resumed = Stream(flags, key["key"], **{"Last-Event-ID": first["id"]})
    assert resumed.next()["id"] == second["id"]  # what it missed
    flags.call("DELETE", "flag-keys/" + key["id"])
    assert stream.next() == {} and resumed.next() == {}  # ends, and whole


def test_streams_end_whole_when_the_server_stops(flags):
    key = flags.key()["key"]
    stream = Stream(flags, key)
    assert stream.next()["event"] == "features"
    stopping = threading.Thread(target=flags.server.stop)
    stopping.start()
    assert stream.next() == {}
    stopping.join()


def test_a_key_for_remote_evaluation_never_shows_a_rule(flags):
    flags.set("colour", "none", SPLIT)
    flags.set("plain", "a")
    key = flags.key(remote=True)["key"]
    assert features(flags, key).status_code == 400
    stream = Stream(flags, key)
    assert stream.next()["event"] == "features-updated"
    users = [{"id": f"u{i}"} for i in range(20)]
    found = node("remote", host=flags.server.http, key=key, flags=["colour", "plain"], users=users)
    own = [flags.evaluate("colour", user) for user in users]
    assert found["rows"] == [[one["value"], "a"] for one in own]
    assert found["viewed"] == [["colour", one["experimentResult"]["key"]] for one in own]
    url = flags.server.http + "/api/eval/" + key
    told = requests.post(url, json={"attributes": users[0]}).json()
    shown = own[0]["value"]
    hidden = {"red": "blue", "blue": "red"}[shown]
    assert shown in json.dumps(told) and hidden not in json.dumps(told)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"attributes": []}, "attributes"),
        ({"attributes": {}, "forcedFeatures": [1]}, "forcedFeatures"),
        ({"attributes": {}, "forcedVariations": 5}, "forcedVariations"),
    ],
)
def test_remote_evaluation_names_what_is_wrong(flags, body, fault):
    answer = requests.post(flags.server.http + "/api/eval/" + flags.key()["key"], json=body)
    assert answer.status_code == 400 and fault in answer.json()["error"]


def test_exposures_and_events_of_both_plugins_are_kept_alike_through_a_kill(flags):
    flags.set("colour", "none", SPLIT)
    key = flags.key()["key"]
    host = flags.server.http
    js = [{"id": f"js{i}"} for i in range(5)]
    assert node("track", host=host, key=key, flags=["colour"], users=js) == 5
    for i in range(5):
        plugin = growthbook_tracking_plugin(ingestor_host=host, track_feature_evaluated=False)
        client = GrowthBook(
            attributes={"id": f"py{i}"}, api_host=host, client_key=key, plugins=[plugin]
        )
        client.load_features()
        client.eval_feature("colour")
        client.log_event("Bought", {"amount": 8})
        client.destroy()
    for sending in threading.enumerate():  # the plug-in does not say when it has sent its events
        if "_send_events" in sending.name:
            sending.join()
    flags.server.kill()
    flags.server.start()
    rows = flags.sql("SELECT unit, variation, attribute FROM strata.exposures ORDER BY unit")
    users = [user["id"] for user in js] + [f"py{i}" for i in range(5)]
    expected = {u: flags.evaluate("colour", {"id": u})["experimentResult"]["key"] for u in users}
    assert rows == [[unit, expected[unit], "id"] for unit in sorted(users)]
    bought = flags.sql(
        "SELECT json_extract(properties, '$.amount')::INT AS amount, count(*) FROM strata.events"
        " WHERE name = 'Bought' GROUP BY 1 ORDER BY 1"
    )
    assert bought == [[7, 5], [8, 5]]


def viewed(unit: str, **more) -> dict:
    properties = {"experimentId": "e", "variationId": "a", "hashAttribute": "id", **more}
    properties.setdefault("hashValue", unit)
    return {"event_name": "Experiment Viewed", "properties_json": properties}


def test_many_exposures_become_files_and_none_is_lost_or_doubled(flags):
    url = flags.server.http + "/track?client_key=" + flags.key()["key"]
    session = requests.Session()
    for batch in range(25):
        events = [viewed(f"u{batch}-{i}") for i in range(1000)]
        assert session.post(url, json=events, timeout=60).status_code == 200
    counted = "SELECT count(*), count(DISTINCT unit) FROM strata.exposures"
    assert flags.sql(counted) == [[25_000, 25_000]]
    names = {path.name for path in (flags.server.data / "exposures/default").iterdir()}
    assert any("tail" not in name for name in names)
    session.post(url, json=[viewed("late")])
    assert flags.sql(counted) == [[25_001, 25_001]]
    flags.server.kill()
    flags.server.start()
    assert flags.sql(counted) == [[25_001, 25_001]]


def test_a_backup_has_all_exposures_and_goes_on_counting(flags, tmp_path):
    url = "/track?client_key=" + flags.key()["key"]
    session = requests.Session()
    for batch in range(21):
        events = [viewed(f"u{batch}-{i}") for i in range(1000)]
        assert session.post(flags.server.http + url, json=events, timeout=60).status_code == 200
    flags.server.strata("backup", "--out", str(tmp_path / "copy"))
    restored = Flags(Server(tmp_path / "copy").start())
    try:
        assert session.post(restored.server.http + url, json=[viewed("late")]).status_code == 200
        counted = "SELECT count(*), count(DISTINCT unit) FROM strata.exposures"
        assert restored.sql(counted) == [[21_001, 21_001]]
    finally:
        restored.server.stop()
        restored.server.strata("stop", "--now", check=False)


def test_tracking_is_bounded_and_names_the_event_that_is_wrong(flags):
    url = flags.server.http + "/track?client_key=" + flags.key()["key"]
    for body, fault in (
        ([viewed("u"), {"properties_json": {}}], "[1].event_name"),
        ([viewed("u", hashValue="")], "[0].properties_json.hashValue"),
        ([viewed("u" * 2000)], "[0].properties_json.hashValue"),
        ([{"event_name": "x", "properties_json": [1]}], "[0].properties_json"),
        ([viewed("u")] * 1001, "at most 1000"),
        ({}, "list"),
    ):
        answer = requests.post(url, json=body)
        assert answer.status_code == 400 and fault in answer.json()["error"], answer.text
    assert requests.post(url, data="[" + " " * (2 << 20) + "]").status_code == 413
    assert requests.post(flags.server.http + "/track", json=[]).status_code == 400
    assert flags.sql("SELECT count(*) FROM strata.exposures") == [[0]]
    # Whom a tester forced into a variation is no exposure.
    forced = {"experiment_id": "e", "variation_key": "a", "in_experiment": True, "hash_used": False}
    event = {"event_name": "$$experiment_viewed", "properties_json": forced}
    assert requests.post(url, json=[event]).json()["events"] == 0
