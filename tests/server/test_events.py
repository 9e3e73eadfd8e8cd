"""Live view of a project: server-sent events that resume, show what the caller may see, and end."""

import contextlib
import json
import time
import uuid

import boto3
import pytest
import requests


class Stream:
    """Reads server-sent events one by one."""

    def __init__(self, server, token=None, last=None):
        headers = server.bearer(token)
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        url = server.http + "/api/v1/events/stream"
        self.answer = requests.get(url, headers=headers, stream=True, timeout=30)
        self.lines = self.answer.iter_lines(decode_unicode=True)
        self.last = None
        if self.answer.status_code == 200:
            self.read()  # the first piece names where the stream begins

    def read(self):
        """The next piece as its fields; None at the end of the stream."""
        fields = {}
        for line in self.lines:
            if not line:
                self.last = int(fields["id"])
                return fields
            name, _, value = line.partition(":")
            fields[name or "comment"] = value.strip()
        return None

    def until(self, kind, subject):
        """The first event of that type and subject, and all that came before it."""
        seen = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            fields = self.read()
            assert fields is not None, "the stream ended"
            if "data" not in fields or fields.get("event"):
                continue
            seen.append(json.loads(fields["data"]))
            if seen[-1]["type"] == kind and seen[-1]["subject"] == subject:
                return seen[-1], seen
        raise AssertionError(f"no {kind} of {subject}")


@pytest.fixture
def stream(server):
    with contextlib.ExitStack() as stack:

        def follow(**options):
            opened = Stream(server, **options)
            stack.callback(opened.answer.close)
            return opened

        yield follow


def make(server, name):
    path = server.http + "/api/v1/lake/buckets"
    made = requests.post(path, headers=server.bearer(), json={"name": name}, timeout=30)
    assert made.status_code == 201, made.text


def test_a_change_arrives_while_the_stream_is_open(server, stream):
    live = stream()
    assert live.answer.headers["Content-Type"] == "text/event-stream"
    make(server, "seen-live")
    event, _ = live.until("bucket.created", "bucket:seen-live")
    assert event["sequence"] == live.last


def test_a_client_that_was_away_resumes_where_it_was_and_misses_nothing(server, stream):
    first = stream()
    make(server, "before-the-cut")
    first.until("bucket.created", "bucket:before-the-cut")
    first.answer.close()
    make(server, "during-the-cut")
    second = stream(last=first.last)
    event, seen = second.until("bucket.created", "bucket:during-the-cut")
    assert "bucket:before-the-cut" not in [e["subject"] for e in seen]
    assert event["sequence"] > first.last


def test_a_point_that_the_server_never_reached_is_a_gap(server, stream):
    live = stream(last=10**15)
    fields = live.read()
    assert fields["event"] == "gap"
    make(server, "after-the-gap")
    live.until("bucket.created", "bucket:after-the-gap")


def test_events_are_only_of_what_the_token_may_read(server, stream):
    made = server.strata(
        "token", "create", "--user", "admin", "--scope", "model:read", "-o", "json"
    ).stdout
    narrow = stream(token=json.loads(made)["token"])
    make(server, "not-for-models")
    client = requests.Session()
    client.headers.update(server.bearer())
    path = server.http + "/api/2.0/mlflow/registered-models/create"
    assert client.post(path, json={"name": "for-models"}, timeout=30).ok
    _, seen = narrow.until("model.created", "model:for-models")
    assert [e["subject"] for e in seen] == ["model:for-models"]


class Person:
    """A user with a token in a project of its own, and what an administrator may do to both."""

    def __init__(self, server, *token_options, role="member"):
        self.server = server
        self.name = f"p-{uuid.uuid4().hex[:8]}"
        server.strata("user", "create", self.name, "--role", "viewer")
        server.strata("project", "create", self.name)
        server.strata("project", "grant", self.name, "--user", self.name, "--role", role)
        made = server.strata(
            "token", "create", "--user", self.name, "--project", self.name, *token_options,
            "-o", "json",
        )  # fmt: skip
        issued = json.loads(made.stdout)
        self.id, self.token = issued["id"], issued["token"]

    def make(self, name):
        """An event in the person's project, by an administrator."""
        made = requests.post(
            self.server.http + "/api/v1/lake/buckets",
            headers=self.server.bearer() | {"Strata-Project": self.name},
            json={"name": f"{self.name}-{name}"},
            timeout=30,
        )
        assert made.status_code == 201, made.text
        return f"bucket:{self.name}-{name}"


