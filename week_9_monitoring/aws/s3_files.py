"""Files in S3 by boto3, AWS's library for Python: put there, listed, and lent to somebody without an account.

python -m aws.s3_files upload models/model.onnx BUCKET releases/model.onnx
python -m aws.s3_files list BUCKET releases/
python -m aws.s3_files presign BUCKET releases/model.onnx --minutes 5
"""

import argparse
from functools import partial

import boto3
from botocore.config import Config

# boto3's defaults for presigned addresses are old: newer regions refuse its signature, and new buckets its host.
SIGNING = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})


def upload(file: str, bucket: str, key: str) -> str:
    """Put a file into a bucket; a large one goes in parts, and is there whole or not at all."""
    boto3.client("s3").upload_file(file, bucket, key)
    return f"s3://{bucket}/{key}"


def listing(bucket: str, prefix: str = "") -> str:
    """A line of bytes, time and key for each object whose key begins so."""
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)  # 1,000 a page
    objects = [item for page in pages for item in page.get("Contents", [])]
    return "\n".join(f"{item['Size']:>12,}  {item['LastModified']:%Y-%m-%d %H:%M}  {item['Key']}" for item in objects)


def presign(bucket: str, key: str, minutes: int) -> str:
    """An address from which anybody can read an object for some minutes, or until your own credentials end."""
    s3 = boto3.client("s3", config=SIGNING)
    s3.head_object(Bucket=bucket, Key=key)  # else it would sign for an object that does not exist
    return s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=minutes * 60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["upload", "list", "presign"])
    parser.add_argument("names", nargs="+", help="[FILE] BUCKET KEY")
    parser.add_argument("--minutes", type=int, default=60)
    args = parser.parse_args()
    commands = {"upload": upload, "list": listing, "presign": partial(presign, minutes=args.minutes)}
    print(commands[args.command](*args.names))
