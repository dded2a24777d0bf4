"""Take the pictures of real things: plots of a training and a comparison, the pages of the service, the dashboard, and
the screens of the tools.

    python images/shoot.py                            many minutes; needs Chromium: apt-get install chromium
    python images/shoot.py demo/week_9_monitoring     of a run that is there already, such as one of `make demo`
    python images/shoot.py leet act                   the screens of these tools alone

Without a run it trains, exports and compares in a copy of the newest week. Then it serves the model, judges a sentence
on the page, and looks; for the dashboard, traffic.py makes up five days of traffic. Each tool gets a copy of its week.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import onnx
import vl_convert
from PIL import Image

from draw import draw
from terminal import Terminal

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
sys.path.insert(0, str(ROOT / "tools"))

from walk import NAME_FOR_GIT, copy_week, find_week  # noqa: E402  it is found now

PLOTS = {"learning_curves.png": "reports/train/learning_curves.png", "comparison.png": "reports/onnx/comparison.png"}
COMMANDS = ("train.py", "convert_model_to_onnx.py", "compare.py")
TRAFFIC = (
    "-m monitoring.drift",
    f"{FOLDER / 'traffic.py'} traffic/predictions.jsonl",
    "-m monitoring.monitor traffic/predictions.jsonl --window 200 --labels bundled/validation.csv",  # 1: drift
    "-m monitoring.dashboard traffic/predictions.jsonl traffic/drift.jsonl",
)
PORT = 8765
CDN = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5"  # has the parts of FastAPI's page; here they come from a package
DRAWN = ("MatMul", "Softmax", "Gelu", "LayerNormalization")  # of the ONNX graph: what computes, and all with a matrix
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


def look_at(page: str, width: int, height: int, name: str) -> None:
    """Keep what a page looks like that is not in a file yet."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "page.html").write_text(page, encoding="utf-8")
        look(Path(folder, "page.html").as_uri(), width, height, name)


def python(run: Path, command: str, check: bool = True, wandb: str = "disabled") -> None:
    print(f"$ python {command}", file=sys.stderr)
    environment = os.environ | {"WANDB_MODE": wandb}
    subprocess.run([sys.executable, *command.split()], cwd=run, check=check, stdout=sys.stderr, env=environment)


def wait_for(address: str) -> None:
    wait = ["curl", "--silent", "--fail", "--retry", "60", "--retry-connrefused", "--retry-delay", "1"]
    subprocess.run([*wait, "--output", os.devnull, address], check=True)


def docs(address: str) -> None:
    """FastAPI's page of the API, with GET /predict open; Chromium's clock would not wait for what the page fetches."""
    page, api = (urlopen(f"{address}/{path}").read().decode() for path in ("docs", "openapi.json"))
    parts = Path(find_spec("fastapi_offline").origin).with_name("static")
    page = page.replace(CDN, parts.as_uri()).replace('"openapi.json"', f'"{address}/openapi.json"')
    click = "setTimeout(() => document.querySelectorAll('.opblock-summary-control')[1].click(), 3000)"
    answer = f"fetch = async () => new Response(JSON.stringify({api}))"
    page = page.replace("<head>", f"<head><script>{answer}; {click}</script>")
    look_at(page, 1000, 1055, "docs.png")


def graph(models: Path) -> None:
    """The graph in the ONNX file, one box for each operation that computes; all layers after the first are one box."""
    fp32, int8 = models / "model.fp32.onnx", models / "model.onnx"
    model = onnx.load(fp32)
    nodes, opset = model.graph.node, model.opset_import[0].version
    matrices = {each.name: list(each.dims) for each in model.graph.initializer if len(each.dims) > 1}
    later = [i for i, node in enumerate(nodes) if re.search(r"layer\.[1-9]", " ".join(node.input))]
    boxes, edges = {"input_ids": 'kind=file, text="input_ids|batch x sequence"'}, {}
    origin = {"input_ids": {"input_ids"}}  # of each value: the boxes that it comes from
    for i, node in enumerate(nodes):
        boxes_before = set().union(*(origin.get(name, ()) for name in node.input if node.op_type != "Shape"))
        matrix = next((matrices[name] for name in node.input if name in matrices), [])
        if node.op_type == "Transpose" and matrix:
            matrices[node.output[0]] = matrix[::-1]
        elif boxes_before and (matrix or node.op_type in DRAWN):
            box = "later" if later[0] <= i <= later[-1] else node.name
            text = f"{node.op_type}|{' x '.join(map(str, matrix))}".strip("|")
            boxes[box] = (
                'kind=store, text="more layers|as the one above"' if box == "later" else f'kind=program, text="{text}"'
            )
            edges |= {f'"{before}" -> "{box}"': None for before in sorted(boxes_before - {box})}
            boxes_before = {box}
        origin |= dict.fromkeys(node.output, boxes_before)
    sizes = [f"{path.stat().st_size / 1e6:.1f} MB" for path in (fp32, int8)]
    title = f"{fp32.name}: {len(nodes)} operations of opset {opset}, {sizes[0]}; {int8.name}, its int8: {sizes[1]}"
    lines = [f'"{box}" [{look}]' for box, look in boxes.items()] + list(edges)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "graph.dot")
        head = f'graph [ranksep=0.22, dpi=85, labelloc=t, label="{title}\\l\\l"]'
        source.write_text("digraph {" + "\n".join([head, *lines]) + "}", encoding="utf-8")
        keep(draw(source), "graph.png")


