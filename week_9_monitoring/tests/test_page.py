"""The page of the web service, in a real Chromium."""

import pytest

from browser import CHROMIUM, Browser
from conftest import BAD, GOOD
from inference_onnx import ColaONNXPredictor
from serving import export, serving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def model(checkpoint, small, tmp_path_factory):
    return export(checkpoint, small, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def url(model):
    with serving(model) as process:
        yield process.url


@pytest.fixture
def page(url, tmp_path):
    with Browser(tmp_path / "profile") as page:
        page.open(url)
        yield page


def newest(page, count: int = 1) -> str:
    """The text of the newest judgement, when there are so many."""
    page.wait_for(f"document.querySelectorAll('li').length === {count}")
    return page.evaluate("document.querySelector('li').innerText")


def test_a_sentence_typed_and_sent_with_enter_is_judged(page, model):
    predictor = ColaONNXPredictor(model)
    for count, sentence in enumerate((BAD, "1 < 2 & <b>dogs</b>"), start=1):
        (judgement,) = predictor.predict([sentence])
        page.type(sentence)  # the field has the focus from the start, and is selected after each answer
        page.press("Enter")
        text = newest(page, count)
        assert sentence in text
        assert judgement["label"] in text.split()
        assert float(text.split()[-1]) == pytest.approx(judgement["score"], abs=0.001)
        width = page.evaluate("document.querySelector('.bar i').style.width")
        assert float(width.removesuffix("%")) == pytest.approx(100 * judgement["score"], abs=0.01)
    assert not page.problems


def test_the_keyboard_reaches_an_example(page):
    page.press("Tab")
    page.press("Tab")
    example = page.evaluate("document.activeElement.textContent")
    page.press("Enter")
    assert example in newest(page)


def test_a_link_holds_the_sentence(page, url):
    page.type(GOOD)
    page.press("Enter")
    newest(page)
    link = page.wait_for("location.search && location.href")
    page.open("about:blank")
    page.open(link)
    assert GOOD in newest(page)


def test_a_refusal_is_shown_and_goes_with_the_next_answer(page):
    page.type("   ")
    page.press("Enter")
    assert "blank" in page.wait_for("document.querySelector('#error').textContent")
    page.type(GOOD)
    page.press("Enter")
    newest(page)
    page.wait_for("document.querySelector('#error').textContent === ''")


def test_a_server_that_is_gone_is_said_so(page, model, tmp_path):
    with serving(model) as process:
        page.open(process.url)
    page.type(GOOD)
    page.press("Enter")
    assert "does not answer" in page.wait_for("document.querySelector('#error').textContent")


def test_the_page_says_what_the_model_was_trained_on(page):
    assert "bundled" in page.wait_for("document.querySelector('#note').textContent && document.body.innerText")


def test_nothing_is_asked_of_another_host(page, url):
    page.wait_for("document.querySelector('#note').textContent")
    assert {request.removeprefix(url) for request in page.requests} == {"/", "/health"}


def test_it_fits_a_telephone_and_has_a_dark_scheme(page):
    page.type("Anti" + "dis" * 100)
    page.press("Enter")
    newest(page)
    page.look(320, 640)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    backgrounds = []
    for scheme in ("light", "dark"):
        page.look(800, 600, scheme)
        backgrounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert backgrounds[0] != backgrounds[1]
