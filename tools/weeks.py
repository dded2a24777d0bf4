"""The ladder: week N is week N-1 plus its lesson, and this tool keeps it so.

    python tools/weeks.py diff 4            what week 4 teaches, with +/- counts
    python tools/weeks.py forward           carry what changed since HEAD up through the later weeks
    python tools/weeks.py check             is every difference taught, explained and inside its week?
    python tools/weeks.py record 4          accept a changed lesson: rewrite the lesson.diff of week 4
    python tools/weeks.py test 3 4 -- -q    run the tests of weeks 3 and 4 from copies outside the repository
    python tools/weeks.py test --new        of all weeks, without repeating what stands alike in the week before

Copies of one program drift apart unless a machine compares them. So each week records its difference from the week
before in lesson.diff, a patch of all but README.md and lesson.diff, which are each week's own. To mend something: edit
the first week that is wrong -> forward -> check -> record. (To mend the same lines again before a commit: `git add -A`
after the first forward, then edit, and `forward --since $(git write-tree)`.)
Exit codes: 0 all is well; 1 the ladder does not hold, or a conflict, or a failing test; 2 wrong usage.
"""
import argparse
import ast
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import NamedTuple

RUN = "python tools/weeks.py"
MARKER = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
PARSER = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
DIFF = ["-c", "core.quotePath=false", "diff", "--no-index", "--no-prefix", "--no-renames", "--binary", "--unified=3",
        "--inter-hunk-context=0", "--diff-algorithm=myers", "--indent-heuristic", "a", "b"]
# Git as a tool on temporary folders: deaf to the user's settings, and to a repository around them, inside which
# `git apply` would exit 0 and apply nothing.
TEMP = Path(gettempdir()).resolve()
TOOL = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
    "GIT_CEILING_DIRECTORIES": f"{TEMP}{os.pathsep}{TEMP.parent}", "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1", "XDG_CONFIG_HOME": os.devnull, "LC_ALL": "C"}
File = tuple[str, bytes]  # git's mode (100644, 100755: executable, 120000: symbolic link) and the content
Tree = dict[str, File]  # path -> file


class Week(NamedTuple):
    """A folder of the course."""
    number: int
    name: str
    files: Tree  # what lessons are about
    own: Tree  # README.md and lesson.diff

    def text(self, path: str) -> bytes:
        """The content of README.md or lesson.diff; nothing where it is missing."""
        return self.own.get(path, ("", b""))[1]


def git(folder: Path | str, *args: str, stdin: bytes = b"", env: dict[str, str] | None = None):
    """Run git; without env on the repository, where the user's own safe.directory and ignore rules must hold."""
    done = subprocess.run(["git", *args], cwd=folder, input=stdin, capture_output=True, env=env)
    if done.returncode and not env:
        PARSER.exit(2, f"weeks.py: {done.stderr.decode(errors='replace').splitlines()[0]}\n")
    return done


def read(path: Path) -> File:
    """The file at path."""
    if path.is_symlink():
        return "120000", os.fsencode(os.readlink(path))
    return "100755" if path.stat().st_mode & 0o100 else "100644", path.read_bytes()


