"""Files in S3: there and back by moto's server, and what is said when AWS refuses."""

import os
import urllib.request
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

import s3
from stand_ins import ACCOUNT, answering, aws_fixture, moto_fixture, no_account_fixture  # noqa: F401


@pytest.fixture
def bucket(aws):
    """An empty bucket."""
    name = f"course-{os.urandom(4).hex()}"
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return name


@pytest.mark.parametrize("size", [0, 1, 9 * 2**20], ids=["empty", "small", "in parts"])
def test_a_file_comes_back_as_it_was(cli, bucket, tmp_path, size):
    file, copy = tmp_path / "model.onnx", tmp_path / "new" / "copy.onnx"
    file.write_bytes(os.urandom(size))
    target = f"s3://{bucket}/models/model.onnx"
    assert cli(s3.main, "upload", file, target) == (0, f"uploaded {target}\n", "")
    code, listed, count = cli(s3.main, "list", f"s3://{bucket}/models/")
    assert (code, count) == (0, "1 object\n")
    assert listed.split()[0] == f"{size:,}"
    assert listed.split()[-1] == "models/model.onnx"
    assert cli(s3.main, "download", target, copy) == (0, f"downloaded {copy}\n", "")
    assert copy.read_bytes() == file.read_bytes()


def test_list_shows_what_begins_so(cli, bucket):
    client = boto3.client("s3")
    for key in ("a/1", "a/2", "b"):
        client.put_object(Bucket=bucket, Key=key)
    _, listed, count = cli(s3.main, "list", f"s3://{bucket}/a/")
    assert [line.split()[-1] for line in listed.splitlines()] == ["a/1", "a/2"]
    assert count == "2 objects\n"
    assert cli(s3.main, "list", f"s3://{bucket}/c") == (0, "", "0 objects\n")


def test_list_asks_for_all_pages(cli, monkeypatch):
    entry = "<Contents><Key>{}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>"

    def answer(method, path, headers):
        page = entry.format("second") if "continuation-token=next" in path else entry.format("first") + more
        return 200, {"Content-Type": "application/xml"}, f"<ListBucketResult>{page}</ListBucketResult>".encode()

    with answering(answer) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        _, listed, count = cli(s3.main, "list", "s3://bucket/")
    assert [line.split()[-1] for line in listed.splitlines()] == ["first", "second"]
    assert count == "2 objects\n"


def test_a_presigned_address_lends_one_object_without_an_account(cli, bucket):
    boto3.client("s3").put_object(Bucket=bucket, Key="model", Body=b"weights")
    code, address, message = cli(s3.main, "presign", f"s3://{bucket}/model", "--minutes", "10")
    assert (code, message) == (0, "whoever has this address can read the object for 10 minutes\n")
    with urllib.request.urlopen(address.strip()) as answer:
        assert answer.read() == b"weights"
    signed = parse_qs(urlsplit(address.strip()).query)
    assert (signed["X-Amz-Expires"], signed["X-Amz-Algorithm"]) == (["600"], ["AWS4-HMAC-SHA256"])
    assert "any-secret" not in address


def test_a_file_that_cannot_be_written_is_named(cli, bucket, tmp_path):
    boto3.client("s3").put_object(Bucket=bucket, Key="model", Body=b"weights")
    (tmp_path / "file").touch()
    code, _, errors = cli(s3.main, "download", f"s3://{bucket}/model", tmp_path / "file" / "below")
    assert code == 2
    assert f"{tmp_path / 'file'}: " in errors
    assert "give another file" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upload", "no-such-file", "s3://bucket/key"], "no-such-file not found"),
        (["upload", ".", "s3://bucket/key"], ". not found, or not a file"),
        (["upload", __file__, "bucket/key"], "bucket/key: write a place in S3 as s3://BUCKET/KEY"),
        (["upload", __file__, "s3://bucket/folder/"], "name an object, not a folder"),
        (["upload", __file__, "s3://no-such-bucket/key"], 'NoSuchBucket): make it ("python stack.py deploy")'),
        (["list", "s3://"], "s3://: write a place in S3"),
        (["list", "s3:///x"], "s3://BUCKET/KEY; is AWS_BUCKET set? export $(python stack.py show)"),
        (["list", "s3://no-such-bucket/"], "s3://no-such-bucket/: ListObjectsV2: The specified bucket does not exist"),
        (["download", "s3://no-such-bucket/key", "file"], "The specified bucket does not exist"),
        (["download", "s3://bucket/key", "."], ". is a folder: give the name of a file"),
        (["presign", "s3://no-such-bucket/key"], "The specified bucket does not exist"),
        (["presign", "s3://bucket/key", "--minutes", "0"], "--minutes 0: S3 signs for 1 to 10080 minutes"),
        (["presign", "s3://bucket/key", "--minutes", "10081"], "S3 signs for 1 to 10080 minutes"),
    ],
)
def test_a_mistake_is_named_with_its_cure(cli, aws, arguments, message):
    code, output, errors = cli(s3.main, *arguments)
    assert (code, output) == (2, "")
    assert message in errors


