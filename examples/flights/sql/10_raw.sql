-- The CSV files of the lake as tables, one column for one column and a key for the flights.
-- Nothing else is computed here, so this is the layer that the poison test alters. Types are
-- declared rather than sniffed: a file that changes shape must fail, not drift.
CREATE SCHEMA IF NOT EXISTS raw;

CREATE OR REPLACE TABLE raw.flights AS
SELECT
    *,
    format('{:04d}-{:02d}-{:02d}-{}-{}-{}', year, month, day, carrier, flight, origin) AS flight_id
FROM read_csv('${lake}/flights.csv', header = true, nullstr = 'NA', columns = {
    'year': 'SMALLINT', 'month': 'TINYINT', 'day': 'TINYINT',
    'dep_time': 'SMALLINT', 'sched_dep_time': 'SMALLINT', 'dep_delay': 'SMALLINT',
    'arr_time': 'SMALLINT', 'sched_arr_time': 'SMALLINT', 'arr_delay': 'SMALLINT',
    'carrier': 'VARCHAR', 'flight': 'SMALLINT', 'tailnum': 'VARCHAR',
    'origin': 'VARCHAR', 'dest': 'VARCHAR', 'air_time': 'SMALLINT', 'distance': 'SMALLINT',
    'hour': 'TINYINT', 'minute': 'TINYINT', 'time_hour': 'TIMESTAMP'});

CREATE OR REPLACE TABLE raw.weather AS
SELECT * FROM read_csv('${lake}/weather.csv', header = true, nullstr = 'NA', columns = {
    'origin': 'VARCHAR', 'year': 'SMALLINT', 'month': 'TINYINT', 'day': 'TINYINT',
    'hour': 'TINYINT', 'temp': 'DOUBLE', 'dewp': 'DOUBLE', 'humid': 'DOUBLE',
    'wind_dir': 'DOUBLE', 'wind_speed': 'DOUBLE', 'wind_gust': 'DOUBLE',
    'precip': 'DOUBLE', 'pressure': 'DOUBLE', 'visib': 'DOUBLE',
    'time_hour': 'TIMESTAMP'});

CREATE OR REPLACE TABLE raw.planes AS
SELECT * FROM read_csv('${lake}/planes.csv', header = true, nullstr = 'NA', columns = {
    'tailnum': 'VARCHAR', 'year': 'SMALLINT', 'type': 'VARCHAR', 'manufacturer': 'VARCHAR',
    'model': 'VARCHAR', 'engines': 'SMALLINT', 'seats': 'SMALLINT', 'speed': 'SMALLINT',
    'engine': 'VARCHAR'});

CREATE OR REPLACE TABLE raw.airports AS
SELECT * FROM read_csv('${lake}/airports.csv', header = true, nullstr = ['NA', '\N'], columns = {
    'faa': 'VARCHAR', 'name': 'VARCHAR', 'lat': 'DOUBLE', 'lon': 'DOUBLE', 'alt': 'INTEGER',
    'tz': 'DOUBLE', 'dst': 'VARCHAR', 'tzone': 'VARCHAR'});

CREATE OR REPLACE TABLE raw.airlines AS
SELECT * FROM read_csv('${lake}/airlines.csv', header = true, nullstr = 'NA', columns = {
    'carrier': 'VARCHAR', 'name': 'VARCHAR'});
