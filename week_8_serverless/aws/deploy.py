"""Bring a new image to the Lambda function, and callers to it only where it was seen to work.

python -m aws.deploy 123456789012.dkr.ecr.us-east-1.amazonaws.com/cola@sha256:...

New code -> a published version, which never changes again -> a smoke test of this version -> the alias moves to it.
Callers call the alias. So where something fails, nothing has to be undone: they keep the version that they had.
"""

import argparse
import json
import sys

import boto3

ALIAS = "live"  # what callers call
SENTENCES = {"sentences": ["The boy is sitting on a bench."]}
HEALTH = {
    "version": "2.0",
    "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/health", "sourceIp": "127.0.0.1"}},
}


def invoke(client, function: str, version: str, event: dict):
    answer = client.invoke(FunctionName=function, Qualifier=version, Payload=json.dumps(event))
    content = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:  # it raised, or did not even start
        raise RuntimeError(content.get("errorMessage", content))
    return content


def smoke_test(client, function: str, version: str) -> str:
    """Have a sentence judged; returns what the model was trained on."""
    judged = invoke(client, function, version, SENTENCES)
    match judged:
        case {"predictions": [{"label": "acceptable" | "unacceptable", "score": float(score)}]} if 0 <= score <= 1:
            health = invoke(client, function, version, HEALTH)
            if health.get("statusCode") != 200:
                raise RuntimeError(f"not healthy: {json.dumps(health)}")
            return json.loads(health["body"])["provenance"]["source"]
    raise RuntimeError(f"no judgement: {json.dumps(judged)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", help="by its digest: REGISTRY/REPOSITORY@sha256:...")
    parser.add_argument("--function", default="cola")
    parser.add_argument("--allow-bundled", action="store_true", help="deploy a model of the stand-ins, too")
    args = parser.parse_args()
    if "@sha256:" not in args.image:
        sys.exit(f"{args.image!r} is no image by its digest: a tag could mean another image tomorrow")
    client = boto3.client("lambda")
    before = client.get_alias(FunctionName=args.function, Name=ALIAS)["FunctionVersion"]
    version = client.update_function_code(FunctionName=args.function, ImageUri=args.image, Publish=True)["Version"]
    client.get_waiter("published_version_active").wait(FunctionName=args.function, Qualifier=version)
    try:
        source = smoke_test(client, args.function, version)
        if source == "bundled" and not args.allow_bundled:
            raise RuntimeError("its model was trained on the stand-ins: train with source=hub, or say --allow-bundled")
    except RuntimeError as error:
        sys.exit(f"version {version} is left aside, {ALIAS} stays at {before}: {error}")
    client.update_alias(FunctionName=args.function, Name=ALIAS, FunctionVersion=version)
    print(f"{ALIAS}: version {before} -> {version}, a model of {source}")


if __name__ == "__main__":
    main()
