"""Score a file of sentences, one a line, however long it is; after a kill the same command goes on.

python batch.py sentences.txt scores            # scores/part-0000000.jsonl, ...: `cat scores/part-*` is all of it
python batch.py sentences.txt scores --ray      # on all machines of a Ray cluster

The unit of work is a chunk of lines. A chunk that is finished is a file, which no later run makes again.
"""

import argparse
import codecs
import hashlib
import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from multiprocessing.pool import ThreadPool
from pathlib import Path

from tqdm import tqdm

from inference_onnx import MODEL, NO_SENTENCE, ColaONNXPredictor

CHUNK = 1024  # lines


class Scorer:
    """Scores chunks. Ray makes one for each of its CPUs, in a process of its own."""

    def __init__(self, source: Path, output: Path, model: Path):
        logging.getLogger("inference_onnx").setLevel(logging.ERROR)  # what is cut is counted once, at the end
        self.source, self.output = source, output
        self.predictor = ColaONNXPredictor(model)

    def __call__(self, chunk: dict) -> dict:
        """Make the part of the chunk that begins at byte `start`."""
        with self.source.open("rb") as file:
            file.seek(chunk["start"])
            lines = [json.dumps(self.judge(line), ensure_ascii=False) + "\n" for line in islice(file, CHUNK)]
        part = self.output / chunk["part"]
        beside = part.with_name(f".{part.name}.{os.getpid()}")  # renamed when it is whole: a kill leaves no half part
        beside.write_text("".join(lines), encoding="utf-8")
        beside.replace(part)
        return chunk

    def judge(self, line: bytes) -> dict:
        """The judgement of a line, or what is wrong with it."""
        try:
            (judgement,) = self.predictor.predict([line.decode("utf-8-sig").rstrip("\r\n")])
        except ValueError as error:
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "no words"
            return {"sentence": line.decode(errors="replace").rstrip("\r\n"), "error": reason}
        cut = self.predictor.tokenizer.encode(judgement["sentence"]).overflowing
        return judgement | ({"cut": True} if cut else {})


def split(source: Path) -> list[dict]:
    """The chunks of a file: where each begins, in bytes, and the name of its part."""
    chunks = []
    with source.open("rb") as file:
        first = file.readline()
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            sys.exit(f"{source} is UTF-16: save it as UTF-8")
        if re.fullmatch(NO_SENTENCE, first.decode("utf-8-sig", errors="replace").strip()):
            sys.exit(f"{source} is a table: give its sentences alone, one a line")
        file.seek(0)
        while True:
            start = file.tell()
            if not sum(1 for _ in islice(file, CHUNK)):
                return chunks
            chunks.append({"start": start, "part": f"part-{len(chunks):07}.jsonl"})


def begin(scorer: Scorer) -> None:
    """Write down what is scored by what: all parts in a folder come from one file and one model."""
    with scorer.source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    run = json.dumps({"sentences": digest, "model": scorer.predictor.facts["sha256"], "chunk": CHUNK}, indent=2)
    scorer.output.mkdir(exist_ok=True)
    begun = scorer.output / "run.json"
    if not begun.exists():
        begun.write_text(run)
    if begun.read_text() != run:
        sys.exit(f"{scorer.output} was begun with other sentences or another model: choose another folder")


def on_ray(todo: list[dict], *places: Path) -> Iterator[dict]:
    """Score the chunks on the cluster that the environment's RAY_ADDRESS names, or on one of this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its makers otherwise
    import ray.data

    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours shows the same
    workers = ray.data.ActorPoolStrategy(size=min(len(todo), int(ray.cluster_resources()["CPU"])))
    chunks = ray.data.from_items(todo, override_num_blocks=len(todo))
    yield from chunks.map(Scorer, fn_constructor_args=[p.absolute() for p in places], compute=workers).iter_rows()


def score_file(source: Path, output: Path, model: Path = MODEL, ray: bool = False) -> str:
    """Score what is not scored yet, and say what the folder then holds."""
    chunks, scorer = split(source), Scorer(source, output, model)
    begin(scorer)
    todo = [chunk for chunk in chunks if not (output / chunk["part"]).exists()]
    with ThreadPool(os.cpu_count()) as pool:  # ONNX Runtime lets other threads run while it computes
        scored = on_ray(todo, source, output, model) if ray and todo else pool.imap_unordered(scorer, todo)
        for _ in tqdm(scored, total=len(todo), unit="chunk", disable=None):
            pass
    counts = Counter()
    for chunk in chunks:
        part = (output / chunk["part"]).read_bytes()  # in a sentence, a backslash would stand before the quotes
        counts.update(lines=part.count(b"\n"), errors=part.count(b', "error": '), cut=part.count(b', "cut": '))
    return f"{counts['lines']:,} lines, {counts['errors']:,} with an error, {counts['cut']:,} cut: {output}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Score a file of sentences, one a line.")
    parser.add_argument("source", type=Path, help="the file")
    parser.add_argument("output", type=Path, help="a folder")
    parser.add_argument("--model", type=Path, default=MODEL, help="default: %(default)s")
    parser.add_argument("--ray", action="store_true", help="on a Ray cluster: pip install -r requirements_ray.txt")
    args = parser.parse_args()
    print(score_file(args.source, args.output, args.model, args.ray))
