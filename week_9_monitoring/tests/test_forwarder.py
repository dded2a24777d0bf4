"""The forwarder: against a cluster that fails in every way of the bulk API, and called by a subscription filter."""

import base64
import gzip
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import boto3
import moto.awslambda.models
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from moto import mock_aws

import forwarder
from cluster import a_cluster
from conftest import WEEK
from forwarder import GiveUpError, lambda_handler
from stand_ins import no_account_fixture  # noqa: F401

EVENTS = 100_000
ACCOUNT, REGION = "123456789012", "us-east-1"


@pytest.fixture
def cluster():
    with a_cluster() as server:
        yield server


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Waits are noted, not waited."""
    waits = []
    monkeypatch.setattr(forwarder.time, "sleep", waits.append)
    for name in ("API_KEY", "AWS_LAMBDA_FUNCTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    return waits


@pytest.fixture
def aws(monkeypatch, cluster):
    """AWS without AWS: a bucket for dead letters, and the function's environment."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENDPOINT", cluster.url)
    monkeypatch.setenv("DEAD_LETTER_BUCKET", "dead")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="dead")
        yield


def line(number: int, **cola) -> str:
    day = 20 + number % 3
    return json.dumps({"@timestamp": f"2026-11-{day}T12:00:00.000Z", "ecs": {"version": "8.17.0"},
                       "event": {"id": f"{number:032x}"}, "cola": {"schema": 1, "score": 0.5} | cola})  # fmt: skip


def call_with(lines: list[str], kind: str = "DATA_MESSAGE") -> dict:
    events = [{"id": str(number), "timestamp": 0, "message": text} for number, text in enumerate(lines)]
    content = {"messageType": kind, "logGroup": "/aws/lambda/cola", "logStream": "s", "logEvents": events}
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()}}


def dead_letters() -> list[dict]:
    s3 = boto3.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="dead").get("Contents", [])]
    bodies = [s3.get_object(Bucket="dead", Key=key)["Body"].read().decode() for key in keys]
    return [json.loads(text) for body in bodies for text in body.splitlines()]


def test_an_event_lands_in_the_index_of_its_day_under_its_own_id(cluster):
    counts, _ = forwarder.forward([line(1), "START RequestId: 1 Version: 2\n", line(2)], cluster.url)
    assert counts == {"indexed": 2, "dead": 0, "foreign": 1}
    assert set(cluster.documents) == {("cola-2026.11.21", f"{1:032x}"), ("cola-2026.11.22", f"{2:032x}")}
    assert cluster.documents["cola-2026.11.21", f"{1:032x}"] == json.loads(line(1))


def test_through_all_failures_at_once_100_000_events_arrive_once(cluster):
    chance = random.Random(0)
    kinds = [None, 429, 500, 503, "close", "lose", "cut", "gibberish", "other"]
    cluster.trouble = lambda: chance.choices(kinds, [8] + [1] * 8)[0]
    cluster.busy = lambda: chance.random() < 0.02
    lines = [line(number) for number in range(EVENTS)]
    poison = {number: line(number, score="high") for number in range(0, EVENTS, 5_000)}
    for number, text in poison.items():
        lines[number] = text
    random.Random(1).shuffle(lines)
    counts, dead = Counter(), []
    for start in range(0, EVENTS, 10_000):
        for _ in range(20):  # as Lambda does, and a person with what is in the queue
            try:
                found, letters = forwarder.forward(lines[start : start + 10_000], cluster.url)
                break
            except GiveUpError:
                counts["calls made again"] += 1
        counts += Counter(found)
        dead += letters
    assert len(cluster.documents) == counts["indexed"] == EVENTS - len(poison)
    assert {identity for _, identity in cluster.documents} | {
        json.loads(letter["line"])["event"]["id"] for letter in dead
    } == {f"{number:032x}" for number in range(EVENTS)}
    assert sorted(letter["line"] for letter in dead) == sorted(poison.values())


def test_only_the_events_that_failed_are_sent_again(cluster):
    busy = iter([False, True, False])
    cluster.busy = lambda: next(busy, False)
    forwarder.forward([line(1), line(2), line(3)], cluster.url)
    sent = [re.findall(rb'"_id": "(\w+)"', body) for _, _, body in cluster.requests]
    assert [len(identities) for identities in sent] == [3, 1]
    assert sent[1] == [f"{2:032x}".encode()]


