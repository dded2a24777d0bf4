"""From CloudWatch Logs to Elasticsearch or OpenSearch: the Lambda function that a subscription filter calls.

    python -m monitoring.forwarder logs/predictions.jsonl > reports/dead.jsonl      # the same by hand, from files
    python -m monitoring.forwarder reports/dead.jsonl                               # dead letters, when they are cured

Nothing is lost, and nothing is there twice. An event's id is its document's _id, so what is sent twice is there once.
What can never be indexed is a dead letter: it is kept as it was written, with the reason. All else that goes wrong is
the cluster's trouble: the call fails, and Lambda makes it again, as it does with one that ran out of time.

ENDPOINT is the cluster's address, with user and password in it if it asks for them; API_KEY is Elasticsearch's.
Nothing else of the course is imported: this file, and the packages that it uses, are the function's zip.
"""

import base64
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
LONGEST_ID = 512  # bytes: a longer one spoils the whole request
POISON = {"mapper_parsing_exception", "document_parsing_exception"}  # the fault is the event's, not the cluster's


class ClusterError(Exception):
    """The cluster does not take events now: the call is made again later."""


def authentication(endpoint: str):
    """What shows the cluster who asks, as `requests` takes it; a domain of AWS wants to see a signature."""
    if key := os.environ.get("API_KEY"):

        def with_key(request):
            request.headers["Authorization"] = f"ApiKey {key}"
            return request

        return with_key
    if "amazonaws.com" in endpoint:
        session = boto3.Session()  # in Lambda the function's role, else your own credentials
        return RequestsAWSV4SignerAuth(session.get_credentials(), session.region_name, "es")
    return None


def action(line: str) -> dict:
    """A line as a document for the index of its day; what is not a whole event is an exception of Python's own."""
    event = json.loads(line)
    identity, time = event["event"]["id"], datetime.fromisoformat(event["@timestamp"]).astimezone(UTC)
    if len(identity.encode()) > LONGEST_ID or len(line) > BULK_BYTES:
        raise ValueError(f"its id is longer than {LONGEST_ID} bytes, or the event than {BULK_BYTES}")
    json.dumps(event, ensure_ascii=False, allow_nan=False).encode()  # half a surrogate pair cannot be sent, nor NaN
    return {"_index": f"{INDEX}-{time:%Y.%m.%d}", "_id": identity, "_source": event}


def forward(lines: list[str], endpoint: str) -> tuple[dict, list[dict]]:
    """Index the events among these lines; returns the numbers of lines, and the dead ones, each with its reason."""
    actions, written, dead, late, foreign = [], {}, [], [], 0
    for line in lines:
        if '"ecs"' not in line:  # Lambda's own START, END, REPORT
            foreign += 1
            continue
        try:
            actions.append(action(line))
            written[actions[-1]["_id"]] = line
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            dead.append({"reason": repr(error), "line": line})
    cluster = OpenSearch(
        endpoint, connection_class=RequestsHttpConnection, http_auth=authentication(endpoint), max_retries=5
    )
    if not cluster.indices.exists_index_template(name="cola"):
        raise ClusterError("no types of fields yet, and guessed ones stay: run python -m monitoring.import_dashboards")
    indexed, backoff = 0, {"max_retries": 5, "initial_backoff": 0.5, "max_backoff": 8}  # s; only of events with a 429
    for ok, result in streaming_bulk(cluster, actions, max_chunk_bytes=BULK_BYTES, raise_on_error=False, **backoff):
        answer = result["index"]
        if ok:
            indexed += 1
        elif answer["error"]["type"] in POISON:
            dead.append({"reason": answer["error"], "line": written[answer["_id"]]})
        else:
            late.append(answer["error"])
    if late:
        raise ClusterError(f"{len(late)} events were not taken: {late[0]}")
    return {"indexed": indexed, "dead": len(dead), "foreign": foreign}, dead


def lambda_handler(event: dict, context) -> dict:
    batch = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    counts, dead = forward([entry["message"] for entry in batch["logEvents"]], os.environ["ENDPOINT"])
    if dead:
        body = "".join(json.dumps(letter) + "\n" for letter in dead)
        name = f"{batch['logGroup'].strip('/')}/{batch['logEvents'][0]['id']}.jsonl"  # the same when called again
        boto3.client("s3").put_object(Bucket=os.environ["DEAD_LETTER_BUCKET"], Key=name, Body=body.encode())
    print(json.dumps(counts))  # monitoring.yaml's alarm counts the dead ones
    return counts


def by_hand(paths: list[str], endpoint: str) -> bool:
    """Forward files; dead letters go to stdout. Returns whether there are none."""
    totals = {"indexed": 0, "dead": 0, "foreign": 0}
    for path in paths:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            while lines := file.readlines(BULK_BYTES):
                events = [json.loads(line)["line"] if line.startswith('{"reason": ') else line for line in lines]
                counts, dead = forward([event.rstrip("\n") for event in events], endpoint)
                totals = {name: totals[name] + counts[name] for name in totals}
                for letter in dead:
                    print(json.dumps(letter))
    print("{indexed:,} events indexed, {dead:,} dead, {foreign:,} lines not ours".format(**totals), file=sys.stderr)
    return not totals["dead"]


if __name__ == "__main__":
    try:
        sys.exit(not by_hand(sys.argv[1:], os.environ.get("ENDPOINT", "http://localhost:9200")))
    except (ClusterError, OpenSearchException) as error:
        sys.exit(f"{error}. What was sent is there once, also if you run this again")
