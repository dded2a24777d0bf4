"""The ten panels: what each counts, and how it is drawn. One list makes the page and the cluster's dashboard.

A panel groups events and computes numbers for each group. `sql` asks DuckDB for them, `aggregation` Elasticsearch or
OpenSearch: the two say the same in two languages, and are best read side by side.
"""

from typing import NamedTuple

import altair as alt


class Panel(NamedTuple):
    title: str
    where: dict[str, str]  # which events: field and value
    by: dict[str, tuple]  # groups: name, and ("time",), ("steps", field, width) or ("name", field)
    metrics: dict[str, tuple[str, str]]  # numbers: name, and a function of a field
    chart: alt.Chart  # of the columns that `by` and `metrics` name


TOP = 10  # names that a panel tells apart
FUNCTIONS = {  # in SQL, and in the cluster's language
    "count": ("count({})", {"value_count": {}}),
    "avg": ("avg({})", {"avg": {}}),
    "max": ("max({})", {"max": {}}),
    "p50": ("quantile_cont({}, 0.5)", {"percentiles": {"percents": [50]}}),
    "p99": ("quantile_cont({}, 0.99)", {"percentiles": {"percents": [99]}}),
}
CLOCK = {"hours": "%H:%M", "minutes": "%H:%M", "seconds": "%H:%M:%S"}  # UTC, whatever the reader's clock shows
TIME = alt.X("time:T", scale=alt.Scale(type="utc"), title="UTC", axis=alt.Axis(tickCount=5, format=CLOCK))


def bars(y: str, **options) -> alt.Chart:
    return alt.Chart().mark_bar().encode(TIME, alt.Y(y, **options))


def line(y: str, **options) -> alt.Chart:
    return alt.Chart().mark_line(point=True).encode(TIME, alt.Y(y, **options))


def histogram(start: str, width: float, title: str) -> alt.Chart:
    x, y = alt.X("start:Q", bin="binned", title=title), alt.Y("sum(number):Q", title="predictions")
    chart = alt.Chart().mark_bar().encode(x, y, alt.X2("end:Q"))
    return chart.transform_calculate(start=start, end=f"datum.start + {width}")


VOLUME = bars("number:Q", title="predictions")
ACCEPTABLE = line("share:Q", scale=alt.Scale(domain=[0, 1]))
SCORES = histogram("min(datum.score, 0.95)", 0.05, "P(acceptable)")  # 1.0 is in the last bar
LATENCY = line("ms:Q").encode(color="percentile:N").transform_fold(["p50", "p99"], ["percentile", "ns"])
LATENCY = LATENCY.transform_filter("isValid(datum.ns)").transform_calculate(ms="datum.ns / 1e6")  # not all are timed
TOKENS = histogram("datum.tokens", 1, "tokens")
UNKNOWN = line("share:Q", axis=alt.Axis(format=".1%"))
ERRORS = bars("number:Q", title="requests", axis=alt.Axis(tickMinStep=1)).encode(color="reason:N")
MODELS = bars("number:Q", title="share", stack="normalize").encode(color="version:N")
MODELS = MODELS.transform_calculate(version="slice(datum.model, 0, 8)")
DISTANCE = alt.Chart().encode(TIME, alt.Y("distance:Q", title="distance; filled: drifted"), color="test:N")
DRIFT = DISTANCE.mark_line(point=alt.OverlayMarkDef(filled=False, fill="white"))
DRIFT += DISTANCE.mark_point(filled=True, size=70, opacity=1).transform_filter("datum.drifted > 0")
LOW = alt.Y("low:Q", title="MCC and its 95 % interval")
QUALITY = alt.Chart().mark_errorbar(ticks=True).encode(TIME, LOW, alt.Y2("high:Q")) + line("mcc:Q")

JUDGED = {"event.action": "judge", "event.outcome": "success"}
BY_TIME = {"time": ("time",)}
BY_REASON = {"reason": ("name", "error.type")} | BY_TIME
BY_TEST = {"test": ("name", "cola.drift.test")} | BY_TIME
COUNT = {"number": ("count", "event.id")}
LATENCIES = {"p50": ("p50", "event.duration"), "p99": ("p99", "event.duration")}
DISTANCES = {"distance": ("max", "cola.drift.distance"), "drifted": ("max", "cola.drift.drifted")}
MCC = {name: ("avg", f"cola.quality.{name}") for name in ("mcc", "low", "high")}
PANELS = {
    "volume": Panel("Predictions", JUDGED, BY_TIME, COUNT, VOLUME),
    "acceptable": Panel("Share acceptable", JUDGED, BY_TIME, {"share": ("avg", "cola.acceptable")}, ACCEPTABLE),
    "score": Panel("Scores", JUDGED, {"score": ("steps", "cola.score", 0.05)}, COUNT, SCORES),
    "latency": Panel("Latency of the requests", JUDGED, BY_TIME, LATENCIES, LATENCY),
    "tokens": Panel("Length of the sentences", JUDGED, {"tokens": ("steps", "cola.tokens", 1)}, COUNT, TOKENS),
    "unknown": Panel("Share of unknown tokens", JUDGED, BY_TIME, {"share": ("avg", "cola.unknown_share")}, UNKNOWN),
    "errors": Panel("Refused and failed", {"event.outcome": "failure"}, BY_REASON, COUNT, ERRORS),
    "models": Panel("Which model answered", JUDGED, {"model": ("name", "cola.model.sha256")} | BY_TIME, COUNT, MODELS),
    "drift": Panel("Drift: distance from the reference", {"event.action": "drift-test"}, BY_TEST, DISTANCES, DRIFT),
    "quality": Panel("MCC, where labels have come in", {"event.action": "quality"}, BY_TIME, MCC, QUALITY),
}


def sql(panel: Panel, interval: str) -> str:
    """The query of the table `events` (read_log.py) that gives the panel its rows; times in ms since 1970."""
    columns, where = [], " AND ".join(f"{field} = '{value}'" for field, value in panel.where.items())
    for name, group in panel.by.items():
        match group:
            case ("time",):
                columns.append(f"""epoch_ms(time_bucket(INTERVAL '{interval}', "@timestamp")) AS {name}""")
            case ("steps", field, width):  # of doubles, as in the cluster: 0.15 / 0.05 is a little less than 3
                columns.append(f"floor({field} / {width}::DOUBLE) * {width}::DOUBLE AS {name}")
                where += f" AND {field} IS NOT NULL"
            case ("name", field):  # the commonest only, as in the cluster
                columns.append(f"{field} AS {name}")
                names = f"SELECT {field} FROM events WHERE {where} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {TOP}"
                where += f" AND {field} IN ({names})"
    for name, (function, field) in panel.metrics.items():
        columns.append(f"{FUNCTIONS[function][0].format(field)} AS {name}")
    return f"SELECT {', '.join(columns)} FROM events WHERE {where} GROUP BY ALL ORDER BY ALL"


def aggregation(panel: Panel, interval: dict) -> dict:
    """The same for the cluster: the body of a search, whose groups and numbers are called as they are in the panel."""
    inside = {}
    for name, (function, field) in panel.metrics.items():
        inside[name] = {kind: {"field": field} | options for kind, options in FUNCTIONS[function][1].items()}
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
