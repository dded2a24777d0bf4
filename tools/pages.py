"""The pages of the site: a hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks).

    make site                          builds site/, to be opened with: python -m http.server --directory site

Nothing is written twice. Each README is a page as it is, but for its links: those to other READMEs lead to their pages,
those to other files of the repository to pages that show them. What a week changes in files that were there before is
a page of its own, the two weeks side by side.
"""

import os
import posixpath
import re
from difflib import HtmlDiff
from html import escape
from itertools import pairwise
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from weeks import Week, covers, weeks_now

ROOT = Path(__file__).resolve().parent.parent
PICTURES = (".png", ".jpeg", ".jpg", ".gif", ".svg")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
BADGE = re.compile(r"\[?!\[[^\]]*\]\((https?:|\.\./\.\./)[^)]*\)(\]\([^)]*\))?[ \n]?")  # a picture on another host


def anchor(path: str) -> str:
    return re.sub(r"\W+", "-", path).strip("-")


def changed_files(week: Week) -> list[str]:
    """What a lesson changes in the week before, in the order of its lesson.diff."""
    return re.findall(r"(?m)^diff --git a/.+ b/(.+)$", week.text("lesson.diff").decode())


def side_by_side(before: bytes, after: bytes) -> str:
    """Two versions of a file as an HTML table: the lines that differ, and three around them."""
    texts = (content.decode().splitlines() for content in (before, after))
    return HtmlDiff(tabsize=4, wrapcolumn=90).make_table(*texts, context=True, numlines=3)


def as_page(markdown: str) -> str:
    """A README in the dialect of MkDocs: lists and what is folded indented by four, fences without our own words."""
    markdown = re.sub(r"(?m)^( *```\w+) [^\n`]*$", r"\1", BADGE.sub("", markdown))
    markdown = re.sub(r"(?m)^(?=\d\. )", "\n", markdown)  # else the item would go on with the one before
    markdown = re.sub(r"<details><summary>(.*)</summary>", r'??? example "\1"', markdown)
    lines, fenced, indent = [], False, ""
    for line in markdown.split("\n"):
        fenced ^= line.startswith("```")
        if "</details>" in line:
            line = indent = ""
        lines.append(indent + (f" {line}" if line.startswith("   ") and not fenced else line))
        if "??? " in line:
            indent = "    "
    return "\n".join(lines)


def linked_table(markdown: str, week: Week, changed: list[str]) -> str:
    """A README whose table under "What changed" leads to what changed, and to the files that are new."""

    def link(match: re.Match) -> str:
        name = match[1]
        if path := next((path for path in changed if covers(name, path)), None):
            return f"[`{name}`](difference.md#{anchor(path)})"
        return f"[`{name}`]({name})" if name in week.files and name.endswith((".py", ".yaml", ".yml")) else match[0]

    def section(match: re.Match) -> str:
        table = re.sub(r"(?m)^\|[^|\n]*\|", lambda row: re.sub(r"`([^`]+)`", link, row[0]), match[0].rstrip())
        return table + "\n\n[What changed in these files, side by side](difference.md)\n\n"

    return re.sub(r"(?ms)^## What changed *$.*?(?=^## |\Z)", section, markdown)


class Site:
    """Everything that the site consists of: Markdown by its path, HTML of lessons, and files that are copied."""

    def __init__(self):
        weeks = weeks_now()
        self.places = {name: name.replace("README.md", "index.md") for name in ("README.md", "CONTRIBUTING.md")}
        self.places |= {f"{week.name}/README.md": f"{week.name}/index.md" for week in weeks}
        self.menu: list[dict] = [{"The course": "index.md"}]
        self.pages: dict[str, str] = {}
        self.differences: dict[str, list[str]] = {}
        self.copied: set[str] = set()
        for before, week in pairwise([None, *weeks]):
            readme = week.text("README.md").decode()
            entries = [f"{week.name}/index.md"]
            if before:
                changed = changed_files(week)
                readme_page = linked_table(readme, week, changed)
                page = f"{week.name}/difference.md"
                title = f"# Week {week.number}: what changes in the files of week {before.number}\n\n"
                parts = [f'## `{p}` {{ #{anchor(p)} }}\n\n<div id="{n}"></div>\n' for n, p in enumerate(changed)]
                self.pages[page] = "---\nhide: [navigation]\n---\n" + title + "\n".join(parts)
                self.differences[page] = [side_by_side(before.files[p][1], week.files[p][1]) for p in changed]
                entries.append({f"Difference to week {before.number}": page})
            self.add(f"{week.name}/README.md", readme_page if before else readme)
            self.menu.append({readme.split("\n", 1)[0].removeprefix("# "): entries})
        for name in ("README.md", "CONTRIBUTING.md"):
            self.add(name, (ROOT / name).read_text(encoding="utf-8"))
        self.menu.append({"Contributing": "CONTRIBUTING.md"})

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
    tables = SITE.differences.get(page.file.src_uri, [])
    return re.sub(r'<div id="(\d+)"></div>', lambda match: tables[int(match[1])], output)
