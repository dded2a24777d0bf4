"""Week 6: where a workflow gets its model from."""

import shutil
import traceback
from pathlib import Path

import dvc.cli
import pytest

from ci import get_model

PIPELINE = """\
stages:
  train:
    cmd: tr a-z A-Z < data > model
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
    unpushed = shutil.ignore_patterns("cache", "model")
    shutil.copytree(pushed / "repository", tmp_path, ignore=unpushed, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_REMOTE_URL", str(pushed / "remote"))


def test_what_the_remote_has_is_not_trained_again_but_what_has_changed_is(repository, capfd):
    get_model.main()
    assert Path("model").read_text() == "DATA"
    assert "Running stage" not in capfd.readouterr().out
    Path("data").write_text("other data")
    get_model.main()
    assert Path("model").read_text() == "OTHER DATA"


def test_where_the_pull_fails_nothing_is_trained(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_REMOTE_URL", str(tmp_path / "empty"))
    with pytest.raises(SystemExit) as end:
        get_model.main()
    assert end.value.code != 0
    assert not Path("model").exists()


@pytest.mark.parametrize("url", ["", "gdrive://folder/cola"])
def test_without_a_remote_or_its_account_it_is_trained_and_a_notice_says_so(url, repository, monkeypatch, capfd):
    monkeypatch.setenv("DVC_REMOTE_URL", url)
    get_model.main()
    assert Path("model").read_text() == "DATA"
    assert capfd.readouterr().out.startswith("::notice title=Trained here::DVC_REMOTE_URL")


@pytest.mark.parametrize("key", ["not JSON", "[]", '{"type": "authorized_user"}', '{"private_key": "-----BEGIN"}'])
def test_what_is_no_key_is_refused_without_being_shown(key):
    with pytest.raises((ValueError, TypeError, AttributeError)) as refusal:
        get_model.drive_token(key)
    assert key not in "".join(traceback.format_exception(refusal.value))
