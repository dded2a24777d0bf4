"""Give a cluster the types of the events' fields, and its dashboards ours: the data view, the panels, the dashboard.

    python -m monitoring.import_dashboards                                                      # both on this computer
    python -m monitoring.import_dashboards --cluster URL --dashboards URL/_dashboards           # a domain of AWS

It waits until both are up, and may be run again: it replaces what it made. Run it before the first event arrives, as a
field keeps the type that it once has. `dashboards` is OpenSearch Dashboards or Kibana, which it was once a copy of.
"""

import argparse
import json
import sys
from pathlib import Path

import altair as alt
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from monitoring.forwarder import authentication
from monitoring.panels import PANELS, Panel, aggregation

INDEX = "cola-*"  # the indices of all days
SCHEMA = Path(__file__).with_name("event.schema.json")
TYPES = {"integer": "long", "number": "double", "boolean": "boolean", "string": "keyword"}
FORM = {"index-pattern": "7.6.0", "visualization": "7.10.0", "dashboard": "7.9.3"}  # the last that both servers know


def index_template() -> dict:
    """How the cluster keeps events: the fields of event.schema.json and no others, none by guess."""

    def mapping(field: dict) -> dict:
        if "properties" in field:
            return {"properties": {name: mapping(inner) for name, inner in field["properties"].items()}}
        if field.get("type") == "array":  # to a cluster, each field may hold many values
            return mapping(field["items"])
        example = field["const"] if "const" in field else field.get("enum", [""])[0]
        kind = field.get("type") or ("integer" if isinstance(example, int) else "string")
        return {"type": TYPES[kind]} | ({"ignore_above": 8191} if kind == "string" else {})  # longer: kept, not found

    fields = mapping(json.loads(SCHEMA.read_text(encoding="utf-8")))["properties"]
    fields["@timestamp"] = {"type": "date"}
    fields["cola"]["properties"]["sentence"] = {"type": "text"}  # to be found by its words
    template = {"settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"}}
    template["mappings"] = {"dynamic": False, "properties": fields}
    return {"index_patterns": [INDEX], "priority": 200, "template": template}


def for_kibana(panel: Panel) -> dict:
    """The panel in Vega-Lite, which asks the cluster itself for what the time picker and the filters choose."""
    outer, *inner = panel.by
    group = "datum.group" if inner else "datum"
    columns = {outer: "datum.key"} | dict.fromkeys(inner, "datum.group.key")
    for name, metric in panel.metrics.items():
        match metric:
            case ("count",):
                columns[name] = f"{group}.doc_count"
            case ("avg" | "max", _):
                columns[name] = f"{group}.{name}.value"
            case (percentile, _):
                columns[name] = f"{group}.{name}.values['{percentile[1:]}.0']"
    flatten = [{"flatten": [f"{name}.buckets"], "as": ["group"]} for name in inner]
    calculate = [{"calculate": value, "as": name} for name, value in columns.items()]
    body = aggregation(panel, {"interval": {"%autointerval%": True}})
    url = {"%context%": True, "%timefield%": "@timestamp", "index": INDEX, "body": body}
    spec = panel.chart.properties(data=alt.NamedData("rows")).to_dict()
    return spec | {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"url": url, "format": {"property": f"aggregations.kept.{outer}.buckets"}},
        "transform": flatten + calculate + spec.get("transform", []),
    }


def saved(kind: str, identity: str, references: list[dict] | tuple = (), **attributes) -> dict:
    """An object as the dashboards export and import it."""
    if kind != "index-pattern":
        source = json.dumps({"query": {"query": "", "language": "kuery"}, "filter": []})
        attributes["kibanaSavedObjectMeta"] = {"searchSourceJSON": source}
    version = {"migrationVersion": {kind: FORM[kind]}}
    return {"id": identity, "type": kind, "attributes": attributes, "references": list(references)} | version


def saved_objects() -> list[dict]:
    """What is imported: the data view, a visualization for each panel, and the dashboard of them all."""
    objects, places, references = [saved("index-pattern", "cola", title=INDEX, timeFieldName="@timestamp")], [], []
    for number, (name, panel) in enumerate(PANELS.items()):
        spec = json.dumps(for_kibana(panel), indent=2)
        state = json.dumps({"title": panel.title, "type": "vega", "aggs": [], "params": {"spec": spec}})
        objects.append(saved("visualization", f"cola-{name}", title=panel.title, visState=state, uiStateJSON="{}"))
        references.append({"name": f"panel_{number}", "type": "visualization", "id": f"cola-{name}"})
        grid = {"x": number % 2 * 24, "y": number // 2 * 14, "w": 24, "h": 14, "i": name}  # of 48 columns
        place = {"version": "7.9.3", "gridData": grid, "panelIndex": name, "embeddableConfig": {}}
        places.append(place | {"panelRefName": f"panel_{number}"})
    looks = {"title": "CoLA: predictions", "panelsJSON": json.dumps(places), "optionsJSON": "{}"}
    times = {"timeRestore": True, "timeFrom": "now-7d", "timeTo": "now"}
    return [*objects, saved("dashboard", "cola", references, **looks, **times)]


def patient(address: str, seconds: int) -> requests.Session:
    """What asks a server, and asks again, every 2 s, while that is starting."""
    made = requests.Session()
    made.auth = authentication(address)
    made.headers.update({"kbn-xsrf": "true", "osd-xsrf": "true"})  # without one of these, it may be a forged request
    again = {"backoff_factor": 1, "backoff_max": 2, "status_forcelist": [502, 503, 504], "allowed_methods": None}
    made.mount(address, HTTPAdapter(max_retries=Retry(total=seconds // 2, **again)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description="Import the types of the fields, and the dashboard.")
    parser.add_argument("--cluster", default="http://localhost:9200", metavar="URL", help="default: %(default)s")
    parser.add_argument("--dashboards", default="http://localhost:5601", metavar="URL", help="default: %(default)s")
    parser.add_argument("--wait", type=int, default=60, metavar="SECONDS", help="default: %(default)s")
    args = parser.parse_args()
    cluster, dashboards = patient(args.cluster, args.wait), patient(args.dashboards, args.wait)
    file = "".join(json.dumps(each) + "\n" for each in saved_objects())
    try:
        answer = cluster.put(f"{args.cluster}/_index_template/cola", json=index_template())
        if not answer.ok:
            sys.exit(f"{args.cluster} has not taken the types of the fields: {answer.status_code} {answer.text}")
        dashboards.get(f"{args.dashboards}/api/status").raise_for_status()
        answer = dashboards.post(
            f"{args.dashboards}/api/saved_objects/_import?overwrite=true", files={"file": ("dashboard.ndjson", file)}
        )
    except requests.RequestException as error:
        sys.exit(f"no answer within {args.wait} s: {error}")
    if not answer.ok or not answer.json()["success"]:
        sys.exit(f"{args.dashboards} has not imported all: {answer.status_code} {answer.text}")
    print(f"{answer.json()['successCount']} objects imported: {args.dashboards}/app/dashboards#/view/cola")


if __name__ == "__main__":
    main()
