"""The site: built without a warning, whole, without dead links, and looked at in a real Chromium."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from pages import BADGE, as_page, changes, runs
from weeks import ladder_now

ROOT = Path(__file__).resolve().parent.parent
WEEKS = sorted(ROOT.glob("week_*_*"), key=lambda path: int(path.name.split("_")[1]))
LESSONS = WEEKS[1:]
SPEC = importlib.util.spec_from_file_location("browser", WEEKS[5] / "tests" / "browser.py")
BROWSER = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BROWSER)
PHONE, DESKTOP = (390, 844), (1440, 900)


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", config, "--site-dir", folder]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Links(HTMLParser):
    """What a page leads to, and the places in it that others may lead to."""

    def __init__(self, page: Path):
        super().__init__()
        self.targets, self.anchors = [], set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        self.targets += [found[name] for name in ("href", "src") if found.get(name) is not None]


def test_no_link_within_the_site_is_dead(site):
    pages = {page: Links(page) for page in site.rglob("*.html") if page.name != "404.html"}
    checked = 0
    for page, links in pages.items():
        for target in links.targets:
            if re.match(r"\w+:|//", target):
                continue
            path, anchor = urldefrag(unquote(target))
            place = (page.parent / path).resolve() if path else page
            place = place / "index.html" if place.is_dir() else place
            assert place.is_file(), f"{page.relative_to(site)} leads to {target}"
            assert not anchor or anchor in pages[place].anchors, f"{page.relative_to(site)} leads to {target}"
            checked += 1
    assert checked > 100


def test_a_dead_link_in_a_readme_stops_the_building(tmp_path):
    for name in (*(path.name for path in WEEKS[:2]), "tools", "images"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("README.md", "CONTRIBUTING.md", "LICENSE", "mkdocs.yml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "README.md").write_text("# The course\n\n[a week](week_0_project_setup/REAMDE.md)\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    done = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode == 1
    assert "REAMDE.md" in done.stderr


@pytest.mark.parametrize("week", WEEKS, ids=lambda path: path.name)
def test_every_week_has_its_lesson(site, week):
    text = (site / week.name / "index.html").read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^## (.+)$", (week / "README.md").read_text(encoding="utf-8"))
    assert re.findall(r"<h2[^>]*>(.+?)<a", text) == headings
    assert "```" not in text  # a fence that was not understood
    assert "WARNING" not in text


@pytest.mark.parametrize("week", LESSONS, ids=lambda path: path.name)
def test_every_lesson_is_shown_side_by_side_as_git_counts_it(site, week):
    counted = subprocess.run(
        ["git", "apply", "--numstat", week / "lesson.diff"], capture_output=True, text=True, cwd="/", check=True
    ).stdout
    counts = {path: (plus, minus) for plus, minus, path in (line.split("\t") for line in counted.splitlines())}
    text = (site / week.name / "difference" / "index.html").read_text(encoding="utf-8")
    parts = re.split(r'<h2 id="[^"]+"><code>', text)[1:]
    assert [part.split("</code>")[0] for part in parts] == list(counts)
    for part in parts:
        plus, minus = counts[part.split("</code>")[0]]
        if plus == "-":  # git's sign for a binary file
            assert '<div class="difference' not in part
            continue
        assert f"+{int(plus):,} -{int(minus):,}" in part
        if "too long to read" in part:
            continue
        columns = {sign: re.findall(rf'(?s)<pre class="{sign}">(.*?)</pre>', part) for sign in ("new", "old")}
        shown = [sum(column.count("<span data-line=") for column in columns[sign]) for sign in ("new", "old")]
        assert shown == [int(plus), int(minus)]


def test_the_lines_that_are_shown_are_those_of_the_files(site):
    weeks = ladder_now(ROOT)
    before, week = weeks[1], weeks[2]
    text = (site / week.name / "difference" / "index.html").read_text(encoding="utf-8")
    part = text.split("<code>train.py</code>")[1].split("<h2")[0]
    for sign, tree in (("old", before), ("new", week)):
        lines = tree.files["train.py"][1].decode().splitlines()
        columns = "".join(re.findall(rf'(?s)<pre class="{sign}">(.*?)</pre>', part))
        for number, shown in re.findall(r'(?s)<span data-line="(\d+)"[^>]*>(.*?)</span>(?=<span data-line|$)', columns):
            plain = re.sub(r"<[^>]+>", "", shown).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            plain = plain.replace("&#39;", "'").replace("&quot;", '"')
            assert plain.rstrip() == lines[int(number) - 1].rstrip()


def test_the_search_knows_every_week_but_not_the_lines_of_code(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {entry["location"].split("#")[0] for entry in index["docs"]}
    assert {f"{week.name}/" for week in WEEKS} <= places
    assert not [entry for entry in index["docs"] if "import pytorch_lightning as pl" in entry["text"]]


def test_a_diff_is_read_as_git_wrote_it():
    lesson = (
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,4 @@ def f():\n one\n-two\n+2\n+@@ 3\n three\n"
        "@@ -9 +10 @@\n-x\n\\ No newline at end of file\n+y\n"
        "diff --git a/b.png b/b.png\nnew file mode 100644\nGIT binary patch\nliteral 1\nxxx\n"
    )
    text, binary = changes(lesson)
    assert (text.path, text.verb, text.added, text.removed) == ("a.py", "changed", 3, 2)
    assert text.hunks == [(1, 1, [" one", "-two", "+2", "+@@ 3", " three"]), (9, 10, ["-x", "+y"])]
    assert (binary.path, binary.verb, binary.hunks) == ("b.png", "new", None)
    assert runs(list(" -++ ")) == [(True, [" "]), (False, ["-", "+", "+"]), (True, [" "])]


def test_a_readme_is_brought_into_the_dialect_of_the_site():
    assert as_page("1. Look:\n\n   ```bash exit=1\n   false\n   ```\n") == (
        "1. Look:\n\n    ```bash\n    false\n    ```\n"
    )
    assert as_page("```python\nif x:\n    y\n```\n") == "```python\nif x:\n    y\n```\n"
    assert BADGE.sub("", "[![CI](https://example.org/a.svg)](https://example.org)\n![a](images/a.png)") == (
        "![a](images/a.png)"
    )


@pytest.fixture(scope="module")
def url(site) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if BROWSER.CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with BROWSER.Browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_page_fits_the_screen_and_asks_no_other_host(page, url, site, size):
    page.look(*size)
    pages = [file.relative_to(site).parent.as_posix() for file in sorted(site.rglob("index.html"))]
    assert len(pages) > 2 * len(LESSONS)
    for path in pages:
        page.open(f"{url}/{path}/")
        page.look(*size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)"), path
    assert {request for request in page.requests if not request.startswith((url, "data:", "about:", "blob:"))} == set()
    assert not page.problems


def columns(page) -> list[dict]:
    """Where the two columns of the first lines that differ are."""
    script = """JSON.stringify([...document.querySelector('.difference.changed .differ:has(.old span):has(.new span)')
        .children].map(column => column.getBoundingClientRect()))"""
    return json.loads(page.evaluate(script))


def test_the_old_lines_are_left_of_the_new_ones_or_above_them_on_a_telephone(page, url):
    page.look(*DESKTOP)
    page.open(f"{url}/{LESSONS[0].name}/difference/")
    old, new = columns(page)
    assert old["right"] <= new["left"] + 1
    assert old["top"] == new["top"]
    page.look(*PHONE)
    old, new = columns(page)
    assert old["bottom"] <= new["top"] + 1
    assert old["left"] == new["left"]


def test_the_code_is_coloured_and_has_a_dark_scheme(page, url):
    colours = {}
    for scheme in ("light", "dark"):
        page.look(*DESKTOP, scheme)
        page.open(f"{url}/{LESSONS[0].name}/difference/")
        style = "getComputedStyle(document.querySelector('.difference {}')).{}"
        colours[scheme] = [page.evaluate(style.format(*part)) for part in (("pre", "color"), (".kn", "color"))]
        colours[scheme].append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert colours[scheme][0] != colours[scheme][1]
    assert colours["light"][2] != colours["dark"][2]


def test_the_search_finds_a_lesson(page, url):
    page.look(*DESKTOP)
    page.open(f"{url}/")
    page.evaluate("document.querySelector('.md-search__input').focus()")
    page.type("interpolation")
    assert "week_2" in page.wait_for("document.querySelector('a.md-search-result__link')?.href")
