"""`get_model.py` with remotes, without, and with Google Drive, in a repository with a pipeline of one quick stage."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import get_model
from conftest import WEEK
from errors import InputError
from google_drive import EMAIL, FOLDER_ID, google

PIPELINE = """\
stages:
  train:
    cmd: python -c "open('model.bin', 'w').write(open('data.txt').read().upper())"
    deps: [data.txt]
    outs: [model.bin]
"""


def run(folder: Path, *command: str, code: int = 0, **environment: str) -> tuple[str, str]:
    """Standard output and standard error of a command, which must end with this exit code."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def get(folder: Path, code: int = 0, **environment: str) -> tuple[str, str]:
    return run(folder, sys.executable, str(WEEK / "get_model.py"), code=code, **environment)


@pytest.fixture(scope="module", autouse=True)
def machine(tmp_path_factory):
    """A machine without settings of DVC, Git, Google or GitHub, on which this Python's commands come first."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("DVC_", "GIT_", "GDRIVE_", "GITHUB_"))]:
            patch.delenv(name)
        for name in ("HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
            patch.setenv(name, str(home))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield


@pytest.fixture(scope="module")
def pushed(machine, tmp_path_factory) -> Path:
    """A folder with a `repository`, whose model was trained and is there no more, and the `remote` that has it."""
    folder = tmp_path_factory.mktemp("pushed")
    repository = folder / "repository"
    repository.mkdir()
    (repository / "dvc.yaml").write_text(PIPELINE)
    (repository / "data.txt").write_text("data")
    for command in ("git init -q", "dvc init -q", "dvc repro -q", f"dvc remote add -q -d there {folder / 'remote'}",
                    "dvc push -q", "dvc remote remove there"):  # fmt: skip
        run(repository, *command.split())
    shutil.rmtree(repository / ".dvc" / "cache")
    (repository / "model.bin").unlink()
    return folder


@pytest.fixture
def trained(pushed, tmp_path) -> Path:
    """A copy of that repository, with a copy of its remote beside it."""
    shutil.copytree(pushed, tmp_path, dirs_exist_ok=True)
    return tmp_path / "repository"


def test_without_a_remote_it_trains_and_says_which_variable_names_one(trained):
    printed, remarks = get(trained)
    assert "Running stage 'train'" in printed
    assert "DVC_REMOTE_URL" in remarks


def test_what_the_remote_has_is_not_trained_again(trained, tmp_path):
    printed, _ = get(trained, DVC_REMOTE_URL=str(tmp_path / "remote"))
    assert "Running stage" not in printed
    assert (trained / "model.bin").read_text() == "DATA"


def test_what_has_changed_since_the_push_is_trained(trained, tmp_path):
    (trained / "data.txt").write_text("other data")
    printed, _ = get(trained, DVC_REMOTE_URL=str(tmp_path / "remote"))
    assert "Running stage 'train'" in printed
    assert (trained / "model.bin").read_text() == "OTHER DATA"


def test_a_remote_without_the_model_is_an_error_with_the_cure_and_not_a_training(trained, tmp_path):
    printed, message = get(trained, code=2, DVC_REMOTE_URL=str(tmp_path / "other"))
    assert "Running stage" not in printed
    assert message.splitlines()[-1].startswith("error: dvc pull failed")
    assert "dvc push" in message


def test_where_no_lock_is_committed_there_is_nothing_to_pull(trained, tmp_path):
    (trained / "dvc.lock").unlink()
    printed, remarks = get(trained, DVC_REMOTE_URL=str(tmp_path / "remote"))
    assert "Running stage 'train'" in printed
    assert "commit dvc.lock" in remarks


@pytest.mark.parametrize(("name", "remote", "code"), [("mine", "remote", 0), ("mine", "other", 2), ("ci", "remote", 0)])
def test_the_remote_is_for_one_call_and_that_of_the_reader_stays(trained, tmp_path, name, remote, code):
    run(trained, "dvc", "remote", "add", "-q", "--local", "--default", name, "there")
    before = (trained / ".dvc" / "config.local").read_text()
    get(trained, code=code, DVC_REMOTE_URL=str(tmp_path / remote))
    assert (trained / ".dvc" / "config.local").read_text() == before


@pytest.mark.parametrize("url", ["https://drive.google.com/drive/folders/ID", "gdrive:ID"])
def test_an_address_of_google_drive_that_dvc_cannot_use_is_refused_with_the_cure(monkeypatch, url):
    monkeypatch.setenv("DVC_REMOTE_URL", url)
    with pytest.raises(InputError, match="DVC_REMOTE_URL: .* give gdrive://"):
        get_model.pull()


def test_an_address_that_dvc_does_not_know_is_an_error_with_its_reason_and_the_cure(trained):
    _, message = get(trained, code=2, DVC_REMOTE_URL="sftp3://cola")
    assert "Unsupported URL type sftp3://" in message
    assert "mend DVC_REMOTE_URL" in message


def test_a_stage_that_fails_is_an_error(trained):
    (trained / "dvc.yaml").write_text(PIPELINE.replace("open('data.txt')", "open('nothing')"))
    _, message = get(trained, code=2)
    assert message.splitlines()[-1] == "error: dvc repro failed: the reason stands above"


def test_google_drive_without_credentials_is_left_out_and_no_browser_is_opened(trained):
    printed, remarks = get(trained, DVC_REMOTE_URL=f"gdrive://{FOLDER_ID}")
    assert "Running stage 'train'" in printed
    assert "GDRIVE_CREDENTIALS_DATA" in remarks
    assert "GCP_WORKLOAD_IDENTITY_PROVIDER" in remarks


@pytest.fixture
def drive(trained, tmp_path):
    (tmp_path / "certificates").mkdir()
    with google(tmp_path / "remote", tmp_path / "certificates") as server:
        yield server


@pytest.mark.parametrize("way", ["key", "token"])
def test_the_model_comes_from_google_drive_with_a_key_and_without(trained, drive, way):
    credentials = {
        "key": {"GDRIVE_CREDENTIALS_DATA": drive.json_key},
        "token": {"GDRIVE_ACCESS_TOKEN": drive.free_token, "GDRIVE_CREDENTIALS_DATA": ""},
    }
    printed, remarks = get(trained, DVC_REMOTE_URL=f"gdrive://{FOLDER_ID}", **credentials[way], **drive.environment)
    assert "Running stage" not in printed
    assert (trained / "model.bin").read_text() == "DATA"
    assert drive.requests
    assert ("a-token-for-the-key" in drive.tokens) == (way == "key")
    kept = "".join(path.read_text(errors="replace") for path in (trained / ".dvc").glob("config*"))
    for text in (printed, remarks, kept):
        assert "PRIVATE KEY" not in text
        assert "a-token" not in text


def test_a_folder_that_is_not_shared_is_named_with_the_address_to_share_it_with(trained, drive):
    drive.shared = False
    key = {"GDRIVE_CREDENTIALS_DATA": drive.json_key}
    _, message = get(trained, code=2, DVC_REMOTE_URL=f"gdrive://{FOLDER_ID}", **key, **drive.environment)
    assert f"is the folder shared with {EMAIL}" in message.splitlines()[-1]


@pytest.mark.parametrize(
    "key",
    ["not JSON", "[]", "{}", '{"type": "authorized_user"}', '{"type": "service_account", "private_key": ""}', "\x00"],
)
def test_what_is_no_key_of_a_service_account_is_refused_and_not_shown(key):
    with pytest.raises(InputError, match="GDRIVE_CREDENTIALS_DATA is not the key") as refusal:
        get_model.account_of(key)
    assert key not in str(refusal.value)


def test_a_key_that_google_does_not_take_any_more_is_said_to_be_deleted(trained, drive):
    key = json.loads(drive.json_key)
    drive.key = rsa.generate_private_key(65537, 2048)
    printed, message = get(trained, code=2, DVC_REMOTE_URL=f"gdrive://{FOLDER_ID}",
                           GDRIVE_CREDENTIALS_DATA=json.dumps(key), **drive.environment)  # fmt: skip
    assert f"does not take the key of {EMAIL}" in message.splitlines()[-1]
    assert "PRIVATE KEY" not in printed + message


def test_a_damaged_key_is_said_to_be_one(trained):
    key = {"type": "service_account", "client_email": EMAIL, "private_key": "-----BEGIN", "token_uri": "https://a"}
    _, message = get(trained, code=2, DVC_REMOTE_URL=f"gdrive://{FOLDER_ID}", GDRIVE_CREDENTIALS_DATA=json.dumps(key))
    assert f"does not take the key of {EMAIL}" in message.splitlines()[-1]


def test_a_key_names_its_account():
    key = json.dumps({"type": "service_account", "private_key": "k", "client_email": EMAIL})
    assert get_model.account_of(key)["client_email"] == EMAIL
