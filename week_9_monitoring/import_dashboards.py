"""Give a cluster the index template, and Kibana or OpenSearch Dashboards the data view, the panels and the dashboard.

    python import_dashboards.py                                            # both on this computer
    python import_dashboards.py --cluster https://... --kibana https://.../_dashboards        # a domain of AWS

It waits until both are up, and may be run again: it replaces what it made. An API key of Elasticsearch is taken from
API_KEY; requests to a domain of AWS are signed with your credentials. Standard library alone, but for that.
"""

import argparse
import http.client
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from errors import InputError, friendly_errors
from forwarder import UnsignedError, address, authorize

KIBANA = Path(__file__).with_name("kibana")
PAUSE = 2  # s, between two questions whether it is up


def ask(method: str, url: str, body: bytes | None = None, kind: str = "application/json") -> dict:
    """The answer of a server, from JSON.

    Raises:
        InputError: it refuses.
        ConnectionError: it is not up yet, or what answers there is something else.
        UnsignedError: it is a domain of AWS, and there are no credentials to sign with, or no region.
    """
    request = urllib.request.Request(url, body, {"Content-Type": kind, "kbn-xsrf": "1", "osd-xsrf": "1"}, method=method)
    authorize(request)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        told = error.read().decode(errors="replace")[:500]
        if error.code in (502, 503, 504):
            raise ConnectionError(f"HTTP {error.code}: {told}") from None
        ours = "its ReaderArn only may ask" if request.host.endswith(".amazonaws.com") else "set API_KEY"
        cure = f"; {ours}" if error.code in (401, 403) else ""
        raise InputError(f"{method} {url}: HTTP {error.code}: {told}{cure}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConnectionError(repr(error)) from None


def wait_for(url: str, seconds: float) -> dict:
    """Ask until there is an answer, and return it.

    Raises:
        InputError: there is none in time, or it is a refusal.
    """
    give_up = time.monotonic() + seconds
    while True:
        try:
            return ask("GET", url)
        except ConnectionError as error:
            if time.monotonic() > give_up:
                raise InputError(f"no answer from {url} in {seconds:.0f} s: {error}") from None
        print(f"waiting for {url}", file=sys.stderr)
        time.sleep(PAUSE)


def import_objects(kibana: str, objects: bytes) -> int:
    """Import an ndjson of saved objects in place of those with the same ids; returns how many.

    Raises:
        InputError: some were not imported; the message says which, and why.
    """
    edge = uuid.uuid4().hex
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="dashboard.ndjson"\r\n\r\n'
    body = head.encode() + objects + f"\r\n--{edge}--\r\n".encode()
    url = f"{kibana}/api/saved_objects/_import?overwrite=true"
    answer = ask("POST", url, body, f"multipart/form-data; boundary={edge}")
    if not answer.get("success"):
        raise InputError(f"{kibana} did not import: {json.dumps(answer.get('errors', answer))}")
    return answer["successCount"]


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Import the index template and the dashboard.")
    for name, port in (("--cluster", 9200), ("--kibana", 5601)):
        default = f"http://localhost:{port}"
        parser.add_argument(name, type=address, default=default, metavar="URL", help="default: %(default)s")
    parser.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="default: %(default)g")
    arguments = parser.parse_args()
    cluster, kibana = arguments.cluster, arguments.kibana
    try:
        version = wait_for(cluster, arguments.wait)["version"]
        ask("PUT", f"{cluster}/_index_template/cola", (KIBANA / "index_template.json").read_bytes())
        print(f"index template: {version.get('distribution', 'elasticsearch')} {version['number']} has it")
        wait_for(f"{kibana}/api/status", arguments.wait)
        number = import_objects(kibana, (KIBANA / "dashboard.ndjson").read_bytes())
        print(f"{number} objects imported: {kibana}/app/dashboards#/view/cola")
    except ConnectionError as error:
        raise InputError(f"the connection broke: {error}. Try again") from None
    except UnsignedError as error:
        raise InputError(str(error)) from None
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"what answers at {cluster} or {kibana} is not a cluster and its dashboards") from None


if __name__ == "__main__":
    main()
