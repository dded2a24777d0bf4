"""What is measured, and what it costs."""

import json
import re
from pathlib import Path

import pytest

import cost
import measure_cold_start
from conftest import WEEK
from errors import InputError

MEASURED = {
    "cores": 2,
    "imports": {
        "this function, with its model": {"s": [0.5], "mb": [90]},
        "torch + transformers + Lightning": {"s": [8.0, 4.0, 5.0], "mb": [360, 360, 360]},
    },
    "emulator": {"first_s": [0.6, 0.4, 0.5], "warm_ms": [2.0, 3.2, 2.1]},
}


def test_a_month_costs_what_its_requests_and_seconds_cost():
    # 1,024 MB; 990,000 warm requests of 3 ms (2.1, rounded up) and 10,000 cold ones of 0.5 s: 2,970 + 5,000 GB-s
    month = cost.monthly_cost(1_000_000, warm_s=0.0021, cold_s=0.5, cold_share=0.01, memory_mb=1024)
    assert month["compute"] == pytest.approx(7970 * 0.0000166667)
    assert month["requests"] == pytest.approx(0.20)
    assert month["HTTP API"] == pytest.approx(1.00)


def test_the_table_is_made_from_the_measured_medians(cli, tmp_path):
    (tmp_path / "cold_start.json").write_text(json.dumps(MEASURED))
    assert cost.read(tmp_path / "cold_start.json") == pytest.approx((0.0021, 0.5, 5.0))
    code, out, _ = cli(cost.main, "--measured", tmp_path / "cold_start.json", "--memory", 1024)
    assert code == 0
    assert out.startswith("2.1 ms warm, 0.50 s cold (1% of them), 1,024 MB\n")
    with_torch = 2970 * 0.0000166667 + 10_000 * 5.5 * 0.0000166667
    assert re.search(rf"1,000,000 +\$0\.13 +\$0\.20 +\$1\.00 +\${with_torch:.2f}\n", out)


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"imports": {}})])
def test_figures_that_are_not_there_are_named(content, tmp_path):
    if content:
        (tmp_path / "cold_start.json").write_text(content)
    with pytest.raises(InputError, match=r"cold_start\.json: no figures.*--image"):
        cost.read(tmp_path / "cold_start.json")


def test_the_figures_of_the_readme_are_those_of_the_picture():
    assert cost.read(WEEK / "images" / "cold_start.json")
    assert (WEEK / "images" / "cold_start.png").read_bytes().startswith(b"\x89PNG")


def test_imports_are_measured_in_processes_of_their_own():
    seconds, megabytes = measure_cold_start.time_import("time.sleep(0.2)")
    assert 0.2 <= seconds < 2
    assert 5 < megabytes < 100
    with pytest.raises(InputError, match="No module named 'nothing_like_it'"):
        measure_cold_start.time_import("import nothing_like_it")


def test_the_picture_and_the_table_are_written(monkeypatch, cli, tmp_path):
    seconds = {"torch + transformers + Lightning": 8.0, "this function, with its model": 0.5}
    took = {statement: seconds[name] for name, statement in measure_cold_start.IMPORTS.items()}
    monkeypatch.setattr(measure_cold_start, "time_import", lambda statement: (took[statement], 90.0))
    code, out, _ = cli(measure_cold_start.main, "--runs", 2, "--output", tmp_path)
    assert code == 0
    assert [line.split()[-2] for line in out.splitlines()] == ["8.00", "0.50", "90", "90"]
    written = json.loads((tmp_path / "cold_start.json").read_text())
    assert {name: values["s"] for name, values in written["imports"].items()} == {
        name: [value] * 2 for name, value in seconds.items()
    }
    assert (tmp_path / "cold_start.png").read_bytes().startswith(b"\x89PNG")


def test_bad_arguments_are_refused(cli, monkeypatch):
    monkeypatch.setenv("PATH", str(Path("/nowhere")))
    for main, arguments, said in (
        (measure_cold_start.main, ("--runs", 0), "above 0"),
        (measure_cold_start.main, ("--runs", 1, "--image", "cola-lambda"), "docker not found"),
        (measure_cold_start.main, ("--runs", 1, "--output", __file__), "cannot be used (File exists)"),
        (cost.main, ("--cold-share", 2), "from 0 to 1"),
    ):
        monkeypatch.setattr(measure_cold_start, "time_import", lambda statement: (1.0, 1.0))
        code, _, error = cli(main, *arguments)
        assert code == 2
        assert said in error
