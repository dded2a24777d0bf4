"""Get the model of this commit: pull what a remote has of it, and make the rest.

python -m ci.get_model                                           no remote: trains, evaluates and exports, here
DVC_REMOTE_URL=s3://my-bucket/cola python -m ci.get_model        pulls; trains only what has changed since the push

For gdrive://FOLDER_ID/cola, GDRIVE_ACCESS_TOKEN holds a token, or GDRIVE_CREDENTIALS_DATA a service account's JSON key.
DVC itself fails to sign with it (https://github.com/iterative/PyDrive2/issues/361): Google's library makes the token.
"""

import json
import os
import sys

import dvc.cli
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials
from oauth2client.client import AccessTokenCredentials


def drive_token(key: str) -> str:
    """A token for an hour, for reading only; it is in no file and no log."""
    scopes = ["https://www.googleapis.com/auth/drive.readonly"]
    credentials = Credentials.from_service_account_info(json.loads(key), scopes=scopes)
    credentials.refresh(Request())
    return credentials.token


def run(*command: str) -> None:
    if code := dvc.cli.main([*command]):
        sys.exit(code)  # nothing comes after what failed


def main() -> None:
    url, token, key = (
        os.environ.get(name, "") for name in ("DVC_REMOTE_URL", "GDRIVE_ACCESS_TOKEN", "GDRIVE_CREDENTIALS_DATA")
    )
    drive = url.startswith("gdrive://")
    if not url or (drive and not (token or key)):  # DVC would open a browser, and wait
        print("::notice title=Trained here::DVC_REMOTE_URL is not set, or leads to Google Drive without an account")
    else:
        if drive:
            credentials = AccessTokenCredentials(token or drive_token(key), user_agent="dvc")
            os.environ["GDRIVE_CREDENTIALS_DATA"] = credentials.to_json()  # DVC takes a token in this place, too
        run("remote", "add", "--local", "--force", "ci", url)  # in .dvc/config.local, which git ignores
        run("pull", "--remote", "ci")
    run("repro")


if __name__ == "__main__":
    main()
