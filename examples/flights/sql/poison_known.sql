-- When each row's values became known, from the unaltered tables; the poison below is applied by these instants.
CREATE OR REPLACE TEMP TABLE known AS
SELECT
    s.flight_id, s.predict_at, s.sched_dep, s.sched_arr, o.landed_at,
    s.sched_dep + to_minutes(f.dep_delay) AS departed_at, hash(s.flight_id) % 400 AS noise
FROM typed.schedule AS s
JOIN typed.outcomes AS o USING (flight_id)
JOIN (
    SELECT *, format('{:04d}-{:02d}-{:02d}-{}-{}-{}', year, month, day, carrier, flight, origin) AS flight_id
    FROM raw.flights) AS f USING (flight_id);

ALTER TABLE raw.flights ADD COLUMN flight_id VARCHAR;
UPDATE raw.flights
SET flight_id = format('{:04d}-{:02d}-{:02d}-{}-{}-{}', year, month, day, carrier, flight, origin);
