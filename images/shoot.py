"""Take the pictures of real things: plots of a training and a comparison, the service's page, the dashboard.

    python images/shoot.py                            a few minutes; needs Chromium: apt-get install chromium
    python images/shoot.py demo/week_9_monitoring     of a run that is there already, such as one of `make demo`

Without a run it trains, exports and compares in a copy of the newest week. Then it serves the model, judges a sentence
on the page, and looks; for the dashboard, traffic.py makes up five days of traffic.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
PLOTS = {"learning_curves.png": "reports/train/learning_curves.png", "comparison.png": "reports/onnx/comparison.png"}
COMMANDS = ("train.py", "convert_model_to_onnx.py", "compare.py")
TRAFFIC = (
    "-m monitoring.drift",
    f"{FOLDER / 'traffic.py'} traffic/predictions.jsonl",
    "-m monitoring.monitor traffic/predictions.jsonl --window 200 --labels bundled/validation.csv",  # 1: drift
    "-m monitoring.dashboard traffic/predictions.jsonl traffic/drift.jsonl",
)
PORT = 8765
SENTENCE = "The%20boy%20are%20sitting%20on%20a%20bench."


def keep(picture: Path, name: str) -> None:
    """Keep a picture, in 256 colours, which is smaller and looks the same."""
    with Image.open(picture) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)
    print(f"images/{name}  {(FOLDER / name).stat().st_size / 1000:.0f} kB")


def look(address: str, width: int, height: int, name: str) -> None:
    """Keep what a page looks like in a window of this size."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        options = [f"--user-data-dir={folder}", f"--screenshot={folder}/page.png", f"--window-size={width},{height}"]
        options += ["--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=10000"]
        subprocess.run([program, *options, address], check=True, stderr=subprocess.DEVNULL)
        keep(Path(folder, "page.png"), name)


def python(run: Path, command: str, check: bool = True) -> None:
    print(f"$ python {command}", file=sys.stderr)
    environment = os.environ | {"WANDB_MODE": "disabled"}
    subprocess.run([sys.executable, *command.split()], cwd=run, check=check, stdout=sys.stderr, env=environment)


def main(run: Path) -> None:
    for name, plot in PLOTS.items():
        if (run / plot).is_file():
            keep(run / plot, name)
        else:
            print(f"{plot} is not in that run: images/{name} stays as it is", file=sys.stderr)
    if (run / "page.html").is_file():
        server = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(PORT), "--log-level", "error"]
        with subprocess.Popen(server, cwd=run, env=os.environ | {"COLA_LOG": os.devnull}) as process:
            address = f"http://127.0.0.1:{PORT}"
            wait = ["curl", "--silent", "--fail", "--retry", "60", "--retry-connrefused", "--retry-delay", "1"]
            subprocess.run([*wait, "--output", os.devnull, f"{address}/health"], check=True)
            look(f"{address}/?text={SENTENCE}", 760, 700, "page.png")
            process.terminate()
    if (run / "monitoring").is_dir():
        shutil.rmtree(run / "traffic", ignore_errors=True)
        (run / "traffic").mkdir()
        for command in TRAFFIC:
            python(run, command, check="monitor " not in command)
        look((run / "reports/dashboard/index.html").as_uri(), 1240, 1400, "dashboard.png")


if __name__ == "__main__":
    if sys.argv[1:]:
        folder = Path(sys.argv[1]).resolve()
        if not (folder / "models" / "model.onnx").is_file():
            print(f'{folder} holds no run with a model: make one by "make demo WEEK=5"', file=sys.stderr)
            sys.exit(2)
        main(folder)
    else:
        with tempfile.TemporaryDirectory() as place:
            newest = max(ROOT.glob("week_*_*"), key=lambda path: int(path.name.split("_")[1]))
            copy = Path(shutil.copytree(newest, Path(place, "week")))
            for command in COMMANDS:
                python(copy, command)
            main(copy)
