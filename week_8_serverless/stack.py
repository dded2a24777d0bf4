"""Bucket, image repository and GitHub role at AWS, all described by cloudformation.yaml: made, changed, shown, removed.

    python stack.py deploy --lookup         for the fork that git's remote origin names; options: see trust_policy.py
    python stack.py show                    the names of what was made, as NAME=VALUE
    python stack.py delete                  the bucket with its models stays

`deploy` changes only what differs; after a failure, run it again. The policies of the template need a user who may
make roles; everything after that is done with less.
"""

import argparse
import sys
from pathlib import Path

from botocore.exceptions import ClientError, WaiterError

from aws import client, explained
from errors import InputError, friendly_errors
from trust_policy import ISSUER, add_arguments, chosen_subject

TEMPLATE = Path(__file__).with_name("cloudformation.yaml")
NAMES = {"Bucket": "AWS_BUCKET", "Repository": "ECR_REPOSITORY", "RoleArn": "AWS_ROLE_ARN"}  # output: name in `show`


def describe(cloudformation, name: str) -> dict | None:
    """What CloudFormation says about a stack; None where there is none."""
    with explained(f"stack {name}"):
        try:
            return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
    return None


def github_provider() -> str:
    """The ARN of GitHub's OIDC provider in this account; empty where the stack has to make it."""
    with explained("the account's OIDC providers"):
        providers = client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return next((entry["Arn"] for entry in providers if entry["Arn"].endswith(f"/{ISSUER}")), "")


def deploy(name: str, subject: str) -> None:
    """Make the stack, or bring it to what the template says; `subject` is who may take its role.

    Raises:
        InputError: there is no template, AWS refuses, or could not make a part of it; the message holds its reasons.
    """
    try:
        template = TEMPLATE.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{TEMPLATE}: {error.strerror}: copy it here again") from None
    cloudformation = client("cloudformation")
    stack = describe(cloudformation, name)
    if stack and stack["StackStatus"] == "ROLLBACK_COMPLETE":  # its first making failed: AWS can only remove it
        delete(name)
        stack = None
    provider = {"UsePreviousValue": True} if stack else {"ParameterValue": github_provider()}
    request = {
        "StackName": name,
        "TemplateBody": template,
        "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": [
            {"ParameterKey": "Subject", "ParameterValue": subject},
            {"ParameterKey": "ProviderArn", **provider},
        ],
    }
    print(f"{'changing' if stack else 'making'} stack {name} for {subject}", file=sys.stderr)
    with explained(f"stack {name}"):
        try:
            cloudformation.update_stack(**request) if stack else cloudformation.create_stack(**request)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
            return
    wait(cloudformation, name, "stack_update_complete" if stack else "stack_create_complete")


def delete(name: str) -> None:
    """Remove a stack, and what it has made but the bucket.

    Raises:
        InputError: there is no such stack in this region, AWS refuses, or could not remove a part of it.
    """
    cloudformation = client("cloudformation")
    stack = describe(cloudformation, name)
    if not stack:
        raise InputError(f"no stack {name} in region {cloudformation.meta.region_name}: nothing to remove, or correct "
                         "AWS_DEFAULT_REGION")  # fmt: skip
    bucket = made(stack).get("Bucket")  # a stack whose making failed has none
    print(f"removing stack {name}" + (f"; its bucket {bucket} remains" if bucket else ""), file=sys.stderr)
    with explained(f"stack {name}"):
        cloudformation.delete_stack(StackName=name)
    wait(cloudformation, name, "stack_delete_complete")


def wait(cloudformation, name: str, until: str) -> None:
    """Wait for a stack, for some minutes.

    Raises:
        InputError: it failed; the message holds AWS's reasons.
    """
    try:
        cloudformation.get_waiter(until).wait(StackName=name, WaiterConfig={"Delay": 5, "MaxAttempts": 120})
    except WaiterError as error:
        with explained(f"stack {name}"):
            events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [f"\n  {event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
                   for event in events if event["ResourceStatus"].endswith("FAILED")]  # fmt: skip
        raise InputError(f"stack {name}: mend this, then run the command again:{''.join(reasons)}") from error


def made(stack: dict) -> dict[str, str]:
    """The names of what a stack has made, by the keys of the template's outputs."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def outputs(name: str) -> dict[str, str]:
    """The names of what the stack has made.

    Raises:
        InputError: there is no such stack in this region.
    """
    cloudformation = client("cloudformation")
    stack = describe(cloudformation, name)
    region = cloudformation.meta.region_name
    if not stack:
        raise InputError(f'no stack {name} in region {region}: run "python stack.py deploy", or correct '
                         "AWS_DEFAULT_REGION")  # fmt: skip
    names = made(stack)
    if names.keys() != NAMES.keys():
        raise InputError(f'stack {name} is {stack["StackStatus"]}: run "python stack.py deploy"')
    return {"AWS_REGION": region} | {NAMES[key]: value for key, value in names.items()}


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="The course's things at AWS.")
    parser.add_argument("--stack", default="cola", metavar="NAME", help="default: %(default)s")
    commands = parser.add_subparsers(dest="command", required=True)
    add_arguments(commands.add_parser("deploy", help="make them, or change what differs from cloudformation.yaml"))
    commands.add_parser("show", help="print their names, as NAME=VALUE")
    commands.add_parser("delete", help="remove all but the bucket")
    arguments = parser.parse_args()
    if arguments.command == "delete":
        delete(arguments.stack)
        return
    if arguments.command == "deploy":
        deploy(arguments.stack, chosen_subject(arguments))
    for key, value in outputs(arguments.stack).items():
        print(f"{key}={value}")


if __name__ == "__main__":
    main()
