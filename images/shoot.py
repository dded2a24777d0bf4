"""Take the pictures of real things: the plots that a training and a comparison leave, the page of the web service, and
the dashboard.

    python images/shoot.py                       three minutes; needs Chromium: apt-get install chromium
    python images/shoot.py demo/week_5_docker    of a run that is there already, such as one of `make demo`
    python images/shoot.py demo/week_9_monitoring        which alone has a dashboard

It trains, exports and compares in a copy of the newest week, then serves the model, judges two sentences on the page,
and looks; for the dashboard, traffic.py makes up five days of traffic. The pictures of the pages belong to weeks 5 and
9: carry a new one of week 5 through the later weeks by `python tools/weeks.py forward`, then record both weeks.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
sys.path.insert(0, str(ROOT / "tools"))

from walk import copy_week, find_week  # noqa: E402

PLOTS = {"learning_curves.png": "reports/learning_curves.png", "comparison.png": "reports/onnx/comparison.png"}
COMMANDS = ("train.py source=bundled", "convert_model_to_onnx.py", "compare.py")
SENTENCES = ("The boy are sitting on a bench.", "The boy is sitting on a bench.")
DASHBOARD = (  # of week 9
    "reference.py",
    f"{FOLDER / 'traffic.py'} traffic",
    "monitor.py traffic --window 200 --labels bundled/validation.csv",  # ends with 1: drift
    "dashboard.py traffic --output traffic/page",
)
PORT = 8765
PAGE, PANELS = (760, 840), (1000, 1760)  # width, height


def keep(picture: Path, path: Path) -> None:
    """Keep a picture, in 256 colours, which is smaller and looks the same."""
    with Image.open(picture) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB")


@contextlib.contextmanager
def serving(week: Path):
    """The web service of a week, until the end of the block; gives its address."""
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(PORT), "--log-level", "error"]
    address = f"http://127.0.0.1:{PORT}"
    with subprocess.Popen(command, cwd=week) as process:
        try:
            for _ in range(300):
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def shoot(run: Path, profile: Path) -> None:
    """Judge two sentences on the page, in a real Chromium, and keep what it looks like; likewise a dashboard."""
    sys.path.insert(0, str(run / "tests"))
    from browser import Browser

    picture = profile / "picture.png"
    with Browser(profile) as page:
        with serving(run) as address:
            page.look(*PAGE)
            page.open(address)
            for count, sentence in enumerate(SENTENCES, start=1):
                page.type(sentence)
                page.press("Enter")
                page.wait_for(f"document.querySelectorAll('li').length === {count}")
            picture.write_bytes(page.look(*PAGE))
        keep(picture, find_week("5") / "images" / "page.png")
        if (run / "dashboard.py").is_file():
            shutil.rmtree(run / "traffic", ignore_errors=True)
            for command in DASHBOARD:
                subprocess.run([sys.executable, *command.split()], cwd=run, stdout=sys.stderr)
            page.look(*PANELS)
            page.open((run / "traffic/page/index.html").as_uri())
            page.wait_for("document.querySelectorAll('svg, canvas').length >= 10")
            picture.write_bytes(page.look(*PANELS))
            keep(picture, find_week("9") / "images" / "dashboard.png")


def make_run(folder: Path) -> Path:
    """Train, export and compare in a copy of the newest week, and return the copy."""
    copy_week(max(ROOT.glob("week_*_*"), key=lambda path: int(path.name.split("_")[1])), folder)
    for command in COMMANDS:
        print(f"$ python {command}", file=sys.stderr)
        environment = os.environ | {"WANDB_MODE": "disabled"}
        subprocess.run([sys.executable, *command.split()], cwd=folder, check=True, stdout=sys.stderr, env=environment)
    return folder


def main() -> int:
    """The command line."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(sys.argv[1]).resolve() if sys.argv[1:] else make_run(Path(folder, "week"))
        if not (run / "models" / "model.onnx").is_file():
            print(f'{run} holds no run with a model: make one by "make demo WEEK=5"', file=sys.stderr)
            return 2
        for name, plot in PLOTS.items():
            if (run / plot).is_file():
                keep(run / plot, FOLDER / name)
            else:
                print(f"{plot} is not in that run: images/{name} stays as it is", file=sys.stderr)
        if (run / "page.html").is_file():
            shoot(run, Path(folder))
        else:
            print("there is no page in that run: images of pages stay as they are", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
