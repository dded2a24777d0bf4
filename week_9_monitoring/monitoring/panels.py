"""The ten panels: what each counts, and how it is drawn. One list makes the page and the cluster's dashboard.

A panel groups events, by time, by steps of a number or by a name, and computes numbers for each group. `sql` asks a
log on this computer for them, through DuckDB; `aggregation` asks Elasticsearch or OpenSearch. The two say the same in
two languages, and are best read side by side. dashboard.py and import_dashboards.py use them.
"""

from typing import NamedTuple

import altair as alt

JUDGED = {"event.action": "judge", "event.outcome": "success"}
TOP = 10  # names that a panel tells apart
# The axis of time: the day where a day begins, else the hour. Times are UTC, whatever the reader's clock shows.
CLOCK = "utcFormat(datum.value, utcseconds(datum.value) ? '%H:%M:%S' : '%H:%M')"
LABEL = f"utchours(datum.value) || utcminutes(datum.value) || utcseconds(datum.value) ? {CLOCK} : "
LABEL += "utcFormat(datum.value, '%b %d')"
TIME = alt.X("time:T", scale=alt.Scale(type="utc"), title="UTC", axis=alt.Axis(labelExpr=LABEL, tickCount=5))


class Panel(NamedTuple):
    title: str
    where: dict[str, str]  # which events: field and value
    by: dict[str, tuple]  # groups: name, and ("time",), ("steps", field, width) or ("name", field)
    metrics: dict[str, tuple]  # numbers: name, and ("count",), ("avg", field), ("max", field) or ("p99", field)
    chart: alt.Chart  # of the columns that `by` and `metrics` name


def bars(y: str = "predictions:Q", **options) -> alt.Chart:
    return alt.Chart().mark_bar().encode(TIME, alt.Y(y, **options))


def line(y: str, **options) -> alt.Chart:
    return alt.Chart().mark_line(point=True).encode(TIME, alt.Y(y, **options))


def colour(column: str) -> alt.Color:
    return alt.Color(column, title=None)


SCORE = alt.X("low:Q", bin="binned", title="P(acceptable)")
TOKENS = alt.X("tokens:Q", bin="binned", title="tokens")
PREDICTIONS = alt.Y("sum(predictions):Q", title="predictions")
DISTANCE = alt.Chart().encode(TIME, alt.Y("distance:Q", title="distance; filled: drifted"), colour("test:N"))
LOW = alt.Y("low:Q", title="MCC and its 95 % interval")
INTERVAL = alt.Chart().mark_errorbar(ticks=True).encode(TIME, LOW, alt.Y2("high:Q"))

HOURLY = {"time": ("time",)}
PANELS = {
    "volume": Panel("Predictions", JUDGED, HOURLY, {"predictions": ("count",)}, bars()),
    "acceptable": Panel(
        "Share acceptable",
        JUDGED,
        HOURLY,
        {"share": ("avg", "cola.acceptable")},
        line("share:Q", scale=alt.Scale(domain=[0, 1])),
    ),
    "score": Panel(
        "Scores",
        JUDGED,
        {"score": ("steps", "cola.score", 0.05)},
        {"predictions": ("count",)},
        alt.Chart()
        .mark_bar()
        .encode(SCORE, PREDICTIONS, alt.X2("high:Q"))
        .transform_calculate(low="min(datum.score, 0.95)", high="datum.low + 0.05"),  # 1.0 is in the last bar
    ),
    "latency": Panel(
        "Latency of the requests",
        JUDGED,
        HOURLY,
        {"p50": ("p50", "event.duration"), "p99": ("p99", "event.duration")},
        line("ms:Q")
        .encode(colour("percentile:N"))
        .transform_fold(["p50", "p99"], ["percentile", "ns"])
        .transform_filter("isValid(datum.ns)")  # an hour may have no request that was timed
        .transform_calculate(ms="datum.ns / 1e6"),
    ),
    "tokens": Panel(
        "Length of the sentences",
        JUDGED,
        {"tokens": ("steps", "cola.tokens", 1)},
        {"predictions": ("count",)},
        alt.Chart()
        .mark_bar()
        .encode(TOKENS, PREDICTIONS, alt.X2("high:Q"))
        .transform_calculate(high="datum.tokens + 1"),
    ),
    "unknown": Panel(
        "Tokens that the model does not know",
        JUDGED,
        HOURLY,
        {"share": ("avg", "cola.unknown_share")},
        line("share:Q", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=alt.DomainUnionWith(unionWith=[0, 0.05]))),
    ),
    "errors": Panel(
        "Refused and failed",
        {"event.outcome": "failure"},
        {"reason": ("name", "error.type"), "time": ("time",)},
        {"requests": ("count",)},
        bars("requests:Q", axis=alt.Axis(tickMinStep=1)).encode(colour("reason:N")),
    ),
    "models": Panel(
        "Which model answered",
        JUDGED,
        {"model": ("name", "cola.model.sha256"), "time": ("time",)},
        {"predictions": ("count",)},
        bars(stack="normalize", title="share")
        .encode(colour("version:N"))
        .transform_calculate(version="slice(datum.model, 0, 8)"),
    ),
    "drift": Panel(
        "Drift: distance from the reference",
        {"event.action": "drift-test"},
        {"test": ("name", "cola.drift.test"), "time": ("time",)},
        {"distance": ("max", "cola.drift.distance"), "drifted": ("max", "cola.drift.drifted")},
        DISTANCE.mark_line(point=alt.OverlayMarkDef(filled=False, fill="white"))
        + DISTANCE.mark_point(filled=True, size=70, opacity=1).transform_filter("datum.drifted > 0"),
    ),
    "quality": Panel(
        "MCC, where labels have come in",
        {"event.action": "quality"},
        HOURLY,
        {name: ("avg", f"cola.quality.{name}") for name in ("mcc", "low", "high")},
        INTERVAL + line("mcc:Q"),
    ),
}


