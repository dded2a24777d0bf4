"""Walk through a week's README: run its commands, and hold what they print against the output it shows.

    python tools/walk.py 0 9                    run the commands of section "Run it" of two weeks (`make demo`)
    python tools/walk.py 2 --section all        run every command block of the README
    python tools/walk.py 2 --section all --update     and write the numbers of this run into the README

They run in a copy of the week, `demo/week_2_...`, which is made anew each time: what they leave behind is there.
A command block is fenced as ```bash; a ```text block right after it, or after the </details> that it stands in, shows
its output, line for line; a line `...` stands for any number of lines. Numbers may differ, but scores (0.xyz) by 0.15
at most. A command that is meant to fail says so in its fence: ```bash exit=2.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCORE_TOLERANCE = 0.15
RESULTS = ("reports/roc.png", "reports/dashboard/index.html", "models")  # what a reader may want to see first
MARK = re.compile(r"@@walk (block|command) (\d+)\n")  # in a script's output: what starts there
NAME_FOR_GIT = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", "Reader"), ("EMAIL", "reader@example.org"))}  # fmt: skip
BLOCK = re.compile(
    r"^(?P<indent> *)```bash(?: exit=(?P<code>\d+))?\n(?P<commands>.*?)^ *```\n"
    r"(?:\n*(?:^ *</details>\n\n)?^ *```text\n(?P<output>.*?)^ *```\n)?",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"(?:(?<![\w.])-)?\d[\d,.]*")


@dataclass
class Block:
    """One command block: `output` is what the README shows for it, "" where it shows nothing."""

    section: str
    commands: str
    exit_code: int
    output: str
    indent: str = ""  # of a block in a list


def find_week(number: str) -> Path:
    """The folder of a week."""
    folders = sorted(ROOT.glob(f"week_{number}_*"))
    if len(folders) != 1:
        sys.exit(f"error: there is no week {number} here")
    return folders[0]


def copy_week(week: Path, target: Path) -> None:
    """Copy the files of a week that git tracks or would track, as a reader gets them, to a folder not there yet."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listed, cwd=week, check=True, capture_output=True, text=True).stdout.split("\0")
    except (FileNotFoundError, subprocess.CalledProcessError):
        sys.exit(f"error: git does not know {week}: install git, and get the course by git clone, not as a ZIP file")
    for name in names:
        if (week / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(week / name, target / name)


def parse(readme: str) -> list[Block]:
    """The command blocks of a README, in their order."""
    blocks = []
    for match in BLOCK.finditer(readme):
        sections = re.findall(r"^## (.*)$", readme[: match.start()], re.M)
        blocks.append(
            Block(
                section=sections[-1] if sections else "",
                commands=textwrap.dedent(match["commands"]),
                exit_code=int(match["code"] or 0),
                output=match["output"] or "",
                indent=match["indent"],
            )
        )
    return blocks


def commands_of(block: Block) -> list[str]:
    """Its commands one by one, each of as many lines as bash needs to see its end."""
    commands, command = [], ""
    for line in block.commands.splitlines(keepends=True):
        command += line
        unfinished = line.endswith("\\\n")
        if not unfinished:
            seen = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True)
            unfinished = seen.returncode or seen.stderr  # it only warns of a here-document without an end
        if not unfinished:
            commands.append(command)
            command = ""
    return commands + [command] * bool(command)


def run(blocks: list[Block], folder: Path, echo: bool = False, environment: dict[str, str] | None = None) -> list[str]:
    """Run blocks one after another in one shell, and return what each printed (stdout and stderr together)."""
    script = ["set -e"]
    commands: list[str] = []
    for i, block in enumerate(blocks):
        body = ""
        for command in commands_of(block):
            body += f"echo '@@walk command {len(commands)}'\n{command}"
            commands.append(command)
        if block.exit_code:
            body = f"code=0\n(\n{body}\n) || code=$?\n[ $code = {block.exit_code} ]"
        script += [f"echo '@@walk block {i}'", body]
    script.append(f"echo '@@walk block {len(blocks)}'")
    outputs: list[str] = []
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write("\n".join(script))
        file.flush()
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        shell = subprocess.Popen(["bash", file.name], cwd=folder, env=environment, errors="replace", **streams)
        for line in shell.stdout:
            mark = MARK.search(line)
            text = line[: mark.start()] if mark else line  # what was printed last may lack its line end
            if text:
                outputs[-1] += text
            if mark and mark[1] == "block":
                outputs.append("")
            elif mark:
                text += f"\n$ {commands[int(mark[2])]}"
            if echo:
                print(text, end="", flush=True)
        shell.wait()
    if len(outputs) != len(blocks) + 1:
        failed = blocks[len(outputs) - 1]
        raise RuntimeError(
            f"{folder.name}/README.md, section {failed.section!r}: this does not end with exit code "
            f"{failed.exit_code}:\n{failed.commands}\nIt printed:\n{outputs[-1]}"
        )
    return outputs[:-1]


