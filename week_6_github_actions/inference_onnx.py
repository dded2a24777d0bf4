"""Judge sentences with the exported model: no PyTorch, no transformers, three small packages.

python inference_onnx.py "The boy is sitting on a bench" "The boy are sitting on a bench"
python inference_onnx.py --json < sentences.txt                       # one sentence a line
python inference_onnx.py --file sentences.txt --output scores.jsonl   # a million of them; see batch.py
"""

import argparse
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from errors import InputError, friendly_errors
from sentences import LABELS, check, judgements, read_sentences, show

MODEL = Path("models/model.onnx")
TOKENIZER = "tokenizer.json"  # beside the model
SEAL = 64  # bytes: a model ends with the SHA-256, in hexadecimal digits, of all that comes before them
CURE = 'run "python convert_model_to_onnx.py"'
log = logging.getLogger(__name__)


class ColaONNXPredictor:
    """The exported classifier, ready to judge sentences; any number of threads may use one at the same time.

    Args:
        path: a model that `convert_model_to_onnx.py` made, with its tokenizer beside it.
        threads: that ONNX Runtime computes one batch with. None is 1: a dozen tokens are too little work to share,
            and a server has other requests for the other cores. ONNX Runtime's own default, one thread for each core
            of the machine, also counts cores that a container may not use.

    Raises:
        InputError: model or tokenizer is missing, damaged, or does not belong to the other.
    """

    def __init__(self, path: str | Path = MODEL, threads: int | None = None):
        path = Path(path)
        model, tokenizer = _read(path), _read(path.parent / TOKENIZER)
        if hashlib.sha256(memoryview(model)[:-SEAL]).hexdigest().encode() != model[-SEAL:]:
            raise InputError(f"{path} is damaged, or was not made by this project: {CURE}, or copy it again")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 1
        options.enable_mem_pattern = False  # it remembers every shape it has seen, and here nearly each is new
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        if json.loads(metadata["labels"]) != LABELS:
            raise InputError(f"{path} has the labels {metadata['labels']}, not {LABELS}: {CURE}")
        if hashlib.sha256(tokenizer).hexdigest() != metadata["tokenizer_sha256"]:
            raise InputError(f"{path.parent / TOKENIZER} is not the tokenizer of {path}: {CURE}, or copy both again")
        self.tokenizer = Tokenizer.from_str(tokenizer.decode())
        self.pad_id = int(metadata["pad_id"])
        self.max_length = int(metadata["max_length"])  # tokens; longer sentences are cut
        self.precision = metadata["precision"]  # of the weights: "int8" or "fp32"
        self.provenance = json.loads(metadata["provenance"])

    def encode(self, sentences: Sequence[str]) -> list[Encoding]:
        """The tokens of N sentences, in their order.

        Raises:
            InputError: a sentence is blank or not valid Unicode.
        """
        check(sentences)
        encodings = self.tokenizer.encode_batch(list(sentences))
        for number, encoding in enumerate(encodings, start=1):
            if encoding.overflowing:
                log.warning("sentence %d was cut after %d tokens", number, len(encoding))
        return encodings

    def logits(self, sentences: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """Logits (N, 2), float32, of N sentences, in their order; raises what `encode` raises."""
        return self.run(self.encode(sentences), batch_size)

    def run(self, encodings: list[Encoding], batch_size: int = 64) -> np.ndarray:
        """Logits (N, 2), float32, of N sentences of which the tokens are known."""
        logits = np.empty((len(encodings), 2), dtype=np.float32)
        if self.precision == "int8":  # which rounds a batch by its largest number: alone, a sentence has one score
            batch_size = 1
        order = sorted(range(len(encodings)), key=lambda i: len(encodings[i]))  # like lengths pad each other least
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            width = len(encodings[rows[-1]])
            ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)  # (B, T)
            mask = np.zeros_like(ids)  # (B, T)
            for row, i in enumerate(rows):
                ids[row, : len(encodings[i])] = encodings[i].ids
                mask[row, : len(encodings[i])] = 1
            (logits[rows],) = self.session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        return logits

    def scores(self, sentences: Sequence[str]) -> np.ndarray:
        """The probability (N,), 0 to 1, that each of N sentences is acceptable."""
        logits = self.logits(sentences)
        return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))  # the softmax of two

    def predict(self, sentences: Sequence[str]) -> list[dict]:
        """One `{"sentence", "label", "score"}` a sentence; `score` is the probability of "acceptable"."""
        return judgements(sentences, self.scores(sentences))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} not found: {CURE} first") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {CURE}") from error


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the acceptability of English sentences.")
    parser.add_argument("sentence", nargs="*", help="what to judge (default: the lines of standard input)")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--file", type=Path, metavar="FILE", help="judge the lines of a file of any length ...")
    parser.add_argument("--output", type=Path, metavar="FILE", help="... into this one, as JSON objects")
    parser.add_argument("--ray", action="store_true", help="... on a Ray cluster; the output is a folder")
    arguments = parser.parse_args()
    if bool(arguments.file) != bool(arguments.output) or (arguments.file and arguments.sentence):
        raise InputError("--file and --output go together, and without sentences")
    if arguments.file:
        from batch import score_file

        return score_file(arguments.file, arguments.output, arguments.model, arguments.ray)
    sentences = read_sentences(arguments.sentence)
    show(ColaONNXPredictor(arguments.model).predict(sentences), arguments.json)


if __name__ == "__main__":
    main()
