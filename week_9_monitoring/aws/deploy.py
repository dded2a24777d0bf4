"""Bring a new image to the Lambda function, and callers to it only where it was seen to work.

python -m aws.deploy 123456789012.dkr.ecr.us-east-1.amazonaws.com/cola@sha256:...

New code -> a published version, which never changes again -> a smoke test of this version -> the alias moves to it.
Callers call the alias. So where something fails, nothing has to be undone: the version is left aside, callers keep the
one that they had, and the exit code is 1.
"""

import argparse
import json
import sys

import boto3

SENTENCES = {"sentences": ["The boy is sitting on a bench."]}
HEALTH = {
    "version": "2.0",
    "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/health", "sourceIp": "127.0.0.1"}},
}


class DeploymentError(Exception):
    """The version must not get callers."""


def publish(client, function: str, image: str) -> str:
    """Give the function new code; returns the number of the version with it, ready to be called."""
    version = client.update_function_code(FunctionName=function, ImageUri=image, Publish=True)["Version"]
    client.get_waiter("published_version_active").wait(FunctionName=function, Qualifier=version)
    return version


def invoke(client, function: str, version: str, event: dict):
    answer = client.invoke(FunctionName=function, Qualifier=version, Payload=json.dumps(event))
    content = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:  # it raised, or did not even start
        raise DeploymentError(content.get("errorMessage", content))
    return content


def smoke_test(ask) -> dict:
    """Have a sentence judged; returns what /health says of the model. `ask` takes an event and returns the answer."""
    match ask(SENTENCES):
        case {"predictions": [{"label": "acceptable" | "unacceptable", "score": float(score)}]} if 0 <= score <= 1:
            pass
        case answer:
            raise DeploymentError(f"no judgement: {json.dumps(answer)}")
    match ask(HEALTH):
        case {"statusCode": 200, "body": body}:
            return json.loads(body)
        case answer:
            raise DeploymentError(f"not healthy: {json.dumps(answer)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", help="by its digest: REGISTRY/REPOSITORY@sha256:...")
    parser.add_argument("--function", default="cola", help="default: %(default)s")
    parser.add_argument("--alias", default="live", help="what callers call (default: %(default)s)")
    parser.add_argument("--allow-bundled", action="store_true", help="deploy a model of the stand-ins, too")
    args = parser.parse_args()
    if "@sha256:" not in args.image:
        sys.exit(f"{args.image!r} is no image by its digest: a tag could mean another image tomorrow")
    client = boto3.client("lambda")
    before = client.get_alias(FunctionName=args.function, Name=args.alias)["FunctionVersion"]
    version = publish(client, args.function, args.image)
    try:
        provenance = smoke_test(lambda event: invoke(client, args.function, version, event))["provenance"]
        if provenance["source"] == "bundled" and not args.allow_bundled:
            raise DeploymentError(
                "its model was trained on the stand-ins: train with source=hub, or say --allow-bundled"
            )
    except DeploymentError as error:
        sys.exit(f"version {version} is left aside, {args.alias} stays at {before}: {error}")
    client.update_alias(FunctionName=args.function, Name=args.alias, FunctionVersion=version)
    print(f"{args.alias}: version {before} -> {version}, a model of {provenance['source']}")


if __name__ == "__main__":
    main()
