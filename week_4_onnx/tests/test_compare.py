import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

import compare
from conftest import WEEK


@pytest.fixture(scope="module")
def results() -> dict:
    """Made-up numbers of two ways."""
    return {way: dict.fromkeys(compare.COLUMNS, 1234.5678 * n) for n, way in enumerate(("PyTorch", "ONNX fp32"), 1)}


def test_the_table_has_a_line_a_way_and_a_column_a_number(results):
    head, *lines = compare.table(results).splitlines()
    assert [line[:26].strip() for line in lines] == list(results)
    assert all(title in head for title, _ in compare.COLUMNS.values())
    assert lines[0].split()[1:] == ["1,234.57", "1,234.57", "1,235", "1,234.6", "1,235", "1,234.57", "1,234.568"]


def test_each_way_is_measured_and_shown(cli, balanced, exported, small, tmp_path):
    places = ["--checkpoint", balanced, "--models", exported, "--data", small, "--reports", tmp_path]
    code, out, _ = cli(compare.main, *places, "--limit", 40)
    assert code == 0
    results = json.loads((tmp_path / "comparison.json").read_text())
    assert list(results) == list(compare.WAYS)
    assert compare.table(results) in out
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    for numbers in results.values():
        assert set(numbers) == set(compare.COLUMNS)
        assert 0 < numbers["p50_ms"] <= numbers["p99_ms"]
    served, usual = results["ONNX int8"], results["PyTorch, padded to 128"]
    times = [f"{results[way]['p50_ms'] / served['p50_ms']:.1f}" for way in ("PyTorch", "PyTorch, padded to 128")]
    said = r"answers (.+) times as fast as PyTorch, and (.+) times as fast as PyTorch with padding to 128 \(p50 of 40 "
    assert list(re.search(said, out).groups()) == times
    assert usual["p50_ms"] >= 4 * served["p50_ms"]
    assert served["memory_mb"] < usual["memory_mb"] / 2  # not the memory of the process that measures
    assert results["PyTorch"]["mcc"] == results["ONNX fp32"]["mcc"] == usual["mcc"]
    assert served["size_mb"] == (exported / "model.onnx").stat().st_size / 1e6


def test_a_missing_file_is_named_with_its_cure(cli, tmp_path, exported):
    code, _, err = cli(compare.main, "--models", exported, "--checkpoint", tmp_path / "no.ckpt")
    assert code == 2
    assert "no.ckpt not found: run" in err


def test_a_checkpoint_from_another_run_is_refused(cli, balanced, exported, tmp_path):
    content = torch.load(balanced, weights_only=True)
    content["hyper_parameters"]["provenance"]["wandb_run"] = "another"
    torch.save(content, tmp_path / "new.ckpt")
    code, _, err = cli(compare.main, "--models", exported, "--checkpoint", tmp_path / "new.ckpt", "--limit", 1)
    assert code == 2
    assert "was made from another checkpoint than" in err
    assert "new.ckpt: run" in err


def test_a_limit_of_no_sentences_is_refused(cli):
    code, _, err = cli(compare.main, "--limit", 0)
    assert (code, err) == (2, "error: --limit must be at least 1\n")


def test_ctrl_c_is_said_once():
    code = """if True:
        import compare, errors
        with errors.friendly_errors():
            print("begun", flush=True)
            compare.measure_apart("PyTorch", "no.ckpt", [])
    """
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=WEEK, start_new_session=True, **pipes) as process:
        process.stdout.readline()
        time.sleep(0.5)  # the process that is measured now imports PyTorch, which takes longer than that
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, b"stopped by Ctrl-C\n")
