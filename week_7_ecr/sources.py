"""Where the sentences and the encoder come from: the Hugging Face Hub, folders on disk, or `bundled/`.

`bundled/` holds stand-ins of our own (a mini corpus, a tokenizer and the configuration of a small encoder), so
that everything runs without a network. The real thing is one option away: `--source hub`.
"""

import hashlib
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from errors import InputError

# Without this, transformers asks a service on the Hub to convert the weights of older repositories on every load.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")

BUNDLED = Path(__file__).resolve().parent / "bundled"
HUB_DATASET = "nyu-mll/glue"
HUB_FILES = {split: f"cola/{split}-00000-of-00001.parquet" for split in ("train", "validation")}
HUB_MODEL = "google/electra-small-discriminator"
REVISIONS = {  # commits on the Hub: what was published once stays what is trained on
    "nyu-mll/glue": "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    "google/electra-small-discriminator": "fa8239aadc095e9164941d05878b98afe9b953c3",
    "google/bert_uncased_L-2_H-128_A-2": "30b0a37ccaaa32f332884b96992754e246e48c5f",
}
HUB_TIMEOUT_S = 3
VOCABULARY = ("tokenizer.json", "vocab.txt")  # a tokenizer is made of either


def option(name: str, value: str) -> str:
    """How a setting is typed on the command line of `train.py`."""
    return f"{ {'data': 'processing.data', 'model': 'model.name'}.get(name, name) }={value}"


CURE = f"check the connection, or use the stand-ins that come with the course: {option('source', 'bundled')}"


@dataclass(frozen=True)
class Sources:
    """The sentences and the encoder of one run; each is a folder on disk or a name on the Hub."""

    data: str | Path
    model: str | Path

    def provenance(self) -> dict[str, str | None]:
        """What a model has to say about its origin, for checkpoints and everything made from them."""
        places = (self.data, self.model)
        return {
            "source": "bundled" if BUNDLED in places else "hub" if all(isinstance(p, str) for p in places) else "disk",
            "data": _name(self.data),
            "data_revision": _revision(self.data, "train.csv", "validation.csv"),
            "model": _name(self.model),
            "model_revision": _revision(self.model, "config.json", "*.safetensors", "*.bin"),
            "git_revision": git_revision(),
        }


def resolve(source: str = "auto", data: str | None = None, model: str | None = None) -> Sources:
    """Decide where the data and the encoder come from, and say so on stderr where there was a choice.

    Args:
        source: `hub`, `bundled`, or `auto`: the Hub or its local cache if one answers within 3 seconds, else bundled.
        data: a folder with `train.csv` and `validation.csv`; overrides `source`.
        model: a folder with a `config.json`, `bundled`, or the name of a model on the Hub; overrides `source`.

    Raises:
        InputError: a folder is missing or holds no encoder, or the Hub is needed and out of reach.
    """
    if data is not None and not Path(data).is_dir():
        raise InputError(f"data folder {data} not found: it must hold train.csv and validation.csv")
    if model == "bundled":
        model = str(BUNDLED)
    model_on_disk = model is not None and Path(model).is_dir()
    if model_on_disk and not (_has(model, "config.json") and _has(model, *VOCABULARY)):
        raise InputError(
            f"{model} holds no encoder: it needs config.json, {' or '.join(VOCABULARY)}, and its weights, "
            "without which it starts untrained"
        )
    if model is not None and os.path.isfile(model):
        raise InputError(f"model {model} is a file: give the folder of an encoder, or a name on the Hugging Face Hub")
    if model is not None and not model_on_disk and not re.fullmatch(r"[\w-]+/[\w.-]+", model):
        raise InputError(f"model {model} is neither a folder nor a name on the Hugging Face Hub (owner/name)")
    if data is not None and model_on_disk:
        return Sources(Path(data).resolve(), Path(model).resolve())

    needed = [HUB_DATASET] * (data is None) + [model or HUB_MODEL] * (not model_on_disk)
    if source == "bundled" and model is not None and not model_on_disk:
        raise InputError(f"model {model} is no folder; if it is on the Hugging Face Hub: use {option('source', 'hub')}")
    if source in ("auto", "hub"):
        if all(map(_is_cached, needed)):
            _go_offline()
            found = "the local cache of the Hugging Face Hub"
        elif _hub_answers():
            found = "the Hugging Face Hub"
        elif source == "hub" or (model is not None and not model_on_disk):
            raise InputError(f"the Hugging Face Hub did not answer within {HUB_TIMEOUT_S} s: {CURE}")
        else:
            found, source = f"the bundled stand-ins (no Hugging Face Hub within {HUB_TIMEOUT_S} s)", "bundled"
        options = ", ".join(map(option, ("source", "data", "model"), ("hub|bundled", "DIR", "DIR")))
        if data is not None:
            found = f"the encoder from {found}, the data from {_name(Path(data).resolve())}"
        elif model_on_disk:
            found = f"the data from {found}, the encoder from {_name(Path(model).resolve())}"
        print(f"source: {found}; choose with {options}", file=sys.stderr)
    default_data, default_model = (BUNDLED, BUNDLED) if source == "bundled" else (HUB_DATASET, HUB_MODEL)
    return Sources(
        Path(data).resolve() if data is not None else default_data,
        Path(model).resolve() if model_on_disk else model or default_model,
    )


