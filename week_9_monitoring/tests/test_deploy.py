"""Deployment: what is refused, when the alias moves, and when it goes back; against moto's Lambda and CloudWatch.

Moto keeps functions, versions and aliases, but runs no image: `invoke` of deploy.py is replaced by one that asks what
stands for the version's code. That one function itself is tested by recorded answers of Lambda.
"""

import io
import json
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

import deploy
from conftest import WEEK
from errors import InputError

REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/cola"
OLD, NEW = (f"{REPOSITORY}@sha256:{digit * 64}" for digit in "12")
JUDGEMENT = {"sentence": "The boy is sitting on a bench.", "label": "acceptable", "score": 0.9}


def health(source: str = "hub") -> dict:
    provenance = {"source": source, "model": "electra"}
    return {"statusCode": 200, "body": json.dumps({"status": "ok", "provenance": provenance})}


class Code:
    """What stands for the code of a version."""

    def __init__(self, source: str = "hub", judgement=JUDGEMENT, works: int | None = None):
        self.source, self.judgement, self.works, self.asked = source, judgement, works, 0

    def __call__(self, event: dict):
        self.asked += 1
        if self.works is not None and self.asked > self.works:
            raise deploy.DeploymentError("Unable to import module 'lambda_handler'")
        return health(self.source) if "requestContext" in event else self.judgement


class World:
    """A function with version 1, to which the alias live points, and whatever comes after.

    Like Lambda, and unlike moto, it publishes no second version of the same code.
    """

    def __init__(self, patch):
        self.client, self.metrics = (boto3.client(name, region_name="us-east-1") for name in ("lambda", "cloudwatch"))
        role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self.client.create_function(FunctionName="cola", PackageType="Image", Code={"ImageUri": OLD}, Role=role)
        self.client.publish_version(FunctionName="cola")
        self.client.create_alias(FunctionName="cola", Name="live", FunctionVersion="1")
        self.code = {"1": Code(), "2": Code()}
        self.moves, self.calls = [], set()
        for client in (self.client, self.metrics):
            client.meta.events.register("before-call", lambda model, **_: self.calls.add(model.name))
        patch.setattr(deploy, "invoke", self.invoke)
        update, publish = self.client.update_alias, self.client.publish_version
        self.client.update_alias = lambda **to: self.moves.append(to) or update(**to)
        self.client.publish_version = lambda **to: self.published(to["CodeSha256"]) or publish(**to)

    def published(self, code: str) -> dict | None:
        versions = self.client.list_versions_by_function(FunctionName="cola")["Versions"]
        return next((v for v in versions if v["CodeSha256"] == code and v["Version"] != "$LATEST"), None)

    def invoke(self, client, function, qualifier, event):
        return self.code[self.version if qualifier == "live" else qualifier](event)

    @property
    def version(self) -> str:
        return self.client.get_alias(FunctionName="cola", Name="live")["FunctionVersion"]

    def deploy(self, image: str = NEW, **options) -> str:
        return deploy.deploy(deploy.Deployment(self.client, self.metrics, "cola", "live"), image, **options)


