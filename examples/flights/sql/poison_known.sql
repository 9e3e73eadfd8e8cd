-- When each row's values became known, from the unaltered tables; the poison is applied by these.
CREATE OR REPLACE TABLE aside.known AS
SELECT
    s.flight_id, s.predict_at, s.sched_dep, s.sched_arr, o.landed_at,
    s.sched_dep + to_minutes(f.dep_delay) AS departed_at, hash(s.flight_id) % 400 AS noise
FROM typed.schedule AS s
JOIN typed.outcomes AS o USING (flight_id)
JOIN raw.flights AS f USING (flight_id);
