"""Judge sentences with the trained model.

python inference.py "The boy is sitting on a bench" "The boy are sitting on a bench"
python inference.py --json < sentences.txt      # one sentence a line
"""

import argparse
import logging
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from data import collate
from errors import InputError, friendly_errors
from model import ColaModel
from sentences import check, judgements, read_sentences, show

CHECKPOINT = Path("models/best-checkpoint.ckpt")
log = logging.getLogger(__name__)


class ColaPredictor:
    """The trained classifier, ready to judge sentences.

    Args:
        path: a checkpoint that `train.py` made; it holds the tokenizer and the architecture too.

    Raises:
        InputError: the file is missing, damaged, or not a checkpoint of this project's model.
    """

    def __init__(self, path: str | Path = CHECKPOINT):
        if Path(path).is_dir():
            raise InputError(f"{path} is a folder: name a file in it")
        if not Path(path).is_file():
            raise InputError(f'{path} not found: run "python train.py" first')
        try:
            self.model = ColaModel.load_from_checkpoint(path, map_location="cpu", weights_only=True).eval()
        except PermissionError as error:
            raise InputError(f"{path} cannot be read: check its permissions") from error
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError, AttributeError) as error:
            cure = 'run "python train.py"'
            raise InputError(f"{path} is not a checkpoint of this project, or is damaged: {cure}") from error
        self.provenance = self.model.hparams.provenance
        self.tokenizer = Tokenizer.from_str(self.model.hparams.tokenizer_json)

    @torch.inference_mode()
    def logits(self, sentences: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """Logits (N, 2), float32, of N sentences, in their order.

        Raises:
            InputError: a sentence is blank or not valid Unicode.
        """
        check(sentences)
        encodings = self.tokenizer.encode_batch(list(sentences))
        for number, encoding in enumerate(encodings, start=1):
            if encoding.overflowing:
                log.warning("sentence %d was cut after %d tokens", number, len(encoding))
        logits = np.empty((len(sentences), 2), dtype=np.float32)
        order = sorted(range(len(encodings)), key=lambda i: len(encodings[i]))  # like lengths pad each other least
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = collate([(torch.tensor(encodings[i].ids), 0) for i in rows], pad_id=0)
            logits[rows] = self.model(batch["input_ids"], batch["attention_mask"]).numpy()
        return logits

    def scores(self, sentences: Sequence[str]) -> np.ndarray:
        """The probability (N,), 0 to 1, that each of N sentences is acceptable."""
        logits = self.logits(sentences)
        return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))  # the softmax of two

    def predict(self, sentences: Sequence[str]) -> list[dict]:
        """One `{"sentence", "label", "score"}` a sentence; `score` is the probability of "acceptable"."""
        return judgements(sentences, self.scores(sentences))


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the acceptability of English sentences.")
    parser.add_argument("sentence", nargs="*", help="what to judge (default: the lines of standard input)")
    parser.add_argument("--checkpoint", default=CHECKPOINT, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    sentences = read_sentences(arguments.sentence)
    show(ColaPredictor(arguments.checkpoint).predict(sentences), arguments.json)


if __name__ == "__main__":
    main()
