"""Builds the feature table by SQL, after the declared set has been checked for leakage, and
checks what was built.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from client import connect  # noqa: E402
from leakage import reasons_against, undeclared  # noqa: E402
from project import feature_names, feature_set, hand_over, sql_script  # noqa: E402


def main() -> None:
    spec, script = feature_set(), sql_script("30_features.sql")
    reasons = reasons_against(spec) + undeclared(spec, script)
    if reasons:
        raise SystemExit("the feature set is refused:\n  " + "\n  ".join(reasons))
    platform = connect()
    started = time.monotonic()
    platform.sql(sql_script("20_typed.sql"))
    platform.sql(script)
    seconds = time.monotonic() - started
    names = feature_names()
    built = [name for name in platform.sql("SELECT * FROM features.flights LIMIT 0").column_names]
    if built[-len(names) :] != names:
        raise SystemExit(
            f"features.flights has the columns {built[-len(names) :]}; "
            f"features.yaml declares {names}"
        )
    holes = " + ".join(
        f"count(*) FILTER (NOT isfinite({name}) OR {name} IS NULL)" for name in names
    )
    facts = platform.sql(
        f"""SELECT count(*) AS n, count(DISTINCT flight_id) AS ids, {holes} AS holes
            FROM features.flights"""
    ).to_pylist()[0]
    expected = platform.sql("SELECT count(*) AS n FROM raw.flights").to_pylist()[0]["n"]
    if facts["holes"] or not facts["n"] == facts["ids"] == expected:
        raise SystemExit(
            f"features.flights should have one row for each of {expected} flights and no holes: "
            f"{facts}"
        )
    outcomes = {
        row["outcome"]: row["n"]
        for row in platform.sql(
            "SELECT outcome, count(*) AS n FROM typed.outcomes GROUP BY 1 ORDER BY 1"
        ).to_pylist()
    }
    hand_over(
        "features",
        {"rows": facts["n"], "features": len(names), "seconds": seconds, "outcomes": outcomes},
    )
    print(
        f"  features   {facts['n']:,} rows x {len(names)} features in {seconds:.1f} s; "
        f"outcomes {outcomes}"
    )


if __name__ == "__main__":
    main()
