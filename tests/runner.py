"""Runs workflows of GitHub here: every `run:` step of every job, in order, each job in a fresh clone of its commit.

    fork = Fork(folder)                                  a repository made of the files of this one, with two commits
    run = fork.run(workflow, fork.push(), variables={"AWS_REGION": "us-east-1"})
    run.jobs["model"].conclusion                         success, failure, skipped, or no engine

What GitHub does and this does not is refused (`UnsupportedError`) rather than guessed: an unknown action, input of an
action, function, context, or property of a context with fixed properties. Actions are stood in for by `ACTIONS`; a
test may give more. Before setup-python, `python3` has no packages, as on a runner; `pip install` succeeds where all it
asks for is installed. Without an engine a job ends, as "no engine", before its first step that calls docker.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from engine import lambda_base
from walk import NAME_FOR_GIT, ROOT, copy_week

DOCKER = shutil.which("docker")
KEPT = ("LANG", "LC_ALL", "TMPDIR", "PATH", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_BUILDKIT", "OMP_NUM_THREADS")
TIMEOUT_S = 1800  # of a step
STATUS = ("success", "failure", "always", "cancelled")
OPERATORS = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|(\|\||&&|[=!<>]=|[!<>().,[\]*]))")


class UnsupportedError(Exception):
    """The workflow uses what this runner does not know."""


# --- expressions -----------------------------------------------------------------------------------------------------


class Expression:
    """`github.event_name == 'push' && vars.X != ''`: parsed and evaluated in one go, by recursive descent."""

    def __init__(self, text: str, contexts: dict, functions: dict[str, Callable]):
        self.text, self.contexts, self.functions = text, contexts, functions
        self.tokens, position = [], 0
        while text[position:].strip():
            match = OPERATORS.match(text, position)
            if not match:
                raise UnsupportedError(f"{text!r}: {text[position:]!r}")
            self.tokens.append(match.group().strip())
            position = match.end()

    def value(self):
        result = self.either()
        if self.tokens:
            raise UnsupportedError(f"{self.text!r}: {' '.join(self.tokens)!r}")
        return result

    def take(self, *wanted: str) -> str | None:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else None

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise UnsupportedError(f"{self.text!r}: {wanted!r} is missing")

    def either(self):
        left = self.both()
        while self.take("||"):
            right = self.both()
            left = left or right
        return left

    def both(self):
        left = self.comparison()
        while self.take("&&"):
            right = self.comparison()
            left = left and right
        return left

    def comparison(self):
        left = self.negation()
        if operator := self.take("==", "!="):
            return equal(left, self.negation()) == (operator == "==")
        return left

    def negation(self):
        return not self.negation() if self.take("!") else self.operand()

    def operand(self):
        if self.take("("):
            inner = self.either()
            self.need(")")
            return inner
        token = self.tokens.pop(0) if self.tokens else ""
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token[:1].isdigit():
            return float(token)
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        if self.take("("):
            return self.call(token)
        if token not in self.contexts:
            raise UnsupportedError(f"{self.text!r}: no context {token!r} here; there are: {', '.join(self.contexts)}")
        return self.properties(token, self.contexts[token])

    def call(self, name: str):
        arguments = []
        while not self.take(")"):
            arguments.append(self.either())
            self.take(",")
        if name not in self.functions:
            raise UnsupportedError(f"{self.text!r}: no function {name!r} here")
        return self.functions[name](*arguments)

    def properties(self, path: str, value):
        while self.take("."):
            name = self.tokens.pop(0)
            path += f".{name}"
            if isinstance(value, Fixed) and name not in value:
                raise UnsupportedError(f"{self.text!r}: there is no {path}")
            value = value.get(name) if isinstance(value, dict) else None
        return value


class Fixed(dict):
    """A context whose properties are all known; another name is a mistake, not an empty value."""


def equal(left, right) -> bool:
    """`==` of GitHub: strings without regard to case; of unlike types, as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if type(left) is type(right):
        return left == right
    return number(left) == number(right)


def number(value) -> float:
    try:
        return float(value or 0)
    except ValueError:
        return float("nan")


def text_of(value) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict | list):
        raise UnsupportedError(f"an object as text: {value}")
    return str(value)


# --- what a run leaves -----------------------------------------------------------------------------------------------


