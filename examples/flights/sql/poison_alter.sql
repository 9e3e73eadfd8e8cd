-- Alters every value that becomes known after ${cut}. Altered landings stay after the cut, or they
-- would be news before it.
UPDATE raw.flights AS f
SET arr_delay = coalesce(f.arr_delay, 0) + 1 + k.noise,
    arr_time = (f.sched_arr_time + 7) % 2400, air_time = 20 + k.noise
FROM aside.known AS k
WHERE f.flight_id = k.flight_id AND coalesce(k.landed_at, k.sched_arr) > TIMESTAMP '${cut}';

UPDATE raw.flights AS f
SET dep_delay = coalesce(f.dep_delay, 0) + 1 + k.noise, dep_time = (f.sched_dep_time + 11) % 2400
FROM aside.known AS k
WHERE f.flight_id = k.flight_id AND coalesce(k.departed_at, k.sched_dep) > TIMESTAMP '${cut}';

UPDATE raw.flights AS f
SET tailnum = (SELECT tailnum FROM raw.planes ORDER BY hash(tailnum) LIMIT 1)
FROM aside.known AS k
WHERE f.flight_id = k.flight_id AND k.predict_at > TIMESTAMP '${cut}';

UPDATE raw.weather
SET temp = -temp, dewp = -dewp, humid = 100 - humid, wind_dir = 360 - wind_dir,
    wind_speed = wind_speed + 33, wind_gust = coalesce(wind_gust, 0) + 44, precip = precip + 1,
    pressure = coalesce(pressure, 900) + 55, visib = 10 - visib
WHERE time_hour + INTERVAL 1 HOUR > TIMESTAMP '${cut}';
