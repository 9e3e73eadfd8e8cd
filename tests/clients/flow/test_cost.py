"""What pipelines cost at the price that an administrator set."""

import json
import textwrap

import pytest
import requests

STEP = """
import json, os, time, urllib.request

def call(path, body):
    headers = {
        "Authorization": "Bearer " + os.environ["STRATA_TOKEN"],
        "Content-Type": "application/json",
    }
    url = os.environ["STRATA_URL"] + "/api/2.0/mlflow/" + path
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request))

now = int(time.time() * 1000)
for name, begin, end in (("past", now - 3_600_000, now), ("coming", now, now + 3_600_000)):
    body = {"experiment_id": "0", "start_time": begin}
    run = call("runs/create", body)["run"]["info"]["run_id"]
    call("runs/update", {"run_id": run, "status": "FINISHED", "end_time": end})
    print(name, run)
"""


def test_a_run_shows_what_its_steps_and_their_mlflow_runs_have_cost(fresh_server, tmp_path):
    fresh_server.start()
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "step.py").write_text(textwrap.dedent(STEP))
    (tmp_path / "flow.yaml").write_text(
        "name: priced\nsource: src\nsteps:\n"
        "  a:\n    command: [python3, step.py]\n    resources: {cpu: 1}\n"
    )
    free = fresh_server.strata("flow", "run", str(tmp_path / "flow.yaml"), "--wait", "-o", "json")
    assert json.loads(free.stdout)["cost"] is None
    node = json.loads(fresh_server.strata("node", "list", "-o", "json").stdout)["nodes"][0]
    price = ["node", "price", node["name"], "--per-hour", "36", "--currency", "EUR"]
    fresh_server.strata(*price)

    done = json.loads(fresh_server.strata("flow", "run", "priced", "--wait", "-o", "json").stdout)
    attempt = done["steps"][0]["attempts"][0]
    assert done["currency"] == done["steps"][0]["currency"] == attempt["currency"] == "EUR"
    assert 0 < attempt["cost"] == done["steps"][0]["cost"] == done["cost"] < 10
    shown = fresh_server.strata("flow", "status", done["id"]).stdout
    assert "COST" in shown and "EUR" in shown

    logs = fresh_server.strata("flow", "logs", done["id"]).stdout.split()

    def cost_of(name):
        run = logs[logs.index(name) + 1]
        url = f"{fresh_server.http}/api/v1/runs/{run}/cost"
        return requests.get(url, headers=fresh_server.bearer(), timeout=20).json()

    # One that says it took an hour from now on: one core of the node for that long.
    coming = cost_of("coming")
    assert coming["task"] == f"{done['id']}/a"
    assert coming["currency"] == "EUR"
    assert abs(coming["cost"] - 36 / node["cores"]) < 0.01
    # One that began before there was a price has none.
    assert cost_of("past")["cost"] is None

    # A new price does not change what was spent.
    fresh_server.strata("node", "price", node["name"], "--per-hour", "99", "--currency", "USD")
    again = json.loads(fresh_server.strata("flow", "status", done["id"], "-o", "json").stdout)
    assert (again["cost"], again["currency"]) == (done["cost"], "EUR")

    # What is too small for the digits that are shown is not told as nothing.
    fresh_server.strata(*price[:3], "--per-hour", "0.0001", "--currency", "EUR")
    cheap = json.loads(fresh_server.strata("flow", "run", "priced", "--wait", "-o", "json").stdout)
    assert 0 < cheap["cost"] < 0.0001
    assert "< 0.0001 EUR" in fresh_server.strata("flow", "status", cheap["id"]).stdout


@pytest.mark.parametrize("price", ["1e300", "1e10", "-0.01", "nan", "inf", "-inf", "free"])
def test_a_price_that_is_none_is_refused_with_the_reason(server, price):
    before = json.loads(server.strata("node", "list", "-o", "json").stdout)["nodes"][0]
    answer = server.strata("node", "price", before["name"], f"--per-hour={price}", check=False)
    assert answer.returncode != 0 and "per-hour" in answer.stderr.replace("_", "-")
    if price[-1].isdigit():
        limits = "from 0 up" if price.startswith("-") else "from 0 to 1000000000"
        assert limits in answer.stderr
    shown = json.loads(server.strata("node", "list", "-o", "json").stdout)["nodes"][0]
    assert shown["price"] == before["price"]


def test_a_price_out_of_bounds_is_refused_by_the_api_too(server):
    for price, reason in [(1e300, "1000000000"), (-1, "from 0"), ("NaN", "number"), (None, "")]:
        answer = requests.put(
            f"{server.http}/api/v1/nodes/local/price",
            json={"per_hour": price, "currency": "EUR"},
            headers=server.bearer(),
            timeout=20,
        )
        assert answer.status_code == 400, answer.text
        assert reason in answer.json()["error"]["message"]
        assert answer.json()["error"]["field"].endswith("per_hour")
