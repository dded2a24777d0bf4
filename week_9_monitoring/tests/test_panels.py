"""The panels: from DuckDB and from what Elasticsearch answers come the same pictures; the files for Kibana."""

import json
import re
from collections import defaultdict
from itertools import groupby
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import vl_convert

import panels
from conftest import WEEK
from dashboard import VEGA_LITE, fill
from events import event
from logbook import read_log
from panels import aggregation, for_kibana, load_panels, saved_objects, view

PANELS = load_panels()
MODELS = [{"sha256": letter * 64} for letter in "ab"]


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    """A log of three days with everything in it that a panel looks at."""
    rng, path, lines = np.random.default_rng(0), tmp_path_factory.mktemp("log") / "log.jsonl", []

    def add(minute: int, *arguments, **fields):
        day, rest = divmod(minute, 24 * 60)
        moment = f"2026-11-{10 + day}T{rest // 60:02d}:{rest % 60:02d}:00.000Z"
        lines.append(json.dumps(event(*arguments, **fields) | {"@timestamp": moment}))

    for minute in range(0, 3 * 24 * 60, 7):
        score = round(float(rng.choice([0, 0.05, 0.3, 0.5, 1, rng.random()])), 4)
        add(minute, "judge", "success", MODELS[minute > 2_000], event={"duration": int(rng.integers(10**5, 10**7))},
            cola={"score": score, "acceptable": int(score >= 0.5), "tokens": int(rng.integers(4, 20)),
                  "unknown_share": round(float(rng.random() / 9), 4)})  # fmt: skip
        if minute % 5 == 0:
            reason = {"type": ["blank", "json_invalid"][minute % 2]}
            add(minute, "refuse", "failure", MODELS[0], error=reason)
        if minute % 700 == 0:
            for test in ("length", "score"):
                drift = {"test": test, "distance": float(rng.random()), "p": 0.5, "drifted": int(rng.integers(2))}
                add(minute, "drift-test", "success", MODELS[0], cola={"drift": drift})
            quality = {"mcc": float(rng.random()), "low": 0.1, "high": 0.9, "labels": 9}
            add(minute, "quality", "success", MODELS[0], cola={"quality": quality})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def rows(log) -> dict[str, list[dict]]:
    return fill(read_log([log])[0], PANELS)


def answer(panel: dict, rows: list[dict]) -> dict:
    """What Elasticsearch answers to the panel's aggregation, if these are the numbers: buckets in buckets."""
    body, _, _ = aggregation(panel)
    levels, node = [], body["aggs"]["kept"]
    while name := next((name for name in node.get("aggs", {}) if name in ("outer", "inner")), None):
        node = node["aggs"][name]
        levels.append(name)
    metrics = node.get("aggs", {})
    names = [group["name"] for group in panel["by"]]

    def leaf(row: dict) -> dict:
        made = {"key": row[names[-1]]}
        for name, metric in panel["metrics"].items():
            if "count" in metric:
                made["doc_count"] = row[name]
            elif "percentiles" in metrics[name]:
                (percent,) = metrics[name]["percentiles"]["percents"]
                made[name] = {"values": {f"{percent:.1f}": row[name]}}
            else:
                made[name] = {"value": row[name]}
        return made

    if len(names) == 1:
        buckets = [leaf(row) for row in rows]
    else:
        groups = groupby(sorted(rows, key=lambda row: row[names[0]]), key=lambda row: row[names[0]])
        buckets = [{"key": key, "inner": {"buckets": [leaf(row) for row in group]}} for key, group in groups]
    assert levels == ["outer", "inner"][: len(names)]
    return {"took": 1, "aggregations": {"kept": {"outer": {"buckets": buckets}}}}


@pytest.mark.parametrize("name", PANELS)
def test_the_picture_is_the_same_from_both(rows, name):
    panel = PANELS[name]
    assert rows[name]
    kibana = for_kibana(panel)
    data = {"values": answer(panel, rows[name]), "format": kibana["data"]["format"]}  # as Kibana puts it there
    pictures = [vl_convert.vegalite_to_svg(spec | {"width": 400, "height": 200}, vl_version=VEGA_LITE)
                for spec in (view(panel, {"values": rows[name]}), kibana | {"data": data})]  # fmt: skip
    assert pictures[0] == pictures[1]
    assert pictures[0].count("<path") > 5
    assert "NaN" not in pictures[0]


