"""One specification a panel, in panels/*.json, and what is made of it for DuckDB and for Kibana.

    python panels.py            # writes kibana/dashboard.ndjson and kibana/index_template.json anew

A panel says which events it counts (`where`), what it sorts them by (`by`: time, the steps of a number, or the values
of a field), what it computes for each group (`metrics`), and how that is drawn (`view`, in Vega-Lite). The first
three become a query of SQL or an aggregation of Elasticsearch, which give the same columns; the view is used as it is.

The ndjson is in the form of Kibana 7.9, the last common ancestor: OpenSearch Dashboards takes nothing newer, and Kibana
brings older objects up to its own form when it imports them.
"""

import json
from pathlib import Path

PANELS = Path(__file__).with_name("panels")
KIBANA = Path("kibana")
INDEX = "cola"  # with a day at its end: cola-2026.11.24
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
CONFIG = {"font": "sans-serif", "view": {"stroke": None}, "axis": {"grid": True, "gridOpacity": 0.4}}
COLUMNS, HEIGHT = 2, 14  # panels side by side, and their height, of the dashboard's 48 columns and rows of 20 px
FORM = {"dashboard": "7.9.3", "visualization": "7.10.0", "index-pattern": "7.6.0"}  # OpenSearch Dashboards' newest


def load_panels() -> dict[str, dict]:
    """The specifications by their names, in the order of the dashboard."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(PANELS.glob("*.json"))}


def sql(panel: dict, interval: str) -> str:
    """The query of the table `events` (see logbook.py) that gives a panel its columns; times in ms since 1970."""
    columns = []
    for group in panel["by"]:
        if "time" in group:
            value = f"""epoch_ms(time_bucket(INTERVAL '{interval}', "{group['time']}"))"""
        elif "histogram" in group:
            step = group["interval"]
            value = f"round(floor(round({group['histogram']} / {step}, 6)) * {step}, 6)"
        else:
            value = group["terms"]
        columns.append(f"{value} AS {group['name']}")
    for name, metric in panel["metrics"].items():
        match metric:
            case {"count": _}:
                value = "count(*)"
            case {"percentile": percent, "of": field}:
                value = f"quantile_cont({field}, {percent / 100})"
            case _:
                ((function, field),) = metric.items()
                value = f"{function}({field})"
        columns.append(f"{value} AS {name}")
    where = " AND ".join(f"{field} = '{value}'" for field, value in panel["where"].items())
    return f"SELECT {', '.join(columns)} FROM events WHERE {where} GROUP BY ALL ORDER BY ALL"


def aggregation(panel: dict) -> tuple[dict, str, list[dict]]:
    """The same for Elasticsearch: aggregations, the place of the groups in the answer, and what makes columns of them.

    The last are transforms of Vega-Lite. "interval" of times is filled in by Kibana, which knows what is looked at.
    """
    metrics, transforms, at = {}, [], "datum" if len(panel["by"]) == 1 else "datum.inner"
    for name, metric in panel["metrics"].items():
        match metric:
            case {"count": _}:
                value = "doc_count"
            case {"percentile": percent, "of": field}:
                metrics[name] = {"percentiles": {"field": field, "percents": [percent]}}
                value = f"{name}.values['{percent:.1f}']"
            case _:
                ((function, field),) = metric.items()
                metrics[name] = {function: {"field": field}}
                value = f"{name}.value"
        transforms.append({"calculate": f"{at}.{value}", "as": name})
    inside = {"aggs": metrics} if metrics else {}
    for group in reversed(panel["by"]):
        if "time" in group:
            made = {"date_histogram": {"field": group["time"], "interval": {"%autointerval%": True}}}
        elif "histogram" in group:
            made = {"histogram": {"field": group["histogram"], "interval": group["interval"]}}
        else:
            made = {"terms": {"field": group["terms"], "size": 10}}
        if "terms" not in group:
            next(iter(made.values()))["min_doc_count"] = 1
        inside = {"aggs": {"inner" if group is not panel["by"][0] else "outer": made | inside}}
    if len(panel["by"]) == 2:
        transforms.insert(0, {"flatten": ["inner.buckets"], "as": ["inner"]})
    for group, place in zip(panel["by"], ("datum", "datum.inner"), strict=False):
        transforms.append({"calculate": f"{place}.key", "as": group["name"]})
    terms = [{"term": {field: value}} for field, value in panel["where"].items()]
    body = {"size": 0, "aggs": {"kept": {"filter": {"bool": {"filter": terms}}} | inside}}
    return body, "aggregations.kept.outer.buckets", transforms


def view(panel: dict, data: dict, transforms: list[dict] = [], **more) -> dict:  # noqa: B006 (is not changed)
    """A panel as Vega-Lite, with its data and what comes before its own transforms."""
    drawing = panel["view"]
    steps = transforms + drawing.get("transform", [])
    return {"$schema": SCHEMA, "data": data, "config": CONFIG} | drawing | {"transform": steps} | more


def for_kibana(panel: dict) -> dict:
    """A panel as Vega-Lite that Kibana fills with what its time picker and filters choose."""
    body, place, transforms = aggregation(panel)
    url = {"%context%": True, "%timefield%": "@timestamp", "index": f"{INDEX}-*", "body": body}
    return view(panel, {"url": url, "format": {"property": place}}, transforms)


def saved_objects() -> list[dict]:
    """What is imported: the data view, a visualisation for each panel, and the dashboard of them all."""

    def saved(kind: str, identity: str, attributes: dict, references: list[dict] | None = None) -> dict:
        return {"id": identity, "type": kind, "attributes": attributes, "references": references or [],
                "migrationVersion": {kind: FORM[kind]}}  # fmt: skip

    source = {"kibanaSavedObjectMeta": {"searchSourceJSON": '{"query":{"query":"","language":"kuery"},"filter":[]}'}}
    objects = [saved("index-pattern", "cola", {"title": f"{INDEX}-*", "timeFieldName": "@timestamp"})]
    places, references, width = [], [], 48 // COLUMNS
    for number, (name, panel) in enumerate(load_panels().items()):
        spec = json.dumps(for_kibana(panel), indent=2)
        state = {"title": panel["title"], "type": "vega", "params": {"spec": spec}, "aggs": []}
        looks = {"title": panel["title"], "visState": json.dumps(state), "uiStateJSON": "{}", "description": ""}
        objects.append(saved("visualization", f"cola-{name}", looks | {"version": 1} | source))
        grid = {"x": number % COLUMNS * width, "y": number // COLUMNS * HEIGHT, "w": width, "h": HEIGHT, "i": name}
        places.append({"version": "7.9.3", "gridData": grid, "panelIndex": name, "embeddableConfig": {},
                       "panelRefName": f"panel_{number}"})  # fmt: skip
        references.append({"name": f"panel_{number}", "type": "visualization", "id": f"cola-{name}"})
    dashboard = {"title": "CoLA: predictions", "panelsJSON": json.dumps(places), "timeRestore": True, "version": 1,
                 "timeFrom": "now-7d", "timeTo": "now", "description": "", "hits": 0,
                 "optionsJSON": '{"useMargins":true,"hidePanelTitles":false}'}  # fmt: skip
    return [*objects, saved("dashboard", "cola", dashboard | source, references)]


def index_template() -> dict:
    """How Elasticsearch and OpenSearch keep the events: the fields of event.schema.json, and no others."""

    def mapping(schema: dict) -> dict:
        if "properties" in schema:
            return {"properties": {name: mapping(field) for name, field in schema["properties"].items()}}
        if "const" in schema:
            schema = {"type": "integer" if isinstance(schema["const"], int) else "string"}
        elif "enum" in schema:
            schema = {"type": "integer" if isinstance(schema["enum"][0], int) else "string"}
        kinds = {"integer": "long", "number": "double", "boolean": "boolean", "array": "short", "string": "keyword"}
        return {"type": kinds[schema["type"]]}

    fields = mapping(json.loads(PANELS.with_name("event.schema.json").read_bytes()))["properties"]
    fields["@timestamp"] = {"type": "date"}
    fields["cola"]["properties"]["sentence"] = {"type": "text"}
    settings = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
    return {"index_patterns": [f"{INDEX}-*"], "priority": 200,
            "template": {"settings": settings, "mappings": {"dynamic": False} | {"properties": fields}}}  # fmt: skip


def main() -> None:
    KIBANA.mkdir(exist_ok=True)
    lines = "".join(json.dumps(each) + "\n" for each in saved_objects())
    (KIBANA / "dashboard.ndjson").write_text(lines, encoding="utf-8")
    (KIBANA / "index_template.json").write_text(json.dumps(index_template(), indent=2) + "\n", encoding="utf-8")
    print(f"{len(load_panels())} panels: {KIBANA}/dashboard.ndjson, {KIBANA}/index_template.json")


if __name__ == "__main__":
    main()
