"""The image of week 8 in the real Lambda runtime interface emulator, and behind `sam local`, on a real engine.

Needs a Docker engine that answers, with one of AWS's base images for Python or a way to them; is skipped where none
does. A base that is there already is taken; else the one that Dockerfile.lambda names is pulled. The builds use the
host's network (DOCKER_BUILD_NETWORK=default for the engine's own).
"""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import docker, lambda_base, needs_engine
from test_images import MEGABYTE, PASSWORD, SECRETS, STRANGERS, free_port, inspect, layers

ROOT = Path(__file__).resolve().parent.parent
WEEK = ROOT / "week_8_serverless"
SAM = Path(sys.executable).with_name("sam")
PATH = "/2015-03-31/functions/function/invocations"
GOOD, BAD = "The boy is sitting on a bench.", "The boy are sitting on a bench."
LOCKED = ("--read-only", "--tmpfs", "/tmp", "--user", "993:990", "--cap-drop", "ALL", "--memory", "512m")

pytestmark = needs_engine


def build(folder: Path, tag: str, buildkit: int = 1, check: bool = True) -> str:
    network = f"--network={os.environ.get('DOCKER_BUILD_NETWORK', 'host')}"
    python = f"--build-arg=PYTHON={lambda_base()}"
    options = ("--force-rm", network, python, "--file", folder / "Dockerfile.lambda", "--tag", tag)
    return docker("build", *options, folder, check=check, env=os.environ | {"DOCKER_BUILDKIT": str(buildkit)})


def remove(tag: str, said: str = "") -> None:
    """Remove an image, and what the classic builder, which said this, left without a name: its first stage."""
    docker("image", "rm", "--force", tag, check=False)
    nameless = docker("images", "--quiet", "--filter", "dangling=true").split()
    for each in set(nameless) & set(re.findall(r"---> ([0-9a-f]{12})", said)):
        docker("image", "rm", each, check=False)


@pytest.fixture(scope="module")
def week(tmp_path_factory) -> Path:
    """A copy of the week, with a model that only its owner may read, and with what must not get into an image."""
    ignored = shutil.ignore_patterns("models", "outputs", "multirun", "reports", "wandb", "__pycache__", ".*_cache")
    week = Path(shutil.copytree(WEEK, tmp_path_factory.mktemp("lambda") / "week", ignore=ignored))
    environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    for script, *arguments in (["train.py", "source=bundled", "training=debug"], ["convert_model_to_onnx.py"]):
        command = [sys.executable, script, *arguments]
        subprocess.run(command, cwd=week, env=environment, check=True, capture_output=True)
    for file in ("model.onnx", "tokenizer.json"):
        (week / "models" / file).chmod(0o600)
    (week / ".env").write_text("AWS_SECRET_ACCESS_KEY=" + "k" * 40)
    (week / "models" / "id_rsa").write_text("-----BEGIN PRIVATE KEY-----\n" + "k" * 64)
    return week


@pytest.fixture(scope="module")
def image(week):
    tag = f"cola-lambda-test-{uuid.uuid4().hex[:8]}"
    build(week, tag)
    yield tag
    for each in docker("images", "--quiet", tag).split():  # sam adds one of its own
        docker("image", "rm", "--force", each, check=False)


@pytest.fixture(scope="module")
def expected(week) -> list[dict]:
    """What the model says outside of any image."""
    command = [sys.executable, "inference_onnx.py", "--json", GOOD, BAD]
    return [json.loads(line) for line in subprocess.check_output(command, cwd=week).splitlines()]


@contextmanager
def emulator(image: str, *options):
    """Run the image as Lambda does: as a user without rights, on a file system that it cannot write but for /tmp."""
    name = f"{image}-run-{uuid.uuid4().hex[:8]}"
    docker("run", "--detach", "--name", name, "--publish", "127.0.0.1::8080", *options, image)
    try:
        url = f"http://127.0.0.1:{docker('port', name, '8080').splitlines()[0].rsplit(':', 1)[1]}"
        give_up = time.monotonic() + 60
        while not listens(url):
            assert time.monotonic() < give_up, docker("logs", name)
            time.sleep(0.05)
        yield name, url
    finally:
        docker("rm", "--force", name)


