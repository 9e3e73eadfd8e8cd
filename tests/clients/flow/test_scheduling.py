"""When a real server starts what: by the clock, and within what one user may take."""

from __future__ import annotations

import datetime
import json
import time

from waits import pause


def test_a_cron_trigger_starts_a_run_when_its_minute_begins_and_only_once(flows):
    spec = "name: each-minute\nsteps: {a: {command: 'true'}}\ntriggers: [{cron: '* * * * *'}]\n"
    due = flows.apply(spec)["next_run"]
    deadline = time.monotonic() + 150
    while not (runs := flows.call("GET", "/api/v1/flow-runs?flow=each-minute")["runs"]):
        assert time.monotonic() < deadline, flows.call("GET", "/api/v1/flows/each-minute")
        pause(0.1)
    flows.call("DELETE", "/api/v1/flows/each-minute")
    assert len(runs) == 1 and runs[0]["user"] == "admin"
    moment = datetime.datetime.fromisoformat(runs[0]["cause"].removeprefix("cron "))
    assert moment == datetime.datetime.fromisoformat(due)
    assert (moment.second, moment.microsecond) == (0, 0)
    assert datetime.datetime.fromisoformat(runs[0]["created"]) >= moment
    assert flows.wait(runs[0])["state"] == "succeeded"


def test_one_user_takes_no_more_than_its_share_and_others_go_on(monkeypatch, request, tmp_path):
    monkeypatch.setenv("STRATA_TASKS_RUNNING_PER_USER", "2")
    flows = request.getfixturevalue("fresh_flows")
    flows.server.strata("user", "create", "noor", "--role", "member")
    made = flows.server.strata("token", "create", "--user", "noor", "-o", "json").stdout
    token = json.loads(made)["token"]
    steps = {
        step: {
            "command": f"while [ ! -e {tmp_path}/go-{step} ]; do sleep 0.02; done",
            "resources": {"cpu": 0.1, "memory": "16MiB"},
        }
        for step in "abc"
    }
    flows.call("PUT", "/api/v1/flows/many", {"name": "many", "steps": steps})

    def states(run):
        return sorted(step["state"] for step in flows.get(run)["steps"])

    mine = flows.start("many")
    more = flows.start("many")
    flows.wait(mine, lambda run: states(run).count("running") == 2)
    theirs = flows.call("POST", "/api/v1/flows/many/runs", {}, token=token)
    flows.wait(theirs, lambda run: states(run).count("running") == 2)
    # By now whatever could have started has: theirs came last.
    assert states(mine).count("running") == 2 and "running" not in states(more)
    (waiting,) = [s for s in flows.get(mine)["steps"] if s["state"] != "running"]
    assert "2 tasks" in waiting["reason"]
    for step in "abc":
        (tmp_path / f"go-{step}").touch()
    for run in (mine, more, theirs):
        assert flows.wait(run)["state"] == "succeeded"
