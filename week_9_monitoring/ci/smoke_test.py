"""Ask a running service whether it is well and judges sentences: the last word on an image before it is shipped.

python -m ci.smoke_test http://127.0.0.1:8000        with Python alone, as on a machine where nothing is installed
"""

import json
import sys
import time
import urllib.error
import urllib.request

SENTENCES = ["The boy is sitting on a bench.", "The boy are sitting on a bench."]


def ask(url: str, body: dict | None = None, tries: int = 1) -> tuple[int, object]:
    """The status and the JSON of an answer; with a body it is a POST. Who does not answer is asked again."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:  # a container starts
        if tries == 1:
            raise
        time.sleep(1)
        return ask(url, body, tries - 1)


def main() -> None:
    service = sys.argv[1].rstrip("/")
    status, health = ask(f"{service}/health", tries=30)
    if status != 200 or health["status"] != "ok":
        sys.exit(f"/health answers {status}: {health}")
    print(f"healthy: {health['precision']}, trained on {health['provenance']['source']}")
    status, judged = ask(f"{service}/predict", {"sentences": SENTENCES})
    if status != 200 or [each["sentence"] for each in judged] != SENTENCES:
        sys.exit(f"/predict answers {status}: {judged}")
    for each in judged:
        print(f"{each['label']:12}  {each['score']:.3f}  {each['sentence']}")
    status, refused = ask(f"{service}/predict", {"sentences": [" "]})
    if status != 422:
        sys.exit(f"a blank sentence is not refused, but answered with {status}: {refused}")
    print("a blank sentence is refused")


if __name__ == "__main__":
    main()
