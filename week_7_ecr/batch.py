"""Score a file of sentences, one a line, however long it is: JSON lines out, in constant memory.

    python inference_onnx.py --file sentences.txt --output scores.jsonl
    python inference_onnx.py --file sentences.txt --output scores --ray     # on all machines of a Ray cluster

Line N of the output is the judgement of line N of the input, as `inference_onnx.py --json` prints it; a line that is
blank or not UTF-8 gives an object with `error` in place of `label` and `score`. With `--ray` the output is a folder of
such files, `cat scores/*` is what one machine writes, and all machines need to see the same folders.

The work is done in chunks of lines. What is finished lies in OUTPUT.<id>.part until all of it is, so that the same
command goes on after a kill where it stopped. The id stands for the bytes of the input and of the model: what was
begun with others is never continued. Beside it OUTPUT.lock keeps other runs out.
"""

import hashlib
import itertools
import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from errors import InputError
from inference_onnx import SEAL, ColaONNXPredictor
from sentences import check

CHUNK = 1024  # lines that are tokenized, sorted by length and written together
ERROR = b'"error": '  # cannot occur inside of a JSON string: its quotes would have backslashes


def score_file(source: Path, output: Path, model: Path, ray: bool = False) -> None:
    """Score the lines of `source` into `output`, going on with an earlier run of the same if there was one.

    Raises:
        InputError: input or model cannot be used, `output` is there already, is being written or was begun with others,
            it cannot be written, or Ray is not installed.
    """
    if not source.is_file():
        raise InputError(f"{source} is not a file: give a text file with one sentence a line")
    if not output.absolute().parent.is_dir():
        raise InputError(f"{output.parent} is not a folder: make it, or choose another --output")
    if output.is_dir() and not ray:
        raise InputError(f"{output} is a folder: give --output the name of a file")
    if output.exists() and output.samefile(source):
        raise InputError(f"{output} is the file that is read: choose another --output")
    with only_run(output):
        if output.exists():
            raise InputError(f"{output} is there already: delete it, or choose another --output")
        predictor = ColaONNXPredictor(model)
        part = output.with_name(f"{output.name}.{identity(source, model)}.part")
        for other in set(output.parent.glob(f"{output.name}.*.part")) - {part}:
            raise InputError(f"{other} was begun with another input or model: delete it, or choose another --output")
        try:
            with tqdm(total=source.stat().st_size, unit="B", unit_scale=True, disable=None) as bar:  # on terminals only
                if ray:
                    score_on_ray(source, part, model, bar)
                else:
                    score_here(source, part, predictor, bar)
            lines, errors = count(sorted(part.iterdir()) if ray else [part])
            if lines != count([source])[0]:
                raise InputError(f"{part} has not as many lines as {source}: delete it and give the same command")
            os.replace(part, output)
        except OSError as error:
            raise InputError(
                f"could not write {part} ({error.strerror}): mend that and give the same command"
            ) from error
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command goes on from here") from None
    print(f"{lines:,} lines, {errors:,} of them with an error: {output}", file=sys.stderr)


