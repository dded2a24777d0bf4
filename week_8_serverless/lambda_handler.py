"""The same service on AWS Lambda, without a server: an event comes in, the answer of app.py goes out.

python invoke.py "The boy are sitting on a bench."        calls it as Lambda would, in this process

It takes requests of API Gateway (REST and HTTP APIs) and of a function URL; direct invocations, {"sentence": "..."} or
{"sentences": ["...", ...]}; and pings that keep it warm. Lambda loads this module once for each environment that it
starts, and calls `lambda_handler` once for each event, one after the other.
"""

import asyncio
import json
import logging
from http import HTTPStatus
from typing import Any

from mangum import Mangum

from app import app, lifespan
from errors import InputError

log = logging.getLogger(__name__)
WANTED = 'send {"sentence": "..."}, {"sentences": ["...", ...]}, or a request through API Gateway or a function URL'
# What a function URL would send for POST /predict, but for the body.
REQUEST = {
    "version": "2.0",
    "headers": {"content-type": "application/json"},
    "requestContext": {"http": {"method": "POST", "path": "/predict", "sourceIp": "127.0.0.1"}},
}

# The model is loaded here, outside the handler: a cold start pays once, and the events after it do not. Mangum itself
# would open and close the lifespan, and load the model, around every single request.
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
opened = lifespan(app)
try:
    loop.run_until_complete(opened.__aenter__())
except InputError as error:
    raise ImportError(str(error)) from None  # of this exception alone Lambda shows the message without a stack trace
adapter = Mangum(app, lifespan="off")


def lambda_handler(event: Any, context: Any) -> dict:
    """Answer one event.

    Args:
        event: what Lambda was invoked with: a JSON value.
        context: Lambda's facts about the invocation; only passed on.

    Returns:
        For a request, what its gateway makes a response of: `statusCode`, `headers`, `body`. For a direct invocation,
        one judgement, or `{"predictions": [...]}`. For a ping, `{"status": "warm"}`. For whatever else, and what
        app.py refuses, `{"error": {"status": ..., "detail": [...]}}`, where `status` is what HTTP would say.
    """
    if not isinstance(event, dict):
        return failure(400, [problem("event", f"An event is a JSON object: {WANTED}")])
    if "requestContext" in event:
        return answer_request(event, context)
    if is_ping(event):
        return {"status": "warm"}
    if "sentence" in event or "sentences" in event:
        return answer_directly(event, context)
    return failure(400, [problem("event", f"An event of {sender(event)} is not for this function: {WANTED}")])


def answer_request(event: dict, context: Any) -> dict:
    try:
        return adapter(event, context)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        # Errors of the app are answered inside the adapter: these are about an event that no gateway makes.
        log.warning("refused a malformed request: %s", type(error).__name__)
        body = json.dumps({"detail": [problem("request", f"The event is not a whole request: {WANTED}")]})
        return {"statusCode": 400, "headers": {"content-type": "application/json"}, "body": body}


def answer_directly(event: dict, context: Any) -> dict:
    """Send the event through the app as a request, so that one set of rules holds for both."""
    single = "sentences" not in event
    body = {"sentences": [event["sentence"]]} | {k: v for k, v in event.items() if k != "sentence"} if single else event
    answer = adapter(REQUEST | {"body": json.dumps(body)}, context)
    status = answer["statusCode"]
    if status == 200:
        content = json.loads(answer["body"])
        return content["predictions"][0] if single else content
    if status != 422:  # 413: too large; 500: a mistake in the app, which has logged it
        return failure(status, [problem("http", HTTPStatus(status).phrase)])
    detail = json.loads(answer["body"])["detail"]
    for each in detail:
        _, field, *rest = each["loc"]  # in the body of the request
        each["loc"] = ["event", "sentence"] if single and field == "sentences" else ["event", field, *rest]
    return failure(status, detail)


def is_ping(event: dict) -> bool:
    """Whether an event only keeps the function warm: from a schedule of EventBridge, or from a tool that sends them."""
    scheduled = event.get("detail-type") == "Scheduled Event"
    return scheduled or event.get("warmup") is True or event.get("source") == "serverless-plugin-warmup"


def sender(event: dict) -> str:
    """The service that an event says it is of; for none, what it has instead: a few of its keys, never a value."""
    records = event.get("Records")
    first = records[0] if isinstance(records, list) and records and isinstance(records[0], dict) else event
    names = (first.get(key) for key in ("eventSource", "EventSource", "source"))
    keys = [repr(key[:30]) for key in list(event)[:5]] + ["..."] * (len(event) > 5)
    unknown = f"an unknown kind (its keys: {', '.join(keys) or 'none'})"
    return next((name for name in names if isinstance(name, str)), unknown)


def problem(kind: str, message: str) -> dict:
    return {"type": kind, "loc": ["event"], "msg": message}


def failure(status: int, detail: list[dict]) -> dict:
    return {"error": {"status": status, "detail": detail}}
