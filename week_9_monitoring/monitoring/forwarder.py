"""From CloudWatch Logs to Elasticsearch or OpenSearch: the Lambda function that a subscription filter calls.

    python -m monitoring.forwarder logs/predictions.jsonl > reports/dead.jsonl      # the same by hand, from files
    python -m monitoring.forwarder reports/dead.jsonl                               # dead letters, when they are cured

What can never be indexed is a dead letter, kept as it was written. All else is the cluster's trouble: the call fails,
and Lambda makes it again. ENDPOINT is the cluster, user and password in it where it asks; API_KEY is Elasticsearch's.
"""

import base64
import fileinput
import gzip
import json
import os
import sys
from datetime import UTC, datetime

import boto3
from opensearchpy import OpenSearch, OpenSearchException, RequestsAWSV4SignerAuth, RequestsHttpConnection
from opensearchpy.helpers import streaming_bulk

INDEX = "cola"  # with the day at its end: cola-2026.11.24
BULK_BYTES = 5_000_000  # of a request: the smallest machines of AWS take 10 MB
POISON = {"mapper_parsing_exception", "document_parsing_exception"}  # the fault is the event's, not the cluster's
HEADERS = {"Authorization": f"ApiKey {os.environ['API_KEY']}"} if "API_KEY" in os.environ else {}


def authentication(endpoint: str) -> RequestsAWSV4SignerAuth | None:
    """A domain of AWS wants signed requests: in Lambda the function's role signs, else your own credentials."""
    if "amazonaws.com" in endpoint:
        session = boto3.Session()
        return RequestsAWSV4SignerAuth(session.get_credentials(), session.region_name, "es")
    return None


def action(line: str) -> dict:
    """A line as a document for the index of its day; what is not a whole event is an exception of Python's own."""
    event = json.loads(line)
    identity, time = event["event"]["id"], datetime.fromisoformat(event["@timestamp"]).astimezone(UTC)
    if len(identity.encode()) > 512 or len(line) > BULK_BYTES:
        raise ValueError("its id is longer than 512 bytes, or it is too large: either would spoil the whole request")
    json.dumps(event, ensure_ascii=False, allow_nan=False).encode()  # half a surrogate pair cannot be sent, nor NaN
    return {"_index": f"{INDEX}-{time:%Y.%m.%d}", "_id": identity, "_source": event}


def forward(lines: list[str], endpoint: str) -> tuple[int, list[dict]]:
    """Index the events among these lines; returns how many, and the dead ones, each with its reason."""
    access = {"connection_class": RequestsHttpConnection, "http_auth": authentication(endpoint), "headers": HEADERS}
    cluster = OpenSearch(endpoint, max_retries=5, **access)
    if not cluster.indices.exists_index_template(name="cola"):
        raise OpenSearchException("no types of fields yet, and guessed ones stay: run monitoring.import_dashboards")
    actions, written, dead, late, indexed = [], {}, [], [], 0
    for line in lines:
        if '"ecs"' not in line:  # Lambda's own START, END, REPORT
            continue
        try:
            actions.append(action(line))
            written[actions[-1]["_id"]] = line
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            dead.append({"reason": repr(error), "line": line})
    backoff = {"max_retries": 5, "initial_backoff": 0.5, "max_backoff": 8}  # s; only of events with a 429
    for ok, result in streaming_bulk(cluster, actions, max_chunk_bytes=BULK_BYTES, raise_on_error=False, **backoff):
        answer = result["index"]
        if ok:
            indexed += 1
        elif answer["error"]["type"] in POISON:
            dead.append({"reason": answer["error"], "line": written[answer["_id"]]})
        else:
            late.append(answer["error"])
    if late:
        raise OpenSearchException(f"{len(late)} events were not taken: {late[0]}")
    return indexed, dead


def lambda_handler(event: dict, context) -> dict:
    batch = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    indexed, dead = forward([entry["message"] for entry in batch["logEvents"]], os.environ["ENDPOINT"])
    if dead:
        body = "".join(json.dumps(letter) + "\n" for letter in dead)
        name = f"{batch['logGroup'].strip('/')}/{batch['logEvents'][0]['id']}.jsonl"  # the same when called again
        boto3.client("s3").put_object(Bucket=os.environ["DEAD_LETTER_BUCKET"], Key=name, Body=body.encode())
    counts = {"indexed": indexed, "dead": len(dead)}
    print(json.dumps(counts))  # monitoring.yaml's alarm counts the dead ones
    return counts


def by_hand(paths: list[str], endpoint: str) -> bool:
    """Forward files, of dead letters too; what is dead goes to stdout. Returns whether there was any."""
    with fileinput.input(paths, encoding="utf-8", errors="surrogateescape") as file:
        lines = [json.loads(line)["line"] if line.startswith('{"reason": ') else line.rstrip("\n") for line in file]
    indexed, dead = forward(lines, endpoint)
    print("".join(json.dumps(letter) + "\n" for letter in dead), end="")
    print(f"{indexed:,} events indexed, {len(dead):,} dead", file=sys.stderr)
    return bool(dead)


if __name__ == "__main__":
    sys.exit(by_hand(sys.argv[1:], os.environ.get("ENDPOINT", "http://localhost:9200")))
