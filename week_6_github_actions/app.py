"""The classifier as a web service.

uvicorn app:app --no-access-log       then open http://127.0.0.1:8000
curl --get http://127.0.0.1:8000/predict --data-urlencode "text=He run."
curl http://127.0.0.1:8000/predict --json '{"sentences": ["He runs.", "He run."]}'

The environment variable MODEL names another model than models/model.onnx.
"""

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from inference_onnx import MODEL, ColaONNXPredictor

# U+FFFD is what decoding puts in the place of bytes that are no UTF-8: the sentence is not the one that was meant.
Sentence = Annotated[str, Field(max_length=2_000, pattern="^[^\ufffd]*$")]  # CoLA's longest has 231 characters


class Batch(BaseModel, extra="forbid"):
    sentences: Annotated[list[Sentence], Field(min_length=1, max_length=64)]


class Judgement(BaseModel):
    sentence: str
    label: Literal["unacceptable", "acceptable"]
    score: Annotated[float, Field(description="the probability that the sentence is acceptable")]


@asynccontextmanager
async def lifespan(app: FastAPI):
    """Load the model before the first request is taken; without a whole model the service does not start."""
    app.state.predictor = ColaONNXPredictor(os.environ.get("MODEL") or MODEL)
    current_default_thread_limiter().total_tokens = os.cpu_count()  # judgements at once; the others wait in line
    yield


app = FastAPI(
    title="CoLA: is this sentence acceptable?",
    lifespan=lifespan,
    max_body_size=1_000_000,  # bytes; 64 sentences of 2,000 characters that are written as \u1234 take 768,000
    servers=[{"url": "."}],  # as all addresses here: they also work below a prefix, such as https://example.org/prod/
    swagger_ui_parameters={"url": "openapi.json"},  # in the page /docs this comes after, and so replaces /openapi.json
    redoc_url=None,
)


@app.head("/", include_in_schema=False)  # as load balancers and uptime checks ask
@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("page.html"))


@app.head("/health", include_in_schema=False)
@app.get("/health")
async def health() -> dict:  # async: it must not wait in line behind the judgements
    return {"status": "ok", **app.state.predictor.facts}


@app.get("/predict")
def judge(text: Sentence) -> Judgement:
    return predict([text], ("query", "text"))[0]


@app.post("/predict")
def judge_batch(batch: Batch) -> list[Judgement]:
    return predict(batch.sentences, ("body", "sentences"))


def predict(sentences: list[str], field: tuple[str, str]) -> list[dict]:
    try:
        return app.state.predictor.predict(sentences)
    except ValueError as error:  # a sentence without words: blank, or nothing that the tokenizer keeps
        raise RequestValidationError([{"type": "value_error", "loc": field, "msg": str(error)}]) from None