@pytest.fixture
def world(monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield World(monkeypatch)


def test_a_version_that_works_gets_the_callers(world):
    assert world.deploy() == "2"
    assert world.version == "2"
    assert [code.asked for code in world.code.values()] == [0, 4]  # as a version, and through the alias
    assert world.client.get_function(FunctionName="cola")["Code"]["ImageUri"] == NEW


@pytest.mark.parametrize("image", [f"{REPOSITORY}:latest", REPOSITORY, f"{REPOSITORY}@sha256:12", f"{NEW}0"])
def test_an_image_by_tag_is_refused_before_anything_changes(world, cli, image):
    code, _, said = cli(deploy.main, image)
    assert code == 2
    assert "not an image by digest" in said
    assert world.client.get_function(FunctionName="cola")["Code"]["ImageUri"] == OLD
    assert not world.moves


def test_a_model_of_the_stand_ins_is_refused_unless_allowed(world):
    world.code["2"] = Code(source="bundled")
    with pytest.raises(InputError, match="live stays at 1.*--allow-bundled"):
        world.deploy()
    assert (world.version, world.moves) == ("1", [])
    assert world.deploy(allow_bundled=True) == world.version == "2"


@pytest.mark.parametrize(
    "code",
    [
        Code(works=0),
        Code(judgement={"error": {"status": 500}}),
        Code(judgement={**JUDGEMENT, "score": 7}),
        Code(judgement=None),
    ],
)
def test_a_version_that_fails_its_smoke_test_gets_no_callers(world, code):
    world.code["2"] = code
    with pytest.raises(deploy.DeploymentError):
        world.deploy()
    assert (world.version, world.moves) == ("1", [])


def test_the_alias_goes_back_where_the_version_fails_behind_it(world, capsys):
    world.code["2"] = Code(works=2)  # the smoke test of the version passes
    with pytest.raises(deploy.DeploymentError):
        world.deploy()
    assert world.version == "1"
    assert [move["FunctionVersion"] for move in world.moves] == ["2", "1"]
    assert "live is back at 1" in capsys.readouterr().err
    world.code["2"] = Code()
    assert world.deploy() == world.version == "2"  # the same image again, mended by whatever had failed


@pytest.mark.parametrize("cause", [deploy.DeploymentError("no judgement"), KeyboardInterrupt("Ctrl-C")])
def test_an_alias_that_does_not_go_back_is_named_with_what_failed_first(world, monkeypatch, cli, cause):
    def check(deployment, qualifier):
        if qualifier == "live":
            raise cause
        return {"source": "hub", "model": "electra"}

    def refuse(deployment):
        message = f"Rate exceeded for arn:aws:lambda:us-east-1:{REPOSITORY[:12]}:function:cola"
        raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": message}}, "UpdateAlias")

    monkeypatch.setattr(deploy.Deployment, "check", check)
    monkeypatch.setattr(deploy.Deployment, "go_back", refuse)
    code, out, said = cli(deploy.main, NEW)
    assert (code, out, world.version) == (1, "", "2")
    assert f"error: {cause}\nand live did not go back to 1: " in said
    assert "Rate exceeded" in said
    assert "callers may get version 2" in said
    assert "aws lambda update-alias --function-name cola --name live --function-version 1 --routing-config '{" in said
    assert REPOSITORY[:12] not in said


def test_a_move_that_is_refused_is_no_move_to_undo(world, monkeypatch, cli):
    def refuse(deployment, version, weights):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "UpdateAlias")

    monkeypatch.setattr(deploy.Deployment, "move", refuse)
    code, _, said = cli(deploy.main, NEW)
    assert (code, world.version) == (2, "1")
    assert "the role or user lacks this right" in said
    assert "callers may get" not in said


def test_a_deployment_of_what_is_there_already_changes_nothing(world):
    world.deploy()
    world.moves.clear()
    assert world.deploy() == world.version == "2"
    assert not world.moves


def test_a_canary_gets_its_share_and_then_all(world, monkeypatch):
    monkeypatch.setattr(deploy.time, "sleep", lambda seconds: None)
    assert world.deploy(canary=10, watch=0.05) == "2"
    assert [(m["FunctionVersion"], m["RoutingConfig"]["AdditionalVersionWeights"]) for m in world.moves] == [
        ("1", {"2": 0.1}),
        ("2", {}),
    ]


