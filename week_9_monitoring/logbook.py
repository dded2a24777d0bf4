"""Read logs of predictions into DuckDB, whatever has happened to the files, and say what has.

    database, oddities = read_log([Path("logs")])
    database.sql("SELECT avg(cola.score) FROM events")

Files may be plain or .gz, rotated (predictions.jsonl, predictions.jsonl.1, ...), torn at the end, twice the same, in
any order, and mixed with lines that are not ours, such as those that Lambda or a web server write.
"""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import duckdb

from errors import InputError
from events import VERSION

LOGS = Path("logs")
MEMORY = "512MB"  # of DuckDB; it writes to disk what does not fit
FIRST_DAY = "2020-01-01"  # a clock that says less is wrong
AHEAD = "5 minutes"  # that a clock may be ahead
FIELDS = {
    "@timestamp": "TIMESTAMP",
    "event": "STRUCT(id VARCHAR, action VARCHAR, outcome VARCHAR, duration BIGINT)",
    "error": 'STRUCT("type" VARCHAR)',
    "cola": """STRUCT("schema" INTEGER, model STRUCT(sha256 VARCHAR), tokens INTEGER, unknown_tokens INTEGER,
        unknown_share DOUBLE, acceptable INTEGER, score DOUBLE, vocabulary UTINYINT[], sentence VARCHAR,
        sentence_hash VARCHAR, drift STRUCT(test VARCHAR, distance DOUBLE, p DOUBLE, drifted INTEGER),
        quality STRUCT(mcc DOUBLE, low DOUBLE, high DOUBLE))""",
}


def log_files(places: Iterable[Path]) -> list[Path]:
    """The files of logs: folders stand for all *.jsonl* in them.

    Raises:
        InputError: a place is not there, or a folder has no logs.
    """
    files = []
    for place in places:
        found = sorted(place.glob("*.jsonl*")) if place.is_dir() else [place]
        if not found or not found[0].exists():
            raise InputError(f"no log in {place}: set COLA_LOG={LOGS}/predictions.jsonl where the service runs")
        files += found
    return files


def read_log(places: Iterable[Path]) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """The table `events` of everything in these files and folders, and what was odd about them.

    Its columns are the fields of event.schema.json that panels and tests need. Each event is there once; those with
    an impossible time are left out.

    Raises:
        InputError: there is no log, or no space to sort it.
    """
    files, oddities = log_files(places), []
    database = duckdb.connect()
    with tempfile.TemporaryDirectory() as folder:
        database.execute(f"SET memory_limit = '{MEMORY}'; SET TimeZone = 'UTC'; SET temp_directory = '{folder}'")
        database.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
        files = [whole(path, Path(folder, f"{number}.jsonl"), oddities) for number, path in enumerate(files)]
        try:
            lines, ours, kept = load(database, [str(path) for path in files])
        except duckdb.Error as error:
            raise InputError(f"the log cannot be read: {error}") from error
    late = database.execute(f"""DELETE FROM events WHERE "@timestamp" < TIMESTAMP '{FIRST_DAY}'
                                OR "@timestamp" > (now() AT TIME ZONE 'UTC') + INTERVAL '{AHEAD}'""").fetchone()[0]
    for number, what in (
        (lines - ours, "not events of this project, or torn: left out"),
        (ours - kept, "there twice: counted once"),
        (late, "of an impossible time: left out; set the clock of the machine that wrote them"),
    ):
        if number:
            oddities.append(f"{number:,} line{'s' * (number != 1)} {what}")
    return database, oddities


def whole(path: Path, copy: Path, oddities: list[str]) -> Path:
    """The file itself, or a copy of what can still be read of it, where a .gz file is torn."""
    if path.suffix != ".gz":
        return path
    try:
        with gzip.open(path) as packed, copy.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    except (EOFError, OSError, zlib.error) as error:
        oddities.append(f"{path} is torn or not gzip ({error}): read as far as it goes")
    return copy


def load(database: duckdb.DuckDBPyConnection, files: list[str]) -> tuple[int, int, int]:
    """Make the table `events`, and return the numbers of lines, of events, and of different events."""
    database.execute(
        """CREATE TABLE events AS SELECT * FROM read_json($files, format = 'newline_delimited', columns = $fields,
           ignore_errors = true, compression = 'none', maximum_object_size = 1000000)""",
        {"files": files, "fields": FIELDS},
    )
    lines = database.execute("SELECT count(*) FROM events").fetchone()[0]
    foreign = database.execute(f"""DELETE FROM events WHERE event.id IS NULL OR "@timestamp" IS NULL
                                   OR cola.schema IS DISTINCT FROM {VERSION}""").fetchone()[0]
    twice = database.execute("""DELETE FROM events WHERE rowid IN (SELECT rowid FROM (
        SELECT rowid, row_number() OVER (PARTITION BY event.id) AS n FROM events) WHERE n > 1)""").fetchone()[0]
    return lines, lines - foreign, lines - foreign - twice
