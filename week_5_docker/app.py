"""The classifier as a web service.

uvicorn app:app                       then open http://127.0.0.1:8000
curl --get http://127.0.0.1:8000/predict --data-urlencode "text=He run."
curl http://127.0.0.1:8000/predict --json '{"sentences": ["He runs.", "He run."]}'

The environment variable MODEL names another model than models/model.onnx. No log holds what people send.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import InputError
from inference_onnx import ColaONNXPredictor
from sentences import LABELS

PAGE = Path(__file__).with_name("page.html")
MAX_CHARACTERS = 2_000  # of a sentence; the longest of CoLA has 231
MAX_SENTENCES = 64  # of a batch
AT_ONCE = 8  # sentences of a batch that are computed together: the memory for long ones stays small, and as fast
MAX_BODY_BYTES = 1_000_000  # 64 sentences of 2,000 characters that are written as \u1234 take 768,000


def not_blank(text: str) -> str:
    """Refuse what `sentences.check` would refuse too, but in a way that lets FastAPI name the field."""
    if not text.strip():
        raise PydanticCustomError("blank", "The sentence is blank: give a sentence to judge")
    return text


Sentence = Annotated[str, Field(max_length=MAX_CHARACTERS), AfterValidator(not_blank)]


class Batch(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sentences: Annotated[list[Sentence], Field(min_length=1, max_length=MAX_SENTENCES)]


class Judgement(BaseModel):
    sentence: str
    label: Literal[tuple(LABELS)]
    score: Annotated[float, Field(description="the probability, 0 to 1, that the sentence is acceptable")]


class Judgements(BaseModel):
    predictions: list[Judgement]


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    precision: str
    max_length: Annotated[int, Field(description="tokens; longer sentences are cut")]
    provenance: Annotated[dict[str, Any], Field(description="what the model was made from")]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request is taken, or refuse to start."""
    # One thread for each judgement, and as many judgements at once as there are cores: the others wait in line. More
    # would only take turns, and each needs memory.
    app.state.predictor = ColaONNXPredictor(os.environ.get("MODEL") or "models/model.onnx", threads=1)
    current_default_thread_limiter().total_tokens = os.cpu_count() or 1
    yield


class FriendlyStart:
    """Say what is wrong with the model and the cure, without a traceback, where the start fails for it."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            error = sys.exception()  # the one that ends the lifespan
            if message["type"] == "lifespan.startup.failed" and isinstance(error, InputError):
                message = message | {"message": str(error)}
            await send(message)

        await self.app(scope, receive, tell if scope["type"] == "lifespan" else send)


# A redirect of /predict/ to /predict would be an empty answer to curl, and name a wrong address behind a gateway.
app = FastAPI(
    title="CoLA: is this sentence acceptable?", lifespan=lifespan, max_body_size=MAX_BODY_BYTES, redirect_slashes=False
)
app.add_middleware(FriendlyStart)


def refusal(status: int, problems: Iterable[dict]) -> Response:
    """A refusal that names the fields, in pure ASCII: what is wrong with them may be that UTF-8 cannot hold them."""
    return Response(json.dumps({"detail": list(problems)}), status, media_type="application/json")


@app.exception_handler(RequestValidationError)
async def refuse_fields(_: Request, error: RequestValidationError) -> Response:
    return refusal(422, ({key: problem[key] for key in ("type", "loc", "msg")} for problem in error.errors()))


@app.exception_handler(400)
async def refuse_what_is_not_json(*_) -> Response:
    return refusal(400, [{"type": "json_invalid", "loc": ["body"], "msg": "The body is not JSON in UTF-8"}])


async def query_in_utf8(request: Request) -> None:
    """Refuse a query that is not UTF-8; Starlette would replace what it cannot decode, and another text be judged."""
    try:
        unquote_to_bytes(request.scope["query_string"]).decode()
    except UnicodeDecodeError:
        problem = {"type": "string_unicode", "loc": ("query", "text"), "msg": "The text is not UTF-8"}
        raise RequestValidationError([problem]) from None


async def one_text(request: Request) -> None:
    """Refuse a second text; FastAPI would judge the last one and drop the others without a word."""
    if len(request.query_params.getlist("text")) > 1:
        problem = {"type": "too_long", "loc": ("query", "text"), "msg": "Give one text; POST /predict takes up to 64"}
        raise RequestValidationError([problem])


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(PAGE, headers={"Content-Security-Policy": "default-src 'self' 'unsafe-inline' data:"})


@app.get("/health")
async def health(request: Request) -> Health:  # not in line behind the judgements: a busy server is a healthy one
    predictor = request.app.state.predictor
    return Health(precision=predictor.precision, max_length=predictor.max_length, provenance=predictor.provenance)


@app.get("/predict", dependencies=[Depends(query_in_utf8), Depends(one_text)])
def judge(request: Request, text: Annotated[Sentence, Query()]) -> Judgement:
    return request.app.state.predictor.predict([text])[0]


@app.post("/predict")
def judge_batch(request: Request, batch: Batch) -> Judgements:
    predict, sentences = request.app.state.predictor.predict, batch.sentences
    parts = (predict(sentences[start : start + AT_ONCE]) for start in range(0, len(sentences), AT_ONCE))
    return {"predictions": list(chain.from_iterable(parts))}
