"""The workflows that need an engine: week 6's, and week 7's and 8's with an account: moto, and a registry."""

import json
import os
import re
import uuid

import boto3
import pytest
import requests
from moto.core.config import default_user_config
from moto.server import ThreadedMotoServer

from engine import docker, lambda_base
from replay import SCRIPTS, Fork
from test_registry import REGISTRY, pytestmark  # noqa: F401  the marks of this file, too

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/github"
JUDGEMENT = {"predictions": [{"sentence": "The boy is sitting on a bench.", "label": "acceptable", "score": 0.9}]}
HEALTH = {"statusCode": 200, "body": json.dumps({"status": "ok", "provenance": {"source": "bundled"}})}


@pytest.fixture
def account(monkeypatch):
    """An account with a bucket, a repository for images, and a function whose alias `live` is at version 1."""
    monkeypatch.setitem(default_user_config, "lambda", {"use_docker": False})
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "eu-central-1"}
    for name, value in ({"AWS_ENDPOINT_URL": f"http://{host}:{port}"} | keys).items():
        monkeypatch.setenv(name, value)
    repository = f"course-test-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    boto3.client("ecr").create_repository(repositoryName=repository)
    boto3.client("iam").create_role(RoleName="github", AssumeRolePolicyDocument="{}")
    functions, image = boto3.client("lambda"), f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{repository}:first"
    functions.create_function(
        FunctionName="cola", Role=ROLE, PackageType="Image", Code={"ImageUri": image}, Publish=True
    )
    functions.create_alias(FunctionName="cola", Name="live", FunctionVersion="1")
    results = {"results": [json.dumps(JUDGEMENT), json.dumps(HEALTH)], "region": "eu-central-1"}
    requests.post(f"http://{host}:{port}/moto-api/static/lambda-simple/response", json=results).raise_for_status()
    for name in keys:  # from here on, who wants keys takes a role
        monkeypatch.delenv(name)
    yield repository
    server.stop()


@pytest.fixture
def fork(models, tmp_path):
    """A fork with a real model, where `docker` builds as engine.py does, and ECR is the registry on this machine."""
    fork = Fork(tmp_path)
    fork.train(0.5, (models / "model.onnx").read_bytes())
    path = f"PATH={SCRIPTS}:{os.environ['PATH']}"
    fork.program("aws", "bash", f"set -o pipefail; {path} aws \"$@\" | sed 's|[0-9]*[.]dkr[.][^/]*|{REGISTRY}|'")
    build = f"build --network=host --build-arg PYTHON={lambda_base()}"
    fork.program("docker", "bash", f'{path}; if [ "$1" = build ]; then shift; set -- {build} "$@"; fi; docker "$@"')
    yield fork
    for left in (
        "cola",
        "cola-lambda",
        "cola-week-6",
        *docker("images", "--quiet", f"{REGISTRY}/course-test-*").split(),
    ):
        docker("image", "rm", "--force", left, check=False)


def test_the_image_of_week_6_is_built_and_asked(fork):
    printed = fork.replay("week_6_github_actions", "push")
    assert "| 422\n" in printed  # the blank sentence, refused
    assert printed.count("Job succeeded") == 2


def test_model_and_images_are_published_and_the_function_is_deployed(account, fork):
    given = {
        "variables": {"AWS_REGION": "eu-central-1", "AWS_BUCKET": "models", "ECR_REPOSITORY": account},
        "secrets": {"AWS_ROLE_ARN": ROLE},
    }
    ecr = fork.replay("week_7_ecr", "push", **given)
    serverless = fork.replay(
        "week_8_serverless", "workflow_dispatch", payload={"inputs": {"allow_bundled": "true"}}, **given
    )
    again = fork.replay("week_7_ecr", "push", **given)
    assert re.search(rf"Pushed `{account}@sha256:[0-9a-f]{{64}}`", ecr)
    assert "Running stage 'train'" in ecr
    assert "Stage 'train' is cached" in again  # the runs share S3, and nothing else
    assert '"predictions"' in serverless
    assert "live: version 1 -> 2, a model of bundled" in serverless
    assert ACCOUNT not in ecr + serverless + again
