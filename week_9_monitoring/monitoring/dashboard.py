"""The panels as a page that needs no server and no network, from the log; its menus save them as pictures.

    python -m monitoring.dashboard logs/*.jsonl      # writes reports/dashboard/index.html

The page loads itself anew every 10 s: while the service runs, make it again and again, and watch.
"""

import sys
from pathlib import Path

import altair as alt

from monitoring.panels import PANELS, sql
from monitoring.read_log import read_log

OUTPUT = Path("reports/dashboard/index.html")
STEPS = (1, 10, 60, 600, 3_600, 10_800, 43_200, 86_400, 604_800)  # seconds; others would cut hours unevenly


def main(files: list[str]) -> None:
    database, charts = read_log(files), []
    (span,) = database.execute('SELECT epoch(max("@timestamp") - min("@timestamp")) FROM events').fetchone()
    if span is None:
        sys.exit(f"no events in {files}: set COLA_LOG=logs/predictions.jsonl where the service runs")
    step = next((step for step in STEPS if span / step <= 60), 2_592_000)  # 60 bars at most
    for panel in PANELS.values():
        rows = database.execute(sql(panel, f"{step} seconds")).df()
        data = rows.replace("<", "&lt;", regex=True).to_dict("records")  # a name must not become a part of the page
        if data:
            chart = panel.chart.properties(data=alt.Data(values=data), title=panel.title, width=400, height=200)
            charts.append(chart)
    page = alt.concat(*charts, columns=2).resolve_scale(color="independent")
    html = page.to_html(inline=True)  # Vega-Lite is inside: it opens without a network
    html = html.replace("<head>", '<head>\n<meta http-equiv="refresh" content="10">', 1)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(html, encoding="utf-8")
    print(f"{OUTPUT}: {len(charts)} panels")


if __name__ == "__main__":
    main(sys.argv[1:])
