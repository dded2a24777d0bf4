"""Chromium without a window, driven through a pipe by its own protocol: https://chromedevtools.github.io/devtools-protocol"""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One page, from `with Browser(profile) as page:` to the end of the block.

    Args:
        profile: an empty folder for Chromium's own files.

    Attributes:
        requests: the addresses of everything that the page asked for.
        problems: exceptions of the page's scripts, and what the console called an error.
    """

    def __init__(self, profile: Path):
        self.profile, self.requests, self.problems, self.calls = profile, [], [], 0

    def __enter__(self) -> "Browser":
        theirs, self.to = os.pipe()
        back, ours = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        options += [f"--user-data-dir={self.profile}", "--remote-debugging-pipe"]
        shell = f'exec "$0" "$@" 3<&{theirs} 4>&{ours}'  # Chromium reads file 3 and writes file 4
        self.process = subprocess.Popen(
            ["bash", "-c", shell, CHROMIUM, *options],
            pass_fds=(theirs, ours),
            env=os.environ | {"HOME": str(self.profile)},
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(ours)
        self.answers = os.fdopen(back, "rb")
        self.session = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.session = {"sessionId": session}
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        self.answers.close()
        os.close(self.to)

    def call(self, method: str, **parameters) -> dict:
        """Call a method of the protocol, and note what happens until its answer."""
        self.calls += 1
        message = {"id": self.calls, "method": method, "params": parameters} | self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self.calls:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            event, details = answer.get("method"), answer.get("params")
            if event == "Network.requestWillBeSent":
                self.requests.append(details["request"]["url"])
            elif event == "Runtime.exceptionThrown":
                self.problems.append(details["exceptionDetails"])
            elif event == "Log.entryAdded" and details["entry"]["level"] == "error":
                self.problems.append(details["entry"])

    def _read(self) -> bytes:
        message = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("Chromium has ended")
            message += byte
        return bytes(message)

    def open(self, url: str) -> None:
        """Load a page, until the field that it gives the focus to has it: what is typed before is lost."""
        self.call("Page.navigate", url=url)
        focused = "(document.activeElement !== document.body || !document.querySelector('[autofocus]'))"
        self.wait_for(f"document.readyState === 'complete' && {focused}")

    def evaluate(self, script: str):
        """The value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']['exception']['description']}")
        return result["result"].get("value")

    def wait_for(self, script: str, seconds: float = 20):
        """Wait until an expression is true in the page, and return its value."""
        give_up = time.monotonic() + seconds
        while not (value := self.evaluate(script)):
            if time.monotonic() > give_up:
                raise TimeoutError(f"{script} stays {value!r}; the page: {self.evaluate('document.body.innerText')}")
            time.sleep(0.05)
        return value

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press a key, such as `Enter` or `Tab`."""
        code, text = {"Enter": (13, "\r"), "Tab": (9, ""), " ": (32, " ")}[key]
        press = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **press)
        self.call("Input.dispatchKeyEvent", type="keyUp", **press)

    def look(self, width: int, height: int, scheme: str = "light") -> bytes:
        """A picture (PNG) of the page in a window of this size, in a light or a dark scheme."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
