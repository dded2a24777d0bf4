"""The panels as a page that needs no server and no network, and as pictures, from the log.

    python dashboard.py                       # logs/ -> reports/dashboard/index.html and *.png
    python dashboard.py logs --watch          # and again every 10 seconds; the page reloads itself

The panels are those of panels/*.json, which Kibana shows too; here DuckDB computes their numbers, and Vega-Lite, which
is inside the page, draws them.
"""

import argparse
import html
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import vl_convert

from errors import InputError, friendly_errors
from logbook import LOGS, read_log
from panels import load_panels, sql, view

OUTPUT = Path("reports/dashboard")
VEGA_LITE = "5.21"
BARS = 50  # that a time axis is cut into, at most
INTERVALS = ("1 second", "5 seconds", "10 seconds", "30 seconds", "1 minute", "5 minutes", "10 minutes", "30 minutes",
             "1 hour", "3 hours", "12 hours", "1 day", "7 days", "30 days", "365 days")  # fmt: skip
SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">{refresh}
<title>CoLA: predictions</title>
<style>
  body {{ font: 15px/1.4 sans-serif; margin: 1rem; color: #222; background: #f6f6f6 }}
  h1 {{ font-size: 1.3rem; margin: 0 }}
  h2 {{ font-size: 1rem; margin: 0 0 .5rem }}
  main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1rem }}
  section {{ background: white; border-radius: 6px; padding: .8rem; min-width: 0; box-shadow: 0 1px 3px #0002 }}
  .view {{ width: 100% }}
  .note {{ color: #8a4b00 }}
</style>
<h1>CoLA: predictions</h1>
<p>{summary}</p>
{notes}
<main>
{sections}
</main>
<script>{library}</script>
<script>
const panels = {panels};
const options = {{ actions: false, renderer: "svg" }};
Promise.all(Object.entries(panels).map(([name, spec]) => vegaEmbed(document.getElementById(name), spec, options)))
  .then(() => document.body.dataset.drawn = "yes");
</script>
"""


def fill(database, panels: dict[str, dict]) -> dict[str, list[dict]]:
    """The rows of each panel."""
    span = database.execute('SELECT max("@timestamp") - min("@timestamp") FROM events').fetchone()[0] or timedelta()
    interval = next((each for each in INTERVALS if span / BARS <= length(each)), INTERVALS[-1])
    rows = {}
    for name, panel in panels.items():
        cursor = database.execute(sql(panel, interval))
        columns = [column[0] for column in cursor.description]
        rows[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return rows


def length(interval: str) -> timedelta:
    number, unit = interval.split()
    return timedelta(seconds=int(number) * SECONDS[unit.rstrip("s")])


def summary(database) -> str:
    """A line on all of the log."""
    number, first, last, share, failed = database.execute(
        """SELECT count(*) FILTER (event.action = 'judge' AND event.outcome = 'success'), min("@timestamp"),
           max("@timestamp"), avg(cola.acceptable), count(*) FILTER (event.outcome = 'failure') FROM events"""
    ).fetchone()
    if not first:
        return "no events in the log"
    share = "" if share is None else f", {share:.1%} of them acceptable"
    span = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    return f"{number:,} predictions{share}, {failed:,} refused or failed; {span}"


def make_page(panels: dict[str, dict], rows: dict[str, list[dict]], line: str, notes: list[str], every: int) -> str:
    """One HTML file; it reloads itself `every` so many seconds, unless that is 0."""
    specs = {
        name: view(panel, {"values": rows[name]}, width="container", height=200) for name, panel in panels.items()
    }
    return PAGE.format(
        refresh=f'\n<meta http-equiv="refresh" content="{every}">' if every else "",
        summary=f"{html.escape(line)}; made {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        notes="".join(f'<p class="note">{html.escape(note)}</p>' for note in notes),
        sections="\n".join(
            f'<section><h2>{html.escape(panel["title"])}</h2>'
            + (f'<div class="view" id="{name}"></div>' if rows[name] else f'<div id="{name}">nothing in this log</div>')
            + "</section>"
            for name, panel in panels.items()
        ),
        library=vl_convert.javascript_bundle(vl_version=VEGA_LITE).replace("</script", "<\\/script"),
        panels=json.dumps({name: spec for name, spec in specs.items() if rows[name]}).replace("<", "\\u003c"),
    )


def make(places: list[Path], output: Path, every: int = 0) -> list[Path]:
    """Write the page and a picture for each panel that has something to show; return what was written.

    Raises:
        InputError: there is no log, or the output cannot be written.
    """
    database, notes = read_log(places)
    panels = load_panels()
    rows = fill(database, panels)
    made = {"index.html": make_page(panels, rows, summary(database), notes, every).encode()}
    for name, panel in panels.items():
        if rows[name] and not every:
            spec = view(panel, {"values": rows[name]}, width=420, height=200, title=panel["title"], background="white")
            made[f"{name}.png"] = vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name in panels:
            (output / f"{name}.png").unlink(missing_ok=True)
        for name, content in made.items():
            part = output / f"{name}.part"
            part.write_bytes(content)
            os.replace(part, output / name)  # a reader never sees half a page
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror}): choose another --output") from None
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return [output / name for name in made]


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the panels from the log.")
    parser.add_argument("log", nargs="*", type=Path, default=[LOGS], help="files or folders; default: logs")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--watch", nargs="?", type=int, const=10, default=0, metavar="SECONDS",
                        help="make it anew, and again each time so many have passed; default: %(const)s")  # fmt: skip
    arguments = parser.parse_args()
    if arguments.watch < 0:
        raise InputError(f"--watch {arguments.watch}: give a number of seconds")
    while True:
        page, *pictures = make(arguments.log, arguments.output, arguments.watch)
        print(f"{page}" + (f" and {len(pictures)} pictures" if pictures else ""), flush=True)
        if not arguments.watch:
            return
        time.sleep(arguments.watch)


if __name__ == "__main__":
    main()
