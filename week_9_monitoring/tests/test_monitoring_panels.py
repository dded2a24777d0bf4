"""The panels, the page, and what the cluster's dashboards import."""

import json
import re
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from responses import RequestsMock, matchers
from responses.registries import OrderedRegistry

from monitoring import dashboard, import_dashboards
from monitoring.import_dashboards import index_template, saved_objects
from monitoring.panels import PANELS, aggregation
from monitoring.prediction_log import event

MODELS = [{"sha256": letter * 64, "precision": "int8", "source": "bundled", "encoder": "bundled"} for letter in "ab"]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Three days with everything that a panel looks at."""
    chance, lines, minute = np.random.default_rng(0), [], timedelta(minutes=1)
    for number in range(0, 3 * 24 * 60, 7):
        at = datetime(2026, 11, 10, tzinfo=UTC) + number * minute
        score = round(float(chance.choice([0, 0.05, 0.15, 0.3, 0.5, 1, chance.random()])), 4)
        judged = {"label": "acceptable" if score >= 0.5 else "unacceptable", "acceptable": int(score >= 0.5)}
        judged |= {"score": score, "tokens": int(chance.integers(4, 20)), "unknown_tokens": 0, "truncated": False}
        judged |= {"unknown_share": round(float(chance.random() / 9), 4), "vocabulary": [1] * 16}
        made = event("judge", "success", {"model": MODELS[number > 2_000]} | judged, at)
        made["event"]["duration"] = int(chance.integers(10**5, 10**7))
        lines.append(made)
        if number % 5 == 0:
            reason = {"type": ["blank", "string_too_long"][number % 2]}
            lines.append(event("refuse", "failure", {"model": MODELS[0]}, at, error=reason))
        if number % 350 == 0:
            for test in ("length", "score"):
                finding = {"test": test, "distance": float(chance.random()), "p": 0.5, "drifted": number % 4 // 2}
                lines.append(event("drift-test", "success", {"model": MODELS[0], "drift": finding}, at))
            quality = {"mcc": float(chance.random()), "low": 0.1, "high": 0.9, "labels": 200}
            lines.append(event("quality", "success", {"model": MODELS[0], "quality": quality}, at))
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    return path


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The page of a log."""
    monkeypatch.setattr(dashboard, "OUTPUT", tmp_path / "dashboard/index.html")

    def make(lines: list[str]) -> str:
        (tmp_path / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
        dashboard.main([str(tmp_path / "log.jsonl")])
        return dashboard.OUTPUT.read_text(encoding="utf-8")

    return make


def test_the_page_has_every_panel_and_needs_no_network(log, page):
    html = page(log.read_text("utf-8").splitlines())
    assert all(panel.title in html for panel in PANELS.values())
    assert not re.search(r'(src|href)="?http', html)


def test_a_panel_without_events_is_left_out(log, page):
    html = page([text for text in log.read_text("utf-8").splitlines() if '"judge"' in text])
    assert {name for name in PANELS if PANELS[name].title not in html} == {"errors", "drift", "quality"}
    with pytest.raises(SystemExit, match="no events"):
        page([])


def test_what_a_log_holds_cannot_become_part_of_the_page(page):
    bad = event("refuse", "failure", {"model": MODELS[0]}, error={"type": "</script><script>alert(1)</script>"})
    assert "<script>alert" not in page([json.dumps(bad)])


def test_every_field_that_a_panel_asks_for_is_one_that_can_be_counted():
    fields = index_template()["template"]["mappings"]["properties"]
    for panel in PANELS.values():
        asked = re.findall(r'"field": "([^"]+)"', json.dumps(aggregation(panel, {})))
        for name in [*asked, *panel.where]:
            node = {"properties": fields}
            for part in name.split("."):
                node = node["properties"][part]
            assert node["type"] in ("date", "keyword", "double", "long")


def test_the_dashboard_shows_each_panel_once_without_overlaps():
    _, *panels, whole = saved_objects()
    places = json.loads(whole["attributes"]["panelsJSON"])
    assert [reference["id"] for reference in whole["references"]] == [each["id"] for each in panels]
    assert len({(place["gridData"]["x"], place["gridData"]["y"]) for place in places}) == len(places) == len(PANELS)


@pytest.mark.parametrize("whole", [True, False])
def test_the_import_waits_and_tells_what_was_not_imported(monkeypatch, whole):
    monkeypatch.setattr("sys.argv", ["import_dashboards"])
    address = "http://localhost:5601/api/saved_objects/_import?overwrite=true"
    guarded = matchers.header_matcher({"kbn-xsrf": "true", "osd-xsrf": "true"})  # both servers want one
    with RequestsMock(registry=OrderedRegistry) as servers:
        template = matchers.json_params_matcher(index_template())
        servers.put("http://localhost:9200/_index_template/cola", match=[template])
        servers.post(address, status=503)  # it is starting
        servers.post(address, match=[guarded], json={"success": whole, "successCount": 12, "errors": ["cola-volume"]})
        with nullcontext() if whole else pytest.raises(SystemExit, match="cola-volume"):
            import_dashboards.main()
        assert servers.calls[-1].request.body.count(b"migrationVersion") == 12
