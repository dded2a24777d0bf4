"""One JSON line for each prediction, in the names of the Elastic Common Schema (ECS); event.schema.json says which.

COLA_LOG       where the lines go: stdout (the default), or a file, which may be rotated under a running service
COLA_PRIVACY   none (the default): not the sentence; hashed: its HMAC-SHA256; plain: the sentence
COLA_HASH_KEY  the key of the hash, 32 bytes or more: who has it can confirm a guessed sentence

Even without the sentence, who has the model and guesses a sentence can confirm the guess by the numbers of its line.
"""

import hashlib
import hmac
import json
import logging
import os
import sys
import time
import uuid
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler

BUCKETS = 16  # token ids are counted by their last 4 bits; by 2 bits, rarer words coming in were found half as often


def prediction_logger() -> logging.Logger:
    """Where lines go. A full disk costs the line and not the prediction: logging sees to that."""
    place = os.environ.get("COLA_LOG", "stdout")
    logger = logging.getLogger("cola.predictions")
    logger.propagate, logger.level = False, logging.INFO
    for before in logger.handlers:
        before.close()
    logger.handlers = [logging.StreamHandler(sys.stdout) if place == "stdout" else WatchedFileHandler(place)]
    return logger


def event(action: str, outcome: str, cola: dict, at: datetime | None = None, **more: dict) -> dict:
    """An event with the fields that all have; it happens now, unless told."""
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    return {
        "@timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ecs": {"version": "8.17.0"},
        "service": {"name": "cola"},
        "event": {"id": uuid.uuid4().hex, "dataset": "cola.predictions", "action": action, "outcome": outcome},
        "cola": {"schema": 2} | cola,
    } | more


def hash_of(sentence: str) -> str:
    """The keyed hash of a sentence; one without a key could be checked against guesses by everybody."""
    key = os.environ.get("COLA_HASH_KEY", "").encode()
    if len(key) < 32:
        sys.exit("COLA_HASH_KEY must be a secret of 32 bytes or more: openssl rand -hex 32 makes one")
    return hmac.digest(key, sentence.encode(), hashlib.sha256).hex()


def sentence_fields(sentence: str, privacy: str) -> dict:
    """What a line says of its sentence."""
    match privacy:
        case "none":
            return {}
        case "hashed":
            return {"sentence_hash": hash_of(sentence)}
        case "plain":
            return {"sentence": sentence}
    sys.exit(f"COLA_PRIVACY={privacy}: it is none, hashed or plain")


def token_counts(ids: list[int], unknown: int | None) -> dict:
    """What a line says of the tokens of a sentence; also what the drift tests compare."""
    vocabulary = [0] * BUCKETS
    for token in ids:
        vocabulary[token % BUCKETS] += 1
    n = ids.count(unknown)
    return {"tokens": len(ids), "unknown_tokens": n, "unknown_share": n / len(ids), "vocabulary": vocabulary}


class Recorder:
    """A predictor that also writes one event for each sentence; all else is the predictor's own."""

    def __init__(self, predictor):
        self.predictor, self.log = predictor, prediction_logger()
        self.at = None  # the time of the events, where it is simulated
        self.privacy = os.environ.get("COLA_PRIVACY") or "none"
        sentence_fields("", self.privacy)  # what cannot work stops the start, and not the first request
        facts, names = predictor.facts | predictor.facts["provenance"], ("sha256", "precision", "source", "encoder")
        self.model = {name: facts[name] for name in names}
        self.unknown = predictor.tokenizer.token_to_id("[UNK]")

    def __getattr__(self, name: str):
        return getattr(self.predictor, name)

    def write(self, action: str, outcome: str, cola: dict, duration: int | None = None, **more: dict) -> None:
        line = event(action, outcome, {"model": self.model} | cola, self.at, **more)
        if duration is not None:
            line["event"]["duration"] = duration  # ns
        self.log.info(json.dumps(line))

    def refused(self, status: int, reason: str) -> None:
        """Note a request that was not judged: its HTTP status, and a word for what was wrong with it."""
        self.write("refuse", "failure", {}, error={"type": reason}, http={"response": {"status_code": status}})

    def predict(self, sentences: list[str]) -> list[dict]:
        start = time.perf_counter_ns()
        try:
            judged = self.predictor.predict(sentences)
        except ValueError:  # a sentence without words: who asked is told, and the service calls `refused`
            raise
        except Exception as error:
            self.write("judge", "failure", {}, error={"type": type(error).__name__})
            raise
        # The duration is the call's. It is there once, so that a large batch is one slow request and not many.
        duration = time.perf_counter_ns() - start
        for sentence, judgement in zip(sentences, judged, strict=True):
            encoding = self.predictor.tokenizer.encode(sentence)
            cola = {name: judgement[name] for name in ("label", "score")}
            cola["acceptable"] = int(judgement["label"] == "acceptable")  # so that its average is the share
            cola |= token_counts(encoding.ids, self.unknown) | {"truncated": bool(encoding.overflowing)}
            self.write("judge", "success", cola | sentence_fields(sentence, self.privacy), duration)
            duration = None
        return judged
