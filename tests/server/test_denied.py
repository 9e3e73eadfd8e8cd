"""A refusal says which of the two lacks the permission: the role or the token's scope."""

import json
import uuid

import pytest
import requests


@pytest.fixture
def issue(server):
    def make(role, scope):
        user = f"d{uuid.uuid4().hex[:8]}"
        server.strata("user", "create", user, "--role", role)
        made = server.strata("token", "create", "--user", user, "--scope", scope, "-o", "json")
        return json.loads(made.stdout)["token"]

    return make


def refusal(server, token, sql):
    answer = requests.post(
        server.http + "/api/v1/sql", json={"sql": sql}, headers=server.bearer(token), timeout=60
    )
    assert answer.status_code == 403
    return answer.json()["error"]["message"]


def test_a_narrow_token_is_told_of_its_scope(server, issue):
    said = refusal(server, issue("member", "lake:read,endpoint:predict"), "SELECT 1")
    assert "scope (lake:read, endpoint:predict)" in said and "sql:query" in said
    said = refusal(server, issue("member", "sql:query"), "CREATE TABLE denied (i INTEGER)")
    assert "scope (sql:query)" in said and "lake:write" in said


def test_who_may_not_write_moves_no_sequence(server, issue):
    def ask(token: str, text: str) -> requests.Response:
        headers = server.bearer(token)
        return requests.post(
            f"{server.http}/api/v1/sql", json={"sql": text}, headers=headers, timeout=60
        )

    admin = server.env["STRATA_TOKEN"]
    assert ask(admin, "CREATE SEQUENCE numbers").status_code == 200
    assert "lake:write" in refusal(server, issue("viewer", "all"), "SELECT nextval('numbers')")
    assert ask(admin, "SELECT nextval('numbers')").json()["rows"] == [[1]]


def test_a_weak_role_is_told_of_its_role(server, issue):
    for scope in ("all", "sql:query"):
        said = refusal(server, issue("viewer", scope), "CREATE TABLE denied (i INTEGER)")
        assert "role viewer" in said and "'default'" in said and "lake:write" in said
        assert "scope" not in said
