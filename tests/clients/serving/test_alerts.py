"""Alarms are told to receivers outside: what they are sent, when again, and what is not lost."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import pytest
import requests
from alert_receiver import Receiver
from mlflow.models import infer_signature
from serving_models import train

FAR = "SELECT 500.0 + i AS wind FROM range(2000) t(i)"


def call(server, method: str, path: str, body=None) -> requests.Response:
    url = f"{server.http}/api/v1/alerts{path}"
    return requests.request(method, url, json=body, headers=server.bearer(), timeout=60)


def listed(server, path: str, key: str) -> list[dict]:
    answer = call(server, "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()[key]


def set_reference(served, query: str | None) -> None:
    url = f"{served.server.http}/api/v1/monitors/{served.name}"
    done = requests.patch(
        url, json={"reference": query}, headers=served.server.bearer(), timeout=60
    )
    assert done.status_code == 200, done.text


def raise_alarm(served) -> None:
    """The answered rows are far from this reference."""
    set_reference(served, FAR)


def end_alarm(served) -> None:
    """Against the first rows there is no drift; who sets a reference ends the alarms of the old."""
    set_reference(served, None)


def route(server, name: str, url: str, **more) -> None:
    body = {"name": name, "kind": "webhook", "url": url, "wait": "200ms", **more}
    answer = call(server, "POST", "/routes", body)
    assert answer.status_code == 201, answer.text


def alarm_of(served) -> dict | None:
    alarms = listed(served.server, "?limit=1000", "alerts")
    mine = [a for a in alarms if a["labels"].get("endpoint") == served.name]
    return mine[0] if mine else None


def answer_rows(served) -> None:
    random = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "distance": random.integers(100, 3000, 1200),
            "wind": random.normal(10, 3, 1200),
            "hour": random.integers(0, 24, 1200).astype("int32"),
            "cold": random.random(1200) > 0.5,
        }
    )
    answer = served.invoke({"dataframe_split": json.loads(frame.to_json(orient="split"))})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def endpoint(make_served, table):
    frame, late = table[0].drop(columns=["origin"]), table[1]
    served = make_served("alerted")
    booster = train(frame, late, 5)
    served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    served.point("1")
    served.create()
    answer_rows(served)
    yield served
    end_alarm(served)
    for one in listed(served.server, "/routes", "routes"):
        call(served.server, "DELETE", f"/routes/{one['name']}")


def test_a_webhook_is_sent_a_real_alarm_and_its_end_once(endpoint, receiver, until):
    server = endpoint.server
    match = [f"endpoint={endpoint.name}"]
    route(server, "hook", receiver.url + "/in", matchers=match, bearer="let-me-in")
    raise_alarm(endpoint)
    until(lambda: receiver.requests != [])
    path, headers, body = receiver.requests[0]
    assert path == "/in" and headers["Authorization"] == "Bearer let-me-in"
    assert headers["Content-Type"] == "application/json"
    # https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    assert set(body) == {
        *("version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels"),
        *("commonLabels", "commonAnnotations", "externalURL", "alerts"),
    }
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "hook")
    assert body["externalURL"] == server.http
    assert body["groupLabels"] == {"subject": f"endpoint:{endpoint.name}"}
    [alert] = body["alerts"]
    assert set(alert) == {
        *("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint")
    }
    assert alert["labels"]["alertname"] == "Drift" and alert["labels"]["feature"] == "inputs.wind"
    assert body["commonLabels"] == alert["labels"]
    assert body["commonAnnotations"] == alert["annotations"]
    assert alert["endsAt"] == "0001-01-01T00:00:00Z"
    started = datetime.datetime.fromisoformat(alert["startsAt"])
    assert abs(datetime.datetime.now(datetime.UTC) - started) < datetime.timedelta(minutes=5)
    assert requests.get(alert["generatorURL"], timeout=30).status_code == 200
    assert alarm_of(endpoint)["state"] == "firing"
    end_alarm(endpoint)
    until(lambda: receiver.alerts("resolved") != [])
    [ended] = receiver.alerts("resolved")
    assert ended["fingerprint"] == alert["fingerprint"] and ended["labels"] == alert["labels"]
    assert ended["startsAt"] == alert["startsAt"] < ended["endsAt"]
    assert receiver.bodies()[-1]["status"] == "resolved"
    assert len(receiver.requests) == 2
    until(lambda: {d["state"] for d in deliveries(server, "hook")} == {"sent"})
    shown = server.strata("alert", "list").stdout
    assert "Drift" in shown and "resolved" in shown


def deliveries(server, name: str) -> list[dict]:
    found = listed(server, "/deliveries?limit=1000", "deliveries")
    return [one for one in found if one["route"] == name]


def test_an_open_alarm_is_repeated_only_where_the_route_says_so(endpoint, receiver, until):
    match = [f"endpoint={endpoint.name}"]
    route(endpoint.server, "again", receiver.url + "/again", matchers=match, repeat="1s")
    route(endpoint.server, "once", receiver.url + "/once", matchers=match, send_resolved=False)
    raise_alarm(endpoint)

    def paths():
        return [path for path, _, _ in receiver.requests]

    until(lambda: paths().count("/again") >= 3)
    assert paths().count("/once") == 1
    end_alarm(endpoint)
    until(lambda: receiver.alerts("resolved") != [])
    until(lambda: {d["state"] for d in deliveries(endpoint.server, "again")} == {"sent"})
    assert len(deliveries(endpoint.server, "again")) == 2, "a repetition replaces what it repeats"
    assert paths().count("/once") == 1 and len(receiver.alerts("resolved")) == 1


def test_alertmanager_is_sent_what_its_api_takes(endpoint, receiver, until):
    match = [f"endpoint={endpoint.name}"]
    url = receiver.url + "/prefix/"
    route(endpoint.server, "am", url, kind="alertmanager", matchers=match, repeat="1s")
    raise_alarm(endpoint)
    until(lambda: len(receiver.requests) >= 2)
    path, _, [alert] = receiver.requests[0]
    assert path == "/prefix/api/v2/alerts"
    assert set(alert) == {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    assert all(isinstance(value, str) for value in alert["labels"].values())
    later = receiver.bodies()[1][0]
    assert later["labels"] == alert["labels"] and later["startsAt"] == alert["startsAt"]
    assert later["endsAt"] > alert["endsAt"], "each repetition puts off the end"
    end_alarm(endpoint)
    parse = datetime.datetime.fromisoformat
    until(lambda: parse(receiver.bodies()[-1][0]["endsAt"]) < datetime.datetime.now(datetime.UTC))


def test_what_is_silenced_is_not_sent_until_the_silence_ends(endpoint, receiver, until):
    server = endpoint.server
    route(server, "quiet", receiver.url, matchers=[f"endpoint={endpoint.name}"])
    silence = ["alert", "silence", "add", "--match", f"endpoint={endpoint.name}", "--for", "1h"]
    made = server.strata(*silence, "--reason", "a planned change").stdout.strip()
    [one] = [s for s in listed(server, "/silences", "silences") if s["id"] == made]
    assert one["reason"] == "a planned change" and one["author"] and one["active"]
    raise_alarm(endpoint)
    until(lambda: (alarm_of(endpoint) or {}).get("state") == "silenced")
    assert alarm_of(endpoint)["silenced_by"] == [made]
    # What comes through behind it shows that it was passed over, not late.
    assert server.strata("alert", "route", "test", "quiet").stdout
    assert [b["commonLabels"]["alertname"] for b in receiver.bodies()] == ["Test"]
    assert deliveries(server, "quiet") == []
    server.strata("alert", "silence", "remove", made)

    def names():
        return [a["labels"]["alertname"] for a in receiver.alerts("firing")]

    until(lambda: names() == ["Test", "Drift"])
    assert alarm_of(endpoint)["state"] == "firing"


def test_a_dead_receiver_is_tried_again_and_holds_up_no_other(endpoint, receiver, until):
    slow, broken = Receiver(), Receiver()
    slow.hang.set()
    broken.status = 503
    gone = Receiver()
    gone.status = 410
    match = [f"endpoint={endpoint.name}"]
    try:
        for name, one in (("slow", slow), ("broken", broken), ("gone", gone)):
            route(endpoint.server, name, one.url, matchers=match)
        route(endpoint.server, "well", receiver.url, matchers=match)
        raise_alarm(endpoint)
        until(lambda: receiver.requests != [] and slow.requests != [])
        assert deliveries(endpoint.server, "slow")[0]["state"] == "pending"
        until(lambda: len(broken.requests) >= 3)
        broken.status = 204
        until(lambda: deliveries(endpoint.server, "broken")[0]["state"] == "sent")
        # What a receiver refuses is kept with the reason, and not tried again.
        [refused] = deliveries(endpoint.server, "gone")
        assert refused["state"] == "failed" and "410" in refused["error"]
        assert refused["attempts"] == 1 == len(gone.requests)
        shown = endpoint.server.strata("alert", "deliveries", "--state", "failed").stdout
        assert "410" in shown
        # The time limit ends a request that is never answered, and it comes again.
        slow.hang.clear()
        until(lambda: deliveries(endpoint.server, "slow")[0]["state"] == "sent")
        assert len(slow.requests) >= 2
    finally:
        for one in (slow, broken, gone):
            one.close()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://user:word@example.com/"}, "url"),
        ({"url": "http://example.com:99999/"}, "url"),
        ({"url": "http://example.com/a b"}, "url"),
        ({"url": "http://example.com/\r\nX: y"}, "url"),
        ({"kind": "pager"}, "kind"),
        ({"name": "a/b"}, "name"),
        ({"matchers": ["endpont=x"]}, "matchers"),
        ({"matchers": "endpoint=x"}, "matchers"),
        ({"repeat": "often"}, "repeat"),
        ({"bearer": "two words\r\n"}, "bearer"),
        ({"header": "Host: else"}, "header"),
        ({"send_resolved": "yes"}, "send_resolved"),
        ({"urll": "http://example.com"}, "urll"),
    ],
)
def test_a_wrong_route_is_refused_by_field(server, body, field):
    whole = {"name": "wrong", "kind": "webhook", "url": "http://example.com/", **body}
    answer = call(server, "POST", "/routes", whole)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["field"] == field
    assert "wrong" not in [one["name"] for one in listed(server, "/routes", "routes")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"matchers": [], "for": "1h"}, "matchers"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"until": "2020-01-01T00:00:00Z", "for": "1h"}, "until"),
        ({"for": "long"}, "for"),
        ({}, "until"),
        ({"for": "1h", "reason": " "}, "reason"),
    ],
)
def test_a_wrong_silence_is_refused_by_field(server, body, field):
    whole = {"matchers": ["endpoint=x"], "reason": "why", **body}
    answer = call(server, "POST", "/silences", whole)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["field"] == field


def test_a_secret_is_never_shown(server, receiver):
    secret = "very-secret-token"
    options = ["--header", f"X-Api-Key: {secret}", "--match", "endpoint=none"]
    server.strata("alert", "route", "add", "shy", receiver.url, *options)
    try:
        told = server.strata("alert", "route", "test", "shy").stdout
        assert receiver.requests[0][1]["X-Api-Key"] == secret
        again = server.strata("alert", "route", "add", "shy", receiver.url, check=False)
        assert again.returncode == 5
        everything = told + json.dumps(listed(server, "/routes", "routes"))
        audit = requests.get(server.http + "/api/v1/audit", headers=server.bearer(), timeout=30)
        assert audit.status_code == 200 and "alert_route.add" in audit.text
        assert secret not in everything + audit.text
    finally:
        server.strata("alert", "route", "remove", "shy")
    assert server.strata("alert", "route", "test", "shy", check=False).returncode == 3


def test_a_killed_server_tells_what_it_had_not_told(other_mlflow, fresh_server, table, until):
    from served import Served

    frame, late = table[0].drop(columns=["origin"]), table[1]
    served = Served(fresh_server, other_mlflow, "killed-alerts")
    booster = train(frame, late, 3)
    signature = infer_signature(frame, booster.predict(frame))
    experiment = other_mlflow.create_experiment("killed-alerts")
    with other_mlflow.start_run(experiment_id=experiment):
        other_mlflow.lightgbm.log_model(
            booster, name="model", registered_model_name=served.registered, signature=signature
        )
    served.point("1")
    served.create()
    answer_rows(served)
    first = Receiver()
    port = first.port
    first.close()
    route(fresh_server, "later", f"http://127.0.0.1:{port}/")
    raise_alarm(served)
    until(lambda: deliveries(fresh_server, "later") != [])
    fresh_server.kill()
    fresh_server.start()
    # Refused while nobody listens: it is kept, with the reason.
    until(lambda: deliveries(fresh_server, "later")[0]["attempts"] >= 1)
    waiting = deliveries(fresh_server, "later")[0]
    assert waiting["state"] == "pending" and str(port) in waiting["error"]
    receiver = Receiver(port)
    try:
        until(lambda: receiver.alerts("firing") != [])
        assert receiver.alerts("firing")[0]["labels"]["endpoint"] == served.name
        until(lambda: deliveries(fresh_server, "later")[0]["state"] == "sent")
        # It stays told: a restart alone sends nothing again, and the end follows.
        fresh_server.kill()
        fresh_server.start()
        before = len(receiver.requests)
        until(lambda: served.show()["state"] == "ready")
        end_alarm(served)
        until(lambda: receiver.alerts("resolved") != [])
        assert len(receiver.requests) == before + 1
    finally:
        receiver.close()
