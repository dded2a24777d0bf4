"""A terminal that nobody sits at: a program runs in it, and its screen becomes a page that Chromium can draw.

    with Terminal(["wandb", "leet"], folder, columns=120, rows=36) as terminal:
        terminal.press("h")
        page, width, height = terminal.page()

pexpect gives the program a terminal; pyte keeps what its control sequences make of the screen, characters and colours.
"""

import os
import re
from html import escape
from itertools import groupby
from pathlib import Path

import pexpect
import pyte

WIDTH, HEIGHT, MARGIN = 9, 18, 14  # of a character, and around the screen, in pixels
STYLE = f"""body {{ margin: {MARGIN}px; background: #16181d }}
pre {{ margin: 0; color: #d8d8d8; font: 14.95px/{HEIGHT}px "DejaVu Sans Mono", "Noto Color Emoji", "DejaVu Sans" }}
span {{ display: inline-block; vertical-align: top }} .braille {{ transform: scaleX(0.82); transform-origin: left }}"""
COLOURS = {
    **{"black": "#3a3f4b", "red": "#f0716b", "green": "#7cc77f", "brown": "#e0b050", "blue": "#6ea8f0"},
    **{"magenta": "#cf8be0", "cyan": "#5cc4cc", "white": "#d8d8d8", "brightblack": "#7d8590"},
}  # of those that a program names; others it mixes itself
KEYBOARD = re.compile(r"\x1b\[>[\d;]*m")  # asks for more of its keys; pyte would take it for a colour


class Stream(pyte.Stream):
    csi = pyte.Stream.csi | {"`": "cursor_to_column"}  # as terminals have it; pyte has another character there


class Terminal:
    """A program in a terminal of so many columns and rows; after its end, what it has left there."""

    def __init__(self, command: list[str], folder: Path, columns: int, rows: int, **environment: str):
        self.screen = pyte.Screen(columns, rows)
        self.stream = Stream(self.screen)
        self.process = pexpect.spawn(
            command[0],
            command[1:],
            cwd=str(folder),
            env=os.environ | {"TERM": "linux", "COLORTERM": "truecolor"} | environment,
            dimensions=(rows, columns),
            encoding="utf-8",
        )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_) -> None:
        if self.process.isalive():
            self.process.sendintr()  # sam then removes its containers
            self.read(quiet=15)
        self.process.close(force=True)

    def write(self, text: str) -> None:
        """Put on the screen what the program has not said, such as its command line."""
        self.stream.feed(text)

    def read(self, quiet: float = 2) -> None:
        """Show what the program says, until it ends, or says nothing for so many seconds."""
        said = ""
        try:
            while True:
                said += self.process.read_nonblocking(100_000, timeout=quiet)
        except (pexpect.TIMEOUT, pexpect.EOF):
            self.stream.feed(KEYBOARD.sub("", said))

    def press(self, keys: str) -> None:
        for key in keys:
            self.process.send(key)
            self.read(1)

    def page(self) -> tuple[str, int, int]:
        """The screen as a page, and width and height of the window that it fills."""
        lines = [self.screen.buffer[row] for row in range(self.screen.lines)]
        rows = [[line[column] for column in range(self.screen.columns)] for line in lines]
        text = "\n".join(
            "".join(span(*key, list(cells)) for key, cells in groupby(row, looks)) for row in rows
        ).rstrip()
        width, height = self.screen.columns * WIDTH, (text.count("\n") + 1) * HEIGHT
        page = f'<meta charset="utf-8"><style>{STYLE}</style><pre>{text}</pre>'
        return page, width + 2 * MARGIN, height + 2 * MARGIN


def looks(cell: pyte.screens.Char) -> tuple[pyte.screens.Char, str]:
    """How a character looks, and in which width its font has it: that of the others, or another one."""
    if "\u2800" <= cell.data <= "\u28ff":
        return cell._replace(data=""), "braille"
    emoji = cell.data > "\u2300" and not "\u2500" <= cell.data <= "\u25ff"  # boxes and blocks
    return cell._replace(data=""), "emoji" if emoji or not cell.data else ""  # a wide one has an empty cell after it


def span(look: pyte.screens.Char, kind: str, cells: list[pyte.screens.Char]) -> str:
    """Characters that look the same, as HTML."""
    text = escape("".join(cell.data for cell in cells))
    front, back = (COLOURS.get(name, f"#{name}") if name != "default" else "" for name in (look.fg, look.bg))
    if look.reverse:
        front, back = back or "#16181d", front or "#d8d8d8"
    style = f"color: {front};" * bool(front) + f"background: {back};" * bool(back) + "font-weight: bold;" * look.bold
    style += f"width: {len(cells) * WIDTH}px" * bool(kind)
    return f'<span class="{kind}" style="{style}">{text}</span>' if style else text
