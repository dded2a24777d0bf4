"""Ask a service that has just been started: the last word on an image before it is shipped.

python -m ci.smoke_test http://127.0.0.1:8000        with Python alone, as on a machine where nothing is installed
"""

import sys
import time
from urllib.error import HTTPError
from urllib.request import urlopen

PROMISES = {  # where to ask, and the status of the answer
    "it is healthy": ("/health", 200),
    "a sentence is judged": ("/predict?text=The+boy+are+sitting+on+a+bench.", 200),
    "a blank sentence is refused": ("/predict?text=+", 422),
}


def ask(url: str) -> tuple[int, str]:
    """The status and the text of an answer."""
    for _ in range(30):
        try:
            with urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:  # it still starts
            time.sleep(1)
    sys.exit(f"no answer from {url}")


if __name__ == "__main__":
    for promise, (path, expected) in PROMISES.items():
        status, content = ask(sys.argv[1] + path)
        if status != expected:
            sys.exit(f"{path} answers {status}: {content}")
        print(promise)
