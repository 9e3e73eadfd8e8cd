-- Facts with instants. Every time below is UTC in a plain TIMESTAMP, so no result depends on the
-- session's time zone. One table for each moment at which something becomes known: the schedule,
-- the landing, the weather report.
CREATE SCHEMA IF NOT EXISTS typed;

-- Four destinations are missing from airports.csv; Puerto Rico and the Virgin Islands keep no
-- daylight saving time.
CREATE OR REPLACE TABLE typed.destinations AS
SELECT faa AS dest, lat, lon, tzone AS zone FROM raw.airports WHERE tzone IS NOT NULL
UNION ALL
SELECT * FROM (VALUES
    ('BQN', 18.4949, -67.1294, 'America/Puerto_Rico'),
    ('PSE', 18.0083, -66.5630, 'America/Puerto_Rico'),
    ('SJU', 18.4394, -66.0018, 'America/Puerto_Rico'),
    ('STT', 18.3373, -64.9734, 'America/Puerto_Rico')) AS missing (dest, lat, lon, zone)
WHERE dest NOT IN (SELECT faa FROM raw.airports);

CREATE OR REPLACE TABLE typed.carriers AS
SELECT carrier, name, (row_number() OVER (ORDER BY carrier) - 1)::INTEGER AS code
FROM raw.airlines;

-- The schedule: known long before. `predict_at` is the prediction time t. The scheduled arrival is
-- local at the destination and has no date: it is the first instant after departure whose clock
-- there shows sched_arr_time.
CREATE OR REPLACE TABLE typed.schedule AS
WITH instants AS (
    SELECT
        flight_id,
        make_date(year, month, day) AS local_date,
        time_hour + to_minutes(minute) AS sched_dep,
        sched_dep_time // 100 * 60 + sched_dep_time % 100 AS dep_minute,
        to_minutes(sched_arr_time // 100 * 60 + sched_arr_time % 100) AS arr_clock,
        carrier, flight, tailnum, origin, raw.flights.dest, distance, zone, lat, lon
    FROM raw.flights JOIN typed.destinations ON raw.flights.dest = destinations.dest
), local_departure AS (
    SELECT *, timezone(zone, timezone('UTC', sched_dep)) AS at_dest FROM instants
), local_arrival AS (
    SELECT *, date_trunc('day', at_dest) + arr_clock AS same_day FROM local_departure
)
SELECT
    flight_id, local_date, sched_dep, sched_dep - INTERVAL 2 HOUR AS predict_at,
    timezone('UTC', timezone(zone, CASE
        WHEN same_day > at_dest THEN same_day ELSE same_day + INTERVAL 1 DAY END)) AS sched_arr,
    dep_minute, carrier, flight, tailnum, origin, dest, distance,
    lat AS dest_lat, lon AS dest_lon
FROM local_arrival;

-- What became of a flight. `landed_at` is the gate arrival, and the instant at which the delay
-- becomes known. Cancelled and diverted flights have no arrival delay: no label, not "on time".
CREATE OR REPLACE TABLE typed.outcomes AS
SELECT
    flight_id, arr_delay, arr_delay > 15 AS late, sched_arr + to_minutes(arr_delay) AS landed_at,
    CASE
        WHEN arr_delay IS NOT NULL THEN 'landed'
        WHEN dep_time IS NULL THEN 'cancelled'
        ELSE 'diverted'
    END AS outcome
FROM raw.flights JOIN typed.schedule USING (flight_id);

-- An hour's row holds observations of up to H:51, so it is known from H + 1 h. Gusts are only
-- reported when there are any; one wind speed of 1,048 mph is an error of the file.
CREATE OR REPLACE TABLE typed.weather AS
SELECT
    origin, time_hour + INTERVAL 1 HOUR AS known_at,
    temp, dewp, humid, wind_dir, CASE WHEN wind_speed < 150 THEN wind_speed END AS wind_speed,
    wind_gust, precip, pressure, visib
FROM raw.weather;
