"""AWS Lambda on this laptop: moto's server, in which a version of the function is a copy of this folder.

export AWS_ENDPOINT_URL=http://127.0.0.1:4567        # where boto3 and the AWS CLI then look for AWS, and this listens
python tests/local_lambda.py &                       # makes a function `cola`, whose alias `live` is at version 1

moto keeps functions, versions and aliases, but runs no image. Instead of the image that it was given, a version here
has the code and the model that lay in this folder when it was published, in reports/versions. Each call of it is a cold
start.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from moto.awslambda.models import LambdaBackend
from moto.awslambda.responses import LambdaResponse
from moto.server import ThreadedMotoServer

FOLDER = Path(__file__).parent.parent
VERSIONS = FOLDER / "reports" / "versions"
IMAGE = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/cola@sha256:{'1' * 64}"
publish_version = LambdaBackend.publish_version


def publish(self, function_name, description=""):
    made = publish_version(self, function_name, description)
    ignored = shutil.ignore_patterns(".*", "multirun", "outputs", "reports", "tests", "wandb")
    shutil.copytree(FOLDER, VERSIONS / str(made.version), ignore=ignored)
    return made


def invoke(self):
    name = self.path.split("/")[-2]
    version = str(self.backend.get_function(name, self._get_param("Qualifier")).version)
    headers = {"x-amz-executed-version": version}
    command = [sys.executable, "lambda_handler.py"]
    run = subprocess.run(command, cwd=VERSIONS / version, input=self.body, capture_output=True, text=True)
    if run.returncode == 0:
        return 200, headers, run.stdout.splitlines()[-1]  # what a function prints before its answer is its log
    headers["x-amz-function-error"] = "Unhandled"
    return 200, headers, json.dumps({"errorMessage": run.stderr.splitlines()[-1]})


LambdaBackend.publish_version, LambdaResponse.invoke = publish, invoke


def make_function() -> None:
    """What aws/template.yaml makes of AWS's own."""
    shutil.rmtree(VERSIONS, ignore_errors=True)  # another account's
    role = boto3.client("iam").create_role(RoleName="cola", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client = boto3.client("lambda")
    client.create_function(FunctionName="cola", PackageType="Image", Code={"ImageUri": IMAGE}, Role=role, Publish=True)
    client.create_alias(FunctionName="cola", Name="live", FunctionVersion="1")


if __name__ == "__main__":
    address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    ThreadedMotoServer(address.hostname, address.port).start()
    make_function()
    print("ready", flush=True)
    threading.Event().wait()
