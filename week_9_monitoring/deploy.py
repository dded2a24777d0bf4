"""Bring an image to the Lambda function, and callers to it: nobody is sent to a version that was not seen to work.

python deploy.py 1234.dkr.ecr.us-east-1.amazonaws.com/cola@sha256:... [--canary 10 --watch 300]

New code -> a published version -> smoke test of the version -> the alias moves -> smoke test of the alias; where
something fails once the alias has moved, it goes back. Exit codes: 0 callers get the new version; 1 it failed, and they
get the one from before; 2 it was refused. Running it again is safe. Credentials and region: as boto3 finds them.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, WaiterError

from errors import InputError, friendly_errors
from sentences import LABELS

BY_DIGEST = re.compile(r"[\w./:-]+@sha256:[0-9a-f]{64}")
HEALTH = {"version": "2.0", "headers": {}, "requestContext": {"http": {"method": "GET", "path": "/health",
                                                                       "sourceIp": "127.0.0.1"}}}  # fmt: skip
CURES = {
    "ExpiredTokenException": "the credentials have expired: log in again",
    "UnrecognizedClientException": "the credentials are not valid: log in again",
    "AccessDeniedException": "the role may not do this: give its name to template.yaml as DeployRole",
    "ResourceNotFoundException": "no such function or alias in this region: deploy template.yaml first",
    "ResourceConflictException": "another change of the function is under way: run this again when it is done",
    "PreconditionFailedException": "somebody else moved the alias meanwhile: look who, then run this again",
    "InvalidParameterValueException": "is the image in the registry of the function's own region?",
}


class DeploymentError(Exception):
    """The new version does not do what it should."""


def invoke(client: Any, function: str, qualifier: str, event: dict) -> Any:
    """Invoke a version or an alias, and return its answer.

    Raises:
        DeploymentError: the function broke down, or did not start.
    """
    response = client.invoke(FunctionName=function, Qualifier=qualifier, Payload=json.dumps(event))
    answer = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        raise DeploymentError(answer.get("errorMessage", answer))
    return answer


def smoke_test(ask: Callable[[dict], Any]) -> dict:
    """Have a sentence judged, and return what /health says of the model.

    Raises:
        DeploymentError: an answer is not what it should be.
    """
    judgement = ask({"sentence": "The boy is sitting on a bench."})
    if not (isinstance(judgement, dict) and judgement.get("label") in LABELS and 0 <= judgement.get("score", -1) <= 1):
        raise DeploymentError(f"it answered {json.dumps(judgement)}, which is no judgement")
    health = ask(HEALTH)
    if not (isinstance(health, dict) and health.get("statusCode") == 200):
        raise DeploymentError(f"/health answered {json.dumps(health)}")
    return json.loads(health["body"])


class Deployment:
    """A new image on its way to the callers of an alias.

    Args:
        client, metrics: boto3's clients of Lambda and CloudWatch.
        function, alias: their names; both exist.
    """

    def __init__(self, client: Any, metrics: Any, function: str, alias: str):
        self.client, self.metrics, self.function, self.alias = client, metrics, function, alias
        self.before = client.get_alias(FunctionName=function, Name=alias)
        self.revision = self.before["RevisionId"]

    def publish(self, image: str) -> str:
        """Give the function new code, and return the number of the version with it, ready to be called."""
        name = {"FunctionName": self.function}
        self.client.update_function_code(**name, ImageUri=image)
        self.client.get_waiter("function_updated_v2").wait(**name)
        code = self.client.get_function_configuration(**name)["CodeSha256"]
        # With CodeSha256, Lambda refuses if somebody else has changed the code since.
        version = self.client.publish_version(**name, CodeSha256=code, Description=image[-71:])["Version"]
        self.client.get_waiter("published_version_active").wait(**name, Qualifier=version)
        return version

    def check(self, qualifier: str) -> dict:
        """The smoke test of a version or of the alias; returns what the model was made from."""
        health = smoke_test(lambda event: invoke(self.client, self.function, qualifier, event))
        return health["provenance"]

    def move(self, version: str, weights: dict[str, float]) -> None:
        """Point the alias at a version, but for the shares, 0 to 1, that other versions get."""
        answer = self.client.update_alias(
            FunctionName=self.function,
            Name=self.alias,
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
            RevisionId=self.revision,
        )
        self.revision = answer["RevisionId"]

    def go_back(self) -> None:
        routing = self.before.get("RoutingConfig", {})
        self.move(self.before["FunctionVersion"], routing.get("AdditionalVersionWeights", {}))

    def errors(self, version: str, since: datetime) -> int:
        """How many invocations of a version through the alias failed since then, as far as CloudWatch knows by now."""
        resource = f"{self.function}:{self.alias}"
        dimensions = {"FunctionName": self.function, "Resource": resource, "ExecutedVersion": version}
        points = self.metrics.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=since - timedelta(minutes=1),
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return int(sum(point["Sum"] for point in points))

    def canary(self, version: str, percent: int, seconds: float) -> None:
        """Send a share of the callers to a version for a while.

        Raises:
            DeploymentError: an invocation of it failed.
        """
        say(f"{percent} % of the callers of {self.alias} get version {version} for {seconds:.0f} s")
        since = datetime.now(UTC)
        self.move(self.before["FunctionVersion"], {version: percent / 100})
        while (left := seconds - (datetime.now(UTC) - since).total_seconds()) > 0:
            time.sleep(min(left, 15))
            if errors := self.errors(version, since):
                raise DeploymentError(f"{errors} invocations by callers failed")


def deploy(deployment: Deployment, image: str, allow_bundled: bool = False, canary: int = 0, watch: float = 0) -> str:
    """Bring an image to the callers of the alias, and return its version.

    Args:
        image: by digest.
        allow_bundled: also if its model was trained on the stand-ins.
        canary, watch: the share in percent, and the seconds, of a trial with callers; 0 is none.

    Raises:
        InputError: the model was refused; the alias did not move.
        DeploymentError: it does not work; the alias is where it was before.
    """
    alias, before = deployment.alias, deployment.before["FunctionVersion"]
    version = deployment.publish(image)
    say(f"published version {version}; {alias} is at {before}")
    provenance = deployment.check(version)
    say(f"version {version} works; its model: {provenance['model']}, source {provenance['source']}")
    if provenance["source"] == "bundled" and not allow_bundled:
        raise InputError(
            f"the model of version {version} was trained on the stand-ins, so {alias} stays at {before}: "
            "train it on real data (source=hub), or say --allow-bundled"
        )
    if version == before:
        say(f"{alias} is at {version} already")
        return version
    try:
        if canary:
            deployment.canary(version, canary, watch)
        deployment.move(version, {})
        deployment.check(alias)
    except BaseException:  # Ctrl-C too
        deployment.go_back()
        say(f"{alias} is back at {before}")
        raise
    say(f"{alias} is at {version}")
    return version


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def cure(error: ClientError | BotoCoreError) -> str:
    """What went wrong at AWS, where, and what to do."""
    if isinstance(error, NoCredentialsError):
        return "no credentials for AWS: log in, or set AWS_PROFILE"
    if isinstance(error, NoRegionError):
        return "no region: set AWS_DEFAULT_REGION"
    said = str(error)
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        said = f"{error.operation_name}: {error.response['Error'].get('Message', code)}\n{CURES.get(code, code)}"
    return without_account(said)


def without_account(text: str) -> str:
    """A text without the number of an account: what is printed ends up in public logs."""
    return re.sub(r"(?<!\d)\d{12}(?!\d)", "ACCOUNT", text)


def by_digest(image: str) -> str:
    """The image, if its name says which one it is for ever; raises `InputError` if not."""
    if not BY_DIGEST.fullmatch(image):
        said = f"{image} is not an image by digest (...@sha256:...): give the reference that ecr.py printed"
        raise InputError(without_account(said))
    return image


def percentage(text: str) -> int:
    if not (text.isdigit() and 0 <= int(text) < 100):
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 0 to 99")
    return int(text)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=by_digest, help="by digest: REGISTRY/REPOSITORY@sha256:...")
    parser.add_argument("--function", default="cola", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--alias", default="live", metavar="NAME", help="that callers use (default: %(default)s)")
    parser.add_argument("--canary", type=percentage, default=0, metavar="PERCENT", help="of callers try it first ...")
    parser.add_argument("--watch", type=float, default=300, metavar="S", help="... so long (default: %(default)s)")
    parser.add_argument("--allow-bundled", action="store_true", help="deploy a model trained on the stand-ins, too")
    arguments = parser.parse_args()
    try:
        deployment = Deployment(boto3.client("lambda"), boto3.client("cloudwatch"), arguments.function, arguments.alias)
        version = deploy(deployment, arguments.image, arguments.allow_bundled, arguments.canary, arguments.watch)
        print(f"{arguments.function}:{version}")
    except DeploymentError as failure:
        say(without_account(f"error: the new version does not work: {failure}"))
        sys.exit(1)
    except WaiterError as error:
        raise InputError(f"the function did not get ready: {error}") from error
    except (ClientError, BotoCoreError) as error:
        raise InputError(cure(error)) from error


if __name__ == "__main__":
    main()
