"""Put a report under a pull request, as one comment that the next run rewrites.

python comment.py reports/metrics.md

From the environment, as a workflow of GitHub has it: GITHUB_API_URL, GITHUB_REPOSITORY (owner/name), GITHUB_TOKEN (with
pull-requests: write), PULL_REQUEST (its number), HEAD_REPOSITORY (owner/name of the branch that is to be merged).
"""

import argparse
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from annotations import notice
from errors import InputError, friendly_errors

MARK = "<!-- metrics of week 6 -->"  # by which the next run knows the comment; it is not shown
MAX_CHARACTERS = 65_536  # of a comment
READ_ONLY = "the run's token may only read, as in every pull request of a fork; the table stands in the run's summary"


def call(method: str, url: str, body: dict | None = None) -> tuple[list | dict, str]:
    """One call of GitHub's API: the JSON of its answer, and the address of the next page ("" where there is none).

    Raises:
        InputError: nobody answers, or GitHub refuses; the message says why, in GitHub's words.
        PermissionError: the token may not do this.
    """
    headers = {"Authorization": f"Bearer {setting('GITHUB_TOKEN')}", "Accept": "application/vnd.github+json",
               "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "comment.py"}  # fmt: skip
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
            following = re.search(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
            return json.load(answer), following[1] if following else ""
    except urllib.error.HTTPError as error:
        reason = error.read().decode(errors="replace")
        if error.code == 403:
            raise PermissionError(reason) from None
        raise InputError(f"{method} {url}: {error.code} {reason}: check PULL_REQUEST and GITHUB_TOKEN") from None
    except OSError as error:
        raise InputError(f"{method} {url}: no answer ({error}): run the job again") from None
    except (HTTPException, ValueError):  # whose message may hold the token
        cure = "mend GITHUB_API_URL (https://...), PULL_REQUEST or a line break in GITHUB_TOKEN"
        raise InputError(f"{method} {url}: not sent, or it is not GitHub that answers: {cure}") from None


def setting(name: str) -> str:
    """A variable of the environment that must be there."""
    if not os.environ.get(name):
        raise InputError(f"{name} is not set: this script is for a workflow of GitHub; see its first lines")
    return os.environ[name]


def comments(url: str) -> Iterator[dict]:
    """All comments of a pull request, page after page."""
    url += "?per_page=100"
    while url:
        page, url = call("GET", url)
        yield from page


def upsert(report: str) -> str:
    """Rewrite our comment, or write it for the first time; returns its address for people."""
    repository = f"{setting('GITHUB_API_URL')}/repos/{setting('GITHUB_REPOSITORY')}"
    thread = f"{repository}/issues/{setting('PULL_REQUEST')}/comments"
    ours = [c for c in comments(thread) if c["body"].startswith(MARK) and c["user"]["type"] == "Bot"]
    body = {"body": f"{MARK}\n{report}"[:MAX_CHARACTERS]}
    if ours:
        return call("PATCH", f"{repository}/issues/comments/{ours[0]['id']}", body)[0]["html_url"]
    return call("POST", thread, body)[0]["html_url"]


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, help="a file in Markdown")
    path = parser.parse_args().report
    try:
        report = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): python report_metrics.py > {path}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8: write it anew, python report_metrics.py > {path}") from None
    if os.environ.get("HEAD_REPOSITORY") != setting("GITHUB_REPOSITORY"):
        return notice("No comment", READ_ONLY)
    try:
        print(upsert(report))
    except PermissionError:
        notice("No comment", f"{READ_ONLY}; here the job may lack the permission pull-requests: write", "warning")


if __name__ == "__main__":
    main()
