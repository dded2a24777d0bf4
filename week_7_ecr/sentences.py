"""Sentences in, judgements out: what is the same for every way of running the model."""

import json
import os
import sys
from collections.abc import Iterable, Sequence

from errors import InputError

LABELS = ["unacceptable", "acceptable"]  # the index is CoLA's class id


def check(sentences: Iterable[str], name: str = "sentence {}") -> None:
    """Raise `InputError`, naming the sentence by its number, where one is blank or not valid Unicode."""
    for number, sentence in enumerate(sentences, start=1):
        if not sentence.strip():
            raise InputError(f"{name.format(number)} is blank: give a sentence to judge")
        if any("\ud800" <= character <= "\udfff" for character in sentence):
            raise InputError(f"{name.format(number)} is not UTF-8: save or type it as UTF-8")


def read_sentences(arguments: list[str]) -> list[str]:
    """The sentences on the command line, or else those on standard input, one a line; blank lines may end it."""
    if arguments:
        for argument in arguments:
            if os.path.isfile(argument):
                raise InputError(f"{argument} is a file: to judge its lines, put < before it")
        return arguments
    if sys.stdin.isatty():
        print("type sentences, one a line, and end with Ctrl-D", file=sys.stderr)
    lines = sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError("no sentences: give them as arguments, or one a line on standard input")
    check(lines, "line {} of standard input")
    return lines


def judgements(sentences: Sequence[str], scores: Iterable[float]) -> list[dict]:
    """One `{"sentence", "label", "score"}` a sentence; `score` is the probability of "acceptable"."""
    return [
        {"sentence": sentence, "label": LABELS[int(score >= 0.5)], "score": round(float(score), 4)}
        for sentence, score in zip(sentences, scores, strict=True)
    ]


def show(judged: list[dict], as_json: bool) -> None:
    """Print judgements, one a line: as JSON objects, or as columns for people."""
    for judgement in judged:
        if as_json:
            print(json.dumps(judgement, ensure_ascii=False))
        else:
            print("{label:<12}  {score:.3f}  {sentence}".format(**judgement))
