"""Get the model of this commit: pull what a remote has of it, and make the rest.

python -m ci.get_model                                           no remote: trains, evaluates and exports, here
DVC_REMOTE_URL=s3://my-bucket/cola python -m ci.get_model        pulls; trains only what has changed since the push
DVC_REMOTE_URL=gdrive://FOLDER_ID/cola python -m ci.get_model    with one of these two:
    GDRIVE_CREDENTIALS_DATA    the JSON key of a Google service account
    GDRIVE_ACCESS_TOKEN        a token for an hour, which needs no key

DVC itself signs with a function that pyOpenSSL 24.3 took away (https://github.com/iterative/PyDrive2/issues/361). So
Google's own library exchanges the key for a token: for an hour, for reading only, and in no file and no log.
"""

import json
import os
import sys
from pathlib import Path

import dvc.cli
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials
from oauth2client.client import AccessTokenCredentials

SCOPE = "https://www.googleapis.com/auth/drive.readonly"


def drive_token(key: str) -> str:
    """A token for the account of a JSON key; what is wrong with a key is said without showing it."""
    try:
        credentials = Credentials.from_service_account_info(json.loads(key), scopes=[SCOPE])
    except (ValueError, TypeError, AttributeError):
        sys.exit("GDRIVE_CREDENTIALS_DATA is not the JSON key of a service account")
    credentials.refresh(Request())
    return credentials.token


def run(*command: str) -> None:
    """Run DVC, which says itself what it does and what is wrong; nothing comes after what failed."""
    if code := dvc.cli.main([*command]):
        sys.exit(code)


def main() -> None:
    url, key, token = (
        os.environ.get(name, "").strip()
        for name in ("DVC_REMOTE_URL", "GDRIVE_CREDENTIALS_DATA", "GDRIVE_ACCESS_TOKEN")
    )
    if not url:
        print("::notice title=Trained here::the variable DVC_REMOTE_URL names a remote with the model")
    elif not Path("dvc.lock").exists():
        print("::notice title=Trained here::no dvc.lock is committed: run dvc repro and dvc push, and commit it")
    elif url.startswith("gdrive://") and not (key or token):  # DVC would open a browser, and wait
        print("::notice title=Trained here::Drive needs GDRIVE_CREDENTIALS_DATA or GCP_WORKLOAD_IDENTITY_PROVIDER")
    else:
        if url.startswith("gdrive://"):
            token = drive_token(key) if key else token
            os.environ["GDRIVE_CREDENTIALS_DATA"] = AccessTokenCredentials(token, user_agent="dvc").to_json()
        run("remote", "add", "--local", "--force", "ci", url)  # in .dvc/config.local, which git ignores
        run("pull", "--remote", "ci")
    run("repro")


if __name__ == "__main__":
    main()
