"""What was measured: samples of each side, their medians, and the table."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import statistics


@dataclasses.dataclass
class Row:
    """One quantity, on both sides; `higher` says which direction is better."""

    bench: str
    what: str
    unit: str
    higher: bool
    peer: str
    ours: list[float]
    theirs: list[float]
    reason: str = ""  # why a side has no samples

    def ratio(self) -> float | None:
        """How many times better Strata is; below 1 it loses."""
        if not self.ours or not self.theirs:
            return None
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        better, worse = (ours, theirs) if self.higher else (theirs, ours)
        return better / worse if worse else None


class Rows(list[Row]):
    """The rows of one bench against one peer."""

    def __init__(self, bench: str, peer: str) -> None:
        super().__init__()
        self.bench, self.peer = bench, peer

    def measure(self, what: str, unit: str, higher: bool, ours, theirs) -> None:
        self.append(Row(self.bench, what, unit, higher, self.peer, list(ours), list(theirs)))

    def loads(self, what: str, ours: list[dict], theirs: list[dict], per: int = 1, unit="req/s"):
        """The rows of one load: rate, tail and the server's processor time."""

        def rate(report: dict) -> float:
            return report["answers"] * per / report["seconds"]

        def row(name: str, unit: str, higher: bool, value) -> None:
            self.measure(f"{what}, {name}", unit, higher, map(value, ours), map(value, theirs))

        row("rate", unit, True, rate)
        row("p50", "ms", False, lambda report: report["p50_us"] / 1000)
        row("p99", "ms", False, lambda report: report["p99_us"] / 1000)
        if any(report["broken"] for report in ours + theirs):
            row("requests dropped", "", False, lambda report: report["broken"])
        row("server's CPU for each answer", "us", False, lambda report: report["cpu_us"])


def missing(bench: str, peer: str, reason: str) -> Row:
    return Row(bench, "not measured", "", True, peer, [], [], reason)


def show_number(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def show_samples(samples: list[float]) -> str:
    """Median, and in brackets the smallest and the largest."""
    if not samples:
        return "-"
    middle = show_number(statistics.median(samples))
    return f"{middle} ({show_number(min(samples))} - {show_number(max(samples))})"


def table(rows: list[Row]) -> str:
    head = ["", "unit", "Strata", "peer", "Strata is"]
    lines, bench = [], ""
    cells: list[list[str]] = []
    for row in rows:
        title = f"{row.bench} beside {row.peer}"
        if title != bench:
            bench = title
            cells.append([title])
        if row.reason:
            cells.append([f"  {row.what}: {row.reason}"])
            continue
        ratio = row.ratio()
        verdict = "-" if ratio is None else f"{ratio:.2f} x" + (" (loses)" if ratio < 1 else "")
        ours, theirs = show_samples(row.ours), show_samples(row.theirs)
        cells.append([f"  {row.what}", row.unit, ours, theirs, verdict])
    full = [head, *(line for line in cells if len(line) > 1)]
    widths = [max(len(line[i]) for line in full) for i in range(len(head))]
    for line in [head, *cells]:
        if len(line) == 1:
            title = not line[0].startswith(" ")
            lines += ["", line[0]] if title else [line[0]]
        else:
            pads = [line[0].ljust(widths[0]), line[1].ljust(widths[1])]
            pads += [line[i].rjust(widths[i]) for i in (2, 3)]
            lines.append("  ".join([*pads, line[4]]).rstrip())
    return "\n".join(lines)


def save(path: pathlib.Path, about: dict, rows: list[Row]) -> None:
    entries = [dataclasses.asdict(row) | {"ratio": row.ratio()} for row in rows]
    path.write_text(json.dumps(about | {"rows": entries}, indent=1) + "\n")
