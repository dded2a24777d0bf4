"""The log of predictions as a table of DuckDB, a database inside Python.

read_log(["logs/predictions.jsonl"]).sql("SELECT avg(cola.score) FROM events")
"""

import gzip
import json
import sys
import tempfile
import warnings
import zlib
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


def json_lines(path: str) -> Iterator[str]:
    """What may be JSON in a log, .gz too; `docker compose logs`, `aws logs tail` and exports put a word before it."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", errors="replace") as file:
        try:
            for line in file:
                start = line.find("{")
                if line.startswith('{"log":'):  # a file of Docker's json-file driver
                    yield json.loads(line)["log"]
                elif start >= 0:
                    yield line[start:].rstrip("\n") + "\n"
        except (EOFError, zlib.error) as error:
            print(f"note: {path} is read as far as it goes: {error}", file=sys.stderr)


def read_log(files: list[str]) -> duckdb.DuckDBPyConnection:
    """The table `events` of all whole events in these files, each there once whatever was written twice."""
    database, lines = duckdb.connect(), 0
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as plain:
        for path in files:
            for line in json_lines(path):
                plain.write(line)
                lines += 1
        plain.flush()
        database.execute("SET TimeZone = 'UTC'")
        database.execute(
            """CREATE TABLE events AS SELECT * FROM read_json($file, format = 'newline_delimited', columns = $columns,
                 ignore_errors = true)
               WHERE event.id IS NOT NULL AND "@timestamp" IS NOT NULL
               QUALIFY row_number() OVER (PARTITION BY event.id) = 1""",
            {"file": plain.name, "columns": COLUMNS},
        )
    if left_out := lines - database.execute("SELECT count(*) FROM events").fetchone()[0]:
        print(f"note: {left_out:,} of {lines:,} lines are no events, or there twice", file=sys.stderr)
    return database