def write(folder: Path | str, files: Tree) -> None:
    """Write files below a folder."""
    Path(folder).mkdir(exist_ok=True)
    for path, (mode, content) in files.items():
        target = Path(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(content)
        target.chmod(int(mode[-3:], 8) or 0o644)  # a link becomes a plain file; check speaks of it


def ladder(tree: Tree) -> dict[int, Week]:
    """The weeks in a tree, by their numbers and in their order."""
    weeks: dict[int, Week] = {}
    for path, file in tree.items():
        if match := re.fullmatch(r"(week_(\d+)_[^/]+)/(.+)", path):
            week = weeks.setdefault(int(match[2]), Week(int(match[2]), match[1], {}, {}))
            if week.name != match[1]:
                PARSER.exit(2, f"weeks.py: two folders claim to be week {match[2]}: {week.name} and {match[1]}\n")
            (week.own if match[3] in ("README.md", "lesson.diff") else week.files)[match[3]] = file
    return dict(sorted(weeks.items()))


def ladder_now(root: Path) -> dict[int, Week]:
    """The weeks in the working tree: what git tracks, and what `git add .` would, but for the runs' reports."""
    what = ("--cached", "--others", "--exclude-standard", "--exclude=reports/")
    listed = git(root, "ls-files", "-z", *what, "week_*").stdout.split(b"\0")
    files = {path: root / path for path in sorted(os.fsdecode(path) for path in listed)}
    return ladder({path: read(file) for path, file in files.items() if file.is_symlink() or file.is_file()})


def ladder_at(root: Path, revision: str) -> dict[int, Week]:
    """The weeks as committed."""
    listed = re.findall(r"(\d+) blob (\w+)\t([^\0]+)", os.fsdecode(git(root, "ls-tree", "-rz", revision).stdout))
    asked = "".join(f"{blob}\n" for _, blob, _ in listed).encode()
    blobs = io.BytesIO(git(root, "cat-file", "--batch", stdin=asked).stdout)  # "<id> blob <size>\n<content>\n" each
    return ladder({path: (mode, blobs.read(int(blobs.readline().split()[2]) + 1)[:-1]) for mode, _, path in listed})


def difference(before: Week, week: Week) -> bytes:
    """The patch that makes one week of the other, without what depends on git's version."""
    with TemporaryDirectory() as folder:
        write(f"{folder}/a", before.files)
        write(f"{folder}/b", week.files)
        patch = git(folder, *DIFF, env=TOOL).stdout
    # Of an added file --no-index says "b/x b/x", of a deleted one "a/x a/x"; git apply wants "a/x b/x".
    patch = re.sub(rb'(?m)^diff --git ("?)[ab]/(.*) "?[ab]/\2$', rb"diff --git \1a/\2 \1b/\2", patch)
    return re.sub(rb"(?m)^index .*\n(?!GIT binary patch)", b"", patch)


def essence(patch: bytes) -> list[bytes]:
    """What a lesson says: headers and +/- lines. Context may change, and the content of a file that it deletes."""
    patch = re.sub(rb"(?m)(^deleted file mode .*\n)(?:^[-+@\\].*\n)*", rb"\1", patch)
    return [line for line in patch.split(b"\n") if line[:1] not in b" @"]


def untaught(before: Week, week: Week) -> Iterator[str]:
    """Invariant 1: the week before + lesson.diff = the week, byte for byte and mode for mode."""
    cures = (f"  a fix?    edit the first week that has the mistake, then: {RUN} forward\n"
             f"  a lesson? explain it in {week.name}/README.md, then:      {RUN} record {week.number}")
    lesson = week.text("lesson.diff")
    if not lesson and week.files != before.files:
        yield f"{week.name}/lesson.diff: missing or empty, but the week differs from {before.name}.\n{cures}"
        return
    with TemporaryDirectory() as folder:
        write(folder, before.files)
        # --reject applies what it can, so that only the files at fault are listed; the rest is left in *.rej
        done = git(folder, "apply", "--reject", "--whitespace=nowarn", stdin=lesson, env=TOOL)
        made = {path.relative_to(folder).as_posix(): read(path) for path in Path(folder).rglob("*")
                if not path.is_dir() and path.suffix != ".rej"}
    if done.returncode and lesson:  # git calls an empty patch an error
        yield f"{week.name}/lesson.diff: does not apply to {before.name}.\n{cures}"
    for path in sorted(path for path in made | week.files if made.get(path) != week.files.get(path)):
        yield f"{week.name}/{path}: differs from {before.name}/{path} in a way lesson.diff does not teach.\n{cures}"


def unexplained(week: Week) -> Iterator[str]:
    """Invariant 2: the table under "## What changed" in README.md names exactly the files of lesson.diff."""
    readme, lesson = (os.fsdecode(week.text(name)) for name in ("README.md", "lesson.diff"))
    taught = set(re.findall(r'(?m)^diff --git "?a/(.+?)"? "?b/\1"?$', lesson))
    section = re.search(r"(?ms)^## What changed *$(.*?)(?=^## |\Z)", readme)
    cells = re.findall(r"(?m)^\|([^|\n]*)\|", section[1] if section else "")  # the first of each row
    covers = {name: {path for path in taught if path == name or (name[-1] == "/" and path.startswith(name))}
              for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    table = f'{week.name}/README.md: the table under "## What changed"'
    for path in sorted(taught.difference(*covers.values())):
        yield f"{table} lacks `{path}`, which lesson.diff changes.\n  add a row that says what changed in it and why"
    for name in sorted(name for name in covers if not covers[name]):
        yield (f"{table} names `{name}`, which lesson.diff does not change.\n"
               f"  take it out of the table; or if it is lesson.diff that lags: {RUN} record {week.number}")


def astray(week: Week) -> Iterator[str]:
    """Invariant 3: plain files, no conflict markers, no paths or imports that lead out of the week."""
    out = "leads out of the week.\n  a week works wherever it is copied: keep what it needs inside"
    for path, (mode, content) in {**week.files, "README.md": ("", week.text("README.md"))}.items():
        where, depth = f"{week.name}/{path}", path.count("/")
        if mode == "120000":
            yield f"{where}: a symbolic link.\n  a week is plain files: put a copy in its place"
        if path == "README.md":  # may link to its neighbours
            content = re.sub(rb"\]\(\.\./[^)\n]*\)", b"", content)
        for number, line in enumerate(content.split(b"\n") if b"\0" not in content else (), 1):
            if MARKER.match(line):
                yield f"{where}:{number}: conflict marker.\n  resolve it, then: {RUN} forward --from {week.number}"
            if any(len(up) > 3 * depth for up in re.findall(rb"(?<!\.)(?:\.\./)+", line)):
                yield f"{where}:{number}: a ../ path {out}"
        for number, name in imports(content) if path.endswith(".py") else ():
            if name.startswith("." * (depth + 2)) or re.match(r"(week_\d+_\w+|tools|benchmarks)\b", name):
                yield f"{where}:{number}: the import of {name} {out}"


@cache  # the same file stands in many weeks
def imports(source: bytes) -> list[tuple[int, str]]:
    """Line and name of every import in a Python file."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return []  # the week's own tests say it better
    return [(node.lineno, alias.name) for node in nodes if isinstance(node, ast.Import) for alias in node.names] + [
        (node.lineno, "." * node.level + (node.module or "")) for node in nodes if isinstance(node, ast.ImportFrom)]


def check(weeks: dict[int, Week]) -> int:
    """Print every failure of the ladder, with its cure."""
    failures = [text for pair in pairwise(weeks.values()) for text in (*untaught(*pair), *unexplained(pair[1]))]
    failures += [text for week in weeks.values() for text in astray(week)]
    print("\n".join(failures) or f"{len(weeks)} weeks: the ladder holds")
    return int(bool(failures))


def merge(base: File, ours: File, theirs: File, names: list[str]) -> tuple[File, str]:
    """Three-way merge of a file that both sides changed: the result, and a word on it."""
    sides = {"1": ours, "2": base, "3": theirs}
    with TemporaryDirectory() as folder:
        write(folder, {side: ("100644", content) for side, (_, content) in sides.items()})
        done = git(folder, "merge-file", "-p", *(f"-L{name}" for name in names), *sides, env=TOOL)
    if done.returncode == 255:
        return ours, f"conflict: a binary file, and {names[2]} changed too; copy the one to keep"
    mode = theirs[0] if ours[0] == base[0] else ours[0]
    return (mode, done.stdout), "conflict: see the markers in it" if done.returncode else "merged"


def carry(root: Path, base: Week, here: Week, there: Week) -> bool:
    """Take what changed between base and here, the same week, into the week there; True if a conflict is left."""
    stuck = False
    for path in sorted(base.files | here.files):
        old, ours, new = (week.files.get(path) for week in (base, there, here))
        name, word = f"{there.name}/{path}", "carried"
        if new in (old, ours):
            continue
        if ours is None and old:
            new, word = None, f"{there.name} removed this file; the change stops here"
        elif new is None and ours != old:
            new, word = ours, f"conflict: {here.name} deleted this file, {there.name} has its own; delete it or keep it"
        elif ours != old:
            new, word = merge(old or ("", b""), ours, new, [name, f"{here.name}/{path} before", f"{here.name}/{path}"])
        print(f"{name}: {word}")
        stuck |= word.startswith("conflict")
        there.files.pop(path, None)
        (root / name).unlink(missing_ok=True)
        if new:
            there.files[path] = new
            write(root / there.name, {path: new})
    return stuck


def forward(root: Path, weeks: dict[int, Week], start: int, since: str) -> int:
    """Carry what changed in each week since a revision into the next, up to the first conflict; refresh the lessons."""
    then = ladder_now(root) | ladder_at(root, since)  # a week that the revision lacks has not changed
    for before, week in pairwise(weeks.values()):
        stop = [each for each in (before, week) if any(MARKER.search(text) for _, text in each.files.values())]
        if not stop and before.number >= start and carry(root, then[before.number], before, week):
            stop = [week]
        if stop:
            again = f"{RUN} forward --from {stop[0].number}" + (f" --since {since}" if since != "HEAD" else "")
            print(f"stopped at {stop[0].name}: resolve the conflicts, then: {again}")
            return 1
        patch, lesson = difference(before, week), week.text("lesson.diff")
        if essence(patch) != essence(lesson):
            print(f"{week.name}: its lesson has changed; the +/- lines are no longer those of lesson.diff.\n"
                  f"  explain it in {week.name}/README.md, then: {RUN} record {week.number}")
        elif patch != lesson:
            print(f"{week.name}/lesson.diff: refreshed; its +/- lines are the same")
            write(root / week.name, {"lesson.diff": ("100644", patch)})
    print(f"forward is done; next: {RUN} check")
    return 0


def reach(files: Tree, *starts: str) -> set[str]:
    """The files themselves, what they import, or name with an extension or as a quoted folder, and what those reach."""
    seen, todo = set(), set(starts)
    while todo:
        seen.add(path := todo.pop())
        content = b"" if b"\0" in files[path][1] else files[path][1]
        named = {name.encode() + b".py" for _, name in imports(content)} if path.endswith(".py") else set()
        named |= set(re.findall(rb"[\w-]+\.\w+|(?<=[\"'])[\w-]+(?=[\"'/])", content))
        for other in files.keys() - seen - {"requirements.txt"}:  # one set of versions holds in all weeks
            top, name = other.partition("/")[0], other.rpartition("/")[2]
            if ("." in name and name.encode() in named) or (top not in (other, "tests") and top.encode() in named):
                todo.add(other)
    return seen


def with_named_fixtures(files: Tree, test: str) -> Tree:
    """The files, their conftest.py without the fixtures that neither the test nor what it reaches in tests/ names."""
    path = "tests/conftest.py"
    try:
        nodes = ast.parse(files[path][1]).body if test in files else []
    except (KeyError, SyntaxError, ValueError):
        nodes = []  # the week's own tests say it better
    if not nodes:
        return files
    others = {name: file for name, file in files.items() if name != path}
    decorators = {node: " ".join(map(ast.unparse, getattr(node, "decorator_list", []))) for node in nodes}
    left = {node.name: node for node, text in decorators.items() if "fixture" in text and "autouse" not in text}
    kept = [node for node in nodes if node not in left.values()]
    named = b"\n".join(files[reached][1] for reached in reach(others, test) if reached.startswith("tests/"))
    while left:
        words = set(re.findall(r"\w+", named.decode(errors="replace") + ast.unparse(ast.Module(kept, []))))
        if not (more := [left.pop(name) for name in words & left.keys()]):
            break
        kept += more
    return others | {path: ("", ast.unparse(ast.Module(sorted(kept, key=nodes.index), [])).encode())}


def new_tests(before: Week, week: Week) -> list[str]:
    """The test files of a week that reach a file which the week before has not, or has otherwise."""
    new = []
    for path in [path for path in week.files if re.fullmatch(r"tests/test_\w+\.py", path)]:
        then, now = (with_named_fixtures(files, path) for files in (before.files, week.files))
        frame = {path, "tests/conftest.py", "pytest.ini"} & now.keys()
        if any(then.get(reached) != now[reached] for reached in reach(now, *frame)):
            new.append(path)
    return new


def test(weeks: list[tuple[Week, list[str]]], options: list[str]) -> int:
    """Invariant 4: the tests of each week, or the test files named, pass from a copy outside the repository."""
    failed = []
    for week, paths in weeks:
        print(f"== {week.name}", *paths, flush=True)
        with TemporaryDirectory() as folder:
            write(folder, week.files | week.own)
            if subprocess.run([sys.executable, "-m", "pytest", *paths, *options], cwd=folder).returncode:
                failed.append(week.name)
    print(f"failed: {', '.join(failed)}" if failed else f"{len(weeks)} weeks: all tests pass")
    return int(bool(failed))


def main() -> int:
    """The command line."""
    commands = PARSER.add_subparsers(dest="command", required=True)
    commands.add_parser("check").set_defaults(weeks=[])
    for command, many in (("diff", 1), ("record", "+"), ("test", "*")):
        commands.add_parser(command).add_argument("weeks", metavar="N", type=int, nargs=many)
    commands.choices["test"].add_argument("--new", action="store_true")
    options = commands.add_parser("forward")
    options.add_argument("--from", dest="weeks", metavar="N", type=int, nargs=1, default=[])
    options.add_argument("--since", metavar="REV", default="HEAD")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = PARSER.parse_args(sys.argv[1:cut])
    root = Path(os.fsdecode(git(".", "rev-parse", "--show-toplevel").stdout[:-1]))
    weeks = ladder_now(root)
    lessons = {week.number: (before, week) for before, week in pairwise(weeks.values())}
    known = lessons if args.command in ("diff", "record") else weeks
    for number in set(args.weeks).difference(known):
        PARSER.exit(2, f"weeks.py: no week {number} to {args.command}; there are: {', '.join(map(str, known))}\n")
    if args.command == "check":
        return check(weeks)
    if args.command == "forward":
        return forward(root, weeks, *(args.weeks or [0]), args.since)
    if args.command == "test":
        chosen = [(weeks[number], new_tests(*lessons[number]) if args.new and number in lessons else ["tests"])
                  for number in args.weeks or weeks]
        return test([(week, paths) for week, paths in chosen if paths], sys.argv[cut + 1:])
    for before, week in (lessons[number] for number in args.weeks):
        patch = difference(before, week)
        counts = git(TEMP, "apply", "--numstat", stdin=patch, env=TOOL).stdout
        counts = f"{before.name} -> {week.name}\n".encode() + re.sub(rb"(?m)^(.+)\t(.+)\t", rb"  +\1 -\2 ", counts)
        sys.stdout.buffer.write(counts + (patch if args.command == "diff" else b""))
        if args.command == "record":
            write(root / week.name, {"lesson.diff": ("100644", patch)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
