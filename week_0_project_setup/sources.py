"""Where sentences and encoder come from: `bundled/`, which needs no network, or the Hugging Face Hub."""

from pathlib import Path

LABELS = ["unacceptable", "acceptable"]  # in the order of CoLA's class ids
BUNDLED = Path(__file__).parent / "bundled"
HUB_DATASET, HUB_MODEL = "nyu-mll/glue", "google/electra-small-discriminator"
REVISIONS = {  # commits: next year's download is this one
    HUB_DATASET: "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    HUB_MODEL: "fa8239aadc095e9164941d05878b98afe9b953c3",
    "google/bert_uncased_L-2_H-128_A-2": "30b0a37ccaaa32f332884b96992754e246e48c5f",
}


def place_of(encoder: str) -> dict[str, str | None]:
    """Where to load an encoder from, as arguments of `from_pretrained`."""
    path = str(BUNDLED) if encoder == "bundled" else encoder
    return {"pretrained_model_name_or_path": path, "revision": REVISIONS.get(encoder, "main")}