@dataclass
class Step:
    name: str
    outcome: str  # success, failure or skipped
    output: str = ""


@dataclass
class Job:
    name: str
    conclusion: str = "success"
    steps: list[Step] = field(default_factory=list)
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> str:
        return "".join(f"--- {step.name}: {step.outcome}\n{step.output}" for step in self.steps)

    @property
    def notices(self) -> list[str]:
        """The remarks at the top of the run, as `notice: title: message`."""
        found = re.findall(r"(?m)^::(notice|warning|error)(?: title=([^:]*))?::(.*)$", self.output)
        return [": ".join(part for part in remark if part) for remark in found]


@dataclass
class Run:
    jobs: dict[str, Job]

    @property
    def notices(self) -> list[str]:
        return [remark for job in self.jobs.values() for remark in job.notices]

    def failures(self) -> str:
        return "\n".join(f"== {job.name}\n{job.output}" for job in self.jobs.values() if job.conclusion == "failure")


# --- actions ---------------------------------------------------------------------------------------------------------


def paths_of(value: str) -> list[str]:
    paths = [line.strip() for line in value.splitlines() if line.strip()]
    if any(set(path) & set("*?[!~") for path in paths):
        raise UnsupportedError(f"a pattern among paths: {paths}")
    return paths


def checkout(job: "JobRun", options: dict) -> dict:
    event = job.fork_run.event
    depth = ["--depth", options.get("fetch-depth", "1")] if options.get("fetch-depth") != "0" else []
    for command in (["init", "--quiet"], ["fetch", "--quiet", *depth, job.fork.repository.as_uri(), event.sha],
                    ["checkout", "--quiet", "--detach", event.sha]):  # fmt: skip
        git(job.workspace, *command)
    return {}


def setup_python(job: "JobRun", options: dict) -> dict:
    if "cache-dependency-path" in options:
        assert (job.workspace / options["cache-dependency-path"]).is_file(), options
    job.path.insert(0, str(Path(sys.executable).parent))
    return {}


def cache(job: "JobRun", options: dict) -> dict:
    (path,) = paths_of(options["path"])
    stored = job.fork.folder / "cache"
    stored.mkdir(exist_ok=True)
    exact = stored / slug(options["key"])
    newest = sorted(stored.iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True)
    prefixes = [slug(key) for key in options.get("restore-keys", "").split()]
    found = exact if exact.exists() else next((e for p in prefixes for e in newest if e.name.startswith(p)), None)
    if found:
        shutil.copytree(found, job.workspace / path, dirs_exist_ok=True)
    if found != exact:
        job.afterwards.append(lambda: shutil.copytree(job.workspace / path, exact))
    return {"cache-hit": "true" if found == exact else ""}


def slug(key: str) -> str:
    return re.sub(r"[^\w.-]", "_", key)


def upload_artifact(job: "JobRun", options: dict) -> dict:
    paths = [path for path in paths_of(options["path"]) if (job.workspace / path).exists()]
    if missing := set(paths_of(options["path"])) - set(paths) and options.get("if-no-files-found") == "error":
        raise FileNotFoundError(f"no file {missing}")
    target = job.fork_run.artifacts / options["name"]
    target.mkdir(parents=True)  # an artifact cannot be written twice
    parents = [Path(path) if (job.workspace / path).is_dir() else Path(path).parent for path in paths]
    common = Path(os.path.commonpath(parents)) if parents else Path()
    for path in paths:
        source, copy = job.workspace / path, target / Path(path).relative_to(common)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, copy)
    return {}


def download_artifact(job: "JobRun", options: dict) -> dict:
    target = job.workspace / options.get("path", ".")
    shutil.copytree(job.fork_run.artifacts / options["name"], target, dirs_exist_ok=True)
    return {}


ACTIONS: dict[str, tuple[Callable[["JobRun", dict], dict], set[str]]] = {  # and the inputs that each may get
    "actions/checkout": (checkout, {"persist-credentials", "fetch-depth"}),
    "actions/setup-python": (setup_python, {"python-version", "cache", "cache-dependency-path"}),
    "actions/cache": (cache, {"path", "key", "restore-keys"}),
    "actions/upload-artifact": (upload_artifact, {"name", "path", "if-no-files-found", "retention-days"}),
    "actions/download-artifact": (download_artifact, {"name", "path"}),
}


