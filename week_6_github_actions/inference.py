"""Judge sentences with the trained model.

python inference.py "The boy is sitting on a bench" "The boy are sitting on a bench"
python inference.py --json < sentences.txt      # one sentence a line
"""

import argparse
import json
import re
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model import ColaModel

CHECKPOINT = Path("models/best-checkpoint.ckpt")
NO_SENTENCE = r'[\w.]+=\S*|(.*,)?"?(sentence|label)"?(,.*)?|.*[\t\0].*'  # a setting, a CSV's header, a table, UTF-16


class ColaPredictor:
    """The trained classifier: it needs its checkpoint and nothing else."""

    def __init__(self, path: str | Path = CHECKPOINT):
        if not Path(path).exists():
            sys.exit(f"{path} not found: run dvc pull or dvc repro")
        self.model = ColaModel.load_from_checkpoint(path, map_location="cpu", weights_only=True).eval()
        self.labels = list(self.model.network.config.id2label.values())
        self.tokenizer = Tokenizer.from_str(self.model.hparams.tokenizer)
        self.tokenizer.enable_padding(pad_id=self.model.network.config.pad_token_id)

    @torch.inference_mode()
    def logits(self, sentences: list[str], batch_size: int = 64) -> Tensor:
        """Logits (N, 2) of N sentences; a ValueError where one holds nothing to judge."""
        logits, cut = [], 0
        for start in range(0, len(sentences), batch_size):
            encodings = self.tokenizer.encode_batch(sentences[start : start + batch_size])
            for number, encoding in enumerate(encodings, start + 1):
                if all(encoding.special_tokens_mask):  # blank, or of signs that the tokenizer leaves out
                    raise ValueError(f"sentence {number} has no words: {sentences[number - 1]!r}")
                cut += bool(encoding.overflowing)
            ids = torch.tensor([encoding.ids for encoding in encodings])  # (B, T)
            mask = torch.tensor([encoding.attention_mask for encoding in encodings])  # (B, T)
            logits.append(self.model(ids, mask))
        if cut:
            length = self.tokenizer.truncation["max_length"]
            print(f"{cut} of {len(sentences)} sentences were cut after {length} tokens", file=sys.stderr)
        return torch.cat(logits)

    def predict(self, sentences: list[str]) -> list[dict]:
        """One `{"sentence", "label", "score"}` a sentence; `score` is the probability of "acceptable"."""
        scores = [round(score, 4) for score in self.logits(sentences).softmax(dim=1)[:, 1].tolist()]
        rows = zip(sentences, scores, strict=True)
        return [{"sentence": text, "label": self.labels[score >= 0.5], "score": score} for text, score in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Judge the acceptability of English sentences.")
    parser.add_argument("sentence", nargs="*", help="what to judge (default: the lines of standard input)")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")  # a byte order mark is no part of the first sentence
    sentences = args.sentence or [line.rstrip("\n") for line in sys.stdin]
    if strange := next((sentence for sentence in sentences if re.fullmatch(NO_SENTENCE, sentence)), None):
        sys.exit(f"{strange!r} is no sentence: give sentences alone, one an argument or a line")
    try:
        judged = ColaPredictor(args.checkpoint).predict(sentences)
    except ValueError as error:  # nothing to judge
        sys.exit(str(error))
    for row in judged:
        text = "{label:<12}  {score:.3f}  {sentence}".format(**row)
        print(json.dumps(row, ensure_ascii=False) if args.json else text)
