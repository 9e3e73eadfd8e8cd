"""The functions of features as the warehouse has them, in its own confined process."""

from __future__ import annotations

import datetime
import zoneinfo

from sql_client import ask, engine_pid


def test_hours_are_those_of_the_zone_through_nights_in_which_clocks_change(server):
    for zone, nights in (
        ("Europe/Berlin", ("2024-03-30", "2024-10-26")),
        ("America/New_York", ("2024-03-09", "2024-11-02")),
        ("Australia/Lord_Howe", ("2024-04-06", "2024-10-05")),
        ("America/Sao_Paulo", ("2018-02-17", "2018-11-03")),
    ):
        for night in nights:
            rows = ask(
                server,
                "SELECT epoch_us(t), strata_hour_ts(t, $1), strata_day_ts(t, $1) "
                "FROM range(CAST($2 AS TIMESTAMP), CAST($2 AS TIMESTAMP) + INTERVAL 3 DAY, "
                "INTERVAL 17 MINUTE) AS r(t)",
                params=[zone, night],
            )["rows"]
            assert len(rows) > 250
            for micros, hour, day in rows:
                utc = datetime.datetime.fromtimestamp(micros / 1e6, datetime.timezone.utc)
                local = utc.astimezone(zoneinfo.ZoneInfo(zone))
                assert (hour, day) == (local.hour, local.day), (zone, utc)


def test_what_cannot_be_is_null_and_no_query_fails(server):
    answer = ask(
        server,
        "SELECT strata_add_i64(9223372036854775807, 1), strata_div_i64(1, 0), "
        "strata_str_to_i64('1e3'), strata_f64_to_i64(2.5::DOUBLE), strata_div_f64(1, 0), "
        "strata_coalesce_str(NULL, 'longer than twelve bytes'), "
        "strata_year_ts(now()::TIMESTAMP, 'No/Zone')",
    )
    assert answer["rows"] == [[None, None, None, 2, "Infinity", "longer than twelve bytes", None]]


def test_a_view_of_kernels_outlives_the_process_of_the_engine(fresh_server):
    server = fresh_server.start()
    ask(server, "CREATE VIEW doubled AS SELECT strata_mul_i64(i, 2) AS d FROM range(3) AS r(i)")
    server.stop()
    server.start()
    assert ask(server, "SELECT sum(d) FROM doubled")["rows"] == [[6]]
    assert engine_pid(server)