@contextmanager
def only_run(output: Path) -> Iterator[None]:
    """Hold OUTPUT.lock, or refuse where another run holds it: two would write into one OUTPUT.<id>.part."""
    lock = FileLock(output.with_name(f"{output.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{output} is being written by another run: wait for it, or choose another --output") from None
    except OSError as error:
        raise InputError(
            f"could not write {lock.lock_file} ({error.strerror}): mend that and give the same command"
        ) from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # while it is held: who has opened it sees that it is gone
        lock.release()


def identity(source: Path, model: Path) -> str:
    """12 hexadecimal digits that stand for the content of the input and of the model."""
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    with model.open("rb") as file:
        file.seek(-SEAL, os.SEEK_END)
        digest.update(file.read())
    return digest.hexdigest()[:12]


def score_here(source: Path, part: Path, predictor: ColaONNXPredictor, bar: tqdm) -> None:
    """Append to `part` the judgements of the chunks that it lacks."""
    with source.open("rb") as lines, part.open("ab+") as output:
        done = keep_whole_chunks(output)
        bar.update(sum(map(len, itertools.islice(lines, done))))
        for chunk, judged in in_parallel(lambda chunk: score(predictor, chunk), chunks(lines)):
            output.write(judged)
            output.flush()
            bar.update(sum(map(len, chunk)))
        os.fsync(output.fileno())


def in_parallel(function: Callable, items: Iterator) -> Iterator[tuple]:
    """Each item with what `function` makes of it, in order; no more items are taken than there are processors.

    ONNX Runtime lets other threads run while it computes, so threads are enough.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = deque((item, pool.submit(function, item)) for item in itertools.islice(items, os.cpu_count()))
        while running:
            item, result = running.popleft()
            yield item, result.result()
            running.extend((item, pool.submit(function, item)) for item in itertools.islice(items, 1))


def keep_whole_chunks(output) -> int:
    """Cut off what a killed run left of a chunk; return the number of lines that stay."""
    output.seek(0)
    lines = end = 0
    while len(chunk := list(itertools.islice(output, CHUNK))) == CHUNK and chunk[-1].endswith(b"\n"):
        lines, end = lines + CHUNK, end + sum(map(len, chunk))
    output.truncate(end)
    return lines


def chunks(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Lines, `CHUNK` at a time."""
    while chunk := list(itertools.islice(lines, CHUNK)):
        yield chunk


def score(predictor: ColaONNXPredictor, lines: list[bytes]) -> bytes:
    """One JSON object a line."""
    sentences, errors = [], {}
    for i, line in enumerate(lines):
        sentence = line.rstrip(b"\r\n").decode("utf-8", errors="surrogateescape")
        try:
            check([sentence])
            sentences.append(sentence)
        except InputError:
            error = "not UTF-8" if sentence.strip() else "blank"
            errors[i] = {"sentence": sentence.encode(errors="surrogateescape").decode(errors="replace"), "error": error}
    judged = iter(predictor.predict(sentences))
    objects = (errors[i] if i in errors else next(judged) for i in range(len(lines)))
    return b"".join(json.dumps(object, ensure_ascii=False).encode() + b"\n" for object in objects)


def count(files: list[Path]) -> tuple[int, int]:
    """The number of lines, and of those with an error."""
    lines = errors = 0
    for path in files:
        with path.open("rb") as file:
            for line in file:
                lines, errors = lines + 1, errors + (ERROR in line)
    return lines, errors


class RayScorer:
    """Scores chunks in a process of its own, anywhere in the cluster; Ray makes one for each of its CPUs."""

    def __init__(self, source: Path, part: Path, model: Path):
        self.source, self.part = source, part
        self.predictor = ColaONNXPredictor(model)

    def __call__(self, chunk: dict) -> dict:
        """Write the judgements of the chunk that begins at byte `start`, as a file named for its number."""
        with self.source.open("rb") as lines:
            lines.seek(chunk["start"])
            judged = score(self.predictor, next(chunks(lines)))
        path = self.part / f"part-{chunk['number']:07}.jsonl"
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_bytes(judged)
        os.replace(beside, path)
        return chunk


def score_on_ray(source: Path, part: Path, model: Path, bar: tqdm) -> None:
    """Write the files that the folder `part` lacks, by the workers of a Ray cluster, or of one on this machine.

    The cluster is the one that the environment's RAY_ADDRESS names.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its makers otherwise
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs Ray: pip install -r requirements_ray.txt") from None
    part.mkdir(exist_ok=True)
    for torn in set(part.iterdir()) - set(part.glob("*.jsonl")):
        torn.unlink()
    todo, start = [], 0
    with source.open("rb") as lines:
        for number, chunk in enumerate(chunks(lines)):
            size = sum(map(len, chunk))
            if (part / f"part-{number:07}.jsonl").exists():
                bar.update(size)
            else:
                todo.append({"number": number, "start": start, "size": size})
            start += size
    if not todo:
        return
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours shows bytes of the input
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    workers = min(len(todo), int(ray.cluster_resources()["CPU"]))
    places = [path.absolute() for path in (source, part, model)]
    scored = ray.data.from_items(todo, override_num_blocks=len(todo)).map(
        RayScorer, fn_constructor_args=places, compute=ray.data.ActorPoolStrategy(size=workers)
    )
    for chunk in scored.iter_rows():
        bar.update(chunk["size"])
    ray.shutdown()
