"""The ladder: week N is week N-1 plus its lesson, and this tool keeps it so.

    python tools/weeks.py check             is every difference taught, named and inside its week?
    python tools/weeks.py diff 4            what week 4 changes in files that were there before
    python tools/weeks.py record 4          accept a changed lesson: write it to week 4's lesson.diff
    python tools/weeks.py forward           carry what changed since HEAD up through the later weeks
    python tools/weeks.py test 3 4 -- -q    run the tests of weeks 3 and 4 from copies outside the repository
    python tools/weeks.py test --new        of all weeks, those that are new or changed there; in the last week all

lesson.diff records what a week changes in files of the week before, and the table under "What changed" in its README
names them, and those that are new or removed. README.md, GO_REAL.md and lesson.diff are each week's own. To mend
something: edit the first week that is wrong, then forward, check and, where a lesson was meant to change, record.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RUN = "python tools/weeks.py"
OWN = ("README.md", "GO_REAL.md", "lesson.diff")
CURES = f"  a fix? edit the first week that has the mistake, then: {RUN} forward\n  a lesson? then: {RUN} record"
MARKER = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
LEADS_OUT = re.compile(rb" *(?:from|import) +(\.\.|(?:week_\d+_\w+|tools|benchmarks)\b)")
# Git as a tool on temporary folders, deaf to the user's settings.
ALONE = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": "/"}
File = tuple[int, bytes]  # git's mode (0o100644; 0o100755: executable; 0o120000: symbolic link) and the content


class Week(NamedTuple):
    number: int
    name: str
    files: dict[str, File]  # by path; what lessons are about
    own: dict[str, File]

    def text(self, path: str) -> bytes:
        return self.own.get(path, (0, b""))[1]

    def table(self) -> list[str]:
        """The names in the table under "What changed", in their order."""
        section = re.search(r"(?ms)^## What changed *$(.*?)(?=^## |\Z)", self.text("README.md").decode())
        cells = re.findall(r"(?m)^\|([^|\n]*)\|", section[1] if section else "")  # the first of each row
        return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def git(*args: str, folder: Path | str = ROOT, stdin: bytes = b"", check: bool = True) -> subprocess.CompletedProcess:
    own = {} if folder == ROOT else {"env": ALONE, "stderr": subprocess.DEVNULL}
    return subprocess.run(["git", *args], cwd=folder, input=stdin, stdout=subprocess.PIPE, check=check, **own)


def read(path: Path) -> File:
    if path.is_symlink():
        return 0o120000, os.fsencode(os.readlink(path))
    return 0o100755 if path.stat().st_mode & 0o100 else 0o100644, path.read_bytes()


def write(folder: Path | str, files: dict[str, File]) -> None:
    for path, (mode, content) in files.items():
        target = Path(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode & 0o777 or 0o644)


def ladder(files: dict[str, File]) -> list[Week]:
    """The weeks among the files of a repository."""
    weeks: dict[str, Week] = {}
    for path, file in files.items():
        if match := re.fullmatch(r"(week_(\d+)_[^/]+)/(.+)", path):
            week = weeks.setdefault(match[1], Week(int(match[2]), match[1], {}, {}))
            (week.own if match[3] in OWN else week.files)[match[3]] = file
    return sorted(weeks.values())


def weeks_now() -> list[Week]:
    """The weeks in the working tree: what git tracks, and what `git add .` would, but for the runs' reports."""
    what = ("--cached", "--others", "--exclude-standard", "--exclude=reports/", "week_*")
    paths = git("ls-files", "-z", *what).stdout.decode().split("\0")[:-1]
    return ladder({path: read(ROOT / path) for path in sorted(paths) if os.path.lexists(ROOT / path)})


def weeks_at(revision: str) -> list[Week]:
    with tarfile.open(fileobj=io.BytesIO(git("archive", revision).stdout)) as tar:
        return ladder({f.name: (0o100644 | f.mode & 0o111, tar.extractfile(f).read()) for f in tar if f.isreg()})