def same_shape(expected: str, actual: str, tolerance: float = SCORE_TOLERANCE) -> bool:
    """Whether two lines differ in nothing but numbers and spaces, and in scores by no more than the tolerance."""
    if " ".join(NUMBER.sub("#", expected).split()) != " ".join(NUMBER.sub("#", actual).split()):
        return False
    pairs = zip(NUMBER.findall(expected), NUMBER.findall(actual), strict=True)
    scores = [
        (float(a), float(b)) for a, b in pairs if re.fullmatch(r"-?[01]\.\d{3,}", a) and re.fullmatch(r"-?\d+\.\d+", b)
    ]
    return all(abs(a - b) <= tolerance for a, b in scores)


def refresh(block: Block, actual: str, tolerance: float = SCORE_TOLERANCE) -> str:
    """The output that a block shows, with the lines of the actual output in place of those they match."""
    if not block.output:
        return ""
    remaining = [line for line in actual.splitlines() if line.strip()]
    lines, gap = [], False
    for line in block.output.splitlines():
        if line.strip() == "...":
            gap = True
        elif line.strip():
            places = range(len(remaining) if gap else min(len(remaining), 1))
            at = next((i for i in places if same_shape(line, remaining[i], tolerance)), None)
            if at is None:
                raise LookupError(f"{line.strip()!r}; there stands {remaining[:1]}")
            line, remaining, gap = block.indent + remaining[at].rstrip(), remaining[at + 1 :], False
        lines.append(line)
    if remaining and not gap:
        raise LookupError(f"the end; there stands {remaining[:1]}")
    return "".join(f"{line}\n" for line in lines)


def walk(week: Path, section: str, update: bool) -> None:
    """Run a section of a README, and hold what it prints against what it shows."""
    folder = ROOT / "demo" / week.name
    shutil.rmtree(folder, ignore_errors=True)
    copy_week(week, folder)
    readme = (week / "README.md").read_text(encoding="utf-8")
    blocks = [block for block in parse(readme) if section in ("all", block.section)]
    environment = NAME_FOR_GIT | os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    print(f"\n== the commands of {week.name}/README.md, section {section!r}, in demo/{week.name}")
    started = time.perf_counter()
    try:
        outputs = run(blocks, folder, echo=True, environment=environment)
        for block, output in zip(blocks, outputs, strict=True):
            refreshed = refresh(block, output, float("inf") if update else SCORE_TOLERANCE)
            if update and block.output:
                readme = readme.replace(block.output, refreshed)
    except LookupError as missing:
        sys.exit(f"error: {week.name}/README.md shows a line that was not printed: {missing}")
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    if update:
        (week / "README.md").write_text(readme, encoding="utf-8")
    print(f"\n{week.name} is done, in {time.perf_counter() - started:.0f} s. Open next:")
    for name in (f"{week.name}/README.md", *(f"demo/{week.name}/{result}" for result in RESULTS)):
        if (ROOT / name).exists():
            print(f"  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weeks", metavar="week", nargs="+")
    parser.add_argument("--section", default="Run it", help='"all", or a heading (default: "%(default)s")')
    parser.add_argument("--update", action="store_true", help="write this run's numbers into the README")
    arguments = parser.parse_args()
    for week in [find_week(number) for number in arguments.weeks]:
        walk(week, arguments.section, arguments.update)


if __name__ == "__main__":
    main()
