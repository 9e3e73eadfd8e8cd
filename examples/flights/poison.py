"""Proves that no feature looks into the future.

For a cut T, every value that becomes known after T is altered, or deleted; the features are built
again by the same SQL; and the features of all flights with t <= T must be equal byte for byte. A
score cannot show this: windows by departure time, a forgotten two hours or the weather of the
departure hour all leak without moving AUC.

By default each cut uses the days around it; --full uses the whole year.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from local import LocalPlatform
from project import feature_names, sql_script

CUTS = {
    "the worst storm day": "2013-03-08 18:00:00",
    "a storm in summer, when delays pile up": "2013-07-01 21:30:00",
    "the end of the night that ends daylight saving time": "2013-11-03 09:15:00",
    "the end of the weather file": "2013-12-30 23:30:00",
}
DAYS_BEFORE, DAYS_AFTER = 9, 2


@dataclass
class Verdict:
    cut: str
    how: str
    compared: int  # flights with t <= T
    different: int  # of these, flights whose features changed: must be 0
    later_changed: (
        int  # flights with t > T that changed or went: must not be 0, or nothing was poisoned
    )

    @property
    def holds(self) -> bool:
        return self.compared > 0 and self.different == 0 and self.later_changed > 0


def rows_as_bytes(table: pa.Table) -> dict[str, bytes]:
    """flight_id -> the bytes of its features, in the order of the set."""
    columns = [table[name].cast(pa.float64()).to_numpy() for name in feature_names()]
    matrix = memoryview(np.column_stack(columns).tobytes())
    width = 8 * len(columns)
    ids = table["flight_id"].to_pylist()
    return {id_: bytes(matrix[i * width : (i + 1) * width]) for i, id_ in enumerate(ids)}


def open_year(platform):
    """The year's raw tables, kept aside so that each cut starts from them. `platform` is a server
    (client.Platform) or an engine in this process.
    """
    platform.sql(sql_script("10_raw.sql", platform.lake))
    platform.sql("CREATE SCHEMA IF NOT EXISTS aside")
    for table in ("flights", "weather"):
        platform.sql(f"CREATE OR REPLACE TABLE aside.year_{table} AS FROM raw.{table}")
    return platform


def build(platform, feature_sql: str) -> pa.Table:
    platform.sql(sql_script("20_typed.sql"))
    platform.sql(feature_sql)
    return platform.sql("SELECT * FROM features.flights ORDER BY flight_id")


def judge(platform, cut: str, full: bool = False, feature_sql: str | None = None) -> list[Verdict]:
    """Both kinds of poison at one cut. `feature_sql` is the script that builds the features."""
    feature_sql = feature_sql or sql_script("30_features.sql")
    first = f"TIMESTAMP '{cut}' - INTERVAL {DAYS_BEFORE} DAY"
    last = f"TIMESTAMP '{cut}' + INTERVAL {DAYS_AFTER} DAY"
    kept = "true" if full else f"time_hour BETWEEN {first} AND {last}"
    for table in ("flights", "weather"):
        platform.sql(f"CREATE OR REPLACE TABLE raw.{table} AS FROM aside.year_{table} WHERE {kept}")
    clean_table = build(platform, feature_sql)
    clean = rows_as_bytes(clean_table)
    limit = platform.sql(f"SELECT TIMESTAMP '{cut}' AS at")["at"][0].as_py()
    times = dict(
        zip(
            clean_table["flight_id"].to_pylist(), clean_table["predict_at"].to_pylist(), strict=True
        )
    )
    platform.sql(sql_script("poison_known.sql"))
    for table in ("flights", "weather"):
        platform.sql(f"CREATE OR REPLACE TABLE aside.clean_{table} AS FROM raw.{table}")
    verdicts = []
    for how in ("alter", "delete"):
        for table in ("flights", "weather"):
            platform.sql(f"CREATE OR REPLACE TABLE raw.{table} AS FROM aside.clean_{table}")
        platform.sql(sql_script(f"poison_{how}.sql").replace("${cut}", cut))
        poisoned = rows_as_bytes(build(platform, feature_sql))
        early = [id_ for id_, t in times.items() if t <= limit]
        changed = {id_ for id_, row in clean.items() if poisoned.get(id_) != row}
        different = changed.intersection(early)
        verdicts.append(
            Verdict(cut, how, len(early), len(different), len(changed) - len(different))
        )
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lake", type=Path, help="the folder with the CSV files")
    parser.add_argument("--full", action="store_true", help="the whole year at each cut")
    args = parser.parse_args()
    platform = open_year(LocalPlatform(":memory:", lake=args.lake))
    failed = 0
    for name, cut in CUTS.items():
        for verdict in judge(platform, cut, args.full):
            failed += not verdict.holds
            print(
                f"  {'holds' if verdict.holds else 'FAILS'}  {cut}Z {verdict.how:6}: of "
                f"{verdict.compared:,} flights before it {verdict.different} differ, "
                f"{verdict.later_changed:,} after it do  ({name})",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