@contextmanager
def downloading(place: str | Path):
    """Raise `InputError` where the Hub, or the connection to it, fails while something is being downloaded.

    The Hub's clients let the error of their HTTP library through, or wrap it in guesses about names of folders.
    """
    from huggingface_hub.utils import httpx  # whichever release of httpx it uses

    try:
        yield
    except Exception as error:
        cause = error
        while cause is not None and not isinstance(cause, httpx.HTTPError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        reason = (str(cause) or type(cause).__name__).splitlines()[0]
        raise InputError(f"could not load {place} from the Hugging Face Hub ({reason}): {CURE}") from error


def _revision(place: str | Path, *patterns: str) -> str | None:
    """Our commit of a place on the Hub (None: its latest); of a folder, `sha256:` and the checksum of its files."""
    if isinstance(place, str):
        return REVISIONS.get(place)
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(place.glob(pattern)):
            digest.update(path.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def git_revision() -> str | None:
    """The commit this code is at, with `-dirty` after it where files differ from it; None outside git."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(describe, cwd=BUNDLED.parent, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return answer.stdout.strip() or None


def _has(folder: str, *names: str) -> bool:
    return any(os.path.isfile(Path(folder, name)) for name in names)  # a folder that may not be read has none


def _name(place: str | Path) -> str:
    if isinstance(place, str):
        return place
    return "bundled" if place == BUNDLED else f"{place.name}/"


def _is_cached(repository: str) -> bool:
    """Whether all that we load from a repository of the Hub, at our revision, is in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    def has(*alternatives: str) -> bool:
        kind, revision = "dataset" if repository == HUB_DATASET else "model", REVISIONS.get(repository, "main")
        places = (try_to_load_from_cache(repository, a, revision=revision, repo_type=kind) for a in alternatives)
        return any(isinstance(place, str) for place in places)

    if repository == HUB_DATASET:
        return all(map(has, HUB_FILES.values()))
    return has("config.json") and has("model.safetensors", "pytorch_model.bin") and has(*VOCABULARY)


def _go_offline() -> None:
    """Keep the Hub's clients from asking the network for what they have; they read the environment only once."""
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True


def _hub_answers() -> bool:
    """Whether the Hub answers in time; in a thread, because a name server can be slower than any socket time-out."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    answers = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(constants.ENDPOINT, timeout=HUB_TIMEOUT_S):
                answers.append(True)
        except urllib.error.HTTPError:  # it refused, but it is there
            answers.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HUB_TIMEOUT_S)
    return bool(answers)
