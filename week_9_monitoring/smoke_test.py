"""Ask a running service whether it is well and judges sentences: the last word on an image before it is shipped.

python smoke_test.py http://127.0.0.1:8000
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException

from errors import InputError, friendly_errors
from sentences import LABELS

SENTENCES = ["The boy is sitting on a bench.", "The boy are sitting on a bench."]
PATIENCE_S = 30  # for the first answer; a container starts in 3


def ask(url: str, body: dict | None = None) -> tuple[int, dict]:
    """The status and the JSON of an answer, errors of HTTP included; a body makes it a POST.

    Raises:
        OSError: nobody answers.
        InputError: the address is none, or what answers does not speak HTTP and JSON as our service does.
    """
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            status, content = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, content = error.code, error.read()
    except OSError:  # before HTTPException: http.client's RemoteDisconnected, of a service that is starting, is both
        raise
    except (HTTPException, ValueError) as error:
        raise InputError(f"{url} cannot be asked ({error}): is it the address of our service?") from None
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise InputError(f"{url} answers with {status}, and not with a JSON object: is it our service?")
    return status, answer


def first_answer(url: str, patience_s: float = PATIENCE_S) -> dict:
    """What /health says, as soon as it says something.

    Raises:
        InputError: nobody answers in time, or it does not say that all is well.
    """
    give_up = time.monotonic() + patience_s
    while True:
        try:
            status, health = ask(f"{url}/health")
            break
        except OSError as error:
            if time.monotonic() > give_up:
                raise InputError(
                    f"{url} does not answer after {patience_s:g} s ({error}): is it started? Read its log"
                ) from None
            time.sleep(0.1)
    if status != 200 or health.get("status") != "ok":
        raise InputError(f"{url}/health answers with {status}: read its log")
    if not {"precision", "provenance"} <= health.keys():
        raise InputError(f"{url}/health names no model: does another service have this port?")
    return health


def judge(url: str) -> list[dict]:
    """Judgements of two sentences, by POST /predict.

    Raises:
        InputError: they are none.
    """
    status, answer = ask(f"{url}/predict", {"sentences": SENTENCES})
    predictions = answer.get("predictions", [])
    fit = [p["sentence"] == s and p["label"] in LABELS and 0 <= p["score"] <= 1
           for p, s in zip(predictions, SENTENCES, strict=False)]  # fmt: skip
    if status != 200 or len(predictions) != len(SENTENCES) or not all(fit):
        raise InputError(f"{url}/predict answers with {status} and {answer}, which are no judgements: read its log")
    return predictions


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="of the service, as http://127.0.0.1:8000")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, metavar="SECONDS", help="default: %(default)s")
    arguments = parser.parse_args()
    url = arguments.url.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url} is not the address of a service: give one that begins with http:// or https://")
    health = first_answer(url, arguments.patience)
    print(f"healthy: {health['precision']}, trained on {health['provenance']['data']}")
    for prediction in judge(url):
        print("{label:<12}  {score:.3f}  {sentence}".format(**prediction))
    status, refusal = ask(f"{url}/predict", {"sentences": [" "]})
    if status != 422:
        raise InputError(f"{url}/predict takes a blank sentence ({status}, {refusal}): another app, or an old one?")
    print("a blank sentence is refused", file=sys.stderr)


if __name__ == "__main__":
    main()
