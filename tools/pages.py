"""The pages of the site: a hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks).

    make site                          builds site/, to be opened with: python -m http.server --directory site

Nothing is written twice. Each README is a page as it is, but for its links: those to other READMEs lead to their pages,
those to other files of the repository to pages that show them. Each lesson.diff is a page that shows the two weeks side
by side, in colours; on a telephone, the old lines above the new ones.
"""

import os
import posixpath
import re
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from weeks import Week, ladder_now

ROOT = Path(__file__).resolve().parent.parent
PICTURES = (".png", ".jpeg", ".jpg", ".gif", ".svg")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
BADGE = re.compile(r"\[?!\[[^\]]*\]\((https?:|\.\./\.\./)[^)]*\)(\]\([^)]*\))?[ \n]?")  # a picture on another host
SHOWN_LINES, SHOWN_COLUMNS = 2000, 500  # of a file; more is data, which nobody reads in two columns


class Change(NamedTuple):
    """What a lesson does to one file."""

    path: str
    verb: str  # new, deleted, changed
    added: int  # lines
    removed: int
    hunks: list[tuple[int, int, list[str]]] | None  # first line before, first line after, lines; None: not a text

    @property
    def anchor(self) -> str:
        return re.sub(r"\W+", "-", self.path).strip("-")


def changes(lesson: str) -> list[Change]:
    """The files of a lesson.diff, as `tools/weeks.py record` writes it."""
    found = []
    for part in re.split(r"(?m)^diff --git ", lesson)[1:]:
        path = re.match(r'"?a/(.+?)"? "?b/', part)[1]
        verb = next((verb for verb in ("new", "deleted") if f"\n{verb} file mode" in part), "changed")
        hunks = []
        for old, new, lines in re.findall(r"(?ms)^@@ -(\d+)[\d,]* \+(\d+)[\d,]* @@[^\n]*\n(.*?)(?=^@@ |\Z)", part):
            hunks.append((int(old), int(new), [line for line in lines.split("\n")[:-1] if line[:1] != "\\"]))
        marks = [line[:1] for _, _, lines in hunks for line in lines]
        text = None if "\nGIT binary patch\n" in part else hunks
        found.append(Change(path, verb, marks.count("+"), marks.count("-"), text))
    return found


