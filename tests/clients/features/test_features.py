"""Definitions of features: planned, applied, found and shown, over every way in."""

from __future__ import annotations

import json
import pathlib
import sys
import threading

import pytest
import requests
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python" / "src"))
import strata as sdk

DEFINITIONS = """
entities:
  {p}carrier: {{keys: {{carrier: string}}, owner: ops}}
sources:
  {p}landings:
    stream: true
    columns: {{carrier: string, delay: double, landed: timestamp}}
    timestamp: landed
views:
  {p}delay:
    entities: [{p}carrier]
    source: {p}landings
    ttl: 1d
    description: Delay of the last landing
    owner: mara
    features: {{hours: delay / 60, late: delay > 15}}
on_demand:
  {p}trip:
    request: {{distance: double}}
    features: {{pace: distance / {p}delay.hours}}
services:
  {p}flights: {{features: [{p}delay.late, {p}trip.pace]}}
"""


def text(prefix: str) -> str:
    return DEFINITIONS.format(p=prefix)


def send(server, verb: str, body: dict, token: str | None = None) -> requests.Response:
    url = f"{server.http}/api/v1/features/{verb}"
    return requests.post(url, json=body, headers=server.bearer(token), timeout=20)


def get(server, path: str, **query) -> requests.Response:
    url = f"{server.http}/api/v1/features{path}"
    return requests.get(url, params=query, headers=server.bearer(), timeout=20)


def apply(server, yaml_text: str) -> dict[str, dict]:
    answer = send(server, "apply", {"yaml": yaml_text})
    assert answer.status_code == 200, answer.text
    return {change["name"]: change for change in answer.json()["changes"]}


def test_applied_twice_changes_nothing_the_second_time(server):
    first = apply(server, text("a_"))
    assert {change["change"] for change in first.values()} == {"new"}
    assert len(first) == 5
    again = apply(server, text("a_"))
    assert {change["change"] for change in again.values()} == {"unchanged"}
    assert get(server, "/view/a_delay").json()["number"] == 1
    assert len(get(server, "/view/a_delay").json()["versions"]) == 1


def test_a_plan_says_what_breaks_and_changes_nothing(server):
    apply(server, text("b_"))
    other = text("b_").replace("delay / 60", "delay / 61")
    planned = send(server, "plan", {"yaml": other}).json()["changes"]
    by_name = {change["name"]: change for change in planned}
    assert by_name["b_delay"]["change"] == "version"
    assert by_name["b_delay"]["changed_features"] == ["hours"]
    assert by_name["b_delay"]["services"] == ["b_flights"]
    assert by_name["b_trip"]["change"] == by_name["b_flights"]["change"] == "version"
    shown = get(server, "/view/b_delay").json()
    assert shown["version"] == by_name["b_delay"]["previous"]
    applied = apply(server, other)
    assert applied["b_delay"]["version"] == by_name["b_delay"]["version"]
    assert [one["number"] for one in get(server, "/view/b_delay").json()["versions"]] == [2, 1]
    # The former definition is the former version, not a third one.
    assert apply(server, text("b_"))["b_delay"]["version"] == shown["version"]
    assert get(server, "/view/b_delay").json()["number"] == 1


def test_what_another_definition_still_needs_cannot_be_taken_away(server):
    apply(server, text("c_"))
    view = yaml.safe_load(text("c_"))["views"]
    del view["c_delay"]["features"]["late"]
    refused = send(server, "apply", {"yaml": yaml.safe_dump({"views": view})})
    assert refused.status_code == 400
    assert refused.json()["error"]["field"] == "services.c_flights.features.0"
    assert "late" in get(server, "/view/c_delay").json()["definition"]["features"]


def test_nothing_of_a_file_with_a_slip_is_taken(server):
    wrong = text("d_").replace("delay > 15", "dely > 15")
    refused = send(server, "apply", {"yaml": wrong, "file": "f.yaml"})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["message"].startswith("f.yaml:16:")
    assert "Did you mean 'delay'" in error["message"]
    assert get(server, "/entity/d_carrier").status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("[{p}carrier]", "[nobody]"), "views.{p}delay.entities.0"),
        (("ttl: 1d", "ttl: 0s"), "views.{p}delay.ttl"),
        (("source: {p}landings", "source: gone"), "views.{p}delay.source"),
        (("late: delay", "carrier: delay"), "views.{p}delay.features.carrier"),
        (("distance / {p}delay.hours", "{p}trip.pace + distance"), "on_demand.{p}trip.features"),
        (("{p}trip.pace]", "{p}delay.late]"), "services.{p}flights.features.1"),
    ],
)
def test_a_slip_is_refused_with_its_field(server, change, field):
    old, new = (one.format(p="e_") for one in change)
    assert old in text("e_")
    refused = send(server, "plan", {"yaml": text("e_").replace(old, new)})
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["field"] == field.format(p="e_")


