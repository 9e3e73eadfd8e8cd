-- One row for each flight, holding only what is known at t = predict_at. Windows are (t - W, t]
-- over landings, as the difference of two running sums found by ASOF joins: a RANGE frame would be
-- closed at both ends, an inequality join slow. Sums are of integers, so no result depends on the
-- order of addition. Every feature is a finite double, because requests in JSON have no NaN: what
-- is missing has a value outside the range (-1, or -100 for temperatures and delays), and counts
-- stand beside means.
CREATE SCHEMA IF NOT EXISTS features;

CREATE OR REPLACE TABLE features.flights AS
WITH landings AS MATERIALIZED (
    -- Delays are clipped: one flight of 21 hours must not own the mean of its route for a week.
    SELECT
        origin, carrier, origin || dest AS route, concat(carrier, flight, origin) AS number,
        tailnum, landed_at, greatest(-30, least(180, arr_delay))::INTEGER AS delay,
        late::INTEGER AS late
    FROM typed.outcomes JOIN typed.schedule USING (flight_id)
    WHERE outcome = 'landed'
), probes AS MATERIALIZED (
    SELECT
        *, row_number() OVER () AS id, predict_at AS t,
        origin || dest AS route, concat(carrier, flight, origin) AS number,
        count(*) OVER (PARTITION BY origin, date_trunc('hour', sched_dep)) AS departures_hour,
        count(*) OVER (PARTITION BY origin, local_date) AS departures_day
    FROM typed.schedule
), origin_sums AS MATERIALIZED (
    SELECT
        origin, landed_at, sum(n) OVER so_far AS n, sum(delay) OVER so_far AS delay,
        sum(late) OVER so_far AS late
    FROM (
        SELECT origin, landed_at, count(*) AS n, sum(delay) AS delay, sum(late) AS late
        FROM landings GROUP BY ALL)
    WINDOW so_far AS (PARTITION BY origin ORDER BY landed_at)
), origin_windows AS (
    SELECT
        id,
        coalesce(now.n, 0) - coalesce(w3h.n, 0) AS origin_n_3h,
        coalesce(now.delay, 0) - coalesce(w3h.delay, 0) AS origin_delay_3h,
        coalesce(now.late, 0) - coalesce(w3h.late, 0) AS origin_late_3h,
        coalesce(now.n, 0) - coalesce(w24h.n, 0) AS origin_n_24h,
        coalesce(now.delay, 0) - coalesce(w24h.delay, 0) AS origin_delay_24h,
        coalesce(now.late, 0) - coalesce(w24h.late, 0) AS origin_late_24h
    FROM (
        SELECT id, origin, t, t - INTERVAL 3 HOUR AS t3h, t - INTERVAL 24 HOUR AS t24h
        FROM probes) AS p
    ASOF LEFT JOIN origin_sums AS now ON p.origin = now.origin AND p.t >= now.landed_at
    ASOF LEFT JOIN origin_sums AS w3h ON p.origin = w3h.origin AND p.t3h >= w3h.landed_at
    ASOF LEFT JOIN origin_sums AS w24h ON p.origin = w24h.origin AND p.t24h >= w24h.landed_at
), carrier_sums AS MATERIALIZED (
    SELECT
        carrier, landed_at, sum(n) OVER so_far AS n, sum(delay) OVER so_far AS delay,
        sum(late) OVER so_far AS late
    FROM (
        SELECT carrier, landed_at, count(*) AS n, sum(delay) AS delay, sum(late) AS late
        FROM landings GROUP BY ALL)
    WINDOW so_far AS (PARTITION BY carrier ORDER BY landed_at)
), carrier_windows AS (
    SELECT
        id,
        coalesce(now.n, 0) - coalesce(w24h.n, 0) AS carrier_n_24h,
        coalesce(now.delay, 0) - coalesce(w24h.delay, 0) AS carrier_delay_24h,
        coalesce(now.late, 0) - coalesce(w24h.late, 0) AS carrier_late_24h,
        coalesce(now.n, 0) - coalesce(w7d.n, 0) AS carrier_n_7d,
        coalesce(now.delay, 0) - coalesce(w7d.delay, 0) AS carrier_delay_7d,
        coalesce(now.late, 0) - coalesce(w7d.late, 0) AS carrier_late_7d
    FROM (
        SELECT id, carrier, t, t - INTERVAL 24 HOUR AS t24h, t - INTERVAL 7 DAY AS t7d
        FROM probes) AS p
    ASOF LEFT JOIN carrier_sums AS now ON p.carrier = now.carrier AND p.t >= now.landed_at
    ASOF LEFT JOIN carrier_sums AS w24h ON p.carrier = w24h.carrier AND p.t24h >= w24h.landed_at
    ASOF LEFT JOIN carrier_sums AS w7d ON p.carrier = w7d.carrier AND p.t7d >= w7d.landed_at
), route_sums AS MATERIALIZED (
    SELECT
        route, landed_at, sum(n) OVER so_far AS n, sum(delay) OVER so_far AS delay,
        sum(late) OVER so_far AS late
    FROM (
        SELECT route, landed_at, count(*) AS n, sum(delay) AS delay, sum(late) AS late
        FROM landings GROUP BY ALL)
    WINDOW so_far AS (PARTITION BY route ORDER BY landed_at)
), route_windows AS (
    SELECT
        id,
        coalesce(now.n, 0) - coalesce(w24h.n, 0) AS route_n_24h,
        coalesce(now.delay, 0) - coalesce(w24h.delay, 0) AS route_delay_24h,
        coalesce(now.late, 0) - coalesce(w24h.late, 0) AS route_late_24h,
        coalesce(now.n, 0) - coalesce(w7d.n, 0) AS route_n_7d,
        coalesce(now.delay, 0) - coalesce(w7d.delay, 0) AS route_delay_7d,
        coalesce(now.late, 0) - coalesce(w7d.late, 0) AS route_late_7d
    FROM (
        SELECT id, route, t, t - INTERVAL 24 HOUR AS t24h, t - INTERVAL 7 DAY AS t7d
        FROM probes) AS p
    ASOF LEFT JOIN route_sums AS now ON p.route = now.route AND p.t >= now.landed_at
    ASOF LEFT JOIN route_sums AS w24h ON p.route = w24h.route AND p.t24h >= w24h.landed_at
    ASOF LEFT JOIN route_sums AS w7d ON p.route = w7d.route AND p.t7d >= w7d.landed_at
), number_sums AS MATERIALIZED (
    SELECT
        number, landed_at, sum(n) OVER so_far AS n, sum(delay) OVER so_far AS delay,
        sum(late) OVER so_far AS late
    FROM (
        SELECT number, landed_at, count(*) AS n, sum(delay) AS delay, sum(late) AS late
        FROM landings GROUP BY ALL)
    WINDOW so_far AS (PARTITION BY number ORDER BY landed_at)
), number_windows AS (
    SELECT
        id,
        coalesce(now.n, 0) - coalesce(w28d.n, 0) AS number_n_28d,
        coalesce(now.delay, 0) - coalesce(w28d.delay, 0) AS number_delay_28d,
        coalesce(now.late, 0) - coalesce(w28d.late, 0) AS number_late_28d
    FROM (
        SELECT id, number, t, t - INTERVAL 28 DAY AS t28d
        FROM probes) AS p
    ASOF LEFT JOIN number_sums AS now ON p.number = now.number AND p.t >= now.landed_at
    ASOF LEFT JOIN number_sums AS w28d ON p.number = w28d.number AND p.t28d >= w28d.landed_at
), last_leg AS (
    SELECT id, delay AS leg_delay, date_diff('minute', landed_at, t) AS leg_age
    FROM (SELECT id, tailnum, t FROM probes) AS p
    ASOF JOIN (SELECT tailnum, landed_at, max(delay) AS delay FROM landings GROUP BY ALL) AS leg
        ON p.tailnum = leg.tailnum AND p.t >= leg.landed_at
), last_report AS (
    SELECT
        id, weather.* EXCLUDE (origin, known_at), date_diff('minute', known_at, t) AS weather_age
    FROM (SELECT id, origin, t FROM probes) AS p
    ASOF JOIN typed.weather ON p.origin = weather.origin AND p.t >= weather.known_at
)
SELECT
    flight_id, predict_at, sched_dep, local_date,
    -- the schedule
    dep_minute::DOUBLE AS dep_minute,
    isodow(local_date)::DOUBLE AS day_of_week,
    carriers.code::DOUBLE AS carrier_code,
    list_position(['EWR', 'JFK', 'LGA'], origin)::DOUBLE AS origin_code,
    dest_lat, dest_lon,
    distance::DOUBLE AS distance,
    date_diff('minute', sched_dep, sched_arr)::DOUBLE AS block_minutes,
    departures_hour::DOUBLE AS departures_hour,
    departures_day::DOUBLE AS departures_day,
    -- the aircraft
    coalesce(2013 - planes.year, -1)::DOUBLE AS plane_age,
    coalesce(planes.seats, -1)::DOUBLE AS plane_seats,
    -- the last weather report known at t
    coalesce(temp, -100) AS temp, coalesce(dewp, -100) AS dewp, coalesce(humid, -1) AS humid,
    coalesce(wind_dir, -1) AS wind_dir, coalesce(wind_speed, -1) AS wind_speed,
    coalesce(wind_gust, 0) AS wind_gust, coalesce(precip, -1) AS precip,
    coalesce(pressure, -1) AS pressure, coalesce(visib, -1) AS visib,
    coalesce(weather_age, -1)::DOUBLE AS weather_age,
    -- landings in (t - W, t]
    origin_n_3h::DOUBLE AS origin_n_3h,
    origin_delay_3h / greatest(origin_n_3h, 1) AS origin_delay_3h,
    origin_late_3h / greatest(origin_n_3h, 1) AS origin_late_3h,
    origin_n_24h::DOUBLE AS origin_n_24h,
    origin_delay_24h / greatest(origin_n_24h, 1) AS origin_delay_24h,
    origin_late_24h / greatest(origin_n_24h, 1) AS origin_late_24h,
    carrier_n_24h::DOUBLE AS carrier_n_24h,
    carrier_delay_24h / greatest(carrier_n_24h, 1) AS carrier_delay_24h,
    carrier_late_24h / greatest(carrier_n_24h, 1) AS carrier_late_24h,
    carrier_n_7d::DOUBLE AS carrier_n_7d,
    carrier_delay_7d / greatest(carrier_n_7d, 1) AS carrier_delay_7d,
    carrier_late_7d / greatest(carrier_n_7d, 1) AS carrier_late_7d,
    route_n_24h::DOUBLE AS route_n_24h,
    route_delay_24h / greatest(route_n_24h, 1) AS route_delay_24h,
    route_late_24h / greatest(route_n_24h, 1) AS route_late_24h,
    route_n_7d::DOUBLE AS route_n_7d,
    route_delay_7d / greatest(route_n_7d, 1) AS route_delay_7d,
    route_late_7d / greatest(route_n_7d, 1) AS route_late_7d,
    number_n_28d::DOUBLE AS number_n_28d,
    number_delay_28d / greatest(number_n_28d, 1) AS number_delay_28d,
    number_late_28d / greatest(number_n_28d, 1) AS number_late_28d,
    -- the aircraft's last landing known at t
    coalesce(leg_delay, -100)::DOUBLE AS leg_delay,
    coalesce(leg_age, -1)::DOUBLE AS leg_age
FROM probes
JOIN typed.carriers ON probes.carrier = carriers.carrier
JOIN origin_windows USING (id)
JOIN carrier_windows USING (id)
JOIN route_windows USING (id)
JOIN number_windows USING (id)
LEFT JOIN raw.planes ON probes.tailnum = planes.tailnum
LEFT JOIN last_leg USING (id)
LEFT JOIN last_report USING (id)
ORDER BY predict_at, flight_id;
