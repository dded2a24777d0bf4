"""Give a cluster the types of the events' fields, and its dashboards ours: the data view, the panels, the dashboard.

    python -m monitoring.import_dashboards                                                      # both on this computer
    python -m monitoring.import_dashboards --cluster URL --dashboards URL/_dashboards           # a domain of AWS

Run it before the first event arrives, as a field keeps the type that it once has; it may be run again.
"""

import argparse
import json
import sys
from pathlib import Path

import altair as alt
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from monitoring.forwarder import HEADERS, authentication
from monitoring.panels import PANELS, Panel, aggregation

INDEX = "cola-*"  # the indices of all days
SCHEMA = json.loads(Path(__file__).with_name("event.schema.json").read_text(encoding="utf-8"))
TYPES = {"integer": "long", "number": "double", "boolean": "boolean", "string": "keyword", int: "long", str: "keyword"}
SEARCH = {"kibanaSavedObjectMeta": {"searchSourceJSON": '{"query": {"query": "", "language": "kuery"}, "filter": []}'}}
FORM = {"index-pattern": "7.6.0", "visualization": "7.10.0", "dashboard": "7.9.3"}  # the last that both servers know


def mapping(field: dict) -> dict:
    """The type in the cluster of a field of the schema, or the types of the fields inside it."""
    if "properties" in field:
        return {"properties": {name: mapping(inner) for name, inner in field["properties"].items()}}
    if "items" in field:  # to a cluster, each field may hold many values
        return mapping(field["items"])
    values = field.get("enum") or [field.get("const")]
    return {"type": TYPES[field.get("type") or type(values[0])]}


def index_template() -> dict:
    """How the cluster keeps events: the fields of event.schema.json and no others, none by guess."""
    fields = mapping(SCHEMA)["properties"]
    fields["@timestamp"] = {"type": "date"}
    fields["cola"]["properties"]["sentence"] = {"type": "text"}  # to be found by its words
    template = {"mappings": {"dynamic": False, "properties": fields}}
    return {"index_patterns": [INDEX], "priority": 200, "template": template}


def for_kibana(panel: Panel) -> dict:
    """The panel in Vega-Lite, which asks the cluster itself for what the time picker and the filters choose."""
    outer, *inner = panel.by
    group = "datum.group" if inner else "datum"
    columns = {outer: "datum.key"} | dict.fromkeys(inner, "datum.group.key")
    for name, (function, _) in panel.metrics.items():
        value = {"p50": "values['50.0']", "p99": "values['99.0']"}.get(function, "value")
        columns[name] = f"{group}.{name}.{value}"
    rows = [{"flatten": [f"{name}.buckets"], "as": ["group"]} for name in inner]
    rows += [{"calculate": value, "as": name} for name, value in columns.items()]
    body = aggregation(panel, {"interval": {"%autointerval%": True}})
    url = {"%context%": True, "%timefield%": "@timestamp", "index": INDEX, "body": body}
    spec = panel.chart.properties(data=alt.NamedData("rows")).to_dict()
    spec["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json"
    spec["data"] = {"url": url, "format": {"property": f"aggregations.kept.{outer}.buckets"}}
    return spec | {"transform": rows + spec.get("transform", [])}


def saved(kind: str, identity: str, references: list[dict], **attributes) -> dict:
    """An object as the dashboards export and import it."""
    made = {"id": identity, "type": kind, "attributes": attributes, "references": references}
    return made | {"migrationVersion": {kind: FORM[kind]}}


def saved_objects() -> list[dict]:
    """What is imported: the data view, a visualization for each panel, and the dashboard of them all."""
    objects, places, references = [saved("index-pattern", "cola", [], title=INDEX, timeFieldName="@timestamp")], [], []
    for number, (name, panel) in enumerate(PANELS.items()):
        state = {"title": panel.title, "type": "vega", "aggs": [], "params": {"spec": json.dumps(for_kibana(panel))}}
        looks = {"title": panel.title, "visState": json.dumps(state), "uiStateJSON": "{}"} | SEARCH
        objects.append(saved("visualization", f"cola-{name}", [], **looks))
        references.append({"name": f"panel_{number}", "type": "visualization", "id": f"cola-{name}"})
        grid = {"x": number % 2 * 24, "y": number // 2 * 14, "w": 24, "h": 14, "i": name}  # of 48 columns
        place = {"version": "7.9.3", "gridData": grid, "panelIndex": name, "embeddableConfig": {}}
        places.append(place | {"panelRefName": f"panel_{number}"})
    looks = {"title": "CoLA: predictions", "panelsJSON": json.dumps(places), "optionsJSON": "{}"} | SEARCH
    times = {"timeRestore": True, "timeFrom": "now-7d", "timeTo": "now"}
    return [*objects, saved("dashboard", "cola", references, **looks, **times)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Import the types of the fields, and the dashboard.")
    parser.add_argument("--cluster", default="http://localhost:9200", metavar="URL", help="default: %(default)s")
    parser.add_argument("--dashboards", default="http://localhost:5601", metavar="URL", help="default: %(default)s")
    parser.add_argument("--wait", type=int, default=60, metavar="SECONDS", help="default: %(default)s")
    args = parser.parse_args()
    session = requests.Session()
    session.auth = authentication(args.cluster)
    session.headers.update(HEADERS | {"kbn-xsrf": "true", "osd-xsrf": "true"})  # both demand one: no forged requests
    again = Retry(args.wait // 2, backoff_factor=1, backoff_max=2, status_forcelist=[503], allowed_methods=None)
    session.mount("http://", HTTPAdapter(max_retries=again))  # a server here may be starting: ask again, every 2 s
    session.put(f"{args.cluster}/_index_template/cola", json=index_template()).raise_for_status()
    file = "".join(json.dumps(each) + "\n" for each in saved_objects())
    imports = f"{args.dashboards}/api/saved_objects/_import?overwrite=true"
    answer = session.post(imports, files={"file": ("dashboard.ndjson", file)})
    if not answer.ok or not answer.json()["success"]:
        sys.exit(f"{args.dashboards} has not imported all: {answer.status_code} {answer.text}")
    print(f"{answer.json()['successCount']} objects imported: {args.dashboards}/app/dashboards#/view/cola")


if __name__ == "__main__":
    main()