def test_the_numbers_are_those_of_the_log(log, rows):
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    judged = [each["cola"] for each in found if each["event"]["action"] == "judge"]
    assert sum(row["predictions"] for row in rows["01_volume"]) == len(judged)
    weights = [row["predictions"] for row in rows["01_volume"]]
    share = np.average([row["share"] for row in rows["02_acceptable"]], weights=weights)
    assert share == pytest.approx(np.mean([each["acceptable"] for each in judged]))
    steps = defaultdict(int)
    for each in judged:
        steps[round(np.floor(round(each["score"] / 0.05, 6)) * 0.05, 6)] += 1
    assert {row["score"]: row["predictions"] for row in rows["03_score"]} == steps
    refused = [each["error"]["type"] for each in found if each["event"]["action"] == "refuse"]
    assert {reason: sum(row["requests"] for row in rows["07_errors"] if row["reason"] == reason)
            for reason in set(refused)} == {reason: refused.count(reason) for reason in set(refused)}  # fmt: skip
    assert {row["model"] for row in rows["08_models"]} == {model["sha256"] for model in MODELS}


@pytest.mark.parametrize("seconds", [1, 2, 20, 90, 600, 2_700, 7_200, 90_000, 500_000])
@pytest.mark.parametrize("name", [name for name, panel in PANELS.items() if panel["by"][-1].get("time")])
def test_no_two_labels_of_a_time_axis_are_the_same(rows, name, seconds):
    first = rows[name][0] | {"time": 1_790_000_003_000}
    values = [first, first | {"time": first["time"] + 1_000 * seconds}]
    spec = view(PANELS[name], {"values": values}, width=420, height=200)
    svg = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    (axis,) = re.findall(r"aria-label=\"X-axis[^>]*>(.*?)aria-label=\"Y-axis", svg, re.DOTALL)
    labels = [text for text in re.findall(r"<text[^>]*>([^<]+)</text>", axis) if text != "UTC"]
    assert labels
    assert len(labels) == len(set(labels)), labels


def test_no_unknown_token_lies_on_the_bottom_of_its_panel():
    values = [{"time": 1_790_000_000_000 + minute * 60_000, "share": 0.0} for minute in range(3)]
    spec = view(PANELS["06_unknown"], {"values": values}, width=420, height=200)
    labels = re.findall(r">(\d+%)</text>", vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE))
    assert labels == [f"{percent}%" for percent in range(6)]


def test_at_least_the_panels_that_a_dashboard_needs():
    asked = json.dumps(PANELS)
    for field in ("cola.acceptable", "cola.score", '"percentile": 50', '"percentile": 99', "cola.tokens",
                  "cola.unknown_share", "error.type", "cola.model.sha256", "cola.drift.distance"):  # fmt: skip
        assert field in asked


def fields_of(node) -> set[str]:
    if isinstance(node, dict):
        return {value for key, value in node.items() if key == "field"} | set().union(*map(fields_of, node.values()))
    return set().union(*map(fields_of, node)) if isinstance(node, list) else set()


def test_every_field_that_is_asked_for_is_in_the_template():
    properties = panels.index_template()["template"]["mappings"]["properties"]
    for panel in PANELS.values():
        for field in fields_of(aggregation(panel)[0]) | set(panel["where"]):
            node = {"properties": properties}
            for part in field.split("."):
                node = node["properties"][part]
            assert node["type"] in ("date", "keyword", "double", "long", "integer")


def test_the_template_knows_every_field_of_an_event():
    schema = json.loads((WEEK / "event.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    mappings = panels.index_template()["template"]["mappings"]
    assert mappings["dynamic"] is False
    assert set(mappings["properties"]) == set(schema["properties"])
    assert set(mappings["properties"]["cola"]["properties"]) == set(schema["properties"]["cola"]["properties"])


def test_the_files_for_kibana_are_those_that_the_panels_make(tmp_path, monkeypatch):
    monkeypatch.setattr(panels, "KIBANA", tmp_path)
    panels.main()
    for name in ("dashboard.ndjson", "index_template.json"):
        assert (tmp_path / name).read_bytes() == (WEEK / "kibana" / name).read_bytes()


def test_the_dashboard_shows_each_panel_once_without_overlaps():
    *others, dashboard = saved_objects()
    places = json.loads(dashboard["attributes"]["panelsJSON"])
    by_name = {reference["name"]: reference["id"] for reference in dashboard["references"]}
    assert [by_name[place["panelRefName"]] for place in places] == [f"cola-{name}" for name in PANELS]
    assert {each["id"] for each in others} >= set(by_name.values())
    corners = {(place["gridData"]["x"], place["gridData"]["y"]) for place in places}
    assert len(corners) == len(places)
    assert all(place["gridData"]["x"] + place["gridData"]["w"] <= 48 for place in places)
    for each in others[1:]:
        state = json.loads(each["attributes"]["visState"])
        assert json.loads(state["params"]["spec"])["data"]["url"]["index"] == others[0]["attributes"]["title"]