@pytest.mark.parametrize("command", [("download", "file"), ("presign",)])
def test_an_object_that_is_not_there_is_named_also_where_another_begins_so(cli, bucket, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    boto3.client("s3").put_object(Bucket=bucket, Key="model.onnx", Body=b"weights")
    code, _, errors = cli(s3.main, command[0], f"s3://{bucket}/model", *command[1:])
    assert code == 2
    assert f's3://{bucket}/model not found: "python s3.py list s3://{bucket}/" shows what there is' in errors
    assert not list(tmp_path.iterdir())


DENIED = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/cola/GitHubActions is not authorized to perform: s3:ListBucket"
REFUSALS = [  # what S3 answers, by its documentation
    (400, "ExpiredToken", "The provided token has expired.", 'sign in again ("aws sso login"'),
    (
        403,
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
        "look at AWS_PROF",
    ),
    (403, "SignatureDoesNotMatch", "The request signature we calculated does not match", "look at AWS_PROFILE"),
    (403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.", ""),
    (403, "AccessDenied", DENIED, "the role or user lacks this right: see the role's policies in cloudformation.yaml"),
    (301, "PermanentRedirect", "The bucket must be addressed using the specified endpoint.", "is the region right?"),
]


def refusal(status: int, code: str, message: str):
    """What S3 answers when it refuses."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return lambda *_: (status, {"Content-Type": "application/xml", "x-amz-bucket-region": "us-west-2"}, body)


@pytest.mark.parametrize(("status", "code", "message", "cure"), REFUSALS, ids=[code for _, code, *_ in REFUSALS])
def test_a_refusal_of_aws_is_told_without_the_account(cli, monkeypatch, status, code, message, cure):
    with answering(refusal(status, code, message)) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        exit_code, output, errors = cli(s3.main, "list", "s3://bucket/key")
    assert (exit_code, output) == (2, "")
    assert f"s3://bucket/key: ListObjectsV2: {message.replace(ACCOUNT, '*' * 12)} ({code})" in errors
    assert cure in errors
    assert ACCOUNT not in errors


@pytest.mark.parametrize("command", ["upload", "download", "presign"])
def test_every_command_knows_expired_keys(cli, monkeypatch, tmp_path, command):
    file = tmp_path / "file"
    file.write_bytes(b"older")
    arguments = {"upload": [file, "s3://bucket/key"], "download": ["s3://bucket/key", file]}
    with answering(refusal(*REFUSALS[0][:3])) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        code, _, errors = cli(s3.main, command, *arguments.get(command, ["s3://bucket/key"]))
    assert code == 2
    assert 'The provided token has expired. (ExpiredToken): sign in again ("aws sso login"' in errors
    assert file.read_bytes() == b"older"


def test_a_download_that_breaks_off_leaves_the_older_file(cli, monkeypatch, tmp_path):
    listed = b"<ListBucketResult><Contents><Key>key</Key><Size>1000</Size></Contents></ListBucketResult>"

    def answer(method, path, headers):
        if "list-type" in path:
            return 200, {"Content-Type": "application/xml"}, listed
        return 200, {"Content-Length": "1000", "ETag": '"a"'}, b"" if method == "HEAD" else b"half"

    file = tmp_path / "model.onnx"
    file.write_bytes(b"older")
    with answering(answer) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        code, _, errors = cli(s3.main, "download", "s3://bucket/key", file)
    assert code == 2
    assert "s3://bucket/key: Max Retries Exceeded: the connection broke off: run the command again" in errors
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"older"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "Unable to locate credentials: look at AWS_PROFILE"),
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found: look at AWS_PROFILE"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "is the network up, or the stand-in of AWS_ENDPOINT_URL?"),
        ({"AWS_DEFAULT_REGION": "eu central"}, "is the region right?"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:4566"}, "Invalid endpoint: 127.0.0.1:4566: write AWS_ENDPOINT_URL as http://"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:45G6"}, "as '45G6': write AWS_ENDPOINT_URL as http://HOST:PORT"),
        ({"AWS_CONFIG_FILE": __file__}, "test_s3.py: mend this file, or write it anew"),
    ],
)
def test_a_machine_that_is_not_set_up_is_told_so(cli, aws, monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, _, errors = cli(s3.main, "list", "s3://bucket/")
    assert code == 2
    assert message in errors


def test_a_stand_in_that_takes_no_https_is_told_so(cli, aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.replace("http:", "https:"))
    code, _, errors = cli(s3.main, "list", "s3://bucket/")
    assert code == 2
    assert "a wrong AWS_ENDPOINT_URL?" in errors