def test_python_and_yaml_give_the_same_versions(server):
    made = apply(server, text("f_"))
    client = sdk.connect(server.http, server.env["STRATA_TOKEN"])
    definitions = [
        sdk.Entity(name="f_carrier", keys={"carrier": "string"}, owner="ops"),
        sdk.Source(
            name="f_landings",
            stream=True,
            columns={"landed": "timestamp", "carrier": "string", "delay": "double"},
            timestamp="landed",
        ),
        sdk.View(
            name="f_delay",
            entities=["f_carrier"],
            source="f_landings",
            ttl="24h",
            description="Delay of the last landing",
            owner="mara",
            features={"late": "15 < delay", "hours": "(delay / 60.0)"},
        ),
        sdk.OnDemandView(
            name="f_trip",
            request={"distance": "double"},
            features={"pace": "distance/f_delay.hours"},
        ),
        sdk.Service(name="f_flights", features=["f_delay.late", "f_trip.pace"]),
    ]
    changes = {one["name"]: one for one in sdk.plan_features(definitions, client=client)}
    for name, change in changes.items():
        assert change["version"] == made[name]["version"], name
    with pytest.raises(sdk.InvalidArgumentError, match="nobody"):
        sdk.apply_features(
            [sdk.View(name="x", entities=["nobody"], source="s", features={"y": "1"})],
            client=client,
        )
    assert sdk.get_feature("view", "f_delay", client=client)["owner"] == "mara"


def test_features_are_found_by_text_owner_column_and_computation(server):
    apply(server, text("g_"))

    def names(**query):
        items = get(server, "", limit=1000, **query).json()["items"]
        return {one["name"] for one in items if one["name"].startswith("g_")}

    assert names(q="LAST landing") == {"g_delay"}
    assert names(owner="mara") == {"g_delay"}
    assert names(kind="service") == {"g_flights"}
    assert names(column="delay") == {"g_landings", "g_delay", "g_flights"}
    found = get(server, "", expression="(delay)/60.0", source="g_landings").json()
    assert found["features"] == ["g_delay.hours"]
    assert get(server, "", expression="delay/60").status_code == 400
    equal = """
views:
  g_twin:
    entities: [g_carrier]
    source: g_landings
    ttl: 1d
    features: {hours: delay / 60, late: delay > 15}
"""
    assert apply(server, equal)["g_twin"]["equal_to"] == ["g_delay"]
    assert get(server, "/view/g_delay").json()["equal_to"] == ["g_twin"]


def test_pages_of_the_catalog_show_each_definition_once(server):
    apply(server, text("h_"))
    seen, after = [], None
    while True:
        page = get(server, "", limit=2, **({"after": after} if after else {})).json()
        assert len(page["items"]) <= 2
        seen += [(one["kind"], one["name"]) for one in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) and seen == sorted(seen)
    assert ("view", "h_delay") in seen


def test_applies_at_the_same_time_are_one_after_the_other(server):
    apply(server, text("i_"))
    failed = []

    def one(number: int) -> None:
        document = f"""
views:
  i_view{number}: {{entities: [i_carrier], source: i_landings, features: {{f: delay + {number}}}}}
"""
        answer = send(server, "apply", {"yaml": document})
        if answer.status_code not in (200, 409):
            failed.append(answer.text)
        if answer.status_code == 200:
            made.append(f"i_view{number}")

    made: list[str] = []
    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and made
    stand = {one["name"] for one in get(server, "", kind="view", limit=1000).json()["items"]}
    assert set(made) <= stand


def test_versions_audit_and_lineage_survive_a_restart(fresh_server):
    server = fresh_server.start()
    made = apply(server, text("j_"))
    server.kill()
    server.start()
    shown = get(server, "/service/j_flights").json()
    assert shown["version"] == made["j_flights"]["version"]
    assert [one["name"] for one in shown["features"]] == ["late", "pace"]
    assert shown["keys"] == [{"name": "carrier", "type": "string"}]
    assert shown["request"] == [{"name": "distance", "type": "double"}]
    why = json.loads(server.strata("why", "feature_service:j_flights", "-o", "json").stdout)
    kinds = {node["ref"].split("@")[0] for node in why["nodes"]}
    assert {"feature_view:j_delay", "feature_view:j_trip", "stream:j_landings"} <= kinds
    audit = server.strata("audit", "--action", "feature.apply", "-o", "json").stdout
    targets = {entry["target"] for entry in json.loads(audit)["entries"]}
    assert {"feature_view:j_delay", "feature_service:j_flights"} <= targets


def test_who_may_only_read_plans_and_does_not_apply(server):
    made = server.strata("token", "create", "--scope", "feature:read", "-o", "json").stdout
    token = json.loads(made)["token"]
    assert send(server, "plan", {"yaml": text("k_")}, token).status_code == 200
    assert send(server, "apply", {"yaml": text("k_")}, token).status_code == 403


def test_the_command_line_plans_applies_searches_and_shows(server, tmp_path):
    file = tmp_path / "features.yaml"
    file.write_text(text("l_"))
    planned = server.strata("feature", "plan", str(file)).stdout
    assert "l_delay" in planned and "new" in planned
    server.strata("feature", "apply", str(file))
    assert "l_flights" in server.strata("feature", "list", "--kind", "service").stdout
    found = server.strata(
        "feature", "search", "--expression", "15 < delay", "--source", "l_landings"
    ).stdout
    assert "l_delay.late" in found
    assert "service:l_flights" in server.strata("feature", "show", "view", "l_delay").stdout
    file.write_text(text("l_").replace("ttl: 1d", "ttl: soon"))
    refused = server.strata("feature", "apply", str(file), check=False)
    assert refused.returncode == 2 and "'soon' is no time" in refused.stderr
    assert f"{file}:13:" in refused.stderr
