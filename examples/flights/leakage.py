"""Refuses a feature set that could look into the future, and says why.

A prediction is made at t, two hours before scheduled departure. features.yaml says of each source
column when it becomes known. A feature of the flight itself may only use what is known by t; a
feature of other flights or of weather reports may only admit those whose values were already known
by t. The poison test (poison.py) proves that the SQL keeps the promise.
"""

import argparse
import re
import sys
from pathlib import Path

from project import HERE, feature_set

KNOWN_BY_T = ("static", "schedule", "assignment")
ORDER = ("static", "schedule", "assignment", "report", "departure", "landing")
LATER = {
    "report": "an hour's report is only complete when the hour is over",
    "departure": "the flight has not departed: departure is at least two hours away",
    "landing": "the flight has not landed: it has not even departed",
}


def reasons_against(spec: dict) -> list[str]:
    """One sentence for each way in which the set looks into the future; empty when it does not."""
    reasons = []
    for name, feature in spec["features"].items():
        for column in feature["from"]:
            reason = reason_against(name, feature, column, spec["columns"])
            if reason:
                reasons.append(reason)
    return reasons


def reason_against(name: str, feature: dict, column: str, columns: dict) -> str | None:
    where = f"features.{name}: '{column}'"
    known = columns.get(column)
    if known is None:
        return f"{where} is not declared under 'columns'. Say there when it becomes known."
    if known not in ORDER:
        return f"columns.{column}: '{known}' is not a moment. Use one of: {', '.join(ORDER)}."
    if known in KNOWN_BY_T:
        return None
    if "admitted_by" not in feature:
        return (
            f"{where} becomes known at {known}, after the prediction is made ({LATER[known]}). "
            "Leave it out, or use the same value of flights that had landed by then."
        )
    admitted_by = feature["admitted_by"]
    if admitted_by not in ORDER:
        return (
            f"features.{name}.admitted_by: '{admitted_by}' is not a moment. "
            f"Say '{known}', the moment at which '{column}' becomes known."
        )
    if ORDER.index(admitted_by) < ORDER.index(known):
        still = "of flights still in the air" if known == "landing" else "not yet complete"
        return (
            f"{where} becomes known at {known}, but the window admits by {admitted_by}: it would "
            f"use values {still} when the prediction is made. Set admitted_by: {known}."
        )
    return None


def undeclared(spec: dict, sql: str) -> list[str]:
    """Columns known only after t that the SQL names although no feature declares them."""
    text = re.sub(r"--[^\n]*", "", sql)
    words = set(re.findall(r"[a-z_][a-z0-9_]*", text.lower()))
    declared = {
        column.rsplit(".", 1)[1]
        for feature in spec["features"].values()
        for column in feature["from"]
    }
    # How landings are selected: their instant and whether there was one.
    declared |= {"landed_at", "outcome", "known_at"}
    late = {c.rsplit(".", 1)[1]: (c, m) for c, m in spec["columns"].items() if m not in KNOWN_BY_T}
    return [
        f"the SQL uses '{late[word][0]}', known at {late[word][1]}, but no feature declares it. "
        "Declare it in the feature set, or take it out of the SQL."
        for word in sorted(words & set(late) - declared)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spec", nargs="?", type=Path, default=HERE / "features.yaml")
    parser.add_argument(
        "--sql", type=Path, help="the SQL that builds it", default=HERE / "sql/30_features.sql"
    )
    args = parser.parse_args()
    spec = feature_set(args.spec)
    reasons = reasons_against(spec) + undeclared(spec, args.sql.read_text())
    for reason in reasons:
        print(f"{args.spec.name}: refused: {reason}", file=sys.stderr)
    if not reasons:
        print(
            f"{args.spec.name}: {len(spec['features'])} features, "
            "all known two hours before departure"
        )
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