def coloured(path: str, text: str) -> list[str]:
    """A file's lines as HTML, by Pygments, whose classes the theme colours."""
    try:
        lexer = get_lexer_for_filename(path, stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    return highlight(text, lexer, HtmlFormatter(nowrap=True)).split("\n")


def side_by_side(change: Change, before: str, after: str) -> str:
    """A change as HTML: runs of lines that are equal, and runs that differ, the old ones left of the new ones."""
    texts = {"-": before.split("\n"), "+": after.split("\n")}
    lines = {"-": coloured(change.path, before), "+": coloured(change.path, after)}

    def column(side: str, numbers: list[int], sign: str) -> str:
        cells = []
        for number in numbers:
            text, line = texts[side][number - 1], lines[side][number - 1]
            indent = len(text) - len(text.lstrip(" "))  # the rest of a line that is broken begins there
            style = f' style="--in:{indent}"' if indent else ""
            cells.append(f'<span data-line="{number}"{style}>{line or " "}</span>')
        return f'<pre class="{sign}">{"".join(cells)}</pre>'

    rows = []
    for old, new, marked in change.hunks:
        rows.append('<div class="gap"></div>' if rows else "")
        for same, run in runs([line[:1] for line in marked]):
            olds = list(range(old, old + sum(mark != "+" for mark in run)))
            news = list(range(new, new + sum(mark != "-" for mark in run)))
            old, new = old + len(olds), new + len(news)
            columns = (column("-", olds, "same" if same else "old"), column("+", news, "same" if same else "new"))
            rows.append(f'<div class="{"equal" if same else "differ"}">{"".join(columns)}</div>')
    return f'<div class="difference highlight {change.verb}">{"".join(rows)}</div>'


def runs(marks: list[str]) -> list[tuple[bool, list[str]]]:
    """The marks of a hunk (space, +, -) in runs: (are the lines equal?, its marks)."""
    parts = re.findall(r" +|[+-]+", "".join(marks))
    return [(part[0] == " ", list(part)) for part in parts]


def lesson_page(before: Week, week: Week) -> tuple[str, list[str]]:
    """The Markdown of a week's difference to the week before, with places for the HTML, and the HTML."""
    taught = changes(week.text("lesson.diff").decode())
    markdown = [
        f"---\ntitle: 'Week {week.number}: the difference to week {before.number}'\nhide: [navigation]\n---\n",
        f"# Week {week.number}: the difference to week {before.number}\n",
        f"{len(taught)} files, +{sum(c.added for c in taught):,} -{sum(c.removed for c in taught):,} lines. ",
        "[Back to the lesson](index.md), which says why.\n",
    ]
    html = []
    for change in taught:
        old, new = (tree.get(change.path, ("", b""))[1] for tree in (before.files, week.files))
        heading = f"## `{change.path}` {{ #{change.anchor} }}"
        markdown.append(f"\n{heading}\n\n{change.verb}, +{change.added:,} -{change.removed:,}\n")
        if change.hunks is None:
            shown = f"![{change.path}]({change.path})" if change.path.endswith(PICTURES) and new else "not a text"
            markdown.append(f"\n{shown}\n")
        elif len(new.splitlines()) > SHOWN_LINES or max(map(len, new.splitlines()), default=0) > SHOWN_COLUMNS:
            markdown.append(f"\ndata, too long to read here: `{week.name}/{change.path}`\n")
        else:
            markdown.append(f'\n<div data-change="{len(html)}"></div>\n')
            html.append(side_by_side(change, old.decode(), new.decode()))
    return "".join(markdown), html


def as_page(markdown: str) -> str:
    """A README in the dialect of MkDocs: lists indented by four, fences without our own words, no badges."""
    markdown = re.sub(r"(?m)^( *```\w+) [^\n`]*$", r"\1", BADGE.sub("", markdown))
    lines, fenced = [], False
    for line in markdown.split("\n"):
        fenced ^= line.startswith("```")
        lines.append(f" {line}" if line.startswith("   ") and not fenced else line)
    return "\n".join(lines)


def linked_table(markdown: str, taught: list[Change]) -> str:
    """A README whose table under "What changed" leads to the differences."""

    def link(match: re.Match) -> str:
        name = match[1]
        change = next((c for c in taught if c.path == name or (name[-1] == "/" and c.path.startswith(name))), None)
        return f"[`{name}`](difference.md#{change.anchor})" if change else match[0]

    def row(match: re.Match) -> str:
        return re.sub(r"`([^`]+)`", link, match[0])

    def section(match: re.Match) -> str:
        more = "\n\n[The difference to the week before, side by side](difference.md)\n"
        return re.sub(r"(?m)^\|[^|\n]*\|", row, match[0].rstrip()) + more + "\n"

    return re.sub(r"(?ms)^## What changed *$.*?(?=^## |\Z)", section, markdown) if taught else markdown


class Site:
    """Everything that the site consists of: Markdown by its path, HTML of lessons, and files that are copied."""

    def __init__(self):
        weeks = ladder_now(ROOT)
        self.places = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}  # file -> page
        self.places |= {f"{week.name}/README.md": f"{week.name}/index.md" for week in weeks.values()}
        self.menu = [{"The course": "index.md"}]
        self.pages: dict[str, str] = {}
        self.differences: dict[str, list[str]] = {}
        self.copied: set[str] = set()
        for before, week in pairwise([None, *weeks.values()]):
            readme = week.text("README.md").decode()
            entries, taught = [f"{week.name}/index.md"], []
            if before:
                page = f"{week.name}/difference.md"
                taught = changes(week.text("lesson.diff").decode())
                self.pages[page], self.differences[page] = lesson_page(before, week)
                pictures = {c.path for c in taught if c.path.endswith(PICTURES) and c.path in week.files}
                self.copied |= {f"{week.name}/{path}" for path in pictures}
                entries.append({f"Difference to week {before.number}": page})
            self.add(f"{week.name}/README.md", linked_table(readme, taught))
            self.menu.append({readme.split("\n", 1)[0].removeprefix("# "): entries})
        for name in ("README.md", "CONTRIBUTING.md"):
            self.add(name, (ROOT / name).read_text(encoding="utf-8"))
        self.menu.append({"Contributing": "contributing.md"})

    def add(self, source: str, markdown: str) -> None:
        """Make a page of a README, and of what it links to."""
        page = self.places[source]
        self.pages[page] = LINK.sub(lambda link: self.lead(page, source, link[1]) + (link[2] or ""), as_page(markdown))

    def lead(self, page: str, source: str, target: str) -> str:
        """A link of a README as one of its page; a dead one stays, for MkDocs to complain of."""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if (ROOT / path).is_dir():
            path = f"{path}/README.md"
        place = self.places.get(path)
        if not place and (ROOT / path).is_file():
            place = self.show(path)
        return posixpath.relpath(place, posixpath.dirname(page) or ".") if place else target

    def show(self, path: str) -> str:
        """Where a file of the repository is shown: a picture as it is, all others on a page of their own."""
        if path.endswith(PICTURES):
            self.copied.add(path)
            return path
        place = self.places[path] = re.sub(r"(^|/)\.", r"\1", path).removesuffix(".md") + ".md"  # MkDocs skips .hidden
        text = (ROOT / path).read_text(encoding="utf-8")
        if path.endswith(".md"):
            self.add(path, text)
        else:
            self.pages[place] = f"# {path}\n\n````{path.rpartition('.')[2]}\n{text}\n````\n"
        return place


SITE = Site()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The menu, and where the repository is published: a link to it."""
    config.nav = SITE.menu
    if name := os.environ.get("GITHUB_REPOSITORY"):
        address = f"{os.environ['GITHUB_SERVER_URL']}/{name}"
        config.extra["social"] = [{"icon": "fontawesome/brands/github", "link": address, "name": escape(name)}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """All pages and pictures; none of them is a file of docs_dir."""
    for path, markdown in SITE.pages.items():
        files.append(File.generated(config, path, content=markdown))
    for path in sorted(SITE.copied):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_post_page(output: str, page: Page, **_) -> str:
    """The differences, in their places; so late that they are not in the index of the search, which is for prose."""
    differences = SITE.differences.get(page.file.src_uri, [])
    return re.sub(r'<div data-change="(\d+)"></div>', lambda match: differences[int(match[1])], output)