def listens(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def post(url: str, body: bytes, headers: dict | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def ask(url: str, event) -> dict:
    return json.loads(post(url + PATH, json.dumps(event).encode())[1])


@pytest.fixture(scope="module")
def function(image):
    """The emulator with the function in it, after its first event."""
    with emulator(image, *LOCKED) as (name, url):
        assert ask(url, {"sentence": GOOD})["sentence"] == GOOD
        yield name, url


def event(name: str) -> dict:
    return json.loads((WEEK / "tests" / "events" / f"{name}.json").read_text(encoding="utf-8"))


EVENTS = sorted(path.stem for path in (WEEK / "tests" / "events").glob("*.json"))


def test_the_image_is_small_and_lean(image):
    size = inspect(image, ".Size")
    base = inspect(f"public.ecr.aws/lambda/python:{lambda_base()}", ".Size")
    assert size - base < 220 * MEGABYTE
    assert size < 450 * MEGABYTE or base > 230 * MEGABYTE  # how large the base is, is not ours to say
    assert "ORT_DISABLE_TELEMETRY=1" in inspect(image, ".Config.Env")
    script = (
        "import importlib.util as u, sys; import lambda_handler;"
        "found = [m for m in ('torch', 'transformers', 'datasets', 'pytorch_lightning', 'dvc') if u.find_spec(m)];"
        "sys.exit(str(found) if found else 0)"
    )
    docker("run", "--rm", "--entrypoint", "python", image, "-c", script)


def test_no_layer_holds_a_secret_or_a_stranger(image, tmp_path):
    ours = set()
    for name, content in layers(image, tmp_path):
        assert not STRANGERS.search(name) or not name.startswith("var/task/"), name
        if not name.startswith("var/task/"):  # of the base image
            continue
        found = {kind for kind, pattern in SECRETS.items() if re.search(pattern, content)}
        assert not found - {PASSWORD}, f"{name}: {found}"  # documentation of packages has such addresses
        if name.count("/") == 2 or name.startswith("var/task/models/"):
            ours.add(name.removeprefix("var/task/").rstrip("/"))
    modules = ("app.py", "errors.py", "inference_onnx.py", "lambda_handler.py", "sentences.py", "page.html")
    assert {name for name in ours if name.endswith((".py", ".html", ".txt", ".yaml", ".onnx", ".json"))} == {
        *modules,
        "models/model.onnx",
        "models/tokenizer.json",
        "typing_extensions.py",
    }


def test_it_reads_its_bytecode(function):
    script = "import lambda_handler, sys; print([m.__name__ for m in list(sys.modules.values())"
    script += " if (getattr(m, '__cached__', None) or '').startswith('/var/task')"
    script += " and not __import__('os').path.exists(m.__cached__)])"
    assert docker("exec", function[0], "python", "-c", script).strip() == "[]"


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_gets_its_answer(function, expected, name):
    answer = ask(function[1], event(name))
    kind = name.split("_")[0]
    if kind == "ping":
        assert answer == {"status": "warm"}
    elif kind == "direct":
        assert answer == (expected[0] if name.endswith("sentence") else {"predictions": expected})
    elif kind == "other":
        status = answer["statusCode"] if "websocket" in name else answer["error"]["status"]
        assert status == 400
    else:
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"]) == (expected[0] if name.endswith("get") else {"predictions": expected})


@pytest.mark.parametrize("body", [b'{"sentence": ', b"\xff\xfe\x00", b""])
def test_a_payload_that_is_not_json_gets_an_error_without_a_stack_trace(function, expected, body):
    answer = json.loads(post(function[1] + PATH, body)[1])
    assert not answer.get("stackTrace")
    assert "Unable to unmarshal" in answer.get("errorMessage", "") or answer.get("error", {}).get("status") == 400
    assert ask(function[1], {"sentence": GOOD}) == expected[0]


def test_a_payload_beyond_6_mb_is_an_error_and_one_below_is_too_large_for_the_app(function, expected):
    assert ask(function[1], {"sentence": "a" * 5_900_000})["error"]["status"] == 413
    assert ask(function[1], {"sentence": "a" * 6_500_000}).keys() & {"errorMessage", "error"}
    assert ask(function[1], {"sentence": GOOD}) == expected[0]


def test_two_first_requests_start_two_environments(image, expected):
    def first(_) -> dict:  # Lambda sends an environment one event at a time, and its emulator dies of two at once
        with emulator(image, *LOCKED) as (_, url):
            return ask(url, {"sentence": GOOD})

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(first, range(2))) == [expected[0]] * 2


def test_the_largest_batch_fits_the_least_memory(function):
    batch = ["word " * 400] * 64
    assert len(ask(function[1], {"sentences": batch})["predictions"]) == 64  # --memory 512m would have killed it


def test_after_a_timeout_the_next_event_is_answered(image, expected):
    with emulator(image, "--env", "AWS_LAMBDA_FUNCTION_TIMEOUT=6") as (name, url):
        assert ask(url, {"sentence": GOOD}) == expected[0]
        docker("update", "--cpus", "0.01", name)
        _, said = post(url + PATH, json.dumps({"sentences": ["word " * 400] * 64}).encode())
        docker("update", "--cpus", "2", name)
        assert b"Task timed out after 6.00 seconds" in said
        assert ask(url, {"sentence": GOOD}) == expected[0]


def test_a_cold_start_takes_some_seconds_at_most_and_a_warm_event_a_fraction_of_it(image):
    colds, warms = [], []
    for _ in range(2):  # the best counts: the machine may have other work too
        with emulator(image, *LOCKED) as (_, url):
            times = []
            for _ in range(101):
                started = time.perf_counter()
                ask(url, {"sentence": GOOD})
                times.append(time.perf_counter() - started)
        colds.append(times[0])
        warms.append(statistics.median(times[1:]))
    assert min(colds) < 3  # s; 1 s on an idle machine
    assert min(warms) < min(colds) / 20  # 1/400 on an idle machine


def test_no_log_holds_a_sentence_and_nothing_is_reported_to_anybody(image):
    with emulator(image) as (name, url):
        ask(url, {"sentence": "confidential"})
        ask(url, {"sentence": " " * 3000 + "confidential"})
        ask(url, event("http_v2_get") | {"rawQueryString": "text=confidential"})
        logs = docker("logs", name)
    assert "END RequestId" in logs
    assert "confidential" not in logs
    assert "telemetry" not in logs.lower()


def test_a_start_without_the_model_is_an_error_that_says_the_cure(image):
    with emulator(image, "--env", "MODEL=models/other.onnx") as (_, url):
        answer = ask(url, {"sentence": GOOD})
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert 'models/other.onnx not found: run "python convert_model_to_onnx.py" first' in answer["errorMessage"]
    assert answer["stackTrace"] == []


@pytest.mark.parametrize("buildkit", [0, 1], ids=["classic builder", "BuildKit"])
def test_a_build_without_a_whole_model_fails_with_the_cure(buildkit, week, tmp_path):
    folder = Path(shutil.copytree(week, tmp_path / "week", ignore=shutil.ignore_patterns("models", "reports")))
    said = build(folder, "cola-lambda-test-fails", buildkit, check=False)
    made = docker("images", "--quiet", "cola-lambda-test-fails")
    remove("cola-lambda-test-fails", said)
    assert 'run "python convert_model_to_onnx.py"' in said
    assert not made


def test_the_classic_builder_makes_an_image_that_works(week, image, expected):
    tag = f"{image}-classic"
    said = build(week, tag, buildkit=0)
    try:
        with emulator(tag, *LOCKED) as (_, url):
            assert ask(url, {"sentence": BAD}) == expected[1]
    finally:
        remove(tag, said)


def run(week: Path, *arguments, code: int = 0) -> str:
    environment = os.environ | {"AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=week, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_commands_of_the_week_work_with_the_emulator(image, function, week, expected, tmp_path):
    _, url = function
    assert json.loads(run(week, "invoke.py", "--url", url, GOOD)) == expected[0]
    run(week, "invoke.py", "--url", url, "--event", "tests/events/other_sqs.json", code=1)
    smoke_test = "import deploy, invoke, sys; url = sys.argv[1];"
    smoke_test += "print(deploy.smoke_test(lambda event: invoke.invoke_at(url, event))['provenance']['source'])"
    assert run(week, "-c", smoke_test, url) == "bundled\n"
    run(week, "measure_cold_start.py", "--image", image, "--runs", "1", "--output", tmp_path)
    assert (tmp_path / "cold_start.png").read_bytes().startswith(b"\x89PNG")
    table = run(week, "cost.py", "--measured", tmp_path / "cold_start.json")
    assert "1,000,000" in table


@pytest.fixture
def sam(image, tmp_path):
    """The environment and options for `sam local`: nothing is pulled, nothing reported, no account."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"SAM_CLI_TELEMETRY": "0", "HOME": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1"}
    options = ["--template", str(WEEK / "template.yaml"), "--parameter-overrides", f"Image={image}:latest"]
    return environment, [*options, "--skip-pull-image"]


def test_sam_local_invoke(sam, expected):
    environment, options = sam
    event = WEEK / "tests" / "events" / "direct_sentence.json"
    command = [SAM, "local", "invoke", "Function", "--event", event, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected[0]


def test_sam_local_start_api(sam, expected):
    environment, options = sam
    port = free_port()
    command = [SAM, "local", "start-api", "--port", str(port), *options]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 60
        while not listens(f"{url}/health"):
            assert server.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.2)
        batch, as_json = json.dumps({"sentences": [GOOD, BAD]}).encode(), {"Content-Type": "application/json"}
        # At once, and each the first: API Gateway has no environment to spare, so each starts its own.
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda _: post(f"{url}/predict", batch, as_json), range(2)))
        assert [(status, json.loads(body)) for status, body in both] == [(200, {"predictions": expected})] * 2
        # No binary body: sam refuses it itself (502). A real gateway sends it in base64; see the week's tests/events.
        for path, body, headers, status in (
            ("/predict", b'{"sentences": [', as_json, 422),
            ("/predict", batch, {"Content-Type": "text/plain"}, 422),
            ("/unknown", batch, as_json, 404),
        ):
            given = post(url + path, body, headers)
            assert given[0] == status
            assert b"Traceback" not in given[1]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
