"""The service of app.py without a server: AWS Lambda hands over an event, and gets the answer back.

echo '{"sentences": ["Nobody snored."]}' | python lambda_handler.py     # calls it as Lambda would, in this process
python lambda_handler.py < tests/events/http_api.json                   # a request, as API Gateway hands it over
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

# Lambda imports this once for each copy that it starts. So the model is loaded here; Mangum would, for each event.
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loaded = lifespan(app)
loop.run_until_complete(loaded.__aenter__())


def web(event: dict, context) -> dict:
    """The app's answer to a request. An HTTP API's path begins with the stage, /dev/predict; a REST API's does not."""
    stage = event["requestContext"].get("stage", "") if "version" in event else ""  # a REST API's event has no version
    return Mangum(app, lifespan="off", api_gateway_base_path=stage)(event, context)


def lambda_handler(event: dict, context) -> dict:
    """Answer a request of a gateway, a direct {"sentences": [...]}, or a ping."""
    match event:
        case {"requestContext": {"http": _}} | {"requestContext": _, "httpMethod": _}:
            return web(event, context)
        case {"sentences": _}:
            answer = web({**REQUEST, "body": json.dumps(event)}, context)
            content = json.loads(answer["body"])  # raises where the service failed: a 500 is no JSON
            return {"predictions": content} if answer["statusCode"] == 200 else {"error": content}
        case {"warmup": True}:
            return {"status": "warm"}  # it only keeps this copy alive
    # An error, not an answer: a queue would take any answer as done, and delete its messages.
    raise ValueError('send {"sentences": ["..."]}, or a request by a gateway')


if __name__ == "__main__":
    print(json.dumps(lambda_handler(json.load(sys.stdin), None), ensure_ascii=False))
