"""What the table says of samples, and what the load program is given."""

import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from suite import load  # noqa: E402
from suite.report import Row, missing, save, table  # noqa: E402


def row(higher: bool, ours: list[float], theirs: list[float]) -> Row:
    return Row("objects", "PUT", "req/s", higher, "peer", ours, theirs)


def test_the_ratio_says_how_many_times_better_whatever_the_direction():
    assert row(True, [100, 300, 200], [100]).ratio() == 2
    assert row(False, [50], [100, 90, 110]).ratio() == 2
    assert row(True, [], [1]).ratio() is None


def test_the_table_shows_spread_losses_and_what_could_not_be_measured():
    text = table([row(True, [1.0, 3.0, 2.0], [8.0]), missing("tasks", "HyperQueue", "no wheel")])
    assert "2.00 (1.00 - 3.00)" in text
    assert "0.25 x (loses)" in text
    assert "no wheel" in text


def test_all_samples_are_kept(tmp_path):
    save(tmp_path / "results.json", {"commit": "c"}, [row(True, [1, 2], [4, 5])])
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["commit"] == "c"
    assert (kept["rows"][0]["ours"], kept["rows"][0]["theirs"]) == ([1, 2], [4, 5])


def test_requests_are_written_whole_each_with_its_length(tmp_path):
    one = load.request("PUT", "/b/k", {"Host": "h"}, b"body")
    assert one == b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
    content = load.write(tmp_path / "r.bin", [one, one]).read_bytes()
    assert content == (struct.pack("<I", len(one)) + one) * 2
