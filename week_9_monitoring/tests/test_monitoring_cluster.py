"""The road to the dashboard on a real cluster, the one that OPENSEARCH_URL names: what arrives, is dead, is seen."""

import json
import os
import random
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import altair as alt
import pytest
import requests
import vl_convert
from opensearchpy import OpenSearchException

from monitoring import forwarder
from monitoring.forwarder import forward
from monitoring.import_dashboards import for_kibana, index_template
from monitoring.panels import PANELS, aggregation, sql
from monitoring.read_log import read_log
from test_monitoring_forwarder import line
from test_monitoring_panels import log  # noqa: F401 (a fixture)

URL = os.environ.get("OPENSEARCH_URL", "")
EVENTS = 100_000
pytestmark = pytest.mark.skipif(not URL, reason="no cluster here: OPENSEARCH_URL is not set")


def ask(method: str, path: str, **options) -> dict:
    answer = requests.request(method, f"{URL}{path}", **options)
    assert answer.ok, answer.text
    return answer.json()


@contextmanager
def an_index():
    """The beginning of the names of indices that nobody else has."""
    ask("PUT", "/_index_template/cola", json=index_template())
    name = f"cola-{uuid.uuid4().hex[:8]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forwarder, "INDEX", name)
        patch.setattr("time.sleep", lambda _: None)
        yield name
    ask("DELETE", f"/{name}-*")


@pytest.fixture
def index():
    with an_index() as name:
        yield name


@pytest.fixture(scope="module")
def full(log):  # noqa: F811
    """An index with the events of a log."""
    with an_index() as name:
        forward(log.read_text(encoding="utf-8").splitlines(), URL)
        count(name)
        yield name


def count(index: str) -> int:
    ask("POST", f"/{index}-*/_refresh")
    return ask("GET", f"/{index}-*/_count")["count"]


class Proxy(BaseHTTPRequestHandler):
    """A way to the cluster on which requests fail, answers are cut or lost, and single events find no room."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    kinds = MappingProxyType({"pass": 8, "busy": 4, "503": 3, "429": 2, "refuse": 3, "cut": 3, "lose": 3})  # how often

    def do_HEAD(self):
        self.answer(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.server.chance.choices(list(self.kinds), self.kinds.values())[0]
        self.close_connection = kind in ("refuse", "cut", "lose")
        if kind in ("503", "429"):
            self.answer(int(kind), b"<html>not now</html>")
        elif kind == "busy":
            first, rest = body.split(b"\n", 2)[0], body.split(b"\n", 2)[2]  # there is no room for the first event
            refused = {"_id": json.loads(first)["index"]["_id"], "status": 429, "error": {"type": "rejected"}}
            taken = json.loads(self.forward(rest))["items"] if rest else []
            self.answer(200, json.dumps({"items": [{"index": refused}, *taken]}).encode())
        elif kind != "refuse":
            answer = self.forward(body)
            if kind != "lose":  # what is lost was indexed, but nobody learns of it
                self.answer(200, answer[: len(answer) // 2] if kind == "cut" else answer, len(answer))

    def forward(self, body: bytes) -> bytes:
        return requests.post(f"{URL}{self.path}", body, headers={"Content-Type": "application/x-ndjson"}).content

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy():
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.chance = random.Random(0)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_through_a_failing_network_100_000_events_are_there_once(index, proxy):
    lines, failed = [line(number) for number in range(EVENTS)], 0
    for start in range(0, EVENTS, 2_000):
        for _ in range(50):  # as Lambda does
            try:
                forward(lines[start : start + 2_000], proxy)
                break
            except OpenSearchException:
                failed += 1
    assert failed > 0
    assert count(index) == EVENTS


def test_every_field_has_the_type_that_the_template_says(full):
    said = index_template()["template"]["mappings"] | {"dynamic": "false"}
    assert [each["mappings"] for each in ask("GET", f"/{full}-*/_mapping").values()] == [said] * 3


@pytest.mark.parametrize("trouble", ["write", "read_only_allow_delete", "closed"])  # the second is that of a full disk
def test_events_are_not_dead_where_the_cluster_is_in_trouble(index, trouble):
    forward([line(1)], URL)
    if trouble == "closed":
        ask("POST", f"/{index}-2026.11.21/_close")
    else:
        ask("PUT", f"/{index}-2026.11.21/_settings", json={f"index.blocks.{trouble}": True})
    with pytest.raises(OpenSearchException, match="1 events were not taken"):
        forward([line(4)], URL)


POISON = {
    "a wrong type": line(1, score="high"),
    "an impossible number": line(2, tokens=10**30),
    "not a number": line(3, score=float("nan")),
    "an endless id": line(4).replace(f"{4:032x}", "1" * 600),
    "no end": line(5)[:-9],
    "half a letter": line(6, sentence="\ud800"),
    "too large": line(7, sentence="x" * forwarder.BULK_BYTES),
    "too deep": line(8, sentence="deep").replace('"deep"', "[" * 2_000 + "]" * 2_000),
    "no time": line(9).replace("2026-11", "yesterday"),
}


def test_events_that_can_never_be_indexed_are_dead_and_the_others_go_on(index):
    indexed, dead = forward([line(20), *POISON.values(), line(30)], URL)
    assert sorted(letter["line"] for letter in dead) == sorted(POISON.values())
    assert (indexed, count(index)) == (2, 2)


def rows_of(panel, groups: dict, names: list[str]) -> list[dict]:
    """The same rows as DuckDB's, from groups in groups."""
    rows = []
    for group in groups[names[0]]["buckets"]:
        answers = {name: group.get(name, {}) for name in panel.metrics}  # a percentile is the only one of its values
        numbers = {name: [*each.get("values", {}).values(), each.get("value")][0] for name, each in answers.items()}
        inner = rows_of(panel, group, names[1:]) if names[1:] else [numbers]
        rows += [{names[0]: group["key"]} | row for row in inner]
    return rows


@pytest.mark.parametrize("name", PANELS)
def test_the_cluster_gives_a_panel_the_same_rows_as_duckdb_and_the_same_picture(name, full, log):  # noqa: F811
    panel = PANELS[name]
    answer = ask("GET", f"/{full}-*/_search", json=aggregation(panel, {"fixed_interval": "3h"}))
    rows = rows_of(panel, answer["aggregations"]["kept"], list(panel.by))
    expected = read_log([str(log)]).execute(sql(panel, "3 hours")).df().to_dict("records")
    assert len(rows) == len(expected) > 1
    for row, other in zip(sorted(rows, key=lambda row: [row[group] for group in panel.by]), expected, strict=True):
        assert row == pytest.approx(other, rel=0.2 if name == "latency" else 1e-9)  # its percentiles are estimates
    spec = for_kibana(panel)
    spec["data"] = {"values": answer, "format": spec["data"]["format"]}  # as Kibana puts it there
    ours = panel.chart.properties(data=alt.Data(values=rows)).to_dict()
    pictures = [vl_convert.vegalite_to_svg(each | {"config": {}}, vl_version="5.8") for each in (spec, ours)]
    assert pictures[0] == pictures[1]
    assert pictures[0].count("<path") > 5
    assert "NaN" not in pictures[0]
