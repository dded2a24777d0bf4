"""The forwarder, with a cluster of a few lines; test_monitoring_cluster.py has a real one."""

import base64
import gzip
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
import requests
from moto import mock_aws
from opensearchpy import OpenSearchException
from opensearchpy.serializer import JSONSerializer

from monitoring import forwarder
from monitoring.forwarder import by_hand, forward, lambda_handler


def line(number: int, **cola) -> str:
    moment = f"2026-11-{20 + number % 3}T12:00:00.000Z"
    event = {"@timestamp": moment, "ecs": {"version": "8.17.0"}, "event": {"id": f"{number:032x}"}}
    return json.dumps(event | {"cola": {"schema": 2, "score": 0.5} | cola})


class Cluster:
    """As much of a client, and of what is behind it, as the bulk helper of opensearch-py sees."""

    def __init__(self):
        self.documents, self.errors, self.has_template = {}, {}, True
        self.transport = SimpleNamespace(serializer=JSONSerializer())
        self.indices = SimpleNamespace(exists_index_template=lambda name: self.has_template)

    def bulk(self, body: str) -> dict:
        lines = [json.loads(text) for text in body.splitlines()]
        pairs = zip(lines[::2], lines[1::2], strict=True)
        return {"items": [{"index": self.keep(**action["index"], source=source)} for action, source in pairs]}

    def keep(self, _index: str, _id: str, source: dict) -> dict:
        if errors := self.errors.get(_id):
            status, kind = errors.pop(0)
            return {"_id": _id, "status": status, "error": {"type": kind}}
        self.documents[_index, _id] = source
        return {"_id": _id, "status": 201}


@pytest.fixture
def cluster(monkeypatch):
    made = Cluster()
    monkeypatch.setattr(forwarder, "OpenSearch", lambda *_, **__: made)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return made


@pytest.fixture
def bucket(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DEAD_LETTER_BUCKET"):
        monkeypatch.setenv(name, "dead")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("ENDPOINT", "http://cluster")
    with mock_aws():
        yield boto3.resource("s3").create_bucket(Bucket="dead")


def batch(*lines: str) -> dict:
    events = [{"id": str(number), "timestamp": 0, "message": text} for number, text in enumerate(lines)]
    content = {"messageType": "DATA_MESSAGE", "logGroup": "/aws/lambda/cola", "logStream": "s", "logEvents": events}
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()}}


def test_an_event_lands_in_the_index_of_its_day_under_its_own_id(cluster):
    late = line(7).replace("2026-11-21T12:00:00.000Z", "2026-11-22T01:00:00+02:00")
    assert forward([line(1), "START RequestId: 1 Version: 2", late], "") == (2, [])
    assert set(cluster.documents) == {("cola-2026.11.21", f"{1:032x}"), ("cola-2026.11.21", f"{7:032x}")}
    assert cluster.documents["cola-2026.11.21", f"{1:032x}"] == json.loads(line(1))


def test_what_is_not_the_fault_of_an_event_fails_the_call_after_the_others_are_indexed(cluster):
    cluster.errors = {f"{1:032x}": [(403, "cluster_block_exception")]}
    with pytest.raises(OpenSearchException, match="1 events were not taken"):
        forward([line(number) for number in range(1_000)], "")
    assert len(cluster.documents) == 999


def test_no_event_is_indexed_before_the_types_of_the_fields_are_known(cluster):
    cluster.has_template = False
    with pytest.raises(OpenSearchException, match="import_dashboards"):
        forward([line(1)], "")
    assert cluster.documents == {}


def test_dead_letters_are_kept_as_they_were_written_and_once(cluster, bucket):
    poison, torn = line(2), line(3)[:-20]
    cluster.errors = {f"{2:032x}": [(400, "mapper_parsing_exception")] * 2}
    for _ in range(2):  # the same call twice
        assert lambda_handler(batch(line(1), poison, torn), None) == {"indexed": 1, "dead": 2}
    (kept,) = bucket.objects.all()
    assert kept.key == "aws/lambda/cola/0.jsonl"
    assert {json.loads(letter)["line"] for letter in kept.get()["Body"].read().splitlines()} == {poison, torn}


def test_what_can_neither_be_indexed_nor_put_aside_fails_the_call(cluster, bucket, monkeypatch):
    monkeypatch.setenv("DEAD_LETTER_BUCKET", "not-there")
    with pytest.raises(boto3.client("s3").exceptions.NoSuchBucket):
        lambda_handler(batch('not JSON, though it says "ecs"'), None)


def test_by_hand_dead_letters_are_told_and_can_be_fed_back(cluster, tmp_path, capsys):
    log, dead = tmp_path / "predictions.jsonl", tmp_path / "dead.jsonl"
    log.write_bytes(f"{line(1)}\nINFO: not ours\n{line(2)}\n".encode() + b'{"ecs": "\xff"}\n')
    cluster.errors = {f"{2:032x}": [(400, "mapper_parsing_exception")]}
    assert by_hand([str(log)], "")
    letters, told = capsys.readouterr()
    assert told == "1 events indexed, 2 dead\n"
    dead.write_text(letters.splitlines()[1] + "\n", encoding="utf-8")
    assert not by_hand([str(dead)], "")
    assert len(cluster.documents) == 2


def test_requests_to_a_domain_of_aws_are_signed_and_others_are_not(bucket):
    url = "https://search-cola.us-east-1.es.amazonaws.com/_bulk"
    signed = forwarder.authentication(url)(requests.Request("POST", url, data=b"{}").prepare()).headers
    assert signed["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
    assert "/us-east-1/es/aws4_request" in signed["Authorization"]
    assert forwarder.authentication("http://localhost:9200") is None


def test_the_template_is_clean():
    subprocess.run([Path(sys.executable).with_name("cfn-lint"), "monitoring/monitoring.yaml"], check=True)
