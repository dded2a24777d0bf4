import json

import pytest

import compare


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
    assert usual["p50_ms"] >= 4 * served["p50_ms"]
    assert served["memory_mb"] < usual["memory_mb"] / 2  # not the memory of the process that measures
    assert results["PyTorch"]["mcc"] == results["ONNX fp32"]["mcc"] == usual["mcc"]
    assert served["size_mb"] == (exported / "model.onnx").stat().st_size / 1e6


def test_a_missing_file_is_named_with_its_cure(cli, tmp_path, exported):
    code, _, err = cli(compare.main, "--models", exported, "--checkpoint", tmp_path / "no.ckpt")
    assert code == 2
    assert "no.ckpt not found: run" in err
