"""`strata flow` as people and scripts use it."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import threading

import pytest
from programs import binary

PIPELINE = """name: cli-{name}
source: .
parameters: {{word: hello}}
steps:
  say:
    command: [sh, say.sh, "${{params.word}}"]
"""


def write(tmp_path, name: str):
    (tmp_path / "say.sh").write_text('echo "say $1"\n')
    file = tmp_path / "p.yaml"
    file.write_text(PIPELINE.format(name=name))
    return file


def test_run_a_file_and_wait_for_its_end(server, tmp_path):
    file = write(tmp_path, "wait")
    done = server.strata("flow", "run", str(file), "--param", "word=bye", "--wait")
    assert "succeeded" in done.stdout
    status = json.loads(server.strata("flow", "status", "-o", "json").stdout)
    run = next(r for r in status["runs"] if r["flow"] == "cli-wait")
    assert server.strata("flow", "logs", run["id"], "say").stdout == "say bye\n"
    assert "say" in server.strata("flow", "status", run["id"]).stdout
    assert "cli-wait" in server.strata("flow", "list").stdout


def test_a_failed_run_is_exit_code_1_and_says_why(server, tmp_path):
    file = write(tmp_path, "fail")
    (tmp_path / "say.sh").write_text("exit 9\n")
    done = server.strata("flow", "run", str(file), "--wait", check=False)
    assert done.returncode == 1
    assert "exit code 9" in done.stderr
    runs = json.loads(server.strata("flow", "status", "--flow", "cli-fail", "-o", "json").stdout)
    (run,) = [run["id"] for run in runs["runs"]]
    log = f"strata flow logs {run} say"
    assert log in done.stderr and log in server.strata("flow", "status", run).stdout


def test_a_dry_run_changes_nothing(server, tmp_path):
    file = write(tmp_path, "dry")
    assert "correct" in server.strata("flow", "apply", str(file), "--dry-run").stdout
    assert server.strata("flow", "run", "cli-dry", check=False).returncode == 3


def test_a_source_folder_of_data_is_refused_before_it_is_sent(server, tmp_path):
    file = write(tmp_path, "large")
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "rows.bin").open("wb") as rows:
        rows.truncate(80 << 20)
    for options in ((), ("--dry-run",)):
        refused = server.strata("flow", "apply", str(file), *options, check=False)
        assert refused.returncode == 1
        assert "64 MiB" in refused.stderr and "data 80.0 MiB" in refused.stderr


def test_a_typo_is_told_with_file_line_and_column_and_exit_code_2(server, tmp_path):
    file = write(tmp_path, "typo")
    file.write_text(file.read_text().replace("command:", "comand:"))
    done = server.strata("flow", "apply", "p.yaml", check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "p.yaml:6:5: steps.say: 'comand' is not known here. Did you mean 'command'?" in done.stderr
    )


@pytest.mark.parametrize(
    "trigger", ['{cron: "0 6 * * *"}', "{event: object.created, bucket: raw, prefix: x/}"]
)
def test_a_trigger_that_could_never_start_a_run_is_refused_with_its_place(
    server, tmp_path, trigger
):
    file = tmp_path / "p.yaml"
    text = (
        "name: cli-untriggered\nparameters:\n  n: {type: integer}\n"
        "steps:\n  a: {command: 'true'}\ntriggers:\n"
    )
    file.write_text(f"{text}  - {trigger}\n")
    for options in ((), ("--dry-run",)):
        done = server.strata("flow", "apply", "p.yaml", *options, check=False, cwd=tmp_path)
        assert done.returncode == 2
        assert "p.yaml:3:6: parameters.n:" in done.stderr and "'default'" in done.stderr
    listed = json.loads(server.strata("flow", "list", "-o", "json").stdout)["flows"]
    assert "cli-untriggered" not in [flow["name"] for flow in listed]


def test_cancel(server, tmp_path):
    file = write(tmp_path, "cancel")
    (tmp_path / "say.sh").write_text("sleep 600\n")
    run = server.strata("flow", "run", str(file)).stdout.strip()
    server.strata("flow", "cancel", run)
    server.strata("flow", "logs", run, "-f")  # ends with the run
    assert (
        json.loads(server.strata("flow", "status", run, "-o", "json").stdout)["state"]
        == "cancelled"
    )


def test_logs_of_an_attempt_that_never_was_are_not_found(server, tmp_path):
    file = write(tmp_path, "attempt")
    server.strata("flow", "run", str(file), "--wait")
    status = json.loads(
        server.strata("flow", "status", "--flow", "cli-attempt", "-o", "json").stdout
    )
    run = status["runs"][0]["id"]
    for options in ((), ("-f",)):
        refused = server.strata("flow", "logs", run, "say", "--attempt", "9", *options, check=False)
        assert refused.returncode == 3
        assert "step 'say' has no attempt 9: there is only attempt 1" in refused.stderr
    assert server.strata("flow", "logs", run, "say", "--attempt", "1").stdout == "say hello\n"


def test_status_shows_as_many_runs_of_one_pipeline_as_asked_for(server, tmp_path):
    for name in ("many", "other"):
        server.strata("flow", "apply", str(write(tmp_path, name)))
    for name in ("many", "many", "other"):
        server.strata("flow", "run", f"cli-{name}", "--wait")

    def shown(*options):
        answer = server.strata("flow", "status", "-o", "json", *options).stdout
        return [run["flow"] for run in json.loads(answer)["runs"]]

    assert shown("--flow", "cli-many") == ["cli-many"] * 2
    assert shown("--flow", "cli-many", "--limit", "1") == ["cli-many"]
    assert shown("--limit", "1") == ["cli-other"]


def test_what_is_not_there_or_has_ended_is_told_by_the_exit_code(server, tmp_path):
    for form in ([], ["-o", "json"]):
        refused = server.strata("flow", "status", "--flow", "nope", *form, check=False)
        assert refused.returncode == 3 and "nope" in refused.stderr
    file = write(tmp_path, "over")
    server.strata("flow", "run", str(file), "--wait")
    listed = server.strata("flow", "status", "--flow", "cli-over", "-o", "json").stdout
    run = json.loads(listed)["runs"][0]["id"]
    refused = server.strata("flow", "cancel", run, check=False)
    assert refused.returncode == 5 and not refused.stdout
    assert f"run {run} has ended already: succeeded" in refused.stderr
    server.strata("flow", "delete", "cli-over")
    assert run in server.strata("flow", "status", "--flow", "cli-over").stdout


def test_a_time_too_short_to_tell_is_told_apart_from_one_not_known():
    """The times of a real step cannot be chosen: the answer here is made by hand."""
    at = "2026-01-02T03:04:05.678Z"
    ended = {"number": 1, "state": "ended", "exit_code": 0, "usage": None, "finished": at}
    steps = [
        {"step": name, "state": "succeeded", "reason": "", "attempts": [ended | {"started": begun}]}
        for name, begun in (("short", at), ("second", at.replace("05.", "04.")), ("lost", None))
    ]
    run = {"id": "r", "flow": "f", "state": "succeeded", "created": at, "steps": steps}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(run).encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as stub:
        threading.Thread(target=stub.serve_forever).start()
        url = f"http://127.0.0.1:{stub.server_port}"
        try:
            shown = subprocess.run(
                [binary(), "flow", "status", "r"],
                env={"STRATA_URL": url, "STRATA_TOKEN": "x"},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
        finally:
            stub.shutdown()
    head, *rows = [line for line in shown.splitlines() if "  " in line][-4:]
    took = {re.split("  +", row)[0]: row[head.index("TOOK") :][:5].strip() for row in rows}
    assert took == {"short": "<1 ms", "second": "1.0 s", "lost": "-"}


def test_a_file_of_endless_aliases_is_bad_input(server, tmp_path):
    lines = ["a0: &a0 [x]"]
    for i in range(1, 10):
        lines.append(f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]")
    file = tmp_path / "laughs.yaml"
    file.write_text("\n".join(lines))
    refused = server.strata("flow", "apply", str(file), check=False)
    assert refused.returncode == 2
    assert "laughs.yaml:" in refused.stderr


def test_a_servers_data_with_its_keys_is_never_packed(server, tmp_path):
    file = write(tmp_path, "keys")
    (tmp_path / "say.sh").write_text("find . -name '*.key'; echo looked\n")
    kept = tmp_path / "backup"  # has what a data directory has, but for the parts that run
    server.strata("backup", "--out", str(kept))
    assert (kept / "master.key").exists()
    server.strata("flow", "run", str(file), "--wait")
    status = json.loads(server.strata("flow", "status", "-o", "json").stdout)
    run = next(r for r in status["runs"] if r["flow"] == "cli-keys")
    assert server.strata("flow", "logs", run["id"], "say").stdout == "looked\n"
    within = kept / "p.yaml"
    within.write_text(file.read_text())
    refused = server.strata("flow", "apply", str(within), check=False)
    assert refused.returncode == 2 and "a server's data and keys" in refused.stderr


def test_a_step_sees_which_certificates_the_server_was_told_to_trust(
    fresh_server, tmp_path, monkeypatch
):
    names = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "MLFLOW_TRACKING_SERVER_CERT_PATH")
    for name in names:
        monkeypatch.setenv(name, f"/ca/{name}.pem")
    server = fresh_server.start()
    file = write(tmp_path, "trust")
    (tmp_path / "say.sh").write_text("".join(f"echo ${name}\n" for name in names))
    server.strata("flow", "run", str(file), "--wait")
    (run,) = json.loads(server.strata("flow", "status", "-o", "json").stdout)["runs"]
    logged = server.strata("flow", "logs", run["id"], "say").stdout
    assert logged.split() == [f"/ca/{name}.pem" for name in names]
