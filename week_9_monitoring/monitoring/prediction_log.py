"""One JSON line for each prediction, in the names of the Elastic Common Schema (ECS); event.schema.json says which.

COLA_LOG       a file for the lines, which may be rotated under a running service; default: stdout
COLA_PRIVACY   none (the default): not the sentence; hashed: its HMAC-SHA256; plain: the sentence
COLA_HASH_KEY  the key of the hash, 32 bytes or more: who has it can confirm a guessed sentence

Even without the sentence, who has the model and guesses a sentence can confirm the guess by the numbers of its line.
"""

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
PRIVACY = {  # what a line says of its sentence
    "none": lambda sentence: {},
    "hashed": lambda sentence: {"sentence_hash": hash_of(sentence)},
    "plain": lambda sentence: {"sentence": sentence},
}


def hash_of(sentence: str) -> str:
    """The keyed hash of a sentence; one without a key could be checked against guesses by everybody."""
    key = os.environ.get("COLA_HASH_KEY", "").encode()
    if len(key) < 32:
        raise ValueError("COLA_HASH_KEY must be a secret of 32 bytes or more: openssl rand -hex 32 makes one")
    return hmac.digest(key, sentence.encode(), "sha256").hex()


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


def token_counts(ids: list[int], unknown: int | None) -> dict:
    """What a line says of the tokens of a sentence; also what the drift tests compare."""
    vocabulary = [sum(token % BUCKETS == bucket for token in ids) for bucket in range(BUCKETS)]
    n = ids.count(unknown)
    return {"tokens": len(ids), "unknown_tokens": n, "unknown_share": n / len(ids), "vocabulary": vocabulary}


class Recorder:
    """A predictor that also writes one event for each sentence; all else is the predictor's own."""

    def __init__(self, predictor):
        self.predictor, self.unknown = predictor, predictor.tokenizer.token_to_id("[UNK]")
        self.at = None  # the time of the events, where it is simulated
        self.fields_of = PRIVACY[os.environ.get("COLA_PRIVACY") or "none"]
        self.fields_of("")  # a key that is too short stops the start, and not the first request
        facts = predictor.facts | predictor.facts["provenance"]
        self.model = {name: facts[name] for name in ("sha256", "precision", "source", "encoder")}
        self.log, file = logging.getLogger("cola.predictions"), os.environ.get("COLA_LOG")
        self.log.propagate, self.log.level = False, logging.INFO
        for before in self.log.handlers:
            before.close()
        # A full disk costs the line and not the prediction: logging's handlers see to that.
        self.log.handlers = [WatchedFileHandler(file) if file else logging.StreamHandler(sys.stdout)]

    def __getattr__(self, name: str):
        return getattr(self.predictor, name)

    def write(self, action: str, outcome: str, cola: dict, duration: dict | None = None, **more: dict) -> None:
        made = event(action, outcome, {"model": self.model} | cola, self.at, **more)
        self.log.info(json.dumps(made | {"event": made["event"] | (duration or {})}))

    def log_refusal(self, status: int, reason: str) -> None:
        """Note a request that was not judged: its HTTP status, and a word for what was wrong with it."""
        self.write("refuse", "failure", {}, error={"type": reason}, http={"response": {"status_code": status}})

    def predict(self, sentences: list[str]) -> list[dict]:
        start = time.perf_counter_ns()
        try:
            judged = self.predictor.predict(sentences)
        except Exception as error:
            if not isinstance(error, ValueError):  # a sentence without words: the service calls `log_refusal`
                self.write("judge", "failure", {}, error={"type": type(error).__name__})
            raise
        # The duration is the call's. It is there once, so that a large batch is one slow request and not many.
        duration = {"duration": time.perf_counter_ns() - start}
        for sentence, judgement in zip(sentences, judged, strict=True):
            encoding, label = self.predictor.tokenizer.encode(sentence), judgement["label"]
            cola = {"label": label, "acceptable": int(label == "acceptable"), "score": judgement["score"]}
            cola |= token_counts(encoding.ids, self.unknown) | {"truncated": bool(encoding.overflowing)}
            self.write("judge", "success", cola | self.fields_of(sentence), duration)
            duration = {}
        return judged
