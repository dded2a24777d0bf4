"""The app that tutorials show: a tokenizer that pads to 128 tokens, and ONNX Runtime as it comes.

uvicorn padded_app:app --port PORT
"""

import json
import os

import numpy as np
import onnxruntime
from fastapi import FastAPI
from tokenizers import Tokenizer

session = onnxruntime.InferenceSession(os.environ["RIVAL_MODEL"], providers=["CPUExecutionProvider"])
facts = session.get_modelmeta().custom_metadata_map
labels = json.loads(facts["labels"])
tokenizer = Tokenizer.from_str(facts["tokenizer"])
tokenizer.enable_truncation(128)
tokenizer.enable_padding(length=128)
app = FastAPI()


@app.get("/predict")
def predict(text: str) -> dict:
    tokens = tokenizer.encode(text)
    inputs = {"input_ids": np.array([tokens.ids]), "attention_mask": np.array([tokens.attention_mask])}  # (1, 128)
    ((unacceptable, acceptable),) = session.run(["logits"], inputs)[0]
    score = float(1 / (1 + np.exp(unacceptable - acceptable)))
    return {"sentence": text, "label": labels[score >= 0.5], "score": score}
