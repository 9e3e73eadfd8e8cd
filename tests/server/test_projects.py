"""Projects are tenants: what lives in one is neither seen nor reached from another."""

import json
import os
import re
import subprocess
import uuid

import botocore.exceptions
import pytest
import requests
from programs import binary
from s3_client import client_for


def issue(server, *arguments) -> dict:
    made = server.strata("token", "create", *arguments, "-o", "json").stdout
    return json.loads(made)


def s3_of(server, token):
    return client_for(server, token["access_key_id"], token["secret_access_key"])


@pytest.fixture(scope="module")
def tenants(server):
    """Two projects, each with a member, and one thing of every kind in the first."""
    tag = uuid.uuid4().hex[:8]
    ours, theirs = f"ours-{tag}", f"theirs-{tag}"
    for project, user in ((ours, f"olga-{tag}"), (theirs, f"theo-{tag}")):
        server.strata("project", "create", project)
        server.strata("user", "create", user, "--role", "viewer")
        server.strata("project", "grant", project, "--user", user, "--role", "member")
    owner = issue(server, "--user", f"olga-{tag}", "--project", ours)
    stranger = issue(server, "--user", f"theo-{tag}", "--project", theirs)
    secret = f"secret-{tag}"
    s3 = s3_of(server, owner)
    s3.create_bucket(Bucket=secret)
    s3.put_object(Bucket=secret, Key="a.csv", Body=b"a,b\n1,2\n")
    headers = server.bearer(owner["token"])

    def post(path, body, **options):
        answer = requests.post(server.http + path, json=body, headers=headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    post(
        "/api/v1/sql", {"sql": f"CREATE TABLE \"{secret}\" AS SELECT * FROM 's3://{secret}/a.csv'"}
    )
    mlflow = "/api/2.0/mlflow"
    experiment = post(f"{mlflow}/experiments/create", {"name": secret})["experiment_id"]
    run = post(f"{mlflow}/runs/create", {"experiment_id": experiment, "run_name": secret})
    post(f"{mlflow}/registered-models/create", {"name": secret})
    requests.put(
        f"{server.http}/api/v1/flows/{secret}",
        json={"name": secret, "steps": {"a": {"command": ["true"]}}},
        headers=headers,
        timeout=20,
    ).raise_for_status()
    flow_run = post(f"/api/v1/flows/{secret}/runs", {})["id"]
    server.strata("flow", "status", flow_run, "--project", ours)
    things = {"bucket": secret, "run": run["run"]["info"]["run_id"], "flow_run": flow_run}
    return {
        "ours": ours,
        "theirs": theirs,
        "secret": secret,
        "owner": owner,
        "stranger": stranger,
        "things": things,
    }


def listings(server):
    """Every documented GET without parameters in its path: what a stranger could list."""
    document = requests.get(server.http + "/api/openapi.json", timeout=20).json()
    for path, item in document["paths"].items():
        if "get" in item and "{" not in path:
            yield path


def test_the_owner_sees_its_things(server, tenants):
    headers = server.bearer(tenants["owner"]["token"])
    for path in ("/api/v1/sql/tables", "/api/v1/flows", "/api/v1/models", "/api/v1/buckets"):
        answer = requests.get(server.http + path, headers=headers, timeout=20)
        if answer.status_code != 404:
            assert tenants["secret"] in answer.text, path


def test_no_listing_shows_a_stranger_what_another_project_holds(server, tenants):
    walked = 0
    for token in (tenants["stranger"]["token"],):
        for path in listings(server):
            with requests.get(
                server.http + path, headers=server.bearer(token), timeout=20, stream=True
            ) as answer:
                if "event-stream" in answer.headers.get("Content-Type", ""):
                    continue
                text = answer.text
            walked += 1
            assert tenants["secret"] not in text, path
            for thing in tenants["things"].values():
                assert thing not in text, path
    assert walked > 10


def test_what_is_named_in_a_path_is_not_there_for_a_stranger(server, tenants):
    document = requests.get(server.http + "/api/openapi.json", timeout=20).json()
    headers = server.bearer(tenants["stranger"]["token"])
    names = {"id": tenants["things"]["flow_run"], "run": tenants["things"]["run"]}
    for path, item in document["paths"].items():
        if "get" not in item or "{" not in path or "the browser UI" in item["get"]["tags"]:
            continue  # a page is the same for everybody; what it shows it asks for
        filled = re.sub(r"\{([^}]*)\}", lambda match: names.get(match[1], tenants["secret"]), path)
        answer = requests.get(server.http + filled, headers=headers, timeout=20)
        if answer.status_code == 200:  # a list of what belongs to a name: it is empty
            shown = answer.json().values()
            assert all(value in ([], 0, None) for value in shown), (path, answer.text)
        else:
            assert answer.status_code in (400, 403, 404, 405, 501), (path, answer.text)


def test_mlflow_and_lineage_do_not_cross_projects(server, tenants):
    headers = server.bearer(tenants["stranger"]["token"])
    secret = tenants["secret"]
    api = server.http + "/api/2.0/mlflow"
    run = requests.get(
        f"{api}/runs/get", params={"run_id": tenants["things"]["run"]}, headers=headers, timeout=20
    )
    assert run.status_code == 404
    for path in ("experiments/search", "registered-models/search", "model-versions/search"):
        found = requests.get(f"{api}/{path}", params={"max_results": 100}, headers=headers)
        assert secret not in found.text, path
    for ref in (
        f"object:{secret}/a.csv",
        f"table:main.{secret}",
        f"run:{tenants['things']['run']}",
    ):
        why = requests.get(f"{server.http}/api/v1/why/{ref.replace('/', '%2F')}", headers=headers)
        assert why.status_code == 404, ref


def test_s3_and_sql_refuse_a_strangers_reads_and_writes(server, tenants):
    secret = tenants["secret"]
    s3 = s3_of(server, tenants["stranger"])
    assert secret not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    for call in (
        lambda: s3.get_object(Bucket=secret, Key="a.csv"),
        lambda: s3.put_object(Bucket=secret, Key="a.csv", Body=b""),
        lambda: s3.delete_object(Bucket=secret, Key="a.csv"),
        lambda: s3.list_objects_v2(Bucket=secret),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            call()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404)
    headers = server.bearer(tenants["stranger"]["token"])
    for sql in (
        f'SELECT * FROM "{secret}"',
        f"SELECT * FROM 's3://{secret}/a.csv'",
        f"SELECT * FROM read_parquet('projects/{tenants['ours']}/warehouse/*')",
        f"ATTACH 'projects/{tenants['ours']}/warehouse/strata.duckdb' AS other",
    ):
        answer = requests.post(
            server.http + "/api/v1/sql", json={"sql": sql}, headers=headers, timeout=60
        )
        assert answer.status_code in (400, 403, 404, 501), (sql, answer.text)


def test_two_projects_may_use_the_same_names(server, tenants):
    for project, value in ((tenants["ours"], 1), (tenants["theirs"], 2)):
        server.strata(
            "sql", f"CREATE TABLE shared_name AS SELECT {value} AS v", "--project", project
        )
    for project, value in ((tenants["ours"], "1"), (tenants["theirs"], "2")):
        seen = server.strata("sql", "FROM shared_name", "-o", "csv", "--project", project)
        assert seen.stdout.split() == ["v", value]


def test_a_header_selects_a_project_in_which_the_user_has_a_role_and_no_other(server, tenants):
    me = server.http + "/api/v1/me"
    token = server.bearer(tenants["owner"]["token"])
    assert requests.get(me, headers=token).json()["project"] == tenants["ours"]
    default = requests.get(me, headers={**token, "Strata-Project": "default"}).json()
    assert default["project"] == "default"
    assert "lake:write" not in default["permissions"]  # a viewer there
    for project in (tenants["theirs"], "no-such-project"):
        refused = requests.get(me, headers={**token, "Strata-Project": project})
        assert refused.status_code == 403
    assert server.strata("flow", "list", "--project", "nope", check=False).returncode == 4


def test_a_role_given_to_a_team_holds_for_its_members_until_it_is_taken(server, tenants):
    tag = uuid.uuid4().hex[:8]
    server.strata("team", "create", f"team-{tag}")
    server.strata("user", "create", f"tess-{tag}")
    headers = {
        **server.bearer(issue(server, "--user", f"tess-{tag}")["token"]),
        "Strata-Project": tenants["ours"],
    }
    tables = server.http + "/api/v1/sql/tables"
    assert requests.get(tables, headers=headers).status_code == 403
    server.strata("project", "grant", tenants["ours"], "--team", f"team-{tag}", "--role", "viewer")
    server.strata("team", "add", f"team-{tag}", f"tess-{tag}")
    assert requests.get(tables, headers=headers).status_code == 200
    change = {"sql": "CREATE TABLE mine AS SELECT 1"}
    refused = requests.post(server.http + "/api/v1/sql", json=change, headers=headers)
    assert refused.status_code == 403
    server.strata("project", "revoke", tenants["ours"], "--team", f"team-{tag}")
    assert requests.get(tables, headers=headers).status_code == 403


def test_strata_env_without_a_project_leads_back_to_the_default_one(server, tenants):
    in_project = os.environ | {"STRATA_PROJECT": tenants["ours"]}
    script = f"""
        eval "$({binary()} env --data {server.data})"
        echo "${{STRATA_PROJECT-none}} $AWS_ACCESS_KEY_ID"
        {binary()} project list --data {server.data} >&2
    """
    done = subprocess.run(
        ["sh", "-c", script], env=in_project, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["none", server.env["AWS_ACCESS_KEY_ID"]]
    assert "unset" not in server.strata("env", "--project", tenants["ours"], env=in_project).stdout
    listed = server.strata("sql", "SHOW TABLES", "-o", "json", env=in_project, check=False)
    assert listed.returncode == 0  # other commands go on taking the variable for a wish


def test_strata_env_of_a_project_gives_keys_that_act_in_it(server, tenants):
    def environment():
        lines = server.strata("env", "--project", tenants["ours"]).stdout.splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    first = environment()
    assert first["STRATA_PROJECT"] == tenants["ours"]
    assert first == environment()  # made once and kept
    keys = {
        "access_key_id": first["AWS_ACCESS_KEY_ID"],
        "secret_access_key": first["AWS_SECRET_ACCESS_KEY"],
    }
    names = [bucket["Name"] for bucket in s3_of(server, keys).list_buckets()["Buckets"]]
    assert tenants["secret"] in names
    found = requests.get(
        server.http + "/api/2.0/mlflow/experiments/get-by-name",
        params={"experiment_name": tenants["secret"]},
        headers=server.bearer(first["MLFLOW_TRACKING_TOKEN"]),
    )
    assert found.status_code == 200
    assert server.strata("env", "--project", "nope", check=False).returncode == 4