def difference(before: Week, week: Week) -> bytes:
    """The patch of the files that both weeks have, in the order of the README's table."""
    both = [path for path in before.files.keys() & week.files if before.files[path] != week.files[path]]
    with TemporaryDirectory() as folder:
        write(f"{folder}/a", {path: before.files[path] for path in both})
        write(f"{folder}/b", {path: week.files[path] for path in both})
        options = ("--no-index", "--no-prefix", "--binary", "--diff-algorithm=myers", "--indent-heuristic")
        patch = git("diff", *options, "a", "b", folder=folder, check=False).stdout
    patch = re.sub(rb"(?m)^index .*\n(?!GIT binary patch)", b"", patch)
    parts = {p.split(b"\n", 1)[0].decode().rpartition(" b/")[2]: p for p in re.split(rb"(?m)^(?=diff --git )", patch)}
    named = [path for name in week.table() for path in parts if covers(name, path)]
    return b"".join(parts[path] for path in dict.fromkeys([*named, *parts]))


def covers(name: str, path: str) -> bool:
    """Whether a name of the table stands for a file: it is the file, or a folder above it."""
    return path == name or (name.endswith("/") and path.startswith(name))


def untaught(before: Week, week: Week) -> Iterator[str]:
    """Rule 1: the files that both weeks have are those of the week before with lesson.diff applied."""
    with TemporaryDirectory() as folder:
        write(folder, before.files)
        git("apply", "--reject", "--whitespace=nowarn", "-", folder=folder, stdin=week.text("lesson.diff"), check=False)
        for path in sorted(before.files.keys() & week.files):
            if read(Path(folder, path)) != week.files[path]:
                yield f"{week.name}/{path}: lesson.diff does not make it of {before.name}'s.\n{CURES} {week.number}"


def unnamed(before: Week, week: Week) -> Iterator[str]:
    """Rule 2: the table names exactly the files that are new, changed or removed."""
    table, names = f'{week.name}/README.md: the table under "What changed"', week.table()
    touched = [p for p in sorted(before.files | week.files) if before.files.get(p) != week.files.get(p)]
    for path in (p for p in touched if not any(covers(name, p) for name in names)):
        yield f"{table} lacks `{path}`.\n  add a row that says what became of it"
    for name in (n for n in names if not any(covers(n, path) for path in touched)):
        yield f"{table} names `{name}`, which is as it was in {before.name}.\n  take it out of the table"


def astray(week: Week) -> Iterator[str]:
    """Rule 3: plain files, without conflict markers, paths or imports that lead out of the week."""
    for path, (mode, content) in (week.files | week.own).items():
        where, depth = f"{week.name}/{path}", path.count("/")
        if mode == 0o120000:
            yield f"{where}: a symbolic link.\n  a week is plain files: put a copy in its place"
        for number, line in enumerate(content.split(b"\n") if b"\0" not in content else (), start=1):
            if MARKER.match(line):
                yield f"{where}:{number}: conflict marker.\n  resolve it, then: {RUN} forward --from {week.number}"
            climbs = any(len(up) > 3 * depth for up in re.findall(rb"(?<!\.)(?:\.\./)+", line))
            if (path not in OWN and climbs) or (path.endswith(".py") and LEADS_OUT.match(line)):
                yield f"{where}:{number}: leads out of the week.\n  keep what it needs inside"


def check(weeks: list[Week]) -> int:
    failures = [text for pair in pairwise(weeks) for text in (*untaught(*pair), *unnamed(*pair))]
    failures += [text for week in weeks for text in astray(week)]
    print("\n".join(failures) or f"{len(weeks)} weeks: the ladder holds")
    return int(bool(failures))