def sql(panel: Panel, interval: str) -> str:
    """The query of the table `events` (read_log.py) that gives the panel its rows; times in ms since 1970."""
    columns = []
    for name, group in panel.by.items():
        match group:
            case ("time",):
                columns.append(f"""epoch_ms(time_bucket(INTERVAL '{interval}', "@timestamp")) AS {name}""")
            case ("steps", field, width):  # of doubles, as in the cluster: 0.15 / 0.05 is a little less than 3
                columns.append(f"floor({field} / {width}::DOUBLE) * {width}::DOUBLE AS {name}")
            case ("name", field):
                columns.append(f"{field} AS {name}")
    for name, metric in panel.metrics.items():
        match metric:
            case ("count",):
                columns.append(f"count(*) AS {name}")
            case ("avg" | "max" as function, field):
                columns.append(f"{function}({field}) AS {name}")
            case (percentile, field):
                columns.append(f"quantile_cont({field}, {int(percentile[1:]) / 100}) AS {name}")
    where = " AND ".join(f"{field} = '{value}'" for field, value in panel.where.items())
    for kind, *rest in panel.by.values():
        if kind == "name":  # the commonest names only, as in the cluster
            field = rest[0]
            names = f"SELECT {field} FROM events WHERE {where} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {TOP}"
            where += f" AND {field} IN ({names})"
        elif kind == "steps":
            where += f" AND {rest[0]} IS NOT NULL"
    return f"SELECT {', '.join(columns)} FROM events WHERE {where} GROUP BY ALL ORDER BY ALL"


def aggregation(panel: Panel, interval: dict) -> dict:
    """The same for the cluster: the body of a search, whose groups and numbers are called as they are in the panel."""
    metrics = {}
    for name, metric in panel.metrics.items():
        match metric:
            case ("count",):
                pass  # every group has its doc_count
            case ("avg" | "max" as function, field):
                metrics[name] = {function: {"field": field}}
            case (percentile, field):
                metrics[name] = {"percentiles": {"field": field, "percents": [int(percentile[1:])]}}
    inside = metrics
    for name, group in reversed(panel.by.items()):
        match group:
            case ("time",):
                made = {"date_histogram": {"field": "@timestamp", "min_doc_count": 1} | interval}
            case ("steps", field, width):
                made = {"histogram": {"field": field, "interval": width, "min_doc_count": 1}}
            case ("name", field):
                made = {"terms": {"field": field, "size": TOP}}
        inside = {name: made | {"aggs": inside}}
    terms = [{"term": {field: value}} for field, value in panel.where.items()]
    return {"size": 0, "aggs": {"kept": {"filter": {"bool": {"filter": terms}}, "aggs": inside}}}
