"""One assignment for all: the server, GrowthBook's SDKs for Python and JavaScript, OFREP."""

from __future__ import annotations

import random

import pytest
import requests
from flags_client import node
from growthbook import GrowthBook
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

UNITS = 2000
# Hashing counts UTF-16 code units, as JavaScript does: these ids have two for one character.
BEYOND = [f"\U0001f600-{i}" for i in range(200)]


def make_flags(flags) -> list[str]:
    answer = flags.put("beta", {"values": [f"u{i}" for i in range(0, UNITS, 7)]}, "flag-groups")
    assert answer.status_code == 200, answer.text
    assert flags.put("q4", {"coverage": 0.1}, "flag-holdouts").status_code == 200
    past, future = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
    flags.set("gate", "no", [{"force": "yes", "condition": {"plan": "pro"}}])
    flags.set("plain", "a")
    flags.set("group", "out", [{"force": "in", "condition": {"id": {"$inGroup": "beta"}}}])
    flags.set("share", "out", [{"id": "some", "force": "in", "coverage": 0.3}])
    ramp = [{"at": past, "coverage": 0.25}, {"at": future, "coverage": 1}]
    flags.set("ramp", "out", [{"force": "in", "ramp": ramp}])
    split = {"variations": ["x", "y", "z"], "weights": [0.2, 0.3, 0.5]}
    flags.set("split", "none", [{"key": "split", **split}])
    named = [{"key": "control"}, {"key": "new", "name": "The new one"}]
    flags.set(
        "targeted",
        "none",
        [
            {
                "key": "targeted",
                "variations": ["c", "n"],
                "meta": named,
                "coverage": 0.8,
                "seed": "ünï",
                "condition": {"age": {"$gte": 30}, "country": {"$in": ["de", "fr"]}},
            }
        ],
    )
    for name, span in (("first", [0, 0.4]), ("second", [0.4, 1])):
        layer = {"name": "page", "range": span}
        flags.set(name, "none", [{"key": name, "variations": ["l", "r"], "layer": layer}])
    parent = [{"id": "gate", "condition": {"value": "yes"}, "gate": True}]
    flags.set("child", "none", [{"force": "seen", "parentConditions": parent}])
    old = {"key": "old", "variations": ["p", "q"], "hashVersion": 1, "hashAttribute": "device"}
    flags.set("device", "none", [old])
    pattern = {"email": {"$regex": "@example\\.(com|org)$"}}
    flags.set("pattern", "none", [{"force": "match", "condition": pattern}])
    off = flags.set("off", "default", [{"force": "never"}])
    assert off["state"] == "on" and flags.state("off", "off")["state"] == "off"
    return [
        *("gate", "plain", "group", "share", "ramp", "split", "targeted", "first", "second"),
        *("child", "device", "pattern", "off"),
    ]


def make_users() -> list[dict]:
    seeded = random.Random(6)
    users = []
    for i in range(UNITS):
        special = ("u%d", "ü-%d", "日本-%d")[i % 3] if i % 5 == 0 else "u%d"
        users.append(
            {
                "id": special % i,
                "device": f"d{seeded.randrange(10**6)}",
                "plan": seeded.choice(["free", "pro"]),
                "age": seeded.randrange(10, 80),
                "country": seeded.choice(["de", "fr", "us"]),
                "email": seeded.choice(["a@example.com", "b@example.net", "c@Example.org"]),
            }
        )
    return users


def by_python(flags, key: str, names: list[str], users: list[dict]) -> list[list]:
    payload = requests.get(flags.server.http + "/api/features/" + key, timeout=20).json()
    rows = []
    for user in users:
        client = GrowthBook(
            attributes=dict(user), features=payload["features"], savedGroups=payload["savedGroups"]
        )
        results = [client.eval_feature(name) for name in names]
        rows.append(
            [[r.value, r.source, r.experimentResult and r.experimentResult.key] for r in results]
        )
        client.destroy()
    return rows


def by_server(flags, key: str, users: list[dict]) -> list[dict]:
    """Remote evaluation: the values of all flags for each user."""
    url = flags.server.http + "/api/eval/" + key
    session = requests.Session()
    rows = []
    for user in users:
        features = session.post(url, json={"attributes": user}, timeout=20).json()["features"]
        rows.append({name: feature["defaultValue"] for name, feature in features.items()})
    return rows