@pytest.mark.parametrize("end", ["errors", "Ctrl-C"])
def test_a_canary_whose_callers_see_errors_goes_back(world, monkeypatch, end):
    def happen(seconds):
        if end == "Ctrl-C":
            raise KeyboardInterrupt
        dimensions = {"FunctionName": "cola", "Resource": "cola:live", "ExecutedVersion": "2"}
        world.metrics.put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": "Errors",
                    "Value": 3,
                    "Timestamp": datetime.now(UTC),
                    "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                }
            ],
        )

    monkeypatch.setattr(deploy.time, "sleep", happen)
    with pytest.raises((deploy.DeploymentError, KeyboardInterrupt), match="3 invocations" if end == "errors" else None):
        world.deploy(canary=10, watch=300)
    alias = world.client.get_alias(FunctionName="cola", Name="live")
    assert alias["FunctionVersion"] == "1"
    assert not alias.get("RoutingConfig", {}).get("AdditionalVersionWeights")


def test_the_policy_of_the_role_allows_what_a_deployment_calls_and_no_more(world, monkeypatch):
    monkeypatch.setattr(deploy.time, "sleep", lambda seconds: None)
    world.calls.clear()
    world.deploy(canary=10, watch=0.01)
    world.calls -= {"ListVersionsByFunction"}  # of this test's own
    policy = yaml_parse((WEEK / "template.yaml").read_text(encoding="utf-8"))["Resources"]["MayDeploy"]["Properties"]
    functions, metrics = (statement["Action"] for statement in policy["PolicyDocument"]["Statement"])
    assert {*functions, metrics} == {
        "lambda:InvokeFunction",
        *(f"cloudwatch:{call}" if "Metric" in call else f"lambda:{call}" for call in world.calls),
    }


def recorded(payload: dict, **more) -> dict:
    body = json.dumps(payload).encode()
    return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body)), **more}


def test_invoke_tells_an_answer_from_a_breakdown():
    client = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a")
    asked = {"FunctionName": "cola", "Qualifier": "7", "Payload": '{"sentence": "He runs."}'}
    with Stubber(client) as stub:
        stub.add_response("invoke", recorded(JUDGEMENT), asked)
        assert deploy.invoke(client, "cola", "7", {"sentence": "He runs."}) == JUDGEMENT
        breakdown = {"errorMessage": "2023-11-14 Task timed out after 20.00 seconds"}
        stub.add_response("invoke", recorded(breakdown, FunctionError="Unhandled"), asked)
        with pytest.raises(deploy.DeploymentError, match="timed out"):
            deploy.invoke(client, "cola", "7", {"sentence": "He runs."})


def test_the_command_says_what_where_and_the_cure(world, cli):
    assert cli(deploy.main, NEW)[:2] == (0, "cola:2\n")
    for arguments, code, said in (
        ((f"{REPOSITORY}:latest",), 2, "not an image by digest"),
        (("",), 2, "the image is empty: did ecr.py push fail?"),
        ((NEW, "--function", "other"), 2, "deploy template.yaml first"),
        ((NEW, "--alias", "other"), 2, "deploy template.yaml first"),
        ((NEW, "--canary", "100"), 2, "from 0 to 99"),
    ):
        result = cli(deploy.main, *arguments)
        assert result[:2] == (code, "")
        assert said in result[2]
        assert "123456789012" not in result[2]
    world.code["3"] = Code(works=0)
    result = cli(deploy.main, OLD.replace("1" * 64, "3" * 64))
    assert (result[0], world.version) == (1, "2")
    assert "the new version does not work: Unable to import" in result[2]


def test_expired_credentials_are_named(world, monkeypatch, cli):
    def expired(*_, **__):
        error = {"Code": "ExpiredTokenException", "Message": "The security token included in the request is expired"}
        raise ClientError({"Error": error}, "GetAlias")

    monkeypatch.setattr(deploy, "Deployment", expired)
    code, _, said = cli(deploy.main, NEW)
    assert code == 2
    assert "function cola: GetAlias" in said
    assert "sign in again" in said


def test_without_credentials_or_region_the_cure_is_named(monkeypatch, cli, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "export AWS_DEFAULT_REGION" in cli(deploy.main, NEW)[2]
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert "Unable to locate credentials: look at AWS_PROFILE" in cli(deploy.main, NEW)[2]
