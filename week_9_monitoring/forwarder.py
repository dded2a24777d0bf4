"""From CloudWatch Logs to Elasticsearch or OpenSearch: the Lambda function that a subscription filter calls.

    python forwarder.py logs/predictions.jsonl --endpoint http://localhost:9200     # the same, from files, by hand

Nothing is lost, and nothing is there twice:

    - an event's id is its document's _id, so that sending it again replaces it
    - what the cluster has no time for (429, 5xx, no answer) is sent again, after a random wait that grows
    - of a bulk only the events that failed are sent again; one that is refused as a whole is cut in halves
    - what can never be indexed goes to the dead-letter bucket, with the reason; the others go on
    - if all that does not help, the function fails, and Lambda calls it again, and then keeps the call in a queue

Environment variables: ENDPOINT, https://...; DEAD_LETTER_BUCKET; API_KEY, of Elasticsearch. Without that, requests are
signed: in Lambda with the role of the function, by hand, where they go to a domain of AWS, with your credentials.
Standard library and boto3 only: the file is the zip.
"""

import argparse
import base64
import gzip
import hashlib
import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import NamedTuple

INDEX = "cola"
BULK_BYTES = 4_000_000  # of a request; OpenSearch on the smallest machines takes 10 MB
BULK_EVENTS = 1_000
ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.2, 20.0  # s, the upper ends of the first and of the last waits
TIMEOUT = 30  # s, for an answer


class Document(NamedTuple):
    """An event on its way: the line as it was written, and the two lines of the bulk request."""

    line: str
    bulk: bytes


class GiveUpError(Exception):
    """The cluster does not take anything: the call fails, and is made again later."""


class UnsignedError(Exception):
    """A request is to be signed, and there are no credentials or no region to do it with."""


def lambda_handler(call: dict, context) -> dict:
    """Forward what a subscription filter brings; returns how many lines were indexed, dead and not ours."""
    envelope = json.loads(gzip.decompress(base64.b64decode(call["awslogs"]["data"])))
    if envelope["messageType"] != "DATA_MESSAGE":  # CloudWatch asks whether we are there
        return {"indexed": 0, "dead": 0, "foreign": 0}
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - 5 if context else float("inf")
    endpoint, bucket = os.environ["ENDPOINT"], os.environ["DEAD_LETTER_BUCKET"]
    counts, dead = forward([event["message"] for event in envelope["logEvents"]], endpoint, deadline)
    if dead:
        import boto3

        body = "".join(json.dumps(each) + "\n" for each in dead).encode()
        name = f"{envelope['logGroup'].strip('/')}/{hashlib.sha256(body).hexdigest()}.jsonl"
        boto3.client("s3").put_object(Bucket=bucket, Key=name, Body=body)
    print(json.dumps(counts))
    return counts


def forward(lines: list[str], endpoint: str, deadline: float = float("inf")) -> tuple[dict, list[dict]]:
    """Index the events among these lines.

    Args:
        deadline: `time.monotonic()` at which to give up.

    Returns:
        The numbers of lines `indexed`, `dead` and `foreign`, and for each dead one its `line` and the `reason`.

    Raises:
        GiveUpError: the cluster takes nothing.
    """
    documents, dead, foreign = [], [], 0
    for line in lines:
        try:
            document = prepare(line)
        except (ValueError, KeyError, TypeError) as error:
            dead.append({"reason": f"not a whole event: {error!r}", "line": line})
            continue
        if document:
            documents.append(document)
        else:
            foreign += 1
    indexed = 0
    for bulk in bulks(documents):
        refused = send(bulk, endpoint, deadline)
        dead += refused
        indexed += len(bulk) - len(refused)
    return {"indexed": indexed, "dead": len(dead), "foreign": foreign}, dead


def prepare(line: str) -> Document | None:
    """A line as a document for the index of its day, or None if it is not ours (Lambda's own START, END, REPORT, ...).

    Raises:
        ValueError, KeyError, TypeError: it is ours, but not a whole event.
    """
    if '"ecs"' not in line:
        return None
    event = json.loads(line)
    day = time.strptime(event["@timestamp"][:10], "%Y-%m-%d")
    if not isinstance(event["event"]["id"], str):
        raise TypeError("event.id is not a string")
    action = {"index": {"_index": f"{INDEX}-{time.strftime('%Y.%m.%d', day)}", "_id": event["event"]["id"]}}
    return Document(line, f"{json.dumps(action)}\n{json.dumps(event)}\n".encode())  # on one line, whatever it was


def bulks(documents: list[Document]) -> Iterator[list[Document]]:
    """The documents in groups that one request may hold."""
    group, size = [], 0
    for document in documents:
        if group and (len(group) == BULK_EVENTS or size + len(document.bulk) > BULK_BYTES):
            yield group
            group, size = [], 0
        group.append(document)
        size += len(document.bulk)
    if group:
        yield group


