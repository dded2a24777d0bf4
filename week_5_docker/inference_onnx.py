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
NO_SENTENCE = r'[\w.]+=\S*|(.*,)?"?(sentence|label)"?(,.*)?|.*[\t\0].*'  # a setting, a CSV's header, a table, UTF-16
log = logging.getLogger(__name__)


class ColaONNXPredictor:
    """The exported classifier: one file. Any number of threads may use it at the same time."""

    def __init__(self, path: str | Path = MODEL):
        if not Path(path).exists():
            sys.exit(f"{path} not found: run dvc pull, dvc repro, or python convert_model_to_onnx.py")
        content = Path(path).read_bytes()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # several would wait for each other, and keep cores busy with it
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

    def logits(self, sentences: list[str]) -> np.ndarray:
        """Logits (N, 2) of N sentences; a ValueError where one holds nothing to judge.

        One by one: int8 rounds by the largest number of a batch, so neighbours would change the score of a sentence.
        """
        logits, cut = [], 0
        for number, sentence in enumerate(sentences, start=1):
            encoding = self.tokenizer.encode(sentence)
            if all(encoding.special_tokens_mask):  # blank, or of signs that the tokenizer leaves out
                raise ValueError(f"sentence {number} has no words: {sentence!r}")
            cut += bool(encoding.overflowing)
            ids, mask = np.array([encoding.ids]), np.array([encoding.attention_mask])  # (1, T)
            logits += self.session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        if cut:
            length = self.tokenizer.truncation["max_length"]
            log.warning("%d of %d sentences were cut after %d tokens", cut, len(sentences), length)
        return np.concatenate(logits)

    def predict(self, sentences: list[str]) -> list[dict]:
        """One `{"sentence", "label", "score"}` a sentence; `score` is the probability of "acceptable"."""
        logits = self.logits(sentences).astype(float)
        scores = (1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))).round(4).tolist()  # (N,), the softmax of two
        rows = zip(sentences, scores, strict=True)
        return [{"sentence": text, "label": self.labels[score >= 0.5], "score": score} for text, score in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Judge the acceptability of English sentences.")
    parser.add_argument("sentence", nargs="*", help="what to judge (default: the lines of standard input)")
    parser.add_argument("--model", type=Path, default=MODEL, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")  # a byte order mark is no part of the first sentence
    sentences = args.sentence or [line.rstrip("\n") for line in sys.stdin]
    if strange := next((sentence for sentence in sentences if re.fullmatch(NO_SENTENCE, sentence)), None):
        sys.exit(f"{strange!r} is no sentence: give sentences alone, one an argument or a line")
    try:
        judged = ColaONNXPredictor(args.model).predict(sentences)
    except ValueError as error:  # nothing to judge
        sys.exit(str(error))
    for row in judged:
        text = "{label:<12}  {score:.3f}  {sentence}".format(**row)
        print(json.dumps(row, ensure_ascii=False) if args.json else text)