# --- the runner ------------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments]
    environment = os.environ | NAME_FOR_GIT | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


@dataclass
class Event:
    name: str
    sha: str
    ref: str
    payload: dict = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)  # paths, for the filters
    inputs: dict = field(default_factory=dict)


class Fork:
    """A reader's fork: the files of this repository, committed or not, as one commit, and one change after it."""

    name = "reader/mlops"

    def __init__(self, folder: Path, change: dict[str, Callable[[str], str]], source: Path = ROOT):
        self.folder, self.repository, self.runs = folder, folder / "repository", 0
        copy_week(source, self.repository)
        git(self.repository, "init", "--quiet")
        git(self.repository, "config", "uploadpack.allowAnySHA1InWant", "true")
        self.base = self.commit("The course")
        for path, edit in change.items():
            file = self.repository / path
            file.write_text(edit(file.read_text(encoding="utf-8")), encoding="utf-8")
        self.changed = list(change)
        self.sha = self.commit("A change")

    def commit(self, message: str) -> str:
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--allow-empty", "--message", message)
        return git(self.repository, "rev-parse", "HEAD").strip()

    def push(self) -> Event:
        return Event("push", self.sha, "refs/heads/main", {"before": self.base, "after": self.sha}, self.changed)

    def dispatch(self, **inputs) -> Event:
        return Event("workflow_dispatch", self.sha, "refs/heads/main", {"inputs": inputs}, inputs=inputs)

    def pull_request(self, number: int = 7, head: str = name) -> Event:
        """The change as a pull request against the base; GitHub hands the runner the merge of both."""
        tree = git(self.repository, "rev-parse", f"{self.sha}^{{tree}}").strip()
        merge = git(self.repository, "commit-tree", tree, "-p", self.base, "-p", self.sha, "-m", "Merge").strip()
        payload = {"number": number, "pull_request": {"number": number, "base": {"sha": self.base},
                   "head": {"sha": self.sha, "ref": "change", "repo": {"full_name": head}}}}  # fmt: skip
        return Event("pull_request", merge, f"refs/pull/{number}/merge", payload, self.changed)

    def run(self, workflow: Path, event: Event, **options) -> Run:
        """Run all jobs of a workflow; `options` are those of `ForkRun`."""
        self.runs += 1
        return ForkRun(self, workflow, event, **options).run()


@dataclass
class ForkRun:
    """One run of a workflow.

    Args:
        variables, secrets: of the repository; a pull request of another fork gets neither.
        environment: more variables of the environment, as the addresses of stand-ins.
        actions: more stand-ins for actions, as in `ACTIONS`.
        engine: whether steps that call docker may run.
    """

    fork: Fork
    workflow: Path
    event: Event
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    actions: dict = field(default_factory=dict)
    engine: bool = False

    def __post_init__(self):
        self.document = load(self.workflow)
        self.folder = self.fork.folder / f"run-{self.fork.runs}"
        self.artifacts = self.folder / "artifacts"
        self.artifacts.mkdir(parents=True)
        self.foreign = self.event.payload.get("pull_request", {}).get("head", {}).get("repo") not in (
            None, {"full_name": self.fork.name})  # fmt: skip
        if self.foreign:
            self.variables, self.secrets = {}, {}
        self.jobs: dict[str, Job] = {}

    def run(self) -> Run:
        if not triggers(self.document, self.event):
            raise UnsupportedError(f"{self.workflow.name} does not run on {self.event.name} of {self.event.changed}")
        waiting = dict(self.document["jobs"])
        while waiting:
            ready = [name for name, job in waiting.items() if set(listed(job.get("needs"))) <= set(self.jobs)]
            if not ready:
                raise UnsupportedError(f"jobs that wait for each other, or for none: {', '.join(waiting)}")
            for name in ready:
                self.jobs[name] = JobRun(self, name, waiting.pop(name)).run()
        return Run(self.jobs)

    def contexts(self) -> dict:
        """Those that every part of a workflow may use."""
        event, fork = self.event, self.fork
        is_pull = event.name == "pull_request"
        github = Fixed(
            event_name=event.name, event=event.payload, sha=event.sha, ref=event.ref,
            ref_name=event.ref.split("/", 2)[2], ref_type="branch", repository=fork.name,
            repository_owner=fork.name.split("/")[0], repository_id="1", repository_owner_id="2", actor="reader",
            head_ref="change" if is_pull else "", base_ref="main" if is_pull else "", workflow=self.document["name"],
            run_id=str(1000 + fork.runs), run_number=str(fork.runs), run_attempt="1", server_url="https://github.com",
            api_url=self.environment.get("GITHUB_API_URL", "http://127.0.0.1:9"), token="the-token-of-the-run",
        )  # fmt: skip
        defaults = {name: option.get("default") for name, option in inputs_of(self.document).items()}
        given = defaults | self.event.inputs if self.event.name == "workflow_dispatch" else {}
        return {"github": github, "vars": self.variables, "inputs": given}


