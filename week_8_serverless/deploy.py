"""Bring an image to the Lambda function, and callers to it: nobody is sent to a version that was not seen to work.

python deploy.py 1234.dkr.ecr.us-east-1.amazonaws.com/cola@sha256:... [--canary 10 --watch 300]

New code -> a published version -> smoke test of the version -> the alias moves -> smoke test of the alias; where
something fails once the alias has moved, it goes back. Exit codes: 0 callers get the new version; 1 it failed, and they
get the one from before, unless the message says that the alias did not go back; 2 it was refused. Running it again is
safe. Credentials and region: as boto3 finds them.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aws import client, explained, hide_account
from errors import InputError, friendly_errors
from sentences import LABELS

BY_DIGEST = re.compile(r"[\w./:-]+@sha256:[0-9a-f]{64}")
HEALTH = {"version": "2.0", "headers": {}, "requestContext": {"http": {"method": "GET", "path": "/health",
                                                                       "sourceIp": "127.0.0.1"}}}  # fmt: skip


class DeploymentError(Exception):
    """The new version does not do what it should."""


class StrandedError(Exception):
    """Something failed, and then the alias did not go back: callers may get the new version."""


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
        self.before, self.weights_before, self.revision = self.state()

    def state(self) -> tuple[str, dict[str, float], str]:
        """The alias: its version, the shares of other versions, and the name of this state of it."""
        alias = self.client.get_alias(FunctionName=self.function, Name=self.alias)
        weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return alias["FunctionVersion"], weights, alias["RevisionId"]

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
        """Undo the moves, if there was one."""
        if self.state()[:2] != (self.before, self.weights_before):
            self.move(self.before, self.weights_before)

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
        self.move(self.before, {version: percent / 100})
        left = seconds
        while left > 0:
            time.sleep(min(left, 15))
            if errors := self.errors(version, since):
                raise DeploymentError(f"{errors} invocations by callers failed")
            left = seconds - (datetime.now(UTC) - since).total_seconds()


def deploy(deployment: Deployment, image: str, allow_bundled: bool = False, canary: int = 0, watch: float = 0) -> str:
    """Bring an image to the callers of the alias, and return its version.

    Args:
        image: by digest.
        allow_bundled: also if its model was trained on the stand-ins.
        canary, watch: the share in percent, and the seconds, of a trial with callers; 0 is none.

    Raises:
        InputError: the model was refused; the alias did not move.
        DeploymentError: it does not work; the alias is where it was before.
        StrandedError: something failed, and the alias may be anywhere.
    """
    alias, before = deployment.alias, deployment.before
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
    except BaseException as cause:  # Ctrl-C too
        try:
            deployment.go_back()
        except BaseException as second:
            raise StrandedError(stranded(deployment, version, cause, second)) from second
        say(f"{alias} is back at {before}")
        raise
    say(f"{alias} is at {version}")
    return version


def stranded(deployment: Deployment, version: str, cause: BaseException, second: BaseException) -> str:
    """What failed at first, why the alias is not back, and the commands that say where it is and put it back."""
    first, then = (str(error) or type(error).__name__ for error in (cause, second))  # Ctrl-C has no words
    alias, before = deployment.alias, deployment.before
    name = f"--function-name {deployment.function} --name {alias}"
    routing = json.dumps({"AdditionalVersionWeights": deployment.weights_before})
    return (
        f"{first}\nand {alias} did not go back to {before}: {then}\n"
        f"callers may get version {version}. See where {alias} is: aws lambda get-alias {name}\n"
        f"unless somebody else moved it, put it back: "
        f"aws lambda update-alias {name} --function-version {before} --routing-config '{routing}'"
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def by_digest(image: str) -> str:
    """The image, if its name says which one it is for ever; raises `InputError` if not."""
    if not image:
        raise InputError("the image is empty: did ecr.py push fail?")
    if not BY_DIGEST.fullmatch(image):
        said = f"{image} is not an image by digest (...@sha256:...): give the reference that ecr.py printed"
        raise InputError(hide_account(said))
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
        with explained(f"function {arguments.function}"):
            deployment = Deployment(client("lambda"), client("cloudwatch"), arguments.function, arguments.alias)
            version = deploy(deployment, arguments.image, arguments.allow_bundled, arguments.canary, arguments.watch)
        print(f"{arguments.function}:{version}")
    except DeploymentError as failure:
        say(hide_account(f"error: the new version does not work: {failure}"))
        sys.exit(1)
    except StrandedError as failure:
        say(hide_account(f"error: {failure}"))
        sys.exit(1)


if __name__ == "__main__":
    main()
