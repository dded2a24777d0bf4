"""The template: by cfn-lint and by what it says; and the commands that deploy it, against moto.

Moto makes bucket, repository and role, leaves out the rest, and takes most properties without a look: it shows that
stack.py asks for the right things in the right order, not that AWS would take this template.
"""

import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.stub import ANY, Stubber

import stack
from conftest import WEEK
from errors import InputError
from stand_ins import REGION, answering, aws_fixture, moto_fixture, no_account_fixture  # noqa: F401
from trust_policy import subject, trust_policy

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse .* not supported by moto")
SUBJECT = subject("octocat/course", "main")


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref a` becomes {"Ref": "a"}."""


def short_form(loader, name, node):
    kind = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence}[type(node)]
    return {name: kind(node, deep=True) if isinstance(node, yaml.SequenceNode) else kind(node)}


Loader.add_multi_constructor("!", short_form)
TEMPLATE = yaml.load((WEEK / "cloudformation.yaml").read_text(encoding="utf-8"), Loader)
RESOURCES = {name: resource.get("Properties", {}) for name, resource in TEMPLATE["Resources"].items()}
STATEMENTS = [
    statement for policy in RESOURCES["Role"]["Policies"] for statement in policy["PolicyDocument"]["Statement"]
]


def test_cfn_lint_finds_nothing():
    command = [Path(sys.executable).with_name("cfn-lint"), WEEK / "cloudformation.yaml"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_bucket_is_versioned_encrypted_and_shut():
    bucket = RESOURCES["Bucket"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    (deny,) = RESOURCES["BucketPolicy"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert deny["Resource"] == [{"GetAtt": "Bucket.Arn"}, {"Sub": "${Bucket.Arn}/*"}]
    assert TEMPLATE["Resources"]["Bucket"]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_images_are_scanned_and_tags_never_change():
    repository = RESOURCES["Repository"]
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    rules = yaml.safe_load(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    chosen = [rule["selection"].get("tagPatternList", rule["selection"]["tagStatus"]) for rule in rules]
    assert chosen == ["untagged", ["run-*"], ["lambda-*"]]


def test_the_role_trusts_whom_trust_policy_prints():
    policy = RESOURCES["Role"]["AssumeRolePolicyDocument"]
    (statement,) = policy["Statement"]
    assert statement.pop("Principal") == {
        "Federated": {"If": ["CreateProvider", {"Ref": "Provider"}, {"Ref": "ProviderArn"}]}
    }
    (printed,) = trust_policy("SUBJECT")["Statement"]
    del printed["Principal"]
    assert yaml.safe_load(str(statement).replace("{'Ref': 'Subject'}", "'SUBJECT'")) == printed
    assert RESOURCES["Provider"]["ClientIdList"] == ["sts.amazonaws.com"]


def test_the_role_may_no_more_than_it_must():
    actions = [
        action
        for statement in STATEMENTS
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    assert not [action for action in actions if "*" in action or "Delete" in action]
    everywhere = [statement["Action"] for statement in STATEMENTS if statement["Resource"] == "*"]
    assert everywhere == ["ecr:GetAuthorizationToken"]
    assert {statement["Effect"] for statement in STATEMENTS} == {"Allow"}


def test_it_is_deployed_changed_shown_and_removed(cli, aws):
    code, shown, log = cli(stack.main, "deploy", "--repository", "octocat/course")
    assert code == 0
    assert f"making stack cola for {SUBJECT}" in log
    names = dict(line.split("=", 1) for line in shown.splitlines())
    assert list(names) == ["AWS_REGION", "AWS_BUCKET", "ECR_REPOSITORY", "AWS_ROLE_ARN"]
    assert (names["AWS_REGION"], names["ECR_REPOSITORY"]) == (REGION, "cola")
    boto3.client("s3").head_bucket(Bucket=names["AWS_BUCKET"])
    (repository,) = boto3.client("ecr").describe_repositories(repositoryNames=["cola"])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"

    code, shown_again, log = cli(stack.main, "deploy", "--repository", "octocat/course", "--ids", 1, 2)
    assert (code, shown_again) == (0, shown)
    assert "changing stack cola for repo:octocat@1/course@2:ref:refs/heads/main" in log
    parameters = boto3.client("cloudformation").describe_stacks(StackName="cola")["Stacks"][0]["Parameters"]
    assert {"ParameterKey": "Subject", "ParameterValue": "repo:octocat@1/course@2:ref:refs/heads/main"} in parameters

    assert cli(stack.main, "show") == (0, shown, "")
    assert cli(stack.main, "delete") == (0, "", f"removing stack cola; its bucket {names['AWS_BUCKET']} remains\n")
    code, _, errors = cli(stack.main, "delete")
    assert code == 2
    assert f"no stack cola in region {REGION}: nothing to remove, or correct AWS_DEFAULT_REGION" in errors
    code, _, errors = cli(stack.main, "show")
    assert code == 2
    assert f'no stack cola in region {REGION}: run "python stack.py deploy", or correct AWS_DEFAULT_REGION' in errors


def test_a_provider_that_the_account_has_is_used(cli, aws):
    arn = boto3.client("iam").create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )["OpenIDConnectProviderArn"]
    assert cli(stack.main, "--stack", "second", "deploy", "--repository", "octocat/course")[0] == 0
    parameters = boto3.client("cloudformation").describe_stacks(StackName="second")["Stacks"][0]["Parameters"]
    assert {"ParameterKey": "ProviderArn", "ParameterValue": arn} in parameters


@pytest.fixture
def scripted(no_account, monkeypatch):
    """CloudFormation that gives prepared answers, where moto cannot fail as AWS does."""
    cloudformation = boto3.client("cloudformation")
    monkeypatch.setattr(stack, "client", lambda service: cloudformation)
    monkeypatch.setattr(stack, "github_provider", str)
    with Stubber(cloudformation) as stub:
        yield stub
        stub.assert_no_pending_responses()


def described(status: str) -> dict:
    return {"Stacks": [{"StackName": "cola", "StackStatus": status, "CreationTime": 0, "Outputs": []}]}


def test_a_stack_whose_making_failed_is_removed_and_made_again_and_says_what_failed(scripted):
    name = {"StackName": "cola"}
    scripted.add_response("describe_stacks", described("ROLLBACK_COMPLETE"), name)
    scripted.add_response("describe_stacks", described("ROLLBACK_COMPLETE"), name)
    scripted.add_response("delete_stack", {}, name)
    scripted.add_response("describe_stacks", described("DELETE_COMPLETE"), name)
    scripted.add_response(
        "create_stack", {}, name | {"TemplateBody": ANY, "Capabilities": ["CAPABILITY_IAM"], "Parameters": ANY}
    )
    scripted.add_response("describe_stacks", described("ROLLBACK_COMPLETE"), name)
    event = {"StackId": "1", "EventId": "1", "StackName": "cola", "Timestamp": 0}
    failed = {
        "LogicalResourceId": "Repository",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": "cola already exists",
    }
    scripted.add_response(
        "describe_stack_events", {"StackEvents": [event | failed, event | {"ResourceStatus": "CREATE_COMPLETE"}]}, name
    )
    with pytest.raises(InputError, match="mend this, then run the command again:\n  Repository: cola already exists"):
        stack.deploy("cola", SUBJECT)


def test_a_stack_that_is_as_it_should_be_is_left_alone(scripted):
    scripted.add_response("describe_stacks", described("CREATE_COMPLETE"))
    scripted.add_client_error("update_stack", "ValidationError", "No updates are to be performed.")
    stack.deploy("cola", SUBJECT)


def test_a_stack_half_made_shows_no_names(scripted):
    scripted.add_response("describe_stacks", described("CREATE_IN_PROGRESS"))
    with pytest.raises(InputError, match="stack cola is CREATE_IN_PROGRESS"):
        stack.outputs("cola")


def test_a_user_without_the_right_is_told_so_without_the_account(scripted):
    message = "User: arn:aws:iam::123456789012:user/a is not authorized to perform: cloudformation:DescribeStacks"
    scripted.add_client_error("describe_stacks", "AccessDenied", message)
    with pytest.raises(InputError, match=r"arn:aws:iam::\*{12}:user/a is not authorized .*: the role or user lacks"):
        stack.deploy("cola", SUBJECT)


def test_an_answer_that_is_not_of_aws_is_called_so(cli, monkeypatch):
    with answering(lambda *_: (407, {"Content-Type": "text/html"}, b"<!doctype html><p>a proxy's page")) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        code, _, errors = cli(stack.main, "show")
    assert code == 2
    assert "stack cola: what answers is not AWS: is there a proxy" in errors
    assert "is the region right?" in errors


def test_a_missing_region_is_asked_for(cli, aws, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    code, _, errors = cli(stack.main, "show")
    assert code == 2
    assert "You must specify a region: export AWS_DEFAULT_REGION=" in errors


def test_a_missing_template_is_named(cli, aws, monkeypatch, tmp_path):
    monkeypatch.setattr(stack, "TEMPLATE", tmp_path / "cloudformation.yaml")
    code, output, errors = cli(stack.main, "deploy", "--repository", "octocat/course")
    assert (code, output) == (2, "")
    assert errors == f"error: {tmp_path}/cloudformation.yaml: No such file or directory: copy it here again\n"
