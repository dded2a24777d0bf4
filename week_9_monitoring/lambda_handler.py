"""The service of app.py without a server: AWS Lambda hands over an event, and gets the answer back.

echo '{"sentences": ["He run."]}' | python lambda_handler.py        # calls it as Lambda would, in this process
python lambda_handler.py < tests/events/http_api.json               # a request, as API Gateway hands it over

Lambda imports this module once for each copy that it starts, and then calls `lambda_handler` for one event at a time.
"""

import asyncio
import json
import sys

from mangum import Mangum

from app import app, lifespan

# A direct event is sent through the app as well, as the body of this request, so that the same rules hold for it.
REQUEST = {
    "version": "2.0",
    "headers": {"content-type": "application/json"},
    "requestContext": {"http": {"method": "POST", "path": "/predict", "sourceIp": "127.0.0.1"}},
}


async def below_stage(scope, receive, send):
    """The app below its stage: https://.../dev/predict is its /predict, and its page links to /dev/openapi.json."""
    event = scope["aws.event"]
    stage = event["requestContext"].get("stage", "$default")
    if stage != "$default":
        scope["root_path"] = f"/{stage}"
        if "version" not in event:  # a REST API leaves the stage out of the path, an HTTP API does not
            scope["path"] = f"/{stage}{scope['path']}"
    await app(scope, receive, send)


# The model is loaded here, outside of the handler: a cold start pays for it once. Mangum would load it for each event.
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loaded = lifespan(app)
loop.run_until_complete(loaded.__aenter__())
web = Mangum(below_stage, lifespan="off")


def lambda_handler(event, context) -> dict:
    """Answer a request of a gateway, a direct {"sentences": [...]} or {"sentence": "..."}, or a ping."""
    match event:
        case {"requestContext": {"http": _}} | {"requestContext": _, "httpMethod": _}:
            return web(event, context)
        case {"sentences": _}:
            return judge(event, context)
        case {"sentence": sentence, **others}:
            return judge({"sentences": [sentence], **others}, context)
        case {"warmup": True} | {"detail-type": "Scheduled Event"}:
            return {"status": "warm"}  # it only keeps this copy alive
    # An error, not an answer: a queue would take any answer as done, and delete its messages.
    raise ValueError('send {"sentences": ["..."]}, or a request by a gateway')


def judge(batch: dict, context) -> dict:
    answer = web({**REQUEST, "body": json.dumps(batch)}, context)
    if answer["statusCode"] == 500:
        raise RuntimeError("the service failed, its log says why")
    content = json.loads(answer["body"])
    return {"predictions": content} if answer["statusCode"] == 200 else {"error": content}


if __name__ == "__main__":
    print(json.dumps(lambda_handler(json.load(sys.stdin), None), ensure_ascii=False))
