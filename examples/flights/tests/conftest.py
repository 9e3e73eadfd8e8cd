import os
import sys
from pathlib import Path

import boto3
import pytest

EXAMPLE = Path(__file__).resolve().parents[1]
TESTS = EXAMPLE.parents[1] / "tests"
sys.path[:0] = [str(EXAMPLE), str(EXAMPLE / "steps"), str(TESTS)]

from client import Platform  # noqa: E402
from local import LocalPlatform  # noqa: E402
from poison import build, open_year  # noqa: E402
from project import FILES, sql_script  # noqa: E402
from strata_server import Server  # noqa: E402

AUTUMN = ("2013-10-24", "2013-11-08")  # two weeks with the end of daylight saving time


@pytest.fixture(scope="session")
def csv() -> Path:
    folder = Path(os.environ.get("FLIGHTS_CSV", EXAMPLE.parents[1] / "build/data/nycflights13"))
    assert (folder / "flights.csv").exists(), (
        f"{folder} lacks flights.csv; `make setup` fetches the data"
    )
    return folder


@pytest.fixture(scope="session")
def year(csv):
    """The raw tables of the year; each poison test cuts out its days anew."""
    return open_year(LocalPlatform(":memory:", lake=csv))


@pytest.fixture(scope="session")
def warehouse(csv, tmp_path_factory):
    """A server that holds the year in its lake and its warehouse."""
    server = Server(tmp_path_factory.mktemp("flights")).start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.env.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the keys that it found first
        platform = Platform()
        platform.create_bucket()
        for file in FILES:
            platform.put_file(f"raw/{file}", csv / file)
    # Tests of other folders share this process, and have a server of their own.
    yield open_year(platform)
    assert server.stop() == 0
    server.strata("stop", "--now", check=False)


@pytest.fixture(scope="session")
def autumn(csv):
    """Two weeks: the platform that holds them, their features, and the facts to judge these by."""
    platform = open_year(LocalPlatform(":memory:", lake=csv))
    between = f"time_hour BETWEEN TIMESTAMP '{AUTUMN[0]}' AND TIMESTAMP '{AUTUMN[1]}'"
    for table in ("flights", "weather"):
        platform.sql(
            f"CREATE OR REPLACE TABLE raw.{table} AS FROM aside.year_{table} WHERE {between}"
        )
    features = build(platform, sql_script("30_features.sql"))
    facts = platform.sql(
        """SELECT s.*, o.landed_at, o.arr_delay, o.late, o.outcome
           FROM typed.schedule AS s JOIN typed.outcomes AS o USING (flight_id)"""
    ).to_pylist()
    reports = platform.sql("SELECT * FROM typed.weather").to_pylist()
    return {"platform": platform, "features": features, "facts": facts, "reports": reports}