def send(documents: list[Document], endpoint: str, deadline: float) -> list[dict]:
    """Send documents until each is indexed or refused for good; returns the latter, each with its reason.

    Raises:
        GiveUpError: that has not happened in `ATTEMPTS` attempts, or by the deadline.
    """
    dead, last = [], ""
    for attempt in range(ATTEMPTS):
        if attempt:
            wait = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))  # not all functions at once
            if time.monotonic() + wait > deadline:
                break
            time.sleep(wait)
        try:
            results = post(b"".join(document.bulk for document in documents), endpoint)
            if len(results) != len(documents):
                raise ValueError(f"an answer on {len(results)} of {len(documents)} events")
        except urllib.error.HTTPError as error:
            last = f"HTTP {error.code}"
            if error.code in (400, 413):
                return dead + halves(documents, endpoint, deadline, last)
            if error.code != 429 and error.code < 500:  # wrong rights or address: no use in trying again
                break
            continue
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
            last = repr(error)  # no answer, half of one, or not that of a cluster
            continue
        again = []
        for document, (status, reason) in zip(documents, results, strict=True):
            if status == 429 or status >= 500:
                again.append(document)
                last = f"status {status} of single events"
            elif status >= 300:
                dead.append({"reason": reason, "line": document.line})
        if not again:
            return dead
        documents = again
    raise GiveUpError(f"{len(documents)} events not taken by {endpoint}: {last}")


def halves(documents: list[Document], endpoint: str, deadline: float, reason: str) -> list[dict]:
    """Send in two halves what is too large for one request (413), or holds an event that spoils it (400)."""
    if len(documents) == 1:
        return [{"reason": reason, "line": documents[0].line}]
    middle = len(documents) // 2
    return send(documents[:middle], endpoint, deadline) + send(documents[middle:], endpoint, deadline)


def post(body: bytes, endpoint: str) -> list[tuple[int, str]]:
    """Make one bulk request; returns the HTTP status of each event, and what is wrong with it."""
    request = urllib.request.Request(f"{endpoint}/_bulk", body, {"Content-Type": "application/x-ndjson"})
    authorize(request)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        items = [item["index"] for item in json.loads(answer.read())["items"]]
    return [(int(item["status"]), json.dumps(item.get("error"))) for item in items]


def authorize(request: urllib.request.Request) -> None:
    """Say in a request who asks: by API_KEY, or by a signature where the function asks, or a domain of AWS is asked.

    Raises:
        UnsignedError: there is nothing to sign it with.
    """
    if key := os.environ.get("API_KEY"):
        request.add_header("Authorization", f"ApiKey {key}")
    elif "AWS_LAMBDA_FUNCTION_NAME" in os.environ or request.host.endswith(".es.amazonaws.com"):
        sign(request)


def sign(request: urllib.request.Request) -> None:
    """Sign a request to OpenSearch with AWS credentials, in the function those of its role.

    Raises:
        UnsignedError: there are none, or no region.
    """
    import boto3
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError, NoRegionError

    signed = AWSRequest(request.get_method(), request.full_url, dict(request.header_items()), request.data)
    try:
        session = boto3.Session()
        if not session.region_name:
            raise NoRegionError
        SigV4Auth(session.get_credentials(), "es", session.region_name).add_auth(signed)
    except BotoCoreError as error:
        cure = 'sign in ("aws configure sso"), and set AWS_DEFAULT_REGION to the region of the domain'
        raise UnsignedError(f"cannot sign a request to {request.host}: {error}: {cure}") from error
    for name, value in signed.headers.items():
        request.add_header(name, value)


def from_files(paths: list[str], endpoint: str, tell: Callable[[str], None]) -> None:
    """Forward the lines of files, as the function does; what is dead is told."""
    totals = {"indexed": 0, "dead": 0, "foreign": 0}
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            while lines := file.readlines(BULK_BYTES):
                counts, dead = forward(lines, endpoint)
                totals = {name: totals[name] + counts[name] for name in totals}
                for each in dead:
                    tell(f"dead: {each['reason']}: {each['line'].rstrip()}")
    print("{indexed:,} events indexed, {dead:,} dead, {foreign:,} lines not ours".format(**totals))


def address(text: str) -> str:
    """A URL of the command line, without a slash at its end.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} must begin with http:// or https://")
    return text.rstrip("/")


def main() -> None:
    from errors import InputError, friendly_errors

    parser = argparse.ArgumentParser(description="Send logs of predictions to Elasticsearch or OpenSearch.")
    parser.add_argument("log", nargs="+", help="files of events")
    parser.add_argument("--endpoint", type=address, default="http://localhost:9200", metavar="URL",
                        help="default: %(default)s")  # fmt: skip
    arguments = parser.parse_args()
    with friendly_errors():
        try:
            from_files(arguments.log, arguments.endpoint, lambda line: print(line, file=sys.stderr))
        except GiveUpError as error:
            cure = "is it running, and may you write there (API_KEY, or the access policy of a domain of AWS)?"
            raise InputError(f"{error}: {cure}") from None
        except UnsignedError as error:
            raise InputError(str(error)) from None
        except OSError as error:
            raise InputError(f"{error.filename} cannot be read ({error.strerror}): name files, logs/*.jsonl") from None


if __name__ == "__main__":
    main()
