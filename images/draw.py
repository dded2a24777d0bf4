"""Draw the pictures of the course: every NAME.dot in this folder becomes NAME.png, two of them NAME.jpeg.

    python images/draw.py              all of them; needs Graphviz and Lato: apt-get install graphviz fonts-lato
    python images/draw.py dvc onnx     some of them

Graphviz (https://graphviz.org) arranges and draws. A source says what is in the picture; how it looks is said here,
once, by two words that Graphviz does not know:

    kind=file                    colours and shape, from KINDS
    text="model.onnx|fp32|int8"  the label: the first part large, the others small below it

The digest of source and style is kept in the picture, so that a test can tell a stale picture without Graphviz.
"""

import hashlib
import io
import re
import subprocess
import sys
from html import escape
from pathlib import Path

from PIL import Image, PngImagePlugin

FOLDER = Path(__file__).resolve().parent
JPEGS = {"pl", "onnx"}  # names that readers know
FONT = "Lato"
KINDS = {  # shape, fill, line
    "program": ("box", "#e3edf9", "#3b6ea5"),
    "file": ("note", "#fdf1dc", "#d9822b"),
    "store": ("cylinder", "#e2f3e8", "#3d8f5f"),
    "service": ("box", "#eee8f8", "#7a5bb0"),
    "gate": ("hexagon", "#fde6e6", "#c4484b"),
    "person": ("oval", "#ececec", "#6b6b6b"),
}
STYLE = {
    "graph": f"""fontname="{FONT}", fontsize=15, fontcolor="#555555", labeljust=l, bgcolor="#fbfaf7", pad=0.3, dpi=110,
        ranksep=0.5, nodesep=0.35, style="rounded", color="#cfcbc0", penwidth=1.2""",
    "node": f"""fontname="{FONT}", fontsize=15, fontcolor="#222222", penwidth=1.5, margin="0.16,0.09", height=0.5,
        color="#6b6b6b" """,
    "edge": f'fontname="{FONT}", fontsize=12, fontcolor="#555555", color="#6b6b6b", penwidth=1.4, arrowsize=0.8',
}


def styled(source: str) -> str:
    """A source with kinds and texts in Graphviz's own words."""

    def kind(match: re.Match) -> str:
        shape, fill, line = KINDS[match[1]]
        style = "filled,rounded" if shape == "box" else "filled"
        margin = ", margin=0" if shape == "hexagon" else ""
        return f'shape={shape}, style="{style}", fillcolor="{fill}", color="{line}"{margin}'

    def text(match: re.Match) -> str:
        title, *lines = (escape(part, quote=False) for part in match[1].split("|"))
        small = "".join(f'<br/><font point-size="12" color="#555555">{line}</font>' for line in lines)
        return f"label=<<b>{title}</b>{small}>"

    source = re.sub(r'\btext="([^"]*)"', text, re.sub(r"\bkind=(\w+)", kind, source))
    style = "".join(f"  {element} [{attributes}]\n" for element, attributes in STYLE.items())
    return source.replace("{", "{\n" + style, 1)


def digest(source: str) -> str:
    """What a picture that is drawn from this source carries."""
    return hashlib.sha256(styled(source).encode()).hexdigest()


def target(source: Path) -> Path:
    """Where the picture of a source belongs."""
    return source.with_suffix(".jpeg" if source.stem in JPEGS else ".png")


def draw(source: Path) -> Path:
    """Draw one picture and return its path."""
    text = source.read_text(encoding="utf-8")
    drawn = subprocess.run(["dot", "-Tpng"], input=styled(text).encode(), stdout=subprocess.PIPE, check=True).stdout
    image, path = Image.open(io.BytesIO(drawn)).convert("RGB"), target(source)
    if path.suffix == ".png":
        note = PngImagePlugin.PngInfo()
        note.add_text("source", digest(text))
        image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True, pnginfo=note)
    else:
        image.save(path, quality=85, optimize=True, comment=digest(text))
    return path


def main() -> int:
    """The command line."""
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.dot"))
    if unknown := [name for name in names if not (FOLDER / f"{name}.dot").is_file()]:
        print(f"no source {', '.join(f'images/{name}.dot' for name in unknown)}", file=sys.stderr)
        return 2
    try:
        fonts = subprocess.run(["fc-list", FONT], capture_output=True, text=True, check=True).stdout
        if not fonts:
            raise FileNotFoundError
        for name in names:
            path = draw(FOLDER / f"{name}.dot")
            print(f"{path.relative_to(FOLDER.parent)}  {path.stat().st_size / 1000:.0f} kB")
    except FileNotFoundError:
        print("Graphviz or the font Lato is missing: apt-get install graphviz fonts-lato", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
