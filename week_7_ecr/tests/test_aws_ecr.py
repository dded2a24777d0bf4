"""Week 7, against moto: what the template makes and for whom, files in S3, and S3 as DVC's remote."""

import os
import re
import urllib.request
from pathlib import Path

import boto3
import cfnlint
import pytest
from botocore.exceptions import ClientError
from cfnlint.decode import cfn_yaml
from dvc.repo import Repo
from moto.server import ThreadedMotoServer

from aws import s3_files

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse .* not supported by moto")
TEMPLATE = Path(__file__).parent.parent / "aws" / "cloudformation.yaml"
PARSED = cfn_yaml.load(str(TEMPLATE))
PROPERTIES = {name: resource["Properties"] for name, resource in PARSED["Resources"].items()}
MAIN = "repo:octocat@583231/course@1296269:ref:refs/heads/main"


@pytest.fixture(scope="module")
def stack():
    """The outputs of the stack, made by moto; the environment's AWS is moto's server."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        cloudformation = boto3.client("cloudformation")
        subject = {"ParameterKey": "Subject", "ParameterValue": MAIN}
        cloudformation.create_stack(StackName="cola", TemplateBody=TEMPLATE.read_text(), Parameters=[subject])
        (made,) = cloudformation.describe_stacks(StackName="cola")["Stacks"]
        yield {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
    server.stop()


def test_cfn_lint_finds_nothing_in_the_template():
    assert cfnlint.lint_all(TEMPLATE.read_text()) == []


def test_the_stack_has_a_bucket_a_repository_and_a_role(stack):
    boto3.client("s3").head_bucket(Bucket=stack["Bucket"])
    boto3.client("ecr").describe_repositories(repositoryNames=[stack["Repository"]])
    assert stack["RoleArn"].startswith("arn:aws:iam::")


def test_the_bucket_is_private_encrypted_versioned_and_survives_the_stack():
    bucket = PROPERTIES["Bucket"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in bucket
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (statement,) = PROPERTIES["BucketPolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert PARSED["Resources"]["Bucket"]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_the_role_trusts_one_subject_for_one_audience_of_github():
    (statement,) = PROPERTIES["Role"]["AssumeRolePolicyDocument"]["Statement"]
    github = "token.actions.githubusercontent.com"
    assert statement["Condition"] == {
        "StringEquals": {f"{github}:aud": "sts.amazonaws.com", f"{github}:sub": {"Ref": "Subject"}}
    }
    assert PROPERTIES["Provider"]["Url"] == f"https://{github}"


def test_the_subject_is_one_branch_of_one_repository():
    def taken(subject: str) -> bool:
        return bool(re.search(PARSED["Parameters"]["Subject"]["AllowedPattern"], subject))

    assert taken(MAIN)
    assert taken("repo:octocat/course:ref:refs/heads/main")  # repositories from before July 2026
    wider = ("course:*", "*:ref:refs/heads/main", "course:ref:refs/heads/?", "course:pull_request")
    assert not [subject for subject in wider if taken(f"repo:octocat/{subject}")]


def test_the_role_may_neither_delete_nor_do_what_is_not_named():
    policies = [policy["PolicyDocument"] for policy in PROPERTIES["Role"]["Policies"]]
    for statement in (statement for policy in policies for statement in policy["Statement"]):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action or "Delete" in action]
        assert statement["Resource"] != "*" or actions == ["ecr:GetAuthorizationToken"]


def test_a_file_is_uploaded_and_all_pages_of_a_list_are_read(stack, tmp_path, monkeypatch):
    (tmp_path / "model").write_bytes(b"weights")
    session = boto3.Session()
    session.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: params | {"MaxKeys": 2})
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    for key in "12345":
        address = s3_files.upload(tmp_path / "model", stack["Bucket"], f"many/{key}")
        assert address == f"s3://{stack['Bucket']}/many/{key}"
    assert s3_files.listing(stack["Bucket"], "many/").split()[3::4] == [f"many/{key}" for key in "12345"]
    assert s3_files.listing(stack["Bucket"], "b/") == ""


def test_a_presigned_address_lends_one_object_without_an_account(stack):
    boto3.client("s3").put_object(Bucket=stack["Bucket"], Key="lent", Body=b"weights")
    address = s3_files.presign(stack["Bucket"], "lent", minutes=10)
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"weights"
    assert "X-Amz-Expires=600" in address
    assert "secret" not in address
    with pytest.raises(ClientError, match="404"):
        s3_files.presign(stack["Bucket"], "never-uploaded", minutes=10)


def test_a_presigned_address_names_the_region(stack, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    s3 = boto3.client("s3", config=s3_files.SIGNING)
    address = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})
    assert address.startswith("https://bucket.s3.eu-central-1.amazonaws.com/key?X-Amz-Algorithm=AWS4-HMAC-SHA256")


def test_a_model_comes_back_from_dvcs_remote_in_s3(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repo = Repo.init(no_scm=True)
    with repo.config.edit() as config:
        config["core"]["remote"] = "s3"
        config["remote"]["s3"] = {"url": f"s3://{stack['Bucket']}/dvc"}
    Path("model").write_bytes(b"weights")
    repo.add("model")
    assert repo.push() == 1
    Path("model").unlink()
    repo.cache.local.clear()
    repo.pull()
    assert Path("model").read_bytes() == b"weights"