@pytest.mark.timeout(300)
def test_the_server_both_sdks_and_ofrep_give_every_unit_the_same(flags):
    names, users = make_flags(flags), make_users()
    key = flags.key()["key"]
    script = node("growthbook", host=flags.server.http, key=key, flags=names, users=users)
    assert by_python(flags, key, names, users) == script
    server = by_server(flags, key, users)
    assert [[row[name] for name in names] for row in server] == [
        [value for value, _, _ in row] for row in script
    ]
    for at, name in enumerate(names):
        seen = {str(row[at][0]) for row in script}
        assert len(seen) > 1 or name in ("plain", "off"), (name, seen)  # each flag splits

    few = users[:25]
    token = flags.server.env["STRATA_TOKEN"]
    ofrep = node("openfeature", host=flags.server.http, token=token, flags=names, users=few)
    # A gate that is not met gives no value, and so the one in the code.
    assert [[value for value, *_ in row] for row in ofrep] == [
        ["fallback" if value is None else value for value, _, _ in row]
        for row in script[: len(few)]
    ]
    assert all(error is None for row in ofrep for value, *_, error in row if value != "fallback")


def test_ids_beyond_the_basic_plane_are_assigned_alike(flags):
    names = make_flags(flags)
    key = flags.key()["key"]
    users = [{"id": one, "device": one} for one in BEYOND]
    script = node("growthbook", host=flags.server.http, key=key, flags=names, users=users)
    server = by_server(flags, key, users)
    assert [[row[name] for name in names] for row in server] == [
        [value for value, _, _ in row] for row in script
    ]
    assert by_python(flags, key, names, users) == script


def test_the_provider_for_python_asks_one_flag_at_a_time(flags):
    make_flags(flags)
    flags.set("number", 5)
    flags.set("document", {"a": [1]})
    flags.set("gone", True)
    flags.state("gone", "killed")
    key = flags.key()["key"]
    provider = OFREPProvider(
        flags.server.http, headers_factory=lambda: {"Authorization": "Bearer " + key}
    )
    api.set_provider(provider)
    client = api.get_client()
    context = EvaluationContext("u1", {"plan": "pro"})
    assert client.get_string_value("gate", "fallback", context) == "yes"
    assert client.get_integer_value("number", 0, context) == 5
    assert client.get_object_value("document", {}, context) == {"a": [1]}
    split = client.get_string_details("split", "fallback", context)
    expected = flags.evaluate("split", {"id": "u1", "plan": "pro"})
    assert split.value == expected["value"]
    assert (split.reason, split.variant) == ("SPLIT", expected["experimentResult"]["key"])
    gone = client.get_boolean_details("gone", False, context)
    assert (gone.value, gone.reason) == (False, "DISABLED")  # what the code says
    missing = client.get_string_details("missing", "fallback", context)
    assert (missing.value, missing.error_code) == ("fallback", "FLAG_NOT_FOUND")
    # Each evaluation of an experiment is an exposure, once.
    client.get_string_value("split", "fallback", context)
    rows = flags.sql("SELECT experiment, variation, unit, source FROM strata.exposures")
    assert rows == [["split", expected["experimentResult"]["key"], "u1", "ofrep"]]


def test_ofrep_says_what_is_wrong_in_its_own_form(flags):
    flags.set("f", True)
    url = flags.server.http + "/ofrep/v1/evaluate/flags"

    def ask(path: str, headers=None, **body) -> requests.Response:
        return requests.post(url + path, headers=headers or flags.server.bearer(), **body)

    assert ask("/f", json={"context": {}}).json()["value"] is True
    for body, code in (
        ({"data": b"{"}, "PARSE_ERROR"),
        ({"json": {"context": 5}}, "INVALID_CONTEXT"),
        ({"json": {"context": {"targetingKey": 5}}}, "INVALID_CONTEXT"),
    ):
        for path in ("", "/f"):
            answer = ask(path, **body)
            assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
            assert answer.json()["errorDetails"]
    answer = ask("/nothing", json={"context": {}})
    assert (answer.status_code, answer.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert ask("/" + "k" * 1_000_000, json={}).status_code in (400, 404, 413, 414, 431)
    assert ask("/f", headers={"X-API-Key": "sdk-nothing"}, json={}).status_code == 401
    assert ask("/f", headers={"X-API-Key": "none"}, json={}).status_code == 401
    many = {"context": {"targetingKey": "u", "list": list(range(30_000))}}
    assert ask("/f", json=many).status_code == 200


def test_all_flags_at_once_have_an_etag(flags):
    make_flags(flags)
    url = flags.server.http + "/ofrep/v1/evaluate/flags"
    headers = {"X-API-Key": flags.key()["key"]}
    body = {"context": {"targetingKey": "u1", "plan": "pro"}}
    first = requests.post(url, json=body, headers=headers)
    values = {one["key"]: one.get("value") for one in first.json()["flags"]}
    assert values["gate"] == "yes" and values["off"] == "default"
    again = {**headers, "If-None-Match": first.headers["ETag"]}
    assert requests.post(url, json=body, headers=again).status_code == 304
    other = {"context": {"targetingKey": "u2"}}
    assert requests.post(url, json=other, headers=again).status_code == 200
    flags.set("plain", "b")
    assert requests.post(url, json=body, headers=again).status_code == 200
    assert flags.sql("SELECT count(*) FROM strata.exposures") == [[0]]