def inputs_of(document: dict) -> dict:
    return (document["on"].get("workflow_dispatch") or {}).get("inputs") or {}


class JobRun:
    """One job, in a folder of its own."""

    def __init__(self, fork_run: ForkRun, name: str, document: dict):
        self.fork_run, self.fork, self.document = fork_run, fork_run.fork, document
        self.job = Job(name)
        self.folder = fork_run.folder / name
        self.workspace, self.temp = self.folder / "work", self.folder / "temp"
        for folder in (self.workspace, self.temp, self.folder / "home", self.folder / "bin"):
            folder.mkdir(parents=True)
        self.path = [str(self.folder / "bin")]
        self.exported: dict[str, str] = {}
        self.steps: dict[str, Fixed] = {}
        self.ids = {step["id"] for step in document["steps"] if "id" in step}
        self.afterwards: list[Callable[[], None]] = []
        self.tools()

    def tools(self) -> None:
        """A Python without packages, and a docker whose builds have the network and base images of engine.py."""
        scripts = dict.fromkeys(("python", "python3"), f'exec {sys.executable} -S "$@"')
        network = os.environ.get("DOCKER_BUILD_NETWORK", "host")
        options = f"--network={network}"
        if self.fork_run.engine:
            options += f" --build-arg=PYTHON={lambda_base()}"
        scripts["docker"] = (f'if [ "$1" = build ]; then shift; set -- build {options} "$@"; fi\n'
                             f'exec {DOCKER or "false"} "$@"')  # fmt: skip
        for name, script in scripts.items():
            file = self.folder / "bin" / name
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)

    @property
    def needs(self) -> dict[str, Job]:
        return {name: self.fork_run.jobs[name] for name in listed(self.document.get("needs"))}

    def run(self) -> Job:
        if {"strategy", "container", "services", "uses"} & set(self.document):
            raise UnsupportedError(f"job {self.job.name}: {sorted(self.document)}")
        stuck = [job for job in self.needs.values() if job.conclusion == "no engine"]
        if stuck:
            self.job.conclusion = "no engine"
        elif not self.condition(self.document.get("if"), self.contexts(job_level=True), self.worst_need()):
            self.job.conclusion = "skipped"
        else:
            self.run_steps()
        return self.job

    def worst_need(self) -> str:
        conclusions = {job.conclusion for job in self.needs.values()}
        return next((word for word in ("failure", "skipped") if word in conclusions), "success")

    def run_steps(self) -> None:
        for step in self.document["steps"]:
            name = step.get("name") or step.get("uses") or step["run"].splitlines()[0]
            if not self.condition(step.get("if"), self.contexts(step, with_secrets=False), self.job.conclusion):
                self.finish(step, Step(name, "skipped"), {})
                continue
            if "run" in step and re.search(r"\bdocker\b", step["run"]) and not self.fork_run.engine:
                self.job.conclusion = "no engine"
                return
            try:
                done, outputs = self.act(step, name) if "uses" in step else self.shell(step, name)
            except OSError as error:  # an action's
                done, outputs = Step(name, "failure", f"{type(error).__name__}: {error}"), {}
            self.finish(step, done, outputs)
            if done.outcome == "failure" and not step.get("continue-on-error"):
                self.job.conclusion = "failure"
        if self.job.conclusion == "success":
            for action in reversed(self.afterwards):
                action()
        outputs = self.document.get("outputs", {})
        self.job.outputs = {name: self.fill(value, self.contexts()) for name, value in outputs.items()}

    def finish(self, step: dict, done: Step, outputs: dict[str, str]) -> None:
        self.job.steps.append(done)
        if "id" in step:
            self.steps[step["id"]] = Fixed(outputs=outputs, outcome=done.outcome, conclusion=done.outcome)

    def contexts(self, step: dict | None = None, with_secrets: bool = True, job_level: bool = False) -> dict:
        """The contexts that an expression may use where it stands."""
        contexts = self.fork_run.contexts()
        contexts["needs"] = Fixed({name: Fixed(result=job.conclusion, outputs=job.outputs)
                                   for name, job in self.needs.items()})  # fmt: skip
        if job_level:
            return contexts
        contexts["secrets"] = self.fork_run.secrets | {"GITHUB_TOKEN": "the-token-of-the-run"}
        contexts["runner"] = Fixed(os="Linux", arch="X64", temp=str(self.temp), tool_cache=str(self.temp / "tools"))
        contexts["steps"] = Fixed({each: self.steps.get(each, {}) for each in self.ids})
        contexts["job"] = Fixed(status=self.job.conclusion)
        environment: dict[str, str] = {}
        for level in (self.fork_run.document, self.document, step or {}):
            filled = {name: self.fill(value, contexts | {"env": environment}) for name, value in
                      (level.get("env") or {}).items()}  # fmt: skip
            environment = environment | filled | (self.exported if level is self.document else {})
        contexts["env"] = environment
        if not with_secrets:
            del contexts["secrets"]  # GitHub has none in an `if:`
        return contexts

    def functions(self, status: str) -> dict[str, Callable]:
        def hash_files(*patterns: str) -> str:
            files = sorted({file for pattern in patterns for file in self.workspace.glob(pattern) if file.is_file()})
            return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest() if files else ""

        return {
            "success": lambda: status == "success",
            "failure": lambda: status == "failure",
            "always": lambda: True,
            "cancelled": lambda: False,
            "startsWith": lambda text, start: text_of(text).casefold().startswith(start.casefold()),
            "endsWith": lambda text, end: text_of(text).casefold().endswith(end.casefold()),
            "contains": lambda text, part: part.casefold() in text_of(text).casefold(),
            "format": lambda text, *values: re.sub(r"\{(\d+)\}", lambda m: text_of(values[int(m[1])]), text),
            "hashFiles": hash_files,
        }

    def condition(self, text, contexts: dict, status: str) -> bool:
        """Whether an `if:` holds; one that asks for no status means success() too."""
        text = "success()" if text is None else text_of(text)
        if match := re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", text, re.DOTALL):
            text = match[1]
        if not re.search(rf"\b(?:{'|'.join(STATUS)})\s*\(", text):
            text = f"success() && ({text})"
        return bool(Expression(text, contexts, self.functions(status)).value())

    def fill(self, text, contexts: dict) -> str:
        """A text with the values of its `${{ ... }}`."""
        functions = self.functions(self.job.conclusion)
        return re.sub(r"\$\{\{(.*?)\}\}", lambda m: text_of(Expression(m[1], contexts, functions).value()),
                      text_of(text), flags=re.DOTALL)  # fmt: skip

    def act(self, step: dict, name: str) -> tuple[Step, dict]:
        action = step["uses"].split("@")[0]
        known = ACTIONS | self.fork_run.actions
        if action not in known:
            raise UnsupportedError(f"{self.fork_run.workflow.name}, job {self.job.name}: no stand-in for {action}")
        stand_in, inputs = known[action]
        contexts = self.contexts(step)
        options = {key: self.fill(value, contexts) for key, value in (step.get("with") or {}).items()}
        if strange := set(options) - inputs:
            raise UnsupportedError(f"{action}: unknown input {', '.join(sorted(strange))}")
        return Step(name, "success"), stand_in(self, options)

    def shell(self, step: dict, name: str) -> tuple[Step, dict]:
        contexts = self.contexts(step)
        defaults = {key: value for level in (self.fork_run.document, self.document)
                    for key, value in level.get("defaults", {}).get("run", {}).items()}  # fmt: skip
        chosen = step.get("shell") or defaults.get("shell")
        flags = {None: ["-e"], "bash": ["--noprofile", "--norc", "-eo", "pipefail"]}
        if chosen not in flags:
            raise UnsupportedError(f"shell: {chosen}")
        script = self.temp / f"{uuid.uuid4()}.sh"
        script.write_text(self.fill(step["run"], contexts), encoding="utf-8")
        folder = self.workspace / self.fill(step.get("working-directory") or defaults.get("working-directory") or "",
                                            contexts)  # fmt: skip
        files = {name: self.temp / f"{name}-{uuid.uuid4()}" for name in ("OUTPUT", "ENV", "PATH", "STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        environment = self.environment(contexts) | {f"GITHUB_{key}": str(file) for key, file in files.items()}
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(["bash", *flags[chosen], script], cwd=folder, env=environment, text=True,
                              errors="replace", timeout=TIMEOUT_S, **streams)  # fmt: skip
        self.exported |= dict(assignments(files["ENV"]))
        self.path[:0] = reversed(files["PATH"].read_text().split())
        self.job.summary += files["STEP_SUMMARY"].read_text(encoding="utf-8")
        return Step(name, "failure" if done.returncode else "success", done.stdout), dict(assignments(files["OUTPUT"]))

    def environment(self, contexts: dict) -> dict[str, str]:
        """A runner's, and the workflow's; nothing of this machine's but what every command needs."""
        github, fork_run = contexts["github"], self.fork_run
        names = (
            *("event_name", "sha", "ref", "ref_name", "ref_type", "repository", "repository_owner", "repository_id"),
            *("repository_owner_id", "actor", "head_ref", "base_ref", "workflow", "run_id", "run_number"),
            *("run_attempt", "server_url", "api_url"),
        )
        payload = self.temp / "event.json"
        payload.write_text(json.dumps(fork_run.event.payload), encoding="utf-8")
        tested = str(Path(sys.executable).parent)  # setup-python's to add
        path = os.pathsep.join([*self.path, *(p for p in os.environ["PATH"].split(os.pathsep) if p != tested)])
        return (
            {name: os.environ[name] for name in KEPT if name in os.environ}
            | {f"GITHUB_{name.upper()}": str(github[name]) for name in names}
            | {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(self.workspace),
               "GITHUB_JOB": self.job.name, "GITHUB_EVENT_PATH": str(payload), "RUNNER_OS": "Linux",
               "RUNNER_ARCH": "X64", "RUNNER_TEMP": str(self.temp), "HOME": str(self.folder / "home"),
               "HF_ENDPOINT": "http://127.0.0.1:9", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            | fork_run.environment | contexts["env"] | {"PATH": path}
        )  # fmt: skip


def assignments(file: Path) -> Iterator[tuple[str, str]]:
    """What a step wrote to $GITHUB_OUTPUT or $GITHUB_ENV: `name=value`, or `name<<END`, lines, `END`."""
    lines = iter(file.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if long := re.match(r"([\w-]+)<<(.+)", line):
            yield long[1], "\n".join(iter(lines.__next__, long[2]))
        elif "=" in line:
            yield tuple(line.split("=", 1))
        elif line:
            raise UnsupportedError(f"GitHub cannot read this line of an output: {line!r}")


def listed(value) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def load(workflow: Path) -> dict:
    """A workflow; YAML 1.1 takes its key `on` for true."""
    document = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    events = document.pop(True)
    document["on"] = events if isinstance(events, dict) else dict.fromkeys(listed(events))
    return document


def triggers(document: dict, event: Event) -> bool:
    """Whether a workflow runs on this event: its branches and paths are asked too."""
    if event.name not in document["on"]:
        return False
    filters = document["on"][event.name] or {}
    if strange := set(filters) - {"branches", "paths", "inputs", "types"}:
        raise UnsupportedError(f"on.{event.name}: {', '.join(strange)}")
    branch = "main" if event.name == "pull_request" else event.ref.removeprefix("refs/heads/")
    if not selects(filters.get("branches", ["**"]), branch):
        return False
    return "paths" not in filters or any(selects(filters["paths"], path) for path in event.changed)


def selects(patterns: list[str], name: str) -> bool:
    """The last pattern that fits decides; one with `!` says no."""
    chosen = False
    for pattern in patterns:
        parts = {"**": ".*", "*": "[^/]*"}
        regex = "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", pattern.removeprefix("!")))
        if re.fullmatch(regex, name):
            chosen = not pattern.startswith("!")
    return chosen
