"""The template: clean, complete, and what it becomes when SAM has transformed it."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from conftest import WEEK

TEMPLATE = WEEK / "template.yaml"
ALIAS = {"Ref": "FunctionAliaslive"}
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/cola@sha256:{'1' * 64}"


@pytest.fixture(scope="module")
def source() -> dict:
    return yaml_parse(TEMPLATE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def resources() -> dict:
    """What CloudFormation gets from SAM, by logical name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
        return transform(template, {"Image": IMAGE}, SimpleNamespace(load=dict))["Resources"]


def of_type(resources: dict, kind: str) -> dict:
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def test_cfn_lint_finds_nothing():
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    run = subprocess.run([cfn_lint, "--include-checks", "I", "--", TEMPLATE], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")


def test_an_image_by_tag_is_refused(source):
    pattern = source["Parameters"]["Image"]["AllowedPattern"]
    assert re.fullmatch(pattern, IMAGE)
    for image in (IMAGE[:-1], "cola:latest", "cola", IMAGE.replace("sha256", "md5")):
        assert not re.fullmatch(pattern, image)


def test_callers_reach_the_alias_and_nothing_else(resources):
    (api,) = of_type(resources, "AWS::ApiGatewayV2::Api").values()
    (route,) = api["Body"]["paths"].values()
    (method,) = route.values()
    assert "${FunctionAliaslive}" in str(method["x-amazon-apigateway-integration"]["uri"])
    (url,) = of_type(resources, "AWS::Lambda::Url").values()
    assert url["TargetFunctionArn"] == ALIAS
    permissions = of_type(resources, "AWS::Lambda::Permission")
    assert all(permission["FunctionName"] == ALIAS for permission in permissions.values())


def test_the_function_url_has_both_permissions_and_no_more(resources):
    public = [p for p in of_type(resources, "AWS::Lambda::Permission").values() if p["Principal"] == "*"]
    assert sorted(public, key=lambda permission: permission["Action"]) == [
        {
            "FunctionName": ALIAS,
            "Action": "lambda:InvokeFunction",
            "Principal": "*",
            "InvokedViaFunctionUrl": True,
        },
        {
            "FunctionName": ALIAS,
            "Action": "lambda:InvokeFunctionUrl",
            "Principal": "*",
            "FunctionUrlAuthType": "NONE",
        },
    ]


def test_the_function_has_its_limits_and_logs_where_they_are_deleted(resources):
    (function,) = of_type(resources, "AWS::Lambda::Function").values()
    assert function["Code"] == {"ImageUri": IMAGE}
    assert function["Timeout"] < 30  # s; an HTTP API gives up then
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": "Log"}}
    assert resources["Log"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetention"}
    (ping,) = of_type(resources, "AWS::Events::Rule").values()
    assert ping["Targets"][0]["Arn"] == ALIAS
    assert ping["Targets"][0]["Input"] == '{"warmup": true}'
