import json

import numpy as np
import pandas as pd
import pytest

from evaluate import main
from report import area_under_roc, calibration, confusion, roc, write_report, wrong_sentences

ROWS = pd.DataFrame({"sentence": list("abcdef"), "label": [1, 1, 1, 0, 0, 0]})
SCORES = np.array([0.9, 0.8, 0.05, 0.1, 0.2, 0.6], dtype=np.float32)


def test_the_confusion_matrix_counts_labels_by_row_and_answers_by_column():
    assert confusion(SCORES, ROWS["label"].to_numpy()).tolist() == [[2, 1], [1, 2]]


def test_the_surest_mistake_comes_first():
    wrong = wrong_sentences(SCORES, ROWS)
    assert wrong["sentence"].tolist() == ["c", "f"]
    assert wrong[["label", "answer"]].values.tolist() == [
        ["acceptable", "unacceptable"],
        ["unacceptable", "acceptable"],
    ]


def test_calibration_bins_hold_every_sentence_and_their_means():
    bins = calibration(np.array([0.0, 0.05, 0.55, 1.0]), np.array([0, 1, 1, 1]))
    assert bins["sentences"].tolist() == [2, 1, 1]
    assert bins["share_acceptable"].tolist() == [0.5, 1, 1]
    assert bins["mean_score"].tolist() == pytest.approx([0.025, 0.55, 1])


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    labels = ROWS["label"].to_numpy()
    pairs = [(a > b) for a in SCORES[labels == 1] for b in SCORES[labels == 0]]
    assert area_under_roc(SCORES, labels) == pytest.approx(np.mean(pairs))
    curve = roc(SCORES, labels)
    assert curve.iloc[0].tolist() == [0, 0]
    assert curve.iloc[-1].tolist() == [1, 1]


def test_the_folder_holds_every_plot_and_number(train, tmp_path):
    results = train(tmp_path)
    reports = tmp_path / "reports"
    names = ("confusion_matrix", "roc", "calibration", "learning_curves")
    assert all((reports / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in names)
    assert json.loads((reports / "metrics.json").read_text()) == results
    assert json.loads((reports / "provenance.json").read_text())["settings"]["learning_rate"] == 1e-3
    history = pd.read_csv(reports / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert {"train/loss", "val/loss", "val/accuracy", "val/precision", "val/recall", "val/f1", "val/mcc"} <= set(
        history
    )


def test_a_second_report_replaces_the_first(tmp_path):
    write_report(tmp_path, {"sentences": 6}, SCORES, ROWS, {})
    write_report(tmp_path, {"sentences": 7}, SCORES, ROWS, {})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"sentences": 7}


def test_an_evaluation_says_where_its_plots_are(cli, checkpoint, small, tmp_path):
    code, out, _ = cli(main, "--checkpoint", checkpoint, "--data", small, "--reports", tmp_path)
    assert (code, out.splitlines()[-1]) == (0, f"plots: {tmp_path}/")
    assert (tmp_path / "roc.png").is_file()
