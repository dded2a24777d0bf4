"""Week 7's workflow, then week 8's, in a fork with an account: moto for AWS's API, a real engine, a real registry."""

import os
import re
import subprocess
import sys
import uuid

import boto3
import pytest
from moto.server import ThreadedMotoServer

from runner import Fork
from test_registry import ACCOUNT, REGISTRY, WEEK, answers, docker
from walk import ROOT

pytestmark = [
    pytest.mark.docker,
    pytest.mark.filterwarnings("ignore:Tried to parse .* not supported by moto"),
    pytest.mark.skipif(not answers(), reason="no Docker engine and registry answer"),
]
WORKFLOWS = ROOT / ".github" / "workflows"
SHORT = 'overrides: "training.epochs=1 training.batches=0.01"'


@pytest.fixture
def environment():
    """What makes the commands talk to stand-ins."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "ECR_REGISTRY": REGISTRY,
        "PYTEST_ADDOPTS": "--collect-only -qq",
    }
    server.stop()


def test_model_and_images_are_published_and_the_model_is_trained_once(environment, tmp_path):
    command = [sys.executable, WEEK / "stack.py", "deploy", "--repository", "reader/mlops"]
    shown = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True).stdout
    variables = dict(line.split("=", 1) for line in shown.splitlines())
    role = variables.pop("AWS_ROLE_ARN")
    aws = boto3.session.Session("any", "any", region_name="eu-central-1")
    endpoint = {"endpoint_url": environment["AWS_ENDPOINT_URL"]}
    repository = variables["ECR_REPOSITORY"] = f"course-test-{uuid.uuid4().hex[:8]}"  # the registry keeps older runs'
    aws.client("ecr", **endpoint).create_repository(repositoryName=repository)
    asked = {}
    login = {
        "aws-actions/configure-aws-credentials": (
            lambda job, options: asked.update(options) or {},
            {"role-to-assume", "aws-region", "mask-aws-account-id"},
        )
    }
    weeks = ("week_7_ecr", "week_8_serverless", "week_7_ecr")
    fork = Fork(tmp_path, {f"{week}/params.yaml": lambda text: text.replace('overrides: ""', SHORT) for week in weeks})
    try:
        ecr, serverless, again = (
            fork.run(
                WORKFLOWS / f"{week}.yaml",
                fork.push(),
                variables=variables,
                secrets={"AWS_ROLE_ARN": role},
                environment=environment,
                actions=login,
                engine=True,
            )
            for week in weeks
        )
    finally:
        for name in ("cola", "cola-lambda", *docker("images", "--quiet", f"{REGISTRY}/{repository}").split()):
            subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True)
    assert (asked["role-to-assume"], asked["mask-aws-account-id"]) == (role, "true")
    assert not ecr.failures() + again.failures(), ecr.failures() + again.failures()
    publish, function = ecr.jobs["publish"], serverless.jobs["function"]
    assert re.search(rf"Pushed `{repository}@sha256:[0-9a-f]{{64}}`", publish.summary)
    assert "python train.py" in publish.output
    for later in (function, again.jobs["publish"]):
        assert "Stage 'train' is cached" in later.output
    # The last step comes to its turn, and there is no function that it could bring the image to.
    assert "deploy template.yaml first" in function.steps[-1].output, serverless.failures()
    keys = aws.client("s3", **endpoint).list_objects_v2(Bucket=variables["AWS_BUCKET"], Prefix="dvc/")["Contents"]
    assert len(keys) > 5
    assert ACCOUNT not in publish.output + publish.summary + function.output + function.summary
