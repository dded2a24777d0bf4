"""The local page: in a real Chromium without a network, as pictures, kept fresh, and from a million lines."""

import json
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

import dashboard
from browser import CHROMIUM, Browser
from conftest import WEEK
from events import event
from test_panels import PANELS, log  # noqa: F401 (a fixture)

MILLION = 1_000_000


def test_the_page_shows_every_panel_and_asks_nobody(log, tmp_path):  # noqa: F811
    if not CHROMIUM:
        pytest.skip("no Chromium here")
    dashboard.make([log], tmp_path / "out")
    page = tmp_path / "out/index.html"
    with Browser(tmp_path) as browser:
        browser.open(page.as_uri())
        browser.wait_for("document.body.dataset.drawn === 'yes'", seconds=120)
        assert browser.evaluate("document.querySelectorAll('svg.marks').length") == len(PANELS)
        assert browser.evaluate("document.querySelector('p').innerText").startswith("618 predictions, ")
        assert browser.requests == [page.as_uri()]
        assert browser.problems == []
        for width in (390, 1300):
            browser.look(width, 800)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_pictures_of_the_panels_that_have_something_to_show(log, tmp_path):  # noqa: F811
    assert len(dashboard.make([log], tmp_path)) == 1 + len(PANELS)
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if '"judge"' in line]
    (tmp_path / "few.jsonl").write_text("\n".join(lines), encoding="utf-8")
    made = {path.name for path in dashboard.make([tmp_path / "few.jsonl"], tmp_path)}
    assert made == {"index.html"} | {f"{name}.png" for name in PANELS} - {
        "07_errors.png", "09_drift.png", "10_quality.png"}  # fmt: skip
    assert {path.name for path in tmp_path.glob("*.png")} == made - {"index.html"}  # no old ones are left
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in made - {"index.html"})


@pytest.mark.parametrize("content", ["", "START RequestId: 1\n"])
def test_an_empty_log_makes_a_page_that_says_so(cli, tmp_path, content):
    (tmp_path / "log.jsonl").write_text(content)
    code, _, _ = cli(dashboard.main, tmp_path / "log.jsonl", "--output", tmp_path / "out")
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert (code, page.count("nothing in this log"), "no events in the log" in page) == (0, len(PANELS), True)


def test_an_output_that_cannot_be_written_is_named_with_the_cure(cli, tmp_path):
    (tmp_path / "log.jsonl").write_text("")
    code, _, err = cli(dashboard.main, tmp_path / "log.jsonl", "--output", tmp_path / "log.jsonl")
    expected = f"error: {tmp_path}/log.jsonl cannot be written (File exists): choose another --output\n"
    assert (code, err) == (2, expected)


def test_what_a_log_holds_cannot_become_part_of_the_page(tmp_path):
    bad = event("refuse", "failure", {"sha256": "a" * 64}, error={"type": "</script><script>alert(1)</script>"})
    (tmp_path / "log.jsonl").write_text(json.dumps(bad) + "\n", encoding="utf-8")
    dashboard.make([tmp_path / "log.jsonl"], tmp_path)
    assert "<script>alert" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_watch_makes_it_anew(log, tmp_path):  # noqa: F811
    command = [sys.executable, WEEK / "dashboard.py", log, "--output", tmp_path, "--watch", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        page = (tmp_path / "index.html").read_text(encoding="utf-8")
        second = process.stdout.readline()
        process.kill()
    assert first == second == f"{tmp_path}/index.html\n"
    assert '<meta http-equiv="refresh" content="1">' in page


def test_no_log_is_named_with_the_cure(command, tmp_path):
    done = command("dashboard.py")
    assert (done.returncode, done.stderr.decode()) == (
        2, "error: no log in logs: set COLA_LOG=logs/predictions.jsonl where the service runs\n")  # fmt: skip


def test_a_million_lines_take_less_than_10_s_and_1_gb(tmp_path):
    """Processor time, which other work on the machine does not change; on two free cores the clock shows less."""
    start = datetime.now(UTC) - timedelta(days=7)
    cola = {"label": "acceptable", "acceptable": 1, "score": 0.9, "tokens": 12, "unknown_tokens": 0,
            "unknown_share": 0.0, "vocabulary": [1] * 16, "truncated": False, "batch_size": 1,
            "privacy": "none"}  # fmt: skip
    made = event("judge", "success", {"sha256": "a" * 64, "precision": "int8"}, event={"duration": 500_000}, cola=cola)
    template = json.dumps(made | {"@timestamp": "|"}).replace(made["event"]["id"], "|")
    head, middle, tail = template.split("|")
    with (tmp_path / "log.jsonl").open("w", encoding="utf-8") as file:
        for second in range(1_000):
            moment = (start + timedelta(minutes=10 * second)).isoformat(timespec="milliseconds")[:-6] + "Z"
            file.writelines(f"{head}{moment}{middle}{second * 1_000 + n:032x}{tail}\n" for n in range(1_000))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = (f"import dashboard, pathlib as p; dashboard.make([p.Path({str(tmp_path)!r})], p.Path("
              f"{str(tmp_path / 'out')!r})); import compare; print(compare.peak_memory_mb())")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], cwd=WEEK, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 10
    assert float(done.stdout) < 1000
    assert "1,000,000 predictions" in (tmp_path / "out/index.html").read_text(encoding="utf-8")
