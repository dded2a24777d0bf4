"""Week 6: where a workflow gets its model from, and the last word on an image before it is shipped."""

import shutil
import sys
from pathlib import Path

import dvc.cli
import pytest

from ci import get_model, smoke_test

PIPELINE = """\
stages:
  train:
    cmd: python -c "open('model', 'w').write(open('data').read().upper())"
    deps: [data]
    outs: [model]
"""


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """A folder with a `repository` whose model is made but not there, and the `remote` that has it."""
    folder = tmp_path_factory.mktemp("pushed")
    (folder / "repository").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "repository")
        Path("dvc.yaml").write_text(PIPELINE)
        Path("data").write_text("data")
        for command in ("init --no-scm", "repro", "remote add there ../remote", "push --remote there"):
            assert dvc.cli.main(["--quiet", *command.split()]) == 0
    return folder


@pytest.fixture
def repository(pushed, tmp_path, monkeypatch):
    """Another machine's copy of the repository, without a model, in which a test may work."""
    shutil.copytree(
        pushed / "repository", tmp_path, ignore=shutil.ignore_patterns("cache", "model"), dirs_exist_ok=True
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_REMOTE_URL", str(pushed / "remote"))


def test_what_the_remote_has_is_not_trained_again(repository, capfd):
    get_model.main()
    assert Path("model").read_text() == "DATA"
    assert "Running stage" not in capfd.readouterr().out


def test_what_has_changed_since_the_push_is_trained(repository):
    Path("data").write_text("other data")
    get_model.main()
    assert Path("model").read_text() == "OTHER DATA"


def test_a_remote_without_the_model_fails_and_nothing_is_trained(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_REMOTE_URL", str(tmp_path / "empty"))
    with pytest.raises(SystemExit) as end:
        get_model.main()
    assert end.value.code != 0
    assert not Path("model").exists()


@pytest.mark.parametrize(
    ("url", "lock", "named"),
    [
        ("", True, "DVC_REMOTE_URL"),
        ("gdrive://folder/cola", True, "GDRIVE_CREDENTIALS_DATA"),  # DVC would open a browser, and wait
        ("s3://bucket/cola", False, "dvc.lock"),
    ],
)
def test_what_cannot_be_pulled_is_trained_and_a_notice_says_why(url, lock, named, repository, monkeypatch, capfd):
    monkeypatch.setenv("DVC_REMOTE_URL", url)
    if not lock:
        Path("dvc.lock").unlink()
    get_model.main()
    assert Path("model").read_text() == "DATA"
    assert named in capfd.readouterr().out.partition("\n")[0]


@pytest.mark.parametrize("key", ["not JSON", "[]", '{"type": "authorized_user"}', '{"private_key": "-----BEGIN"}'])
def test_what_is_no_key_is_refused_without_being_shown(key):
    with pytest.raises(SystemExit) as refusal:
        get_model.drive_token(key)
    assert key not in str(refusal.value)


WELL = (200, {"status": "ok", "precision": "int8", "provenance": {"source": "bundled"}})
JUDGED = [{"sentence": sentence, "label": "acceptable", "score": 0.5} for sentence in smoke_test.SENTENCES]


@pytest.mark.parametrize(
    ("health", "judged", "blank", "message"),
    [
        (WELL, (200, JUDGED), (422, {}), None),
        ((503, {"status": "ok"}), (200, JUDGED), (422, {}), "/health answers 503"),
        ((200, {"status": "loading"}), (200, JUDGED), (422, {}), "/health answers 200"),
        (WELL, (200, JUDGED[:1]), (422, {}), "/predict answers 200"),
        (WELL, (200, JUDGED), (200, JUDGED[:1]), "a blank sentence is not refused"),
    ],
)
def test_a_healthy_service_alone_passes_the_smoke_test(health, judged, blank, message, monkeypatch):
    answers = iter([health, judged, blank])
    monkeypatch.setattr(smoke_test, "ask", lambda *_, **__: next(answers))
    monkeypatch.setattr(sys, "argv", ["smoke_test", "http://127.0.0.1:8000"])
    if message:
        with pytest.raises(SystemExit, match=message):
            smoke_test.main()
    else:
        smoke_test.main()
