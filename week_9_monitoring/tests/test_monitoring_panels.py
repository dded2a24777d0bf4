"""The panels, the page, and what the cluster's dashboards import."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import vl_convert

from monitoring import dashboard, import_dashboards
from monitoring.import_dashboards import for_kibana, index_template, saved_objects
from monitoring.panels import PANELS, aggregation
from monitoring.prediction_log import event
from monitoring.read_log import read_log

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
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard, "OUTPUT", tmp_path / "dashboard")
    return tmp_path / "dashboard"


def test_the_page_has_every_panel_a_summary_and_needs_no_network(log, output):
    dashboard.main([str(log)])
    page = (output / "index.html").read_text(encoding="utf-8")
    assert "618 predictions, " in page
    assert all(panel.title in page for panel in PANELS.values())
    assert not re.search(r'(src|href)="?http', page)
    assert {picture.stem for picture in output.glob("*.png")} == set(PANELS)


def test_a_panel_without_events_is_left_out_with_its_old_picture(log, output, tmp_path):
    dashboard.main([str(log)])
    judged = tmp_path / "judged.jsonl"
    judged.write_text("\n".join(text for text in log.read_text("utf-8").splitlines() if '"judge"' in text), "utf-8")
    dashboard.main([str(judged)])
    assert {picture.stem for picture in output.glob("*.png")} == set(PANELS) - {"errors", "drift", "quality"}
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(SystemExit, match="no events"):
        dashboard.main([str(tmp_path / "empty.jsonl")])


def test_what_a_log_holds_cannot_become_part_of_the_page(output, tmp_path):
    bad = event("refuse", "failure", {"model": MODELS[0]}, error={"type": "</script><script>alert(1)</script>"})
    (tmp_path / "log.jsonl").write_text(json.dumps(bad) + "\n", encoding="utf-8")
    dashboard.main([str(tmp_path / "log.jsonl")])
    assert "<script>alert" not in (output / "index.html").read_text(encoding="utf-8")


def test_a_number_on_the_edge_of_a_bar_is_in_the_bar_that_the_cluster_puts_it_into(tmp_path):
    scores = [0.05, 0.15, 0.3, 0.35, 1.0]
    judged = [event("judge", "success", {"model": MODELS[0], "score": score}) for score in scores]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in judged), encoding="utf-8")
    rows = read_log([str(tmp_path / "log.jsonl")]).execute(dashboard.sql(PANELS["score"], "1 hour")).fetchall()
    assert rows == [(np.floor(score / 0.05) * 0.05, 1) for score in sorted(scores)]


@pytest.mark.parametrize("hours", [0, 1, 26, 300, 2_000])
def test_no_two_labels_of_an_axis_of_time_are_the_same(hours):
    values = [{"time": 1_790_000_003_000 + n * (3_600_000 * hours + 20_000), "predictions": 1} for n in range(2)]
    spec = PANELS["volume"].chart.properties(data={"values": values}, width=400, height=200).to_dict()
    svg = vl_convert.vegalite_to_svg(spec)
    (axis,) = re.findall(r"aria-label=\"X-axis[^>]*>(.*?)aria-label=\"Y-axis", svg, re.DOTALL)
    labels = [text for text in re.findall(r"<text[^>]*>([^<]+)</text>", axis) if text != "UTC"]
    assert len(labels) == len(set(labels)) > 1


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
    view, *panels, whole = saved_objects()
    places = json.loads(whole["attributes"]["panelsJSON"])
    assert [reference["id"] for reference in whole["references"]] == [each["id"] for each in panels]
    assert len({(place["gridData"]["x"], place["gridData"]["y"]) for place in places}) == len(places) == len(PANELS)
    for name, each in zip(PANELS, panels, strict=True):
        spec = json.loads(json.loads(each["attributes"]["visState"])["params"]["spec"])
        assert spec == for_kibana(PANELS[name])
        assert spec["data"]["url"]["index"] == view["attributes"]["title"]


class Server(BaseHTTPRequestHandler):
    """Keeps to the contract of Kibana 8 and OpenSearch Dashboards 2: a header against forgery, a file, 503 at first."""

    def do_PUT(self):
        self.server.template = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(200, {"acknowledged": True})

    def do_GET(self):
        self.server.starting -= 1
        self.answer(503 if self.server.starting >= 0 else 200, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        head, _, file = body.split("\r\n\r\n", 1)[0], *body.split("\r\n\r\n", 1)
        guarded = (
            self.headers["kbn-xsrf"] and self.headers["osd-xsrf"] and 'name="file"; filename="dashboard.ndjson"' in head
        )
        if not guarded or self.path != "/api/saved_objects/_import?overwrite=true":
            return self.answer(400, {"message": "Request must contain a header against forgery."})
        objects = [json.loads(text) for text in file.splitlines() if text.startswith("{")]
        known = {each["id"] for each in objects}
        missing = [r for each in objects for r in each["references"] if r["id"] not in known or self.server.refuses]
        return self.answer(200, {"success": not missing, "successCount": len(objects), "errors": missing})

    def answer(self, status: int, content: dict) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def importing(monkeypatch):
    """The import, against a server that is starting."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.starting, server.refuses = 1, False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr("sys.argv", ["import_dashboards", "--cluster", url, "--dashboards", url, "--wait", "8"])
        yield server
        server.shutdown()


def test_the_import_waits_imports_and_may_be_run_again(importing, capsys):
    for _ in range(2):
        import_dashboards.main()
    assert importing.template == index_template()
    assert capsys.readouterr().out.count("12 objects imported") == 2


def test_what_was_not_imported_is_told(importing):
    importing.refuses = True
    with pytest.raises(SystemExit, match="cola-volume"):
        import_dashboards.main()
