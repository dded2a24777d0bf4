"""Week 9's forwarder as a function from its zip, called in a container by moto's subscription filter.

moto runs an image of the kind of lambci/docker-lambda: handler and event are arguments, the answer is the last line.
Here it is AWS's base image, whose emulator calls the function. Needs a Docker engine; is skipped where none answers.
"""

import importlib.util
import io
import json
import time
import urllib.request
import uuid
import zipfile
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from engine import build, docker, lambda_base, needs_engine

WEEK = next(Path(__file__).resolve().parent.parent.glob("week_9_*"))
SPEC = importlib.util.spec_from_file_location("cluster", WEEK / "tests" / "cluster.py")
CLUSTER = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(CLUSTER)

HOST = "host.docker.internal"  # this machine, as moto makes its containers know it
GROUP = "/aws/lambda/cola"
DOCKERFILE = """\
FROM public.ecr.aws/lambda/python:{python}
COPY constraints.txt call.py /call/
RUN python -c "import boto3" || pip install --no-cache-dir -c /call/constraints.txt boto3
ENTRYPOINT ["python", "/call/call.py"]
"""
CALL = '''\
"""Start Lambda's emulator with a handler, send it an event, print the answer."""

import os, signal, subprocess, sys, time, urllib.error, urllib.request

handler, event = sys.argv[1:]
region = {"AWS_DEFAULT_REGION": os.environ["AWS_REGION"]}  # Lambda sets both, moto one
command = ["/lambda-entrypoint.sh", handler]
emulator = subprocess.Popen(command, env=os.environ | region, start_new_session=True)
request = urllib.request.Request("http://127.0.0.1:8080/2015-03-31/functions/function/invocations", event.encode())
answer = None
while answer is None:
    try:
        answer = urllib.request.urlopen(request).read().decode()
    except urllib.error.HTTPError as error:
        answer = error.read().decode()
    except urllib.error.URLError:  # not up yet
        time.sleep(0.05)
os.killpg(emulator.pid, signal.SIGKILL)
print(answer)
sys.exit("errorType" in answer)
'''

pytestmark = needs_engine


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text(DOCKERFILE.format(python=lambda_base()), encoding="utf-8")
    (folder / "call.py").write_text(CALL, encoding="utf-8")
    (folder / "constraints.txt").write_bytes((WEEK / "constraints.txt").read_bytes())
    tag = f"course-test-call:{uuid.uuid4().hex[:8]}"
    build(folder, tag)
    tags = [tag]
    if not docker("images", "--quiet", "busybox").strip():  # moto unpacks zips with it; any image that sleeps will do
        docker("tag", "python:3.11-slim", "busybox")
        tags.append("busybox")
    yield tag
    docker("image", "rm", *tags)


@pytest.fixture
def aws(image, monkeypatch):
    """moto's server, on an address that containers reach too; its functions run in the image."""
    server = ThreadedMotoServer(ip_address="0.0.0.0", port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    for name, value in {
        "MOTO_DOCKER_LAMBDA_IMAGE": image,
        "MOTO_PORT": str(port),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/reset", b"").close()  # what other tests left
    yield
    server.stop()


@pytest.fixture
def cluster():
    with CLUSTER.a_cluster("0.0.0.0") as server:
        server.url = f"http://{HOST}:{server.server_port}"
        yield server


@pytest.fixture
def logs(aws, cluster):
    """CloudWatch Logs with the service's group, whose subscription filter calls the forwarder."""
    boto3.client("s3").create_bucket(Bucket="dead", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        file.write(WEEK / "forwarder.py", "forwarder.py")
    role = boto3.client("iam").create_role(RoleName="forwarder", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    function = boto3.client("lambda").create_function(
        FunctionName="forwarder",
        Runtime="python3.12",
        Role=role,
        Handler="forwarder.lambda_handler",
        Code={"ZipFile": code.getvalue()},
        MemorySize=256,
        Timeout=120,
        Environment={"Variables": {"ENDPOINT": cluster.url, "DEAD_LETTER_BUCKET": "dead"}},
    )
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    logs.put_subscription_filter(
        logGroupName=GROUP, filterName="predictions", filterPattern='"cola"', destinationArn=function["FunctionArn"]
    )
    return logs


def line(number: int, **cola) -> str:
    return json.dumps({"@timestamp": "2026-11-24T12:00:00.000Z", "ecs": {"version": "8.17.0"},
                       "event": {"id": f"{number:032x}"}, "cola": {"schema": 1, "score": 0.5} | cola})  # fmt: skip


def put(logs, lines: list[str]) -> None:
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": text} for text in lines]
    logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)


def test_what_is_logged_is_indexed_once_though_the_cluster_fails_at_times(logs, cluster):
    trouble = iter([503, "lose", "cut", 429])
    cluster.trouble = lambda: next(trouble, None)
    lines = [line(number) for number in range(2_000)] + ["START RequestId: 1", line(7)]
    poison = line(2_000, score="high")
    for start in range(0, len(lines), 1_001):
        put(logs, lines[start : start + 1_001])
    put(logs, [poison])
    assert {identity for _, identity in cluster.documents} == {f"{number:032x}" for number in range(2_000)}
    assert next(trouble, None) is None
    for _, headers, _ in cluster.requests:
        assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=role-account-id/")
    s3 = boto3.client("s3")
    (entry,) = s3.list_objects_v2(Bucket="dead")["Contents"]
    assert json.loads(s3.get_object(Bucket="dead", Key=entry["Key"])["Body"].read())["line"] == poison


def test_a_call_that_fails_says_so_in_the_function_s_own_log(logs, cluster):
    cluster.trouble = lambda: 403
    put(logs, [line(1)])
    (stream,) = logs.describe_log_streams(logGroupName="/aws/lambda/forwarder")["logStreams"]
    said = logs.get_log_events(logGroupName="/aws/lambda/forwarder", logStreamName=stream["logStreamName"])
    assert "1 events not taken by" in "\n".join(event["message"] for event in said["events"])
