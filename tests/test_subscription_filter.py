"""Week 9's forwarder as a function from its zip, called in a container by moto's subscription filter.

moto runs an image of the kind of lambci/docker-lambda: handler and event are arguments, the answer is the last line.
Here it is AWS's base image, whose emulator calls the function. Needs a Docker engine and a cluster, or is skipped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from engine import build, docker, lambda_base, needs_engine

WEEK = next(Path(__file__).resolve().parent.parent.glob("week_9_*"))
CLUSTER = os.environ.get("OPENSEARCH_URL", "")
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

pytestmark = [*needs_engine, pytest.mark.skipif(not CLUSTER, reason="no cluster here: OPENSEARCH_URL is not set")]


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


@pytest.fixture(scope="module")
def code(tmp_path_factory) -> bytes:
    """The zip, as GO_REAL.md packs it, for the Python of the image that is here."""
    folder = tmp_path_factory.mktemp("zip")
    (command,) = re.findall(
        r"^rm -rf build && (pip install .*?opensearch-py)$", (WEEK / "GO_REAL.md").read_text("utf-8"), re.M | re.S
    )
    words = command.replace("\\\n", "").replace("build/forwarder", str(folder / "forwarder")).split()[1:]
    words[words.index("--python-version") + 1] = lambda_base()
    subprocess.run([sys.executable, "-m", "pip", *words, "--quiet"], cwd=WEEK, check=True)
    shutil.copy(WEEK / "monitoring/forwarder.py", folder / "forwarder")
    return Path(shutil.make_archive(folder / "forwarder", "zip", folder / "forwarder")).read_bytes()


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


class Door(BaseHTTPRequestHandler):
    """A door to the cluster that containers reach; as indices have other names behind it, tests do not meet."""

    def do_HEAD(self):
        self.answer(200 if self.server.ready else 404, b"")

    def do_POST(self):
        self.server.seen.append(dict(self.headers))
        body = self.rfile.read(int(self.headers["Content-Length"])).replace(
            b'"_index":"cola-', f'"_index":"{self.server.index}-'.encode()
        )
        headers = {"Content-Type": "application/x-ndjson"}
        answer = requests.post(f"{CLUSTER}/_bulk", body, headers=headers)
        self.answer(answer.status_code, answer.content)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def door():
    with ThreadingHTTPServer(("0.0.0.0", 0), Door) as server:
        server.ready, server.seen, server.index = True, [], f"cola-{uuid.uuid4().hex[:8]}"
        sys.path.append(str(WEEK))
        from monitoring.import_dashboards import index_template

        requests.put(f"{CLUSTER}/_index_template/cola", json=index_template()).raise_for_status()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
        requests.delete(f"{CLUSTER}/{server.index}-*")
        sys.path.remove(str(WEEK))


@pytest.fixture
def logs(aws, door, code):
    """CloudWatch Logs with the service's group, whose subscription filter calls the forwarder."""
    boto3.client("s3").create_bucket(Bucket="dead", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    role = boto3.client("iam").create_role(RoleName="forwarder", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    endpoint = f"http://{HOST}:{door.server_port}/amazonaws.com"  # so that it signs
    function = boto3.client("lambda").create_function(
        FunctionName="forwarder",
        Runtime="python3.12",
        Role=role,
        Handler="forwarder.lambda_handler",
        Code={"ZipFile": code},
        MemorySize=256,
        Timeout=120,
        Environment={"Variables": {"ENDPOINT": endpoint, "DEAD_LETTER_BUCKET": "dead"}},
    )
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    logs.put_subscription_filter(
        logGroupName=GROUP, filterName="predictions", filterPattern='"ecs"', destinationArn=function["FunctionArn"]
    )
    return logs


def line(number: int, **cola) -> str:
    event = {"@timestamp": "2026-11-24T12:00:00.000Z", "ecs": {"version": "8.17.0"}, "event": {"id": f"{number:032x}"}}
    return json.dumps(event | {"cola": {"schema": 2, "score": 0.5} | cola})


def put(logs, lines: list[str]) -> None:
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": text} for text in lines]
    logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)


def test_what_is_logged_is_indexed_once_and_what_cannot_be_is_a_dead_letter(logs, door):
    poison = line(2_000, score="high")
    lines = [line(number) for number in range(2_000)] + ["START RequestId: 1", line(7), poison]
    for start in range(0, len(lines), 1_001):
        put(logs, lines[start : start + 1_001])
    requests.post(f"{CLUSTER}/{door.index}-*/_refresh").raise_for_status()
    assert requests.get(f"{CLUSTER}/{door.index}-*/_count").json()["count"] == 2_000
    for headers in door.seen:
        assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=role-account-id/")
    s3 = boto3.client("s3")
    (entry,) = s3.list_objects_v2(Bucket="dead")["Contents"]
    assert json.loads(s3.get_object(Bucket="dead", Key=entry["Key"])["Body"].read())["line"] == poison


def test_a_call_that_fails_says_so_in_the_function_s_own_log(logs, door):
    door.ready = False
    put(logs, [line(1)])
    (stream,) = logs.describe_log_streams(logGroupName="/aws/lambda/forwarder")["logStreams"]
    said = logs.get_log_events(logGroupName="/aws/lambda/forwarder", logStreamName=stream["logStreamName"])
    assert "import_dashboards" in "\n".join(event["message"] for event in said["events"])
