-- Deletes what becomes known after ${cut}: the tables as they stood then. The schedule of a day is
-- published before it, so rows of flights that leave more than 26 hours later (no day or hour that
-- a feature counts reaches so far) go altogether.
DELETE FROM raw.flights AS f USING aside.known AS k
WHERE f.flight_id = k.flight_id AND k.sched_dep > TIMESTAMP '${cut}' + INTERVAL 26 HOUR;

UPDATE raw.flights AS f SET arr_delay = NULL, arr_time = NULL, air_time = NULL
FROM aside.known AS k
WHERE f.flight_id = k.flight_id AND coalesce(k.landed_at, k.sched_arr) > TIMESTAMP '${cut}';

UPDATE raw.flights AS f SET dep_delay = NULL, dep_time = NULL
FROM aside.known AS k
WHERE f.flight_id = k.flight_id AND coalesce(k.departed_at, k.sched_dep) > TIMESTAMP '${cut}';

UPDATE raw.flights AS f SET tailnum = NULL
FROM aside.known AS k
WHERE f.flight_id = k.flight_id AND k.predict_at > TIMESTAMP '${cut}';

DELETE FROM raw.weather WHERE time_hour + INTERVAL 1 HOUR > TIMESTAMP '${cut}';
