"""The panels as a page that needs no server and no network, and as pictures, from the log.

    python -m monitoring.dashboard logs/*.jsonl      # writes reports/dashboard/index.html and *.png

The page loads itself anew every 10 s: while the service runs, make it again and again, and watch.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

import altair as alt
import duckdb

from monitoring.panels import PANELS, Panel, sql
from monitoring.read_log import read_log

OUTPUT = Path("reports/dashboard")
BARS = 60  # that an axis of time is cut into, at most
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
INTERVALS = [SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 3 * HOUR, 12 * HOUR, DAY, 7 * DAY]


def interval_of(database: duckdb.DuckDBPyConnection) -> str:
    """How long a bar of a panel is, for a log as long as this one."""
    span = database.execute('SELECT max("@timestamp") - min("@timestamp") FROM events').fetchone()[0] or timedelta(0)
    length = next((interval for interval in INTERVALS if span / interval <= BARS), 30 * DAY)
    return f"{length.total_seconds():.0f} seconds"


def summary(database: duckdb.DuckDBPyConnection) -> str:
    """A line on all of the log."""
    judged, share, failed, first, last = database.execute(
        """SELECT count(*) FILTER (event.action = 'judge' AND event.outcome = 'success'), avg(cola.acceptable),
             count(*) FILTER (event.outcome = 'failure'), strftime(min("@timestamp"), '%Y-%m-%d %H:%M'),
             strftime(max("@timestamp"), '%Y-%m-%d %H:%M') FROM events"""
    ).fetchone()
    acceptable = "" if share is None else f", {share:.1%} of them acceptable"
    return f"{judged:,} predictions{acceptable}; {failed:,} requests refused or failed; {first} to {last} UTC"


def draw(panel: Panel, database: duckdb.DuckDBPyConnection, interval: str) -> alt.Chart | None:
    """The panel with its rows, or nothing where the log has none for it."""
    found = database.execute(sql(panel, interval)).df()
    rows = found.replace("<", "&lt;", regex=True).to_dict("records")  # a name must not become a part of the page
    sized = panel.chart.properties(data=alt.Data(values=rows), title=panel.title, width=400, height=200)
    return sized if rows else None


def main(files: list[str]) -> None:
    database = read_log(files)
    interval = interval_of(database)
    charts = {name: chart for name, panel in PANELS.items() if (chart := draw(panel, database, interval))}
    if not charts:
        sys.exit(f"no events in {files}: set COLA_LOG=logs/predictions.jsonl where the service runs")
    title = alt.Title("CoLA: predictions", subtitle=summary(database), anchor="start")
    page = alt.concat(*charts.values(), columns=2, title=title).resolve_scale(color="independent")
    html = page.to_html(inline=True)  # Vega-Lite is inside: it opens without a network
    OUTPUT.mkdir(parents=True, exist_ok=True)
    part = OUTPUT / "index.html.part"
    part.write_text(html.replace("<head>", '<head>\n<meta http-equiv="refresh" content="10">', 1), encoding="utf-8")
    os.replace(part, OUTPUT / "index.html")  # a page is never half there
    for picture in OUTPUT.glob("*.png"):
        picture.unlink()
    for name, chart in charts.items():
        chart.save(OUTPUT / f"{name}.png")
    print(f"{OUTPUT}/index.html and {len(charts)} pictures")


if __name__ == "__main__":
    main(sys.argv[1:])
