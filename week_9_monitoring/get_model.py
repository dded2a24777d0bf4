"""Get the model of this commit: from a remote of DVC where one is named, and by training what that does not have.

python get_model.py                                               # no remote: trains, evaluates and exports, here
DVC_REMOTE_URL=s3://my-bucket/cola python get_model.py            # pulls; trains only what has changed since the push
DVC_REMOTE_URL=gdrive://FOLDER_ID/cola python get_model.py        # with one of these two:
    GDRIVE_CREDENTIALS_DATA    the JSON key of a Google service account
    GDRIVE_ACCESS_TOKEN        a token for an hour, which needs no key

Neither is written to a file or printed. DVC's own gdrive_use_service_account signs with a function that pyOpenSSL 24.3
took away (https://github.com/iterative/PyDrive2/issues/361), so the key is exchanged for a token here, by Google's own
library, and DVC gets the token: for an hour, for reading only.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from annotations import notice
from errors import InputError, friendly_errors

REMOTE = "get-model"  # its name in .dvc/config.local, which git ignores, for as long as the pull takes
LOCK = Path("dvc.lock")
SCOPE = "https://www.googleapis.com/auth/drive.readonly"
KEY, TOKEN = "GDRIVE_CREDENTIALS_DATA", "GDRIVE_ACCESS_TOKEN"
README = 'see "Go real" in README.md'


def dvc(*arguments: str, cure: str = "") -> None:
    """Run DVC, which says itself what it does and what is wrong.

    Raises:
        InputError: it ended with an error; the message ends with the cure, where one is known.
    """
    if subprocess.run([sys.executable, "-m", "dvc", *arguments]).returncode:
        reason = f", as it says above: {cure}" if cure else ": the reason stands above"
        raise InputError(f"dvc {arguments[0]} failed{reason}")


def account_of(key: str) -> dict:
    """The content of the JSON key of a service account.

    Raises:
        InputError: it is none. The message holds nothing of it.
    """
    try:
        content = json.loads(key)
        if content["type"] == "service_account" and content["private_key"] and content["client_email"]:
            return content
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{KEY} is not the key of a service account: give the whole content of its JSON file; {README}")


def token_of(account: dict) -> str:
    """A token with which the account reads what is shared with it, for an hour.

    Raises:
        InputError: the key is damaged or was deleted, or Google does not answer.
    """
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials

    try:
        credentials = Credentials.from_service_account_info(account, scopes=[SCOPE])
        credentials.refresh(Request())
    except TransportError:
        raise InputError("Google does not answer: run this again") from None
    except (GoogleAuthError, ValueError):
        raise InputError(f"Google does not take the key of {account['client_email']}: was it deleted? Make a new one, "
                         f"and put it into {KEY}; {README}") from None  # fmt: skip
    return credentials.token


def for_dvc(token: str) -> str:
    """A token in the form in which DVC's Google Drive takes credentials from the environment."""
    from oauth2client.client import AccessTokenCredentials

    return AccessTokenCredentials(token, user_agent="dvc").to_json()


def name_remote(url: str) -> str | None:
    """Make a remote known to DVC; returns the cure for a pull that fails, or None where the remote cannot be used.

    Raises:
        InputError: the credentials for Google Drive are none.
    """
    cure = f"does {url} exist, may this account read it, and was the model pushed (dvc push)?"
    key, token = os.environ.get(KEY, "").strip(), os.environ.get(TOKEN, "").strip()
    on_drive = url.startswith("gdrive://")
    if on_drive and not (key or token):  # DVC would open a browser, and wait
        notice("DVC remote left out", f"{url} needs the secret {KEY}, or the variable GCP_WORKLOAD_IDENTITY_PROVIDER; "
               f"so the model is trained here; {README}", "warning")  # fmt: skip
        return None
    if on_drive and key:
        account = account_of(key)
        token = token_of(account)
        cure = f"is the folder shared with {account['client_email']}, and was the model pushed to it (dvc push)?"
    if on_drive:
        os.environ[KEY] = for_dvc(token)
    dvc("remote", "add", "--local", "--force", REMOTE, url, cure="mend DVC_REMOTE_URL")
    return cure


def pull() -> None:
    """Bring what dvc.lock names from the remote of DVC_REMOTE_URL, or say which variable is missing for it.

    Raises:
        InputError: the remote, its credentials or its model is missing or wrong.
    """
    url = os.environ.get("DVC_REMOTE_URL", "").strip()
    if url.startswith(("https://drive.google.com/", "gdrive:")) and not url.startswith("gdrive://"):
        raise InputError("DVC_REMOTE_URL: of a folder on Drive, give gdrive:// and the end of its address")
    if not url:
        notice("No DVC remote", f"the model is trained here; the variable DVC_REMOTE_URL names a remote; {README}")
    elif not LOCK.is_file():
        notice("Nothing to pull", f"no {LOCK} is committed, so the model is trained here: "
               f'run "dvc repro", "dvc push", and commit {LOCK}')  # fmt: skip
    elif cure := name_remote(url):
        try:
            dvc("pull", "--remote", REMOTE, cure=cure)
        finally:  # or it would stay where a later run names another, or none
            dvc("remote", "remove", "--local", REMOTE)


@friendly_errors()
def main() -> None:
    pull()
    dvc("repro")


if __name__ == "__main__":
    main()
