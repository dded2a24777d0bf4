"""What week 8 promises of handler, deployment and template. The image is tested from the folder of the course."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from cfnlint.api import lint
from moto import mock_aws
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

import app as service
import local_lambda
from aws import deploy

WEEK = Path(__file__).parent.parent
GATEWAYS = ["http_api", "http_api_stage", "rest_api", "function_url", "load_balancer"]
NEW = local_lambda.IMAGE.replace("1" * 64, "2" * 64)


def event(name: str) -> dict:
    return json.loads((WEEK / f"tests/events/{name}.json").read_text(encoding="utf-8"))


SENTENCES = event("direct")["sentences"]


@pytest.fixture(scope="module")
def handler(model_onnx):
    """`lambda_handler` as Lambda loads it, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL", str(model_onnx))
        import lambda_handler

        yield lambda_handler.lambda_handler
        lambda_handler.loop.close()


def judged(sentences: list[str] = SENTENCES) -> list[dict]:
    return service.app.state.predictor.predict(sentences)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_each_gateway_gets_the_answer_of_the_app(handler, gateway, monkeypatch):
    monkeypatch.setattr(service, "ColaONNXPredictor", None)  # the model is loaded once: another would fail
    answer = handler(event(gateway), None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, judged())


def below(gateway: str, method: str, path: str) -> dict:
    """The gateway's event for another request."""
    request = event(gateway) | {"body": None, "path": path, "httpMethod": method}
    if gateway == "http_api_stage":
        request["requestContext"]["http"] |= {"method": method, "path": f"/dev{path}"}
    return request


@pytest.mark.parametrize("gateway", ["http_api_stage", "rest_api"])
def test_page_docs_and_health_work_below_a_stage(handler, gateway):
    for path in ("/", "/docs", "/health", "/openapi.json"):
        assert handler(below(gateway, "GET", path), None)["statusCode"] == 200
    api = json.loads(handler(below(gateway, "GET", "/openapi.json"), None)["body"])
    assert api["servers"] == [{"url": "."}]  # below whatever stage it was read from
    assert handler(below(gateway, "GET", "/unknown"), None)["statusCode"] == 404


def test_a_query_reaches_the_app_as_it_was_typed(handler):
    text = "Zoë's 1 + 1 & 2?"
    rest = below("rest_api", "GET", "/predict") | {"multiValueQueryStringParameters": {"text": [text]}}
    http = below("http_api_stage", "GET", "/predict") | {"rawQueryString": "text=Zo%C3%AB's%201%20%2B%201+%26%202%3F"}
    for request in (rest, http):
        assert json.loads(handler(request, None)["body"]) == judged([text])[0]


def test_direct_events_get_judgements(handler):
    assert handler(event("direct"), None) == {"predictions": judged()}


def test_a_service_that_fails_is_an_error_so_that_a_queue_asks_again(handler, monkeypatch):
    monkeypatch.setattr(service.app.state, "predictor", None)
    with pytest.raises(json.JSONDecodeError):
        handler(event("direct"), None)


@pytest.mark.parametrize(
    "direct",
    [
        {"sentences": ["He runs.", "\u200b"]},
        {"sentences": ["confidential"] * 65},
        {"sentences": ["confidential"], "language": "en"},
        {"sentences": ["confidential", 3]},
        {"sentences": ["confidential" * 100_000]},
    ],
)
def test_a_direct_event_is_held_to_the_rules_of_the_app_and_stays_out_of_the_log(handler, direct, caplog):
    assert "detail" in handler(direct, None)["error"]
    assert "confidential" not in caplog.text


def test_a_ping_keeps_it_warm(handler):
    assert handler({"warmup": True}, None) == {"status": "warm"}


@pytest.mark.parametrize("other", [{}, None, {"Records": [{}]}, {"requestContext": {"eventType": "CONNECT"}}])
def test_an_event_of_another_kind_is_an_error_so_that_no_queue_takes_it_as_done(handler, other):
    with pytest.raises(ValueError, match="sentences"):
        handler(other, None)


@pytest.fixture
def aws(model_onnx, tmp_path, monkeypatch):
    """AWS with the function, whose image is a folder: (the folder, what deploys it, the version that callers get)."""
    ignored = shutil.ignore_patterns(".*", "models", "tests")
    folder = Path(shutil.copytree(WEEK, tmp_path / "image", ignore=ignored))
    (folder / "models").mkdir()
    shutil.copy(model_onnx, folder / "models/model.onnx")
    monkeypatch.setattr(local_lambda, "FOLDER", folder)
    monkeypatch.setattr(local_lambda, "VERSIONS", tmp_path / "versions")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["deploy.py", *arguments])
        deploy.main()

    with mock_aws():
        local_lambda.make_function()
        client = boto3.client("lambda")
        yield folder, run, lambda: client.get_alias(FunctionName="cola", Name="live")["FunctionVersion"]


def test_a_version_that_works_gets_the_callers_and_an_image_without_its_digest_is_refused(aws):
    _, run, version = aws
    run(NEW, "--allow-bundled")
    assert version() == "2"
    with pytest.raises(SystemExit, match="no image by its digest"):
        run("cola:latest")
    assert version() == "2"


STAND_IN = '{"statusCode": 200, "body": json.dumps({"provenance": {"source": "bundled"}})}'
BAD = {
    "No module named": ("from app import", "from other import"),
    "no judgement": ('{"predictions": content}', '{"predictions": content[:0]}'),
    "not healthy": ("return web(event, context)", 'return {"statusCode": 500}'),
    "stand-ins": ("return web(event, context)", f"return {STAND_IN}"),
}  # by what is said of it


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_version_never_gets_callers(aws, reason):
    folder, run, version = aws
    good, bad = BAD[reason]
    code = (folder / "lambda_handler.py").read_text(encoding="utf-8")
    assert good in code
    (folder / "lambda_handler.py").write_text(code.replace(good, bad), encoding="utf-8")
    with pytest.raises(SystemExit, match=f"^version 2 is left aside, live stays at 1: .*{reason}"):
        run(NEW)
    assert version() == "1"


@pytest.fixture(scope="module")
def resources() -> dict:
    """What CloudFormation gets from the template when SAM has transformed it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        template = yaml_parse((WEEK / "aws/template.yaml").read_text(encoding="utf-8"))
        return transform(template, {"Image": NEW}, SimpleNamespace(load=dict))["Resources"]


def test_cfn_lint_finds_nothing():
    assert lint((WEEK / "aws/template.yaml").read_text(encoding="utf-8"), regions=["us-east-1"]) == []


def test_callers_reach_the_alias_and_nothing_else(resources):
    alias = {"Ref": "FunctionAliaslive"}
    assert resources["Url"]["Properties"]["TargetFunctionArn"] == alias
    assert "${FunctionAliaslive}" in json.dumps(resources["Api"]["Properties"]["Body"])
    permissions = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::Permission"]
    assert all(permission["FunctionName"] == alias for permission in permissions)
    public = {permission["Action"]: permission for permission in permissions if permission["Principal"] == "*"}
    assert public["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"] == "NONE"
    assert public["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True  # else anybody's account could invoke it
