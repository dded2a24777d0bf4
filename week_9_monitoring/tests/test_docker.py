"""What week 5 promises of the service. The image is tested from the folder of the course, where an engine answers."""

import asyncio
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

import app as service
from inference_onnx import ColaONNXPredictor

SENTENCES = ["The boy is sitting on a bench.", "The boy are sitting on a bench."]


@pytest.fixture(scope="module")
def client(model_onnx):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL", str(model_onnx))
        with TestClient(service.app, base_url="http://test") as client:
            yield client


def test_one_sentence_is_judged_as_the_predictor_judges_it(client, model_onnx):
    sentence = "Ein Bär & 1 + 1 <b>dogs</b> 🐻?"
    assert (
        client.get("/predict", params={"text": sentence}).json() == ColaONNXPredictor(model_onnx).predict([sentence])[0]
    )


def test_a_batch_gets_its_judgements_in_its_order(client, model_onnx):
    batch = SENTENCES * 32  # as many as there may be
    answer = client.post("/predict", json={"sentences": batch})
    assert answer.status_code == 200
    assert [judgement["sentence"] for judgement in answer.json()] == batch
    scores = [judgement["score"] for judgement in ColaONNXPredictor(model_onnx).predict(SENTENCES)]
    assert [judgement["score"] for judgement in answer.json()] == pytest.approx(scores * 32, abs=2e-4)


def test_health_says_which_model_answers(client, model_onnx):
    assert client.get("/health").json() == {"status": "ok", **ColaONNXPredictor(model_onnx).facts}


@pytest.mark.parametrize("path", ["/", "/health"])
def test_load_balancers_may_ask_by_head(client, path):
    assert client.head(path).status_code == 200


@pytest.mark.parametrize("text", ["", " \t", "\u200b", "\x00", "\u0301", "w" * 2_001])
def test_what_is_no_sentence_is_refused(client, text):
    """Blank; nothing that the tokenizer keeps; too long."""
    for answer in (
        client.get("/predict", params={"text": text}),
        client.post("/predict", json={"sentences": [SENTENCES[0], text]}),
    ):
        assert answer.status_code == 422


def test_latin_1_is_not_judged_as_another_text(client):
    assert client.get("/predict?text=caf%e9").status_code == 422


@pytest.mark.parametrize(
    "body",
    [{"sentence": "He runs."}, {"sentences": SENTENCES, "lang": "en"}, {"sentences": []}, {"sentences": ["a"] * 65}],
)
def test_a_field_that_nobody_knows_or_a_batch_of_the_wrong_size_is_refused(client, body):
    assert client.post("/predict", json=body).status_code == 422


@pytest.mark.parametrize("chunked", [True, False])
def test_a_huge_body_is_not_read(client, chunked):
    body = b" " * 1_000_001
    assert client.post("/predict", content=iter([body]) if chunked else body).status_code == 413


def test_page_and_docs_work_below_a_prefix(client):
    """All addresses are relative. A gateway takes the prefix away: the service never sees it."""
    page, docs, api = client.get("/").text, client.get("/docs").text, client.get("/openapi.json").json()
    assert 'href="docs"' in page
    assert 'ask("predict"' in page
    assert docs.index('"url": "openapi.json"') > docs.index("url: '/openapi.json'")  # the later one counts
    assert urljoin("https://example.org/prod/openapi.json", api["servers"][0]["url"]) == "https://example.org/prod/"
    assert set(api["paths"]) == {"/health", "/predict"}


def test_without_a_model_it_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL", str(tmp_path / "model.onnx"))
    with pytest.raises(SystemExit, match="model.onnx not found"):
        asyncio.run(service.lifespan(service.app).__aenter__())
