"""The audit log's chain: whoever changes the records behind the server's back is found out."""

import hashlib
import json
import sqlite3

import pytest
import requests

COLUMNS = "sequence, time, project, actor, action, target, detail, hash"
VERIFY = ("audit", "verify", "-o", "json")


def independent_hash(previous: str, row: tuple) -> str:
    """As docs/reference/audit-log.md has it."""
    sequence, time, *texts = row[:7]
    form = f"strata-audit-1\n{previous}\n{sequence}\n{time}\n".encode()
    for text in texts:
        raw = text.encode()
        form += b"%d:%b\n" % (len(raw), raw)
    return hashlib.sha256(form).hexdigest()


def rows_of(server) -> list[tuple]:
    with sqlite3.connect(server.data / "records.db") as db:
        return db.execute(f"SELECT {COLUMNS} FROM audit ORDER BY sequence").fetchall()


def change(server, *statements: str) -> None:
    """Changes the records of a stopped server, as an intruder would."""
    db = sqlite3.connect(server.data / "records.db", isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


@pytest.fixture
def stopped(fresh_server):
    """A stopped server whose log has some twenty entries; its head as `kept`."""
    fresh_server.start()
    for i in range(18):
        fresh_server.strata("user", "create", f"user{i}")
    fresh_server.kept = fresh_server.strata("audit", "head").stdout.strip()
    assert fresh_server.stop() == 0
    return fresh_server


def told(server, *arguments) -> dict:
    """What fsck finds in the stopped server's log, and the same online."""
    offline = server.strata("fsck", "-o", "json", *arguments, check=False)
    report = json.loads(offline.stdout)["audit"]
    assert offline.returncode == (0 if report["sound"] else 1)
    server.start()
    online = server.strata(*VERIFY, *arguments, check=False)
    assert online.returncode == offline.returncode
    assert json.loads(online.stdout)["finding"] == report["finding"]
    assert server.stop() == 0
    return report


def test_a_log_that_was_left_alone_fits_and_has_the_documented_hashes(stopped):
    previous = "0" * 64
    rows = rows_of(stopped)
    for number, row in enumerate(rows, 1):
        assert row[0] == number
        previous = independent_hash(previous, row)
        assert row[7] == previous
    assert stopped.kept == f"{len(rows)}:{previous}"
    report = told(stopped, "--since-head", stopped.kept)
    assert report["finding"] is None and report["entries"] == len(rows)


def test_the_api_shows_the_hashes_and_the_head(fresh_server):
    fresh_server.start()
    fresh_server.strata("user", "create", "mara")

    def get(path):
        url = fresh_server.http + path
        return requests.get(url, headers=fresh_server.bearer(), timeout=30).json()

    newest = get("/api/v1/audit?limit=1")["entries"][0]
    assert get("/api/v1/audit/head") == {"sequence": newest["sequence"], "hash": newest["hash"]}
    assert get("/api/v1/audit/verify")["sound"] is True


@pytest.mark.parametrize("column", ["time", "project", "actor", "action", "target", "detail"])
def test_each_changed_field_is_told(stopped, column):
    value = "time + 1" if column == "time" else f"replace({column} || 'x', '}}x', ' }}')"
    change(stopped, f"UPDATE audit SET {column} = {value} WHERE sequence = 9")
    finding = told(stopped)["finding"]
    assert (finding["kind"], finding["sequence"]) == ("changed", 9)


def test_a_changed_hash_is_told(stopped):
    change(stopped, "UPDATE audit SET hash = replace(hash, 'a', 'b') || '' WHERE sequence = 5")
    assert told(stopped)["finding"]["sequence"] == 5


def test_a_changed_entry_with_a_fitting_hash_breaks_the_next(stopped):
    rows = rows_of(stopped)
    forged = (*rows[8][:3], "nobody", *rows[8][4:])
    hashed = independent_hash(rows[7][7], forged)
    change(stopped, f"UPDATE audit SET actor = 'nobody', hash = '{hashed}' WHERE sequence = 9")
    assert told(stopped)["finding"]["sequence"] == 10


def test_a_removed_entry_is_told(stopped):
    change(stopped, "DELETE FROM audit WHERE sequence IN (7, 8)")
    finding = told(stopped)["finding"]
    assert (finding["kind"], finding["sequence"]) == ("removed", 7)


def test_a_removed_entry_is_told_though_the_others_were_renumbered(stopped):
    change(
        stopped,
        "DELETE FROM audit WHERE sequence = 7",
        "UPDATE audit SET sequence = -sequence WHERE sequence > 7",
        "UPDATE audit SET sequence = -sequence - 1 WHERE sequence < 0",
    )
    finding = told(stopped)["finding"]
    assert (finding["kind"], finding["sequence"]) == ("removed", 7)


def make_room(at: int) -> tuple[str, str]:
    return (
        f"UPDATE audit SET sequence = -sequence WHERE sequence >= {at}",
        "UPDATE audit SET sequence = -sequence + 1 WHERE sequence < 0",
    )


def test_an_inserted_entry_is_told(stopped):
    made_up = f"(7, 1, '', 'eve', 'user.create', 'user:eve', '{{}}', '{'1' * 64}')"
    change(stopped, *make_room(7), f"INSERT INTO audit ({COLUMNS}) VALUES {made_up}")
    finding = told(stopped)["finding"]
    assert (finding["kind"], finding["sequence"]) == ("inserted", 7)


def test_an_inserted_entry_with_a_fitting_hash_is_told(stopped):
    rows = rows_of(stopped)
    entry = (7, rows[6][1], "", "eve", "user.create", "user:eve", "{}")
    values = ", ".join(repr(v) for v in (*entry, independent_hash(rows[5][7], entry)))
    change(stopped, *make_room(7), f"INSERT INTO audit ({COLUMNS}) VALUES ({values})")
    finding = told(stopped)["finding"]
    assert (finding["kind"], finding["sequence"]) == ("inserted", 8)


@pytest.mark.parametrize("other", [8, 12])
def test_entries_in_another_order_are_told(stopped, other):
    change(
        stopped,
        "UPDATE audit SET sequence = -1 WHERE sequence = 7",
        f"UPDATE audit SET sequence = 7 WHERE sequence = {other}",
        f"UPDATE audit SET sequence = {other} WHERE sequence = -1",
    )
    finding = told(stopped)["finding"]
    assert (finding["kind"], finding["sequence"]) == ("reordered", 7)


def test_an_end_that_was_cut_off_is_told_against_a_kept_head_only(stopped):
    change(stopped, "DELETE FROM audit WHERE sequence > 15")
    finding = told(stopped, "--since-head", stopped.kept)["finding"]
    assert (finding["kind"], finding["sequence"]) == ("truncated", 16)
    assert told(stopped)["finding"] is None


def test_a_chain_made_anew_is_told_against_a_kept_head_only(stopped):
    rows = rows_of(stopped)
    previous = rows[9][7]
    statements = ["UPDATE audit SET actor = 'nobody' WHERE sequence = 11"]
    for row in rows[10:]:
        forged = (*row[:3], "nobody", *row[4:]) if row[0] == 11 else row
        previous = independent_hash(previous, forged)
        statements.append(f"UPDATE audit SET hash = '{previous}' WHERE sequence = {row[0]}")
    change(stopped, *statements)
    finding = told(stopped, "--since-head", stopped.kept)["finding"]
    assert (finding["kind"], finding["sequence"]) == ("rewritten", len(rows))
    assert told(stopped)["finding"] is None


def test_a_log_from_before_the_chain_is_sealed_once(stopped):
    change(
        stopped,
        "ALTER TABLE audit DROP COLUMN hash",
        "DROP TABLE audit_chain",
        "DELETE FROM schema_journal WHERE room = 'audit' AND version = 3",
    )
    before = json.loads(stopped.strata("fsck", "-o", "json").stdout)
    assert before["audit"] is None and before["findings"] == []
    count = int(stopped.kept.split(":")[0])
    for _ in range(2):
        stopped.start()
        listed = json.loads(stopped.strata("audit", "--action", "audit.seal", "-o", "json").stdout)[
            "entries"
        ]
        assert [(e["sequence"], e["actor"], e["detail"]) for e in listed] == [
            (count + 1, "system", {"through": count})
        ]
        assert stopped.stop() == 0
    report = told(stopped, "--since-head", stopped.kept)
    assert report["sound"] is True, "the old entries are as they were, and so are their hashes"


@pytest.mark.parametrize("head", ["", "7", "x:" + "0" * 64, "7:" + "g" * 64, "-1:" + "0" * 64])
def test_what_is_no_head_is_refused(server, head):
    answer = requests.get(
        server.http + "/api/v1/audit/verify",
        params={"since": head},
        headers=server.bearer(),
        timeout=30,
    )
    assert answer.status_code == 400 and "SEQUENCE:HASH" in answer.text


def test_a_member_may_not_read_the_head(server):
    server.strata("user", "create", "headless")
    made = server.strata("token", "create", "--user", "headless", "-o", "json").stdout
    token = json.loads(made)["token"]
    for path in ("/api/v1/audit/head", "/api/v1/audit/verify"):
        answer = requests.get(server.http + path, headers=server.bearer(token), timeout=30)
        assert answer.status_code == 403