def main(run: Path) -> None:
    for name, plot in PLOTS.items():
        if (run / plot).is_file():
            keep(run / plot, name)
        else:
            print(f"{plot} is not in that run: images/{name} stays as it is", file=sys.stderr)
    if (run / "models/model.fp32.onnx").is_file():
        graph(run / "models")
    if (run / "page.html").is_file():
        server = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(PORT), "--log-level", "error"]
        with subprocess.Popen(server, cwd=run, env=os.environ | {"COLA_LOG": os.devnull}) as process:
            address = f"http://127.0.0.1:{PORT}"
            wait_for(f"{address}/health")
            look(f"{address}/?text={SENTENCE}", 760, 700, "page.png")
            docs(address)
            process.terminate()
    if (run / "monitoring").is_dir():
        shutil.rmtree(run / "traffic", ignore_errors=True)
        (run / "traffic").mkdir()
        for command in TRAFFIC:
            python(run, command, check="monitor " not in command)
        look((run / "reports/dashboard/index.html").as_uri(), 1240, 1400, "dashboard.png")


def screen(
    name: str,
    command: str,
    week: Path,
    size: tuple[int, int],
    quiet: float,
    keys: str = "",
    ask: str = "",
    **environment,
) -> None:
    """Keep what a terminal shows of a command that says nothing for so many seconds: after keys, or after a request."""
    with Terminal(command.split(), week, *size, **environment) as terminal:
        terminal.write(f"$ {command}\r\n")
        terminal.read(quiet)
        terminal.press(keys)
        if ask:
            urlopen(ask).read()
            terminal.read(quiet)
        look_at(*terminal.page(), name)


def commit(week: Path, tag: str = "copied") -> None:
    for command in ("init --quiet --initial-branch main", "add .", "commit --quiet --message Week", f"tag {tag}"):
        subprocess.run(["git", *command.split()], cwd=week, check=True, env=os.environ | NAME_FOR_GIT)


def leet(week: Path) -> None:
    """W&B's viewer with two runs: the second one is chosen too, and three charts are."""
    python(week, "train.py --epochs 3", wandb="offline")
    python(
        week, "train.py --epochs 3 --learning-rate 3e-3 --output models/fast --reports reports/fast", wandb="offline"
    )
    keys = "s /val.(mcc|loss)|^lr\rc1r3"
    screen("leet.png", "wandb leet ./wandb", week, (130, 38), 5, keys, WANDB_CONFIG_DIR=str(week))


def plots_diff(week: Path) -> None:
    """DVC's page of two commits, with Vega from a package."""
    params = week / "params.yaml"
    settings = {"model-v1": "training.epochs=3", "model-v2": "training.epochs=3 training.learning_rate=3e-3"}
    for tag, overrides in settings.items():
        params.write_text(re.sub("overrides: .*", f"overrides: {overrides}", params.read_text()))
        python(week, "-m dvc repro")
        commit(week, tag)
    python(week, "-m dvc plots diff model-v1 model-v2 --targets reports/train/history.csv")
    page = re.sub("<script src=.*?</script>", "", (week / "dvc_plots/index.html").read_text(encoding="utf-8"))
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed")
    page = page.replace("<head>", f"<head><style>body {{ zoom: 2 }}</style><script>{vega}</script>")
    look_at(page, 960, 810, "plots_diff.png")


def act(week: Path) -> None:
    """The first action of week 6, on this machine."""
    screen("act.png", "act push --job hello", week, (100, 24), 60)


def sam(week: Path) -> None:
    """`sam local` of week 8: its start, and a request; the image of its README has to be there."""
    command = "sam local start-api --template aws/template.yaml --skip-pull-image"
    command += " --warm-containers LAZY --parameter-overrides Image=cola-lambda"
    settings = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    ask = f"http://127.0.0.1:3000/predict?text={SENTENCE}"
    screen("sam.png", command, week, (125, 40), 15, ask=ask, **settings)


TOOLS = {
    "leet": (leet, "1"),
    "plots_diff": (plots_diff, "3"),
    "act": (act, "6"),
    "sam": (sam, "8"),
}  # and the week that has them


def take(names: list[str]) -> None:
    """The screens of these tools, each in a copy of its week, in a repository of its own."""
    for name in names:
        tool, week = TOOLS[name]
        with tempfile.TemporaryDirectory() as place:
            copy_week(find_week(week), Path(place))
            commit(Path(place))
            tool(Path(place))


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the tools, and python for DVC's stages
    if set(sys.argv[1:]) & TOOLS.keys():
        take(sys.argv[1:])
    elif sys.argv[1:]:
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
        take(list(TOOLS))
