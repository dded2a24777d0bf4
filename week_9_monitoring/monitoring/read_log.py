"""The log of predictions as a table of DuckDB: read_log(["log.jsonl"]).sql("SELECT avg(cola.score) FROM events")."""

import gzip
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator

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
    SELECT * FROM read_json($file, format = 'newline_delimited', columns = $columns, ignore_errors = true)
    QUALIFY event.id IS NULL OR row_number() OVER (PARTITION BY event.id) = 1"""


def json_lines(path: str) -> Iterator[str]:
    """What may be JSON in a log, .gz too; `docker compose logs`, `aws logs tail` and exports put a word before it."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith('{"log":'):  # a file of Docker's json-file driver
                yield json.loads(line)["log"]
            elif "{" in line:
                yield line[line.index("{") :].rstrip("\n") + "\n"


def read_log(files: list[str]) -> duckdb.DuckDBPyConnection:
    """The table `events` of all whole events in these files, each there once whatever was written twice."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as plain:
        for path in files:
            plain.writelines(json_lines(path))
        plain.flush()
        database.execute(QUERY, {"file": plain.name, "columns": COLUMNS})
    (left_out,) = database.execute('DELETE FROM events WHERE event.id IS NULL OR "@timestamp" IS NULL').fetchone()
    if left_out:
        print(f"note: {left_out:,} lines are no events", file=sys.stderr)
    return database
