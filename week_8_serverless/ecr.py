"""Images in Amazon ECR: pushed, and named by digest, which says what the image is, not what somebody called it.

    python ecr.py push cola --repository cola --tag v1        the last line on stdout is the reference by digest
    python ecr.py digest --repository cola --tag v1           the same line, for an image that is there
    python ecr.py login                                       lets `docker pull` in, for 12 hours

With a stand-in for AWS (AWS_ENDPOINT_URL), ECR_REGISTRY=127.0.0.1:5001 says which registry takes the images: AWS's API
names the real one, which a stand-in does not have.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from tempfile import TemporaryDirectory
from typing import NamedTuple

from aws import NOT_AWS, client, explained, hide_account
from errors import InputError, friendly_errors

AGAIN = "run the same command again: layers that have arrived are not sent again"
IMAGES = '"docker images" shows what there is'
MANIFESTS = [  # one image, or an index of several; of Docker, or of the OCI
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]


class Registry(NamedTuple):
    """Where images go, and a password for it that ends after 12 hours."""

    host: str
    user: str
    password: str


class Manifest(NamedTuple):
    """What a tag names: `digest` of the image as it lies in the registry, `config` as the engine at home calls it."""

    digest: str
    config: str | None


def registry() -> Registry:
    """The account's registry, or the stand-in of ECR_REGISTRY.

    Raises:
        InputError: AWS refuses, what answers is not AWS, or ECR_REGISTRY is no address.
    """
    stand_in = os.environ.get("ECR_REGISTRY")
    if stand_in and not os.environ.get("AWS_ENDPOINT_URL"):  # it would be told the password of the real one
        raise InputError("ECR_REGISTRY goes with AWS_ENDPOINT_URL: set both for a stand-in, or neither for AWS")
    if stand_in and not re.fullmatch(r"[\w.-]+(:\d+)?", stand_in):
        raise InputError(f"ECR_REGISTRY={stand_in}: write it as HOST:PORT, without http://")
    with explained("ECR"):
        grants = client("ecr").get_authorization_token().get("authorizationData")
    if not grants:
        raise InputError(f"ECR: what answers is not AWS: {NOT_AWS}")
    grant = grants[0]
    user, _, password = base64.b64decode(grant["authorizationToken"]).decode().partition(":")
    return Registry(stand_in or grant["proxyEndpoint"].removeprefix("https://"), user, password)


def check_repository(repository: str) -> None:
    """Raise `InputError` where there is no such repository."""
    with explained(f"repository {repository}"):
        client("ecr").describe_repositories(repositoryNames=[repository])


def manifest(target: Registry, repository: str, tag: str) -> Manifest | None:
    """What a tag names; None where nothing has this tag.

    Raises:
        InputError: the registry refuses, or does not answer.
    """
    scheme = "http" if re.match(r"localhost\b|127\.", target.host) else "https"
    password = base64.b64encode(f"{target.user}:{target.password}".encode()).decode()
    request = urllib.request.Request(
        f"{scheme}://{target.host}/v2/{repository}/manifests/{tag}",
        headers={"Accept": ", ".join(MANIFESTS), "Authorization": f"Basic {password}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise InputError(hide_account(f"registry {target.host}: {error}: is it the one that AWS means?")) from None
    except OSError as error:
        raise InputError(hide_account(f"registry {target.host}: {error}: is it up? See ECR_REGISTRY")) from None
    except HTTPException as error:
        raise InputError(hide_account(f"registry {target.host}: {error!r}: no registry; see ECR_REGISTRY")) from None
    try:
        config = json.loads(content).get("config", {}).get("digest")
    except (AttributeError, ValueError):
        raise InputError(hide_account(f"registry {target.host} sends no manifest: see ECR_REGISTRY")) from None
    return Manifest(f"sha256:{hashlib.sha256(content).hexdigest()}", config)


def docker(*arguments: str, environment: dict[str, str] | None = None, **options) -> str:
    """Run docker; returns what it printed.

    Raises:
        InputError: it is not installed, or failed.
    """
    environment = os.environ | (environment or {})
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment} | options
    try:
        done = subprocess.run(["docker", *arguments], **options)
    except FileNotFoundError:
        raise InputError("docker not found: install it, https://docs.docker.com/engine/install/") from None
    if done.returncode:
        message = hide_account(done.stderr.strip())
        cure = ""
        if "Cannot connect to the Docker daemon" in message:
            cure = ": start Docker"
        elif "no such image" in message.lower():
            cure = f': build it first, "docker build --tag {arguments[-1]} ."; {IMAGES}'
        elif "invalid reference format" in message and arguments[0] == "image":
            cure = f": {arguments[-1]} is no name of an image; {IMAGES}"
        elif "connection refused" in message:
            cure = ": is the registry up? See ECR_REGISTRY"
        elif arguments[0] == "push":
            cure = f": {AGAIN}"
        raise InputError(f"docker {arguments[0]}: {message}{cure}")
    return done.stdout


def login(target: Registry, environment: dict[str, str] | None = None) -> None:
    """Let docker into a registry."""
    arguments = ("login", "--username", target.user, "--password-stdin", target.host)
    docker(*arguments, environment=environment, input=target.password)


def push(image: str, repository: str, tag: str) -> str:
    """Push an image of the engine here, and return its reference by digest. Doing so twice is the same as once.

    Raises:
        InputError: there is no docker, image or repository, the tag names another image, or the push broke off.
    """
    if not image:
        raise InputError(f"the image is empty: give its name; {IMAGES}")
    local = docker("image", "inspect", "--format", "{{.Id}}", image).strip()
    check_repository(repository)
    target = registry()
    name = f"{target.host}/{repository}"
    there = manifest(target, repository, tag)
    if there is None:
        docker("tag", image, f"{name}:{tag}")
        with TemporaryDirectory() as folder:  # the password goes with it; docker would write it into the home folder
            engine = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").strip()
            environment = {"DOCKER_CONFIG": folder, "DOCKER_HOST": engine}
            login(target, environment)
            try:
                docker("push", f"{name}:{tag}", environment=environment, stdout=sys.stderr)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(AGAIN) from None
        there = manifest(target, repository, tag)
    if there is None or local not in there:
        raise InputError(f"tag {tag} of repository {repository} names another image, and a tag never changes: "
                         "give this one another --tag")  # fmt: skip
    return f"{name}@{there.digest}"


def digest(repository: str, tag: str) -> str:
    """The reference by digest of an image that is there.

    Raises:
        InputError: there is no such repository or tag.
    """
    check_repository(repository)
    target = registry()
    there = manifest(target, repository, tag)
    if there is None:
        raise InputError(f"no image has tag {tag} in repository {repository}: push it first, or correct the tag")
    return f"{target.host}/{repository}@{there.digest}"


def tag_name(text: str) -> str:
    """A tag, as an argument of a command."""
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]{0,127}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no tag: letters, digits, _ . -, and at most 128 of them")
    return text


def repository_name(text: str) -> str:
    """The name of a repository, as an argument of a command; raises `InputError` if it is empty."""
    if not text:
        raise InputError("--repository is empty: run export $(python stack.py show)")
    return text


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Images in Amazon ECR.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help in (("push", "push an image, and print its reference by digest"),
                       ("digest", "print the reference by digest of an image that is there")):  # fmt: skip
        command = commands.add_parser(name, help=help)
        if name == "push":
            command.add_argument("image", help="of the engine here, e.g. cola")
        command.add_argument("--repository", type=repository_name, required=True, metavar="NAME")
        command.add_argument("--tag", type=tag_name, required=True)
    commands.add_parser("login", help="let docker into the registry, for 12 hours")
    arguments = parser.parse_args()
    if arguments.command == "push":
        print(push(arguments.image, arguments.repository, arguments.tag))
    elif arguments.command == "digest":
        print(digest(arguments.repository, arguments.tag))
    else:
        target = registry()
        login(target)
        print(f"docker may pull from {target.host} and push to it, for 12 hours", file=sys.stderr)


if __name__ == "__main__":
    main()
