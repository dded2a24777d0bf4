"""Invoke the Lambda function: in this process, or in its image through the runtime interface emulator.

python invoke.py "The boy is sitting on a bench." "The boy are sitting on a bench."
python invoke.py --event tests/events/http_v2.json
python invoke.py --url http://127.0.0.1:9000 "The boy is sitting on a bench."

Prints the answer to each event, one JSON object a line; the exit code is 1 where one of them is an error.
"""

import argparse
import json
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from errors import InputError, friendly_errors

PATH = "/2015-03-31/functions/function/invocations"  # where the emulator listens
WAIT_S = 10  # for a container that was started just now
TIMEOUT_S = 60


def invoke_here(event: Any) -> Any:
    """Call the handler in this process, as the runtime of Lambda would: JSON in, JSON out."""
    try:
        from lambda_handler import lambda_handler
    except ImportError as error:
        raise InputError(str(error)) from None
    return json.loads(json.dumps(lambda_handler(json.loads(json.dumps(event)), None)))


def wait_for(url: str, seconds: float) -> None:
    """Return when the emulator listens. It starts the function only with the first event.

    Raises:
        InputError: it is no address, or nothing listens there.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"--url {url}: write http://{url.rpartition('//')[2]}")
    give_up = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=TIMEOUT_S).close()
        except HTTPError:  # it knows no page at this address
            return
        except (OSError, ValueError) as error:
            if time.monotonic() > give_up:
                raise InputError(f"no emulator at {url} ({error}): is the container running?") from None
            time.sleep(0.05)
        except HTTPException as error:
            raise InputError(f"--url {url}: {error!r}: give the emulator's, as http://127.0.0.1:9000") from None
        else:
            raise InputError(f"{url} is not the emulator: it shows a page")


def invoke_at(url: str, event: Any) -> Any:
    """Send an event to the emulator, which answers once the function has.

    Raises:
        InputError: what comes back is not JSON.
    """
    request = urllib.request.Request(url.rstrip("/").removesuffix(PATH) + PATH, json.dumps(event).encode())
    try:
        try:
            answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
        except HTTPError as error:  # the function could not start: Lambda's error object says why
            answer = error
        with answer:
            return json.load(answer)
    except (HTTPException, OSError, ValueError) as error:
        raise InputError(f"no answer of the function at {url} ({error}): see `docker logs`") from None


def read_event(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} not found: tests/events/ has events to start from") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a JSON file in UTF-8 ({error})") from None


def is_error(answer: Any) -> bool:
    """Whether an answer is this project's error object, Lambda's own, or a response of status 400 or more."""
    return not isinstance(answer, dict) or bool(
        {"error", "errorType", "errorMessage"} & answer.keys() or answer.get("statusCode", 200) >= 400
    )


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sentence", nargs="*", help="sent as one direct event each")
    parser.add_argument("--event", type=Path, action="append", default=[], metavar="FILE", help="sent as it is")
    parser.add_argument("--url", help="of the emulator, with or without its path (default: call the handler here)")
    arguments = parser.parse_args()
    events = [{"sentence": sentence} for sentence in arguments.sentence] + [*map(read_event, arguments.event)]
    if not events:
        raise InputError("nothing to send: give sentences, or --event FILE")
    if arguments.url:
        wait_for(arguments.url, WAIT_S)
    failed = False
    for event in events:
        answer = invoke_at(arguments.url, event) if arguments.url else invoke_here(event)
        failed |= is_error(answer)
        print(json.dumps(answer, ensure_ascii=False))
    sys.stdout.flush()
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