def subjects_to_the_end(live):
    seen = []
    deadline = time.monotonic() + 30
    while (fields := live.read()) is not None:
        assert time.monotonic() < deadline, "the stream goes on"
        if "data" in fields and not fields.get("event"):
            seen.append(json.loads(fields["data"])["subject"])
    return seen


@pytest.mark.parametrize("how", ["revoked", "disabled", "without-a-role"])
def test_a_stream_ends_with_the_rights_of_who_opened_it(server, stream, how):
    person = Person(server)
    live = stream(token=person.token)
    live.until("bucket.created", person.make("before"))
    if how == "revoked":
        server.strata("token", "revoke", person.id)
    elif how == "disabled":
        server.strata("user", "disable", person.name)
    else:
        server.strata("project", "revoke", person.name, "--user", person.name)
    after = person.make("after")
    assert after not in subjects_to_the_end(live)
    assert stream(token=person.token).answer.status_code in (401, 403)


def test_a_stream_ends_when_its_token_expires(server, stream):
    person = Person(server, "--expires", "3s")
    live = stream(token=person.token)
    assert subjects_to_the_end(live) == []  # nothing happens: the end comes by itself
    assert stream(token=person.token).answer.status_code == 401


def test_a_stream_of_another_token_of_the_same_user_goes_on(server, stream):
    person = Person(server)
    again = server.strata(
        "token", "create", "--user", person.name, "--project", person.name, "-o", "json"
    ).stdout
    live = stream(token=json.loads(again)["token"])
    server.strata("token", "revoke", person.id)
    live.until("bucket.created", person.make("after"))


def test_who_is_not_signed_in_or_asks_nonsense_is_refused(server, stream):
    assert requests.get(server.http + "/api/v1/events/stream", timeout=30).status_code == 401
    refused = stream(last="yesterday").answer
    assert refused.status_code == 400
    assert refused.json()["error"]["field"] == "Last-Event-ID"


def test_a_burst_of_writes_arrives_whole_and_in_order(server, stream, client_env):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="burst")
    live = stream()
    for i in range(200):
        s3.put_object(Bucket="burst", Key=f"{i:03}", Body=b"x")
    _, seen = live.until("object.created", "lake:burst/199")
    keys = [e["subject"].rpartition("/")[2] for e in seen if e["subject"].startswith("lake:burst/")]
    assert keys == [f"{i:03}" for i in range(200)]


def test_open_streams_do_not_hold_up_the_end_of_the_server(fresh_server):
    server = fresh_server.start()
    live = Stream(server)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    assert live.read() is None  # a whole end: the client knows that nothing was cut off


def history(server, path, token=None, **query):
    return requests.get(server.http + path, headers=server.bearer(token), params=query, timeout=30)


def test_the_past_of_a_thing_says_who_changed_it_page_by_page(server):
    client = requests.Session()
    client.headers.update(server.bearer())
    base = server.http + "/api/2.0/mlflow/registered-models/"
    for name in ("told", "told-elsewhere", "told2"):
        assert client.post(base + "create", json={"name": name}, timeout=30).ok
    assert client.delete(base + "delete", json={"name": "told"}, timeout=30).ok
    entries = history(server, "/api/v1/timeline", ref="model:told").json()["entries"]
    assert [(e["action"], e["actor"]) for e in entries] == [
        ("model.delete", "admin"),
        ("model.create", "admin"),
    ]
    newest = history(server, "/api/v1/timeline", ref="model:told", limit=1).json()["entries"]
    assert newest == entries[:1]
    older = history(
        server, "/api/v1/timeline", ref="model:told", before=newest[0]["sequence"]
    ).json()["entries"]
    assert older == entries[1:]


def test_events_about_one_thing_are_listed_newest_first(server):
    make(server, "listed")
    make(server, "listed-too")
    events = history(server, "/api/v1/events", subject="bucket:listed").json()["events"]
    assert [(e["type"], e["subject"]) for e in events] == [("bucket.created", "bucket:listed")]


def test_the_past_is_told_to_whom_the_present_is(server):
    made = server.strata(
        "token", "create", "--user", "admin", "--scope", "model:read", "-o", "json"
    ).stdout
    token = json.loads(made)["token"]
    assert history(server, "/api/v1/timeline", token, ref="model:any").status_code == 200
    for path, name in (("/api/v1/timeline", "ref"), ("/api/v1/events", "subject")):
        for ref in ("endpoint:any", "user:admin"):
            assert history(server, path, token, **{name: ref}).status_code == 403
        assert history(server, path, token, **{name: "nothing"}).status_code == 400
