"""One JSON line for each prediction, in the names of the Elastic Common Schema (https://www.elastic.co/docs/reference/ecs).

    predictor = Recorder(ColaONNXPredictor("models/model.onnx"), event_log("stdout"))

event.schema.json says which fields there are. Three environment variables:

    COLA_LOG        where the lines go: stdout (the service's default), stderr, off (the command line's default), or a
                    file, which may be rotated under a running service
    COLA_PRIVACY    none (the default): not the sentence; hashed: its HMAC-SHA256, so that equal sentences can be
                    counted and late labels find their prediction; plain: the sentence itself
    COLA_HASH_KEY   the key of the hash, 32 bytes or more. Whoever guesses key and sentence could confirm the sentence

Even with `none` a line holds numbers that follow from the sentence: somebody who has the model and guesses the sentence
can compare them. Keep the log as you keep the model's other secrets.
"""

import hashlib
import hmac
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from errors import InputError
from sentences import judgements

VERSION = 1  # of event.schema.json
ECS = {"version": "8.17.0"}
KEY_BYTES = 32  # of SHA-256's output: a shorter key makes a weaker HMAC (RFC 2104, section 3)
BUCKETS = 16  # token ids are counted by their last 4 bits: enough to see other words come, too little to read them


class EventLog:
    """Where the lines go; those of several threads, or of several processes into one file, never mix.

    A disk that is full or a pipe that is closed does no harm to a prediction: it is told once, on standard error.

    Args:
        place: stdout, stderr, or a file; when it has been renamed or deleted, it is made anew, a second later at most.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, place: str):
        self.file = None if place in ("stdout", "stderr") else place
        self.lock, self.torn, self.warned, self.next_look = threading.Lock(), False, False, 0.0
        try:
            self.descriptor = self._open() if self.file else {"stdout": 1, "stderr": 2}[place]
        except IsADirectoryError:
            raise InputError(f"COLA_LOG={place} is a folder: name a file in it") from None
        except OSError as error:
            raise InputError(f"COLA_LOG={place} cannot be written ({error.strerror}): make its folder first") from None

    def _open(self) -> int:
        return os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def _follow(self) -> None:
        """Open the file again if it is no longer the one that stands there."""
        self.next_look = time.monotonic() + 1
        if not os.path.exists(self.file) or not os.path.samestat(os.stat(self.file), os.fstat(self.descriptor)):
            before, self.descriptor = self.descriptor, self._open()
            os.close(before)

    def write(self, line: str) -> None:
        with self.lock:
            try:
                if self.file and time.monotonic() >= self.next_look:
                    self._follow()
                rest = ("\n" * self.torn + line + "\n").encode()
                while rest:  # one call is enough, unless the disk is nearly full
                    rest = rest[os.write(self.descriptor, rest) :]
                    self.torn = bool(rest)
            except OSError as error:
                if not self.warned:
                    self.warned = True
                    print(f"warning: predictions cannot be logged ({error}); serving goes on", file=sys.stderr)


def event_log(default: str) -> EventLog | None:
    """Where events go, as COLA_LOG says, or else `default`; None is nowhere."""
    place = os.environ.get("COLA_LOG") or default
    return None if place == "off" else EventLog(place)


def how_to_show(sentences_as: str, key: str) -> Callable[[str], dict]:
    """What a line says of its sentence: a function of the sentence that gives the fields.

    Raises:
        InputError: the mode is unknown, or is `hashed` with no key or a short one.
    """
    if sentences_as == "none":
        return lambda sentence: {}
    if sentences_as == "plain":
        return lambda sentence: {"sentence": sentence}
    if sentences_as != "hashed":
        raise InputError(f"COLA_PRIVACY={sentences_as}: choose none, hashed or plain")
    secret = key.encode()
    if len(secret) < KEY_BYTES:
        raise InputError(
            f"COLA_PRIVACY=hashed needs a secret of {KEY_BYTES} bytes or more in COLA_HASH_KEY, "
            f"not {len(secret)}: openssl rand -hex 32 makes one"
        )
    return lambda sentence: {"sentence_hash": hmac.digest(secret, sentence.encode(), hashlib.sha256).hex()}


def model_fields(predictor: Any) -> dict[str, str]:
    """Which model it is, and what it was made from."""
    made = predictor.provenance
    return {"sha256": predictor.sha256, "precision": predictor.precision} | {
        name: made[name] for name in ("source", "data", "model", "git_revision") if made.get(name)
    }


@lru_cache(maxsize=1)
def second(number: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(number))


def now() -> str:
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{second(seconds)}.{rest // 1_000_000:03d}Z"


def event(action: str, outcome: str, model: dict, **fields: Any) -> dict:
    """An event of now, with the fields that all have."""
    return {
        "@timestamp": now(),
        "ecs": ECS,
        "service": {"name": "cola"},
        "event": {"id": os.urandom(16).hex(), "kind": "event", "dataset": "cola.predictions", "action": action,
                  "outcome": outcome} | fields.pop("event", {}),
        "cola": {"schema": VERSION, "model": model} | fields.pop("cola", {}),
    } | fields  # fmt: skip


class Recorder:
    """A predictor that also writes one event for each sentence; all else is the predictor's own.

    Args:
        predictor: a `ColaONNXPredictor`.
        log: as `event_log` gives it.

    Raises:
        InputError: COLA_PRIVACY makes no sense.
    """

    def __init__(self, predictor: Any, log: EventLog | None):
        self.predictor, self.log, self.model = predictor, log, model_fields(predictor)
        self.privacy = os.environ.get("COLA_PRIVACY") or "none"
        self.show = how_to_show(self.privacy, os.environ.get("COLA_HASH_KEY", ""))
        unknown = json.loads(predictor.tokenizer.to_str())["model"].get("unk_token")
        self.unknown = predictor.tokenizer.token_to_id(unknown) if unknown else None
        self.template = self._template()
        self.series, self.number = os.urandom(8).hex(), itertools.count()  # the halves of an id, different in each line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.predictor, name)

    def _template(self) -> str:
        """A judgement's line with gaps, `%(name)s`, for what changes: making it whole each time would take longer."""
        measured = ("label", "acceptable", "score", "tokens", "unknown_tokens", "unknown_share", "vocabulary",
                    "truncated", "batch_size")  # fmt: skip
        gaps = {name: f"@@{name}@@" for name in ("@timestamp", "id", "duration", *measured)}
        made = event("judge", "success", self.model, event={name: gaps[name] for name in ("id", "duration")},
                     cola={name: gaps[name] for name in measured} | {"privacy": self.privacy})  # fmt: skip
        line = json.dumps(made | {"@timestamp": gaps["@timestamp"]}, separators=(",", ":"), ensure_ascii=False)
        line = line.replace("%", "%%")
        for name, gap in gaps.items():
            quoted = f'"{gap}"' if name in ("duration", *measured[1:]) else gap  # numbers have no quotes
            line = line.replace(quoted, f"%({name})s")
        return line.removesuffix("}}") + "%(shown)s}}"

    def predict(self, sentences: Sequence[str]) -> list[dict]:
        """As `ColaONNXPredictor.predict`."""
        if not self.log:
            return self.predictor.predict(sentences)
        start = time.perf_counter_ns()
        try:
            encodings = self.predictor.encode(sentences)
            judged = judgements(sentences, self.predictor.probabilities(self.predictor.run(encodings)))
        except Exception as error:
            self.log.write(json.dumps(event("judge", "failure", self.model, error={"type": type(error).__name__})))
            raise
        duration = time.perf_counter_ns() - start  # of the call: its sentences share it
        moment, lines = now(), []
        for encoding, judgement in zip(encodings, judged, strict=True):
            fields = token_counts(encoding.ids, self.unknown)  # one dictionary, filled: this is on every request's bill
            shown = self.show(judgement["sentence"])
            fields["@timestamp"], fields["id"] = moment, f"{self.series}{next(self.number):016x}"
            fields["duration"], fields["batch_size"] = duration, len(judged)
            fields["label"], fields["score"] = judgement["label"], judgement["score"]
            fields["acceptable"] = int(judgement["label"] == "acceptable")
            fields["truncated"] = "true" if encoding.overflowing else "false"
            fields["shown"] = f",{json.dumps(shown, ensure_ascii=False)[1:-1]}" if shown else ""
            lines.append(self.template % fields)
        self.log.write("\n".join(lines))
        return judged

    def refused(self, status: int, reason: str) -> None:
        """Note a request that never came to the model: its HTTP status, and a word on what was wrong with it."""
        if self.log:
            fields = {"error": {"type": reason}, "http": {"response": {"status_code": status}}}
            self.log.write(json.dumps(event("refuse", "failure", self.model, **fields)))


def token_counts(ids: list[int], unknown: int | None) -> dict:
    """What a line says of the tokens `ids` of a sentence: their number, the unknown ones, and `BUCKETS` counts."""
    vocabulary, strange = [0] * BUCKETS, ids.count(unknown)
    for token in ids:
        vocabulary[token % BUCKETS] += 1
    return {"tokens": len(ids), "unknown_tokens": strange, "unknown_share": round(strange / len(ids), 4),
            "vocabulary": vocabulary}  # fmt: skip
