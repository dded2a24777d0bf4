"""Files in Amazon S3: put there, listed, fetched, and lent to people without an account.

    python s3.py upload models/model.onnx s3://BUCKET/models/model.onnx
    python s3.py list s3://BUCKET/models/
    python s3.py download s3://BUCKET/models/model.onnx model.onnx
    python s3.py presign s3://BUCKET/models/model.onnx --minutes 10

`python stack.py show` names your bucket.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from aws import client, explained
from errors import InputError, friendly_errors

LONGEST = 7 * 24 * 60  # minutes: S3 signs for a week at most


class Place(NamedTuple):
    """An object in S3, or, for `list`, what its key begins with."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def place(text: str) -> Place:
    """Read `s3://bucket/key`; the key may be empty.

    Raises:
        InputError: it is not of this form.
    """
    bucket, _, key = text.removeprefix("s3://").partition("/")
    if not text.startswith("s3://"):
        raise InputError(f"{text}: write a place in S3 as s3://BUCKET/KEY")
    if not bucket:
        raise InputError(f"{text}: write a place in S3 as s3://BUCKET/KEY; is AWS_BUCKET set? "
                         "export $(python stack.py show)")  # fmt: skip
    return Place(bucket, key)


def place_of_one(text: str) -> Place:
    """Read `s3://bucket/key`, where the key names one object."""
    parsed = place(text)
    if not parsed.key or parsed.key.endswith("/"):
        raise InputError(f"{text}: name an object, not a folder: s3://BUCKET/KEY")
    return parsed


def upload(file: Path, target: Place) -> None:
    """Put a file into a bucket, in parts and several at a time if it is large; it is there whole, or not at all.

    Raises:
        InputError: there is no such file or bucket, or AWS refuses.
    """
    if not file.is_file():
        raise InputError(f"{file} not found, or not a file: give a file to upload")
    with explained(f"{file} to {target}"), file.open("rb") as content, _bar(file.stat().st_size, file.name) as bar:
        client("s3").upload_fileobj(content, *target, Callback=bar.update)


def objects(prefix: Place) -> list[dict]:
    """The objects whose keys begin so, in the order of their keys: `Key`, `Size` (bytes), `LastModified`.

    Raises:
        InputError: there is no such bucket, or AWS refuses.
    """
    with explained(str(prefix)):
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
        return [entry for page in pages for entry in page.get("Contents", [])]


def find(s3, source: Place) -> dict:
    """What `objects` says about one object. Asked by a list, as the answer to a HEAD would not say what is wrong.

    Raises:
        InputError: it does not exist, or AWS refuses.
    """
    with explained(str(source)):
        found = s3.list_objects_v2(Bucket=source.bucket, Prefix=source.key, MaxKeys=1).get("Contents", [])
    if not found or found[0]["Key"] != source.key:
        raise InputError(f'{source} not found: "python s3.py list s3://{source.bucket}/" shows what there is')
    return found[0]


def download(source: Place, file: Path) -> None:
    """Fetch an object; a broken download leaves no file, and an older one as it was.

    Raises:
        InputError: it does not exist, AWS refuses, or the file cannot be written.
    """
    s3 = client("s3")
    if file.is_dir():
        raise InputError(f"{file} is a folder: give the name of a file")
    with _bar(find(s3, source)["Size"], source.key) as bar, explained(str(source)):
        file.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(*source, str(file), Callback=bar.update)


def presign(source: Place, minutes: int) -> str:
    """An address from which anybody can read the object, for some minutes (or until your credentials expire).

    Raises:
        InputError: it does not exist, AWS refuses, or the time is too long.
    """
    if not 1 <= minutes <= LONGEST:
        raise InputError(f"--minutes {minutes}: S3 signs for 1 to {LONGEST} minutes")
    s3 = client("s3", signature_version="s3v4")
    find(s3, source)
    with explained(str(source)):
        parameters = {"Bucket": source.bucket, "Key": source.key}
        return s3.generate_presigned_url("get_object", parameters, ExpiresIn=minutes * 60)


def _bar(total: int, title: str) -> tqdm:
    """A progress bar on stderr, if that is a terminal; `total` in bytes."""
    return tqdm(total=total, desc=title, unit="B", unit_scale=True, disable=None)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Files in Amazon S3.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("upload", help="put a file into a bucket")
    command.add_argument("file", type=Path)
    command.add_argument("target", metavar="s3://BUCKET/KEY")
    command = commands.add_parser("list", help="show size (bytes), time and name of the objects that begin so")
    command.add_argument("prefix", metavar="s3://BUCKET/[PREFIX]")
    command = commands.add_parser("download", help="fetch an object")
    command.add_argument("source", metavar="s3://BUCKET/KEY")
    command.add_argument("file", type=Path)
    command = commands.add_parser("presign", help="print an address that lends an object to anybody, for a while")
    command.add_argument("source", metavar="s3://BUCKET/KEY")
    command.add_argument("--minutes", type=int, default=60, metavar="N", help="default: %(default)s")
    arguments = parser.parse_args()

    if arguments.command == "upload":
        target = place_of_one(arguments.target)
        upload(arguments.file, target)
        print(f"uploaded {target}")
    elif arguments.command == "download":
        download(place_of_one(arguments.source), arguments.file)
        print(f"downloaded {arguments.file}")
    elif arguments.command == "presign":
        print(presign(place_of_one(arguments.source), arguments.minutes))
        print(f"whoever has this address can read the object for {arguments.minutes} minutes", file=sys.stderr)
    else:
        prefix = place(arguments.prefix)
        found = objects(prefix)
        for entry in found:
            print(f"{entry['Size']:>12,}  {entry['LastModified']:%Y-%m-%d %H:%M}  {entry['Key']}")
        print(f"{len(found)} object{'s' * (len(found) != 1)}", file=sys.stderr)


if __name__ == "__main__":
    main()
