"""Judge sentences with the exported model: ONNX Runtime and a tokenizer, no PyTorch.

python inference_onnx.py "The boy is sitting on a bench" "The boy are sitting on a bench"
python inference_onnx.py --json < sentences.txt      # one sentence a line; batch.py takes a million of them
"""

import argparse
import hashlib
import json
import logging
import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MODEL = Path("models/model.onnx")
NO_SENTENCE = r'[\w.]+=\S*|(.*,)?"?(sentence|label)"?(,.*)?|.*\t.*'  # a setting, a CSV's header, a row of a table
log = logging.getLogger(__name__)


class ColaONNXPredictor:
    """The exported classifier: one file. Any number of threads may use it at the same time."""

    def __init__(self, path: str | Path = MODEL, threads: int = 1):
        if not Path(path).exists():
            sys.exit(f"{path} not found: run dvc pull, dvc repro, or python convert_model_to_onnx.py")
        content = Path(path).read_bytes()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads  # more threads than one wait for each other, and keep cores busy with it
        options.enable_mem_pattern = False  # it remembers every shape that it has seen, and here nearly each is new
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.labels = json.loads(metadata["labels"])
        self.tokenizer = Tokenizer.from_str(metadata["tokenizer"])
        self.facts = {
            "precision": metadata["precision"],
            "provenance": json.loads(metadata["provenance"]),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    def logits(self, sentences: list[str], batch_size: int = 16) -> np.ndarray:
        """Logits (N, 2) of N sentences, in their order; a ValueError where one holds nothing to judge."""
        if self.facts["precision"] == "int8":
            batch_size = 1  # int8 rounds a batch by its largest number: alone, a sentence has one score
        logits, cut = np.empty((len(sentences), 2), dtype=np.float32), 0
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))  # like lengths pad each other least
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            encodings = self.tokenizer.encode_batch([sentences[i] for i in rows])
            for row, encoding in zip(rows, encodings, strict=True):
                if all(encoding.special_tokens_mask):  # blank, or of signs that the tokenizer leaves out
                    raise ValueError(f"sentence {row + 1} has no words: {sentences[row]!r}")
                cut += bool(encoding.overflowing)
            ids = np.array([encoding.ids for encoding in encodings])  # (B, T)
            mask = np.array([encoding.attention_mask for encoding in encodings])  # (B, T)
            (logits[rows],) = self.session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        if cut:
            length = self.tokenizer.truncation["max_length"]
            log.warning("%d of %d sentences were cut after %d tokens", cut, len(sentences), length)
        return logits

    def predict(self, sentences: list[str]) -> list[dict]:
        """One `{"sentence", "label", "score"}` a sentence; `score` is the probability of "acceptable"."""
        logits = self.logits(sentences).astype(float)
        scores = (1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))).round(4).tolist()  # (N,), the softmax of two
        return [
            {"sentence": sentence, "label": self.labels[int(score >= 0.5)], "score": score}
            for sentence, score in zip(sentences, scores, strict=True)
        ]


def read_sentences(arguments: list[str]) -> list[str]:
    """The sentences on the command line, or else the lines of standard input."""
    if not arguments:
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")  # a byte order mark is no part of the first
    sentences = arguments or [line.rstrip("\n") for line in sys.stdin]
    for sentence in sentences:
        if re.fullmatch(NO_SENTENCE, sentence):
            sys.exit(f"{sentence!r} is no sentence: give sentences alone, one an argument or a line")
    return sentences


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Judge the acceptability of English sentences.")
    parser.add_argument("sentence", nargs="*", help="what to judge (default: the lines of standard input)")
    parser.add_argument("--model", type=Path, default=MODEL, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    try:
        judged = ColaONNXPredictor(args.model).predict(read_sentences(args.sentence))
    except ValueError as error:  # nothing to judge, or not UTF-8
        sys.exit(str(error))
    for row in judged:
        print(
            json.dumps(row, ensure_ascii=False) if args.json else "{label:<12}  {score:.3f}  {sentence}".format(**row)
        )
