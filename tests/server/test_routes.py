"""Every route, walked anonymously, as a stranger, and with generated input."""

import json
import pathlib
import re

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]


def operations(server):
    document = requests.get(server.http + "/api/openapi.json").json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def call(server, method: str, path: str, headers: dict) -> requests.Response:
    url = server.http + re.sub(r"\{[^}]*\}", "nothing", path)
    # A stream of events has no end: its head is all that is asked for here.
    endless = path.endswith("/stream")
    answer = requests.request(method, url, headers=headers, data=b"{}", timeout=20, stream=endless)
    answer.close()
    return answer


def test_the_document_is_openapi_3_1_and_names_every_operation_once(server):
    document = requests.get(server.http + "/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    names = [operation["operationId"] for _, _, operation in operations(server)]
    assert len(names) == len(set(names)) > 200
    tags = {tag for _, _, operation in operations(server) for tag in operation["tags"]}
    assert {"MLflow", "inference", "lake", "flows"} <= tags


def test_the_client_of_the_pages_is_made_from_the_document_that_is_served(server):
    served = requests.get(server.http + "/api/openapi.json").json()
    kept = json.loads((ROOT / "web/src/generated/openapi.json").read_text())
    for path, item in list(served["paths"].items()):  # what other specifications describe
        own = {m: operation for m, operation in item.items() if "x-specification" not in operation}
        served["paths"][path] = own
        if not own:
            del served["paths"][path]
    assert served == kept, (
        "routes or answers have changed: with a server running, "
        "`npm --prefix web run generate -- --fetch` takes over its document"
    )


def test_without_credentials_only_public_routes_answer(server):
    for method, path, operation in operations(server):
        answer = call(server, method, path, {})
        if operation["x-permission"] == "public":
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert answer.status_code == 401, (method, path, answer.text)


def test_a_stranger_gets_no_further_than_the_scope_of_its_token(server):
    made = server.strata("token", "create", "--scope", "node:read", "-o", "json").stdout
    headers = server.bearer(json.loads(made)["token"])
    for method, path, operation in operations(server):
        allowed = operation["x-permission"] in ("public", "signed-in", "node:read")
        status = call(server, method, path, headers).status_code
        assert allowed or status == 403, (method, path, status)


def test_the_s3_port_refuses_anonymous_and_unknown_callers(server):
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        for path in (
            "/",
            "/bucket",
            "/bucket/key",
            "/bucket/key?uploads",
            "/bucket?tagging",
        ):
            answer = requests.request(method, server.s3 + path, timeout=20)
            assert answer.status_code in (403, 405), (method, path, answer.status_code)


@pytest.mark.timeout(600)
def test_no_generated_request_makes_the_server_fail(server):
    schema = schemathesis.openapi.from_url(server.http + "/api/openapi.json")
    # Revoking or disabling the very token that asks would end the walk; a stream has no end.
    skipped = ("revokeToken", "disableUser", "metrics", "streamEvents")
    walked = schema.exclude(operation_id=list(skipped))

    def probe(case):
        answer = case.call(headers=server.bearer(), timeout=30)
        assert answer.status_code < 500 or answer.status_code in (501, 503), (
            case.operation.label,
            answer.status_code,
            answer.text[:500],
        )
        if answer.status_code < 300:
            case.validate_response(
                answer, checks=[content_type_conformance, response_schema_conformance]
            )

    failures, seen = [], 0
    for result in walked.get_all_operations():
        operation = result.ok()
        seen += 1
        try:
            examples = 5 if "x-specification" in operation.definition.raw else 15
            bounded = settings(
                max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck)
            )
            bounded(given(case=operation.as_strategy())(probe))()
        except (AssertionError, Failure, FailureGroup) as failure:
            failures.append(str(failure)[:600])
    assert seen > 20
    assert not failures, "\n\n".join(failures)