def merge(base: File, ours: File, theirs: File) -> tuple[File, bool]:
    """Three-way merge of a file that both sides changed, and whether a conflict is left; a binary file is ours."""
    with TemporaryDirectory() as folder:
        write(folder, {"this week": ours, "before": base, "the change": theirs})
        done = git("merge-file", "-p", "this week", "before", "the change", folder=folder, check=False)
    content = done.stdout if done.returncode < 128 else ours[1]
    return (theirs[0] if ours[0] == base[0] else ours[0], content), done.returncode != 0


def carry(base: Week, here: Week, there: Week) -> bool:
    """Take what changed between base and here, the same week, into the week there; True if a conflict is left."""
    stuck = False
    for path in sorted(base.files | here.files):
        old, new, ours = (week.files.get(path) for week in (base, here, there))
        if new in (old, ours) or (old and ours is None):  # nothing to carry, or nowhere
            continue
        conflict = False
        if ours != old:
            new, conflict = merge(old or (0, b""), ours, new) if new else (ours, True)  # deleted below, changed here
        print(f"{there.name}/{path}: {'CONFLICT' if conflict else 'carried'}")
        stuck |= conflict
        there.files.pop(path, None)
        (ROOT / there.name / path).unlink(missing_ok=True)
        if new:
            there.files[path] = new
            write(ROOT / there.name, {path: new})
    return stuck


def forward(weeks: list[Week], start: int, since: str) -> int:
    """Carry what changed in each week since a revision into the next, up to the first conflict."""
    then = {week.number: week for week in weeks_now()} | {week.number: week for week in weeks_at(since)}
    for before, week in pairwise(weeks):
        stop = [w for w in (before, week) if any(MARKER.search(text) for _, text in w.files.values())]
        if not stop and before.number >= start and carry(then[before.number], before, week):
            stop = [week]
        if stop:
            print(f"stopped at {stop[0].name}: resolve it, then: {RUN} forward --from {stop[0].number} --since {since}")
            return 1
        patch, lesson = difference(before, week), week.text("lesson.diff")
        if re.findall(rb"(?m)^[-+].*", patch) == re.findall(rb"(?m)^[-+].*", lesson):  # only what stands around changed
            write(ROOT / week.name, {"lesson.diff": (0o100644, patch)})
    print(f"forward is done; next: {RUN} check, and {RUN} record N where a lesson has changed")
    return 0


def test(weeks: list[Week], chosen: Sequence[int], new: bool, options: list[str]) -> int:
    """Rule 4: the tests of each week pass from a copy outside the repository."""
    failed = 0
    for number in chosen:
        week, before = weeks[number], weeks[number - 1].files if new and 0 < number < len(weeks) - 1 else {}
        paths = sorted(p for p in week.files if Path(p).match("tests/test_*.py") and before.get(p) != week.files[p])
        print(f"== {week.name} {' '.join(paths)}", flush=True)
        with TemporaryDirectory() as folder:
            write(folder, week.files | week.own)
            failed += bool(subprocess.run([sys.executable, "-m", "pytest", *paths, *options], cwd=folder).returncode)
    return int(failed > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "diff", "record", "forward", "test"])
    parser.add_argument("weeks", metavar="N", type=int, nargs="*")
    parser.add_argument("--from", dest="start", metavar="N", type=int, default=0)
    parser.add_argument("--since", metavar="REV", default="HEAD")
    parser.add_argument("--new", action="store_true")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args, weeks = parser.parse_args(sys.argv[1:cut]), weeks_now()
    if args.command == "check":
        return check(weeks)
    if args.command == "forward":
        return forward(weeks, args.start, args.since)
    if args.command == "test":
        return test(weeks, args.weeks or range(len(weeks)), args.new, sys.argv[cut + 1 :])
    for number in filter(None, args.weeks):  # before week 0 there is none
        patch = difference(weeks[number - 1], weeks[number])
        if args.command == "diff":
            sys.stdout.buffer.write(patch)
        else:
            write(ROOT / weeks[number].name, {"lesson.diff": (0o100644, patch)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