def test_waits_grow_and_are_random(cluster, clock):
    cluster.trouble = lambda: 503
    for _ in range(40):
        with pytest.raises(GiveUpError, match="1 events not taken by .*HTTP 503"):
            forwarder.forward([line(1)], cluster.url)
    attempts = [clock[number :: forwarder.ATTEMPTS - 1] for number in range(forwarder.ATTEMPTS - 1)]
    limits = [min(forwarder.LONGEST_WAIT, forwarder.FIRST_WAIT * 2**attempt) for attempt in range(1, len(attempts) + 1)]
    for waits, limit in zip(attempts, limits, strict=True):
        assert 0 <= min(waits) < limit / 4  # full jitter
        assert limit * 3 / 4 < max(waits) <= limit


def test_it_gives_up_before_lambda_would_kill_it(cluster, clock):
    cluster.trouble = lambda: 429
    with pytest.raises(GiveUpError):
        forwarder.forward([line(1)], cluster.url, deadline=time.monotonic())
    assert len(cluster.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_wrong_rights_or_address_are_not_tried_again(cluster, clock, status):
    cluster.trouble = lambda: status
    with pytest.raises(GiveUpError, match=f"HTTP {status}"):
        forwarder.forward([line(1)], cluster.url)
    assert (len(cluster.requests), clock) == (1, [])


def test_a_request_that_is_too_large_is_cut_in_halves_down_to_the_event_that_is(cluster):
    cluster.limit = 2_000
    giant = line(7, sentence="x" * 3_000)
    counts, dead = forwarder.forward([*(line(number) for number in range(7)), giant], cluster.url)
    assert counts == {"indexed": 7, "dead": 1, "foreign": 0}
    assert dead == [{"reason": "HTTP 413", "line": giant}]


def test_an_event_that_spoils_the_request_does_not_stop_the_others(cluster):
    spoiler = line(2).replace(f"{2:032x}", "2" * 600)
    counts, dead = forwarder.forward([line(1), spoiler, line(3)], cluster.url)
    assert counts == {"indexed": 2, "dead": 1, "foreign": 0}
    assert dead == [{"reason": "HTTP 400", "line": spoiler}]


def test_no_cluster_at_all(clock):
    with pytest.raises(GiveUpError, match="refused"):
        forwarder.forward([line(1)], "http://127.0.0.1:9")


@pytest.mark.parametrize(
    "broken",
    [
        line(1)[:-30],
        line(1).replace("2026-11", "yesterday"),
        line(1).replace(f'"{1:032x}"', "5"),
        '{"ecs": {}}',
        '["ecs"]',
    ],
    ids=["torn", "no time", "no id", "nothing in it", "not an object"],
)
def test_a_line_that_is_not_a_whole_event_goes_to_the_dead_letters(cluster, aws, broken):
    assert lambda_handler(call_with([line(2), broken, line(3)]), None) == {"indexed": 2, "dead": 1, "foreign": 0}
    (letter,) = dead_letters()
    assert letter["line"] == broken
    assert letter["reason"].startswith("not a whole event: ")


def test_the_same_call_twice_changes_nothing(cluster, aws):
    for _ in range(2):
        lambda_handler(call_with([line(1), line(2, score="high"), line(3)]), None)
    assert len(cluster.documents) == 2
    assert len(dead_letters()) == 1


def test_what_cannot_be_indexed_nor_put_aside_fails_the_call(cluster, aws, monkeypatch):
    monkeypatch.setenv("DEAD_LETTER_BUCKET", "not-there")
    with pytest.raises(boto3.client("s3").exceptions.NoSuchBucket):
        lambda_handler(call_with([line(2, score="high")]), None)


def test_cloudwatch_may_ask_whether_it_is_there(aws, cluster):
    assert lambda_handler(call_with(["CWL CONTROL MESSAGE: Checking health"], "CONTROL_MESSAGE"), None)["indexed"] == 0
    assert cluster.requests == []


def test_requests_are_signed_in_lambda_and_carry_the_key_of_elasticsearch_elsewhere(cluster, aws, monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "forwarder")
    forwarder.forward([line(1)], cluster.url)
    monkeypatch.setenv("API_KEY", "secret")
    forwarder.forward([line(1)], cluster.url)
    (_, signed, body), (_, with_key, _) = cluster.requests
    assert with_key["Authorization"] == "ApiKey secret"
    match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=\w+/\d{8}/us-east-1/es/aws4_request, "
                         r"SignedHeaders=([a-z;-]+), Signature=([0-9a-f]{64})", signed["Authorization"])  # fmt: skip
    headers = {name.lower(): value for name, value in signed.items()}
    headers = {name: headers[name] for name in match[1].split(";")}
    request = AWSRequest("POST", f"{cluster.url}/_bulk", headers, body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(boto3.Session().get_credentials(), "es", REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert signer.signature(text, request) == match[2]  # of what came, by the server's own reckoning


def test_a_subscription_filter_calls_it(cluster, aws, monkeypatch):
    """The real envelope of moto's filter. For its call see the repository's tests/test_subscription_filter.py."""
    answers = []
    monkeypatch.setattr(
        moto.awslambda.models.LambdaFunction,
        "invoke",
        lambda self, body, *_: answers.append(lambda_handler(json.loads(body), None)),
    )
    role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    function = boto3.client("lambda").create_function(
        FunctionName="forwarder",
        Runtime="python3.12",
        Role=role,
        Handler="forwarder.lambda_handler",
        Code={"ZipFile": b"PK\x05\x06" + bytes(18)},  # an empty zip
    )
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/cola")
    logs.create_log_stream(logGroupName="/aws/lambda/cola", logStreamName="s")
    logs.put_subscription_filter(
        logGroupName="/aws/lambda/cola",
        filterName="predictions",
        filterPattern='"cola"',
        destinationArn=function["FunctionArn"],
    )
    lines = [line(number) for number in range(3_000)] + ["REPORT RequestId: 1", line(1), line(4_000)[:80]]
    for start in range(0, len(lines), 500):
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": text} for text in lines[start : start + 500]]
        logs.put_log_events(logGroupName="/aws/lambda/cola", logStreamName="s", logEvents=events)
    assert len(answers) == 7
    assert len(cluster.documents) == 3_000
    assert [letter["line"] for letter in dead_letters()] == [line(4_000)[:80]]


def test_files_are_forwarded_by_hand(cluster, tmp_path, command):
    log = tmp_path / "predictions.jsonl"
    log.write_text("\n".join([line(1), "INFO: not ours", line(2)]) + "\n", encoding="utf-8")
    done = command("forwarder.py", log, "--endpoint", cluster.url)
    assert (done.returncode, done.stdout.decode()) == (0, "2 events indexed, 0 dead, 1 lines not ours\n")
    assert len(cluster.documents) == 2
    cluster.trouble = lambda: 401
    done = command("forwarder.py", log, "--endpoint", cluster.url)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: 2 events not taken by http://127.0.0.1:")
    assert command("forwarder.py", tmp_path / "no.jsonl").returncode == 2
    done = command("forwarder.py", tmp_path)
    expected = f"error: {tmp_path} cannot be read (Is a directory): name files, logs/*.jsonl\n"
    assert (done.returncode, done.stderr.decode()) == (2, expected)


def test_an_address_is_a_url(cli):
    code, _, err = cli(forwarder.main, "log.jsonl", "--endpoint", "localhost:9200")
    assert (code, err.splitlines()[-1]) == (
        2, "script: error: argument --endpoint: 'localhost:9200' must begin with http:// or https://")  # fmt: skip


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION"])
def test_by_hand_too_requests_to_a_domain_of_aws_are_signed_or_it_is_said_why_not(tmp_path, cli, monkeypatch, missing):
    (tmp_path / "log.jsonl").write_text(line(1), encoding="utf-8")
    monkeypatch.delenv(missing)
    endpoint = "https://search-cola.eu-central-1.es.amazonaws.com"
    code, _, err = cli(forwarder.main, tmp_path / "log.jsonl", "--endpoint", endpoint)
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot sign a request to search-cola.eu-central-1.es.amazonaws.com" in err
    assert "sign in" in err


def test_the_zip_needs_no_other_file(tmp_path):
    (tmp_path / "forwarder.py").write_bytes((WEEK / "forwarder.py").read_bytes())
    script = "import sys; sys.path[:0] = ['.']; import forwarder; assert not {'boto3', 'errors'} & set(sys.modules)"
    subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, check=True)


def test_the_template_is_clean():
    subprocess.run([Path(sys.executable).with_name("cfn-lint"), WEEK / "monitoring.yaml"], check=True)
