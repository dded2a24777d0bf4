"""The log of predictions as a table of DuckDB: read_log(["log.jsonl"]).sql("SELECT avg(cola.score) FROM events")."""

import sys
import warnings

import duckdb

warnings.filterwarnings("ignore", "The inplace keyword")  # DuckDB's df() on pandas 3
COLUMNS = {  # of event.schema.json, those that panels and tests look at; a log may lack any of them
    "@timestamp": "TIMESTAMPTZ",
    "event": "STRUCT(id VARCHAR, action VARCHAR, outcome VARCHAR, duration BIGINT)",
    "error": 'STRUCT("type" VARCHAR)',
    "cola": """STRUCT(model STRUCT(sha256 VARCHAR), tokens INTEGER, unknown_tokens INTEGER, unknown_share DOUBLE,
        acceptable INTEGER, score DOUBLE, vocabulary USMALLINT[], sentence VARCHAR, sentence_hash VARCHAR,
        drift STRUCT(test VARCHAR, distance DOUBLE, p DOUBLE, drifted INTEGER),
        quality STRUCT(mcc DOUBLE, low DOUBLE, high DOUBLE))""",
}
QUERY = """CREATE TABLE events AS
    SELECT * FROM read_json($files, format = 'newline_delimited', columns = $columns, ignore_errors = true)
    QUALIFY event.id IS NULL OR row_number() OVER (PARTITION BY event.id) = 1"""


def read_log(files: list[str]) -> duckdb.DuckDBPyConnection:
    """The table `events` of all whole events in these files, .gz too, each there once whatever was written twice."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute(QUERY, {"files": files, "columns": COLUMNS})
    (left_out,) = database.execute('DELETE FROM events WHERE event.id IS NULL OR "@timestamp" IS NULL').fetchone()
    if left_out:
        print(f"note: {left_out:,} lines are no events", file=sys.stderr)
    return database
