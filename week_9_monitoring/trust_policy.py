"""Who may take the role at AWS: the trust policy for a repository on GitHub, and what it says to a token.

    python trust_policy.py                            for the repository that `git remote get-url origin` names
    python trust_policy.py --repository octocat/course --branch main
    python trust_policy.py --ids 583231 1296269       the form of newer repositories: numbers of owner and repository
    python trust_policy.py --lookup                   the same, with the numbers from GitHub's public API
    python trust_policy.py --token claims.json        is a token with these claims let in? Exit code 1: no

GitHub signs each job of a workflow a token, whose claim `sub` says for which repository and branch it runs. AWS checks
the signature and compares the claims with this policy; only then does it lend the role, for an hour.
https://docs.github.com/actions/reference/openid-connect-reference
https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
"""

import argparse
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from errors import InputError, friendly_errors

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
API = "https://api.github.com"


def repository_of(remote: str) -> str:
    """`owner/name` from the address of a remote, by HTTPS or SSH.

    Raises:
        InputError: it is not on github.com.
    """
    host = r"(?:https://(?:[^@/]+@)?|ssh://git@|git@)github\.com[/:]"
    match = re.fullmatch(host + r"([\w.-]+/[\w.-]+?)(?:\.git)?/?", remote)
    if not match:
        raise InputError("the remote origin is not a repository on github.com: give --repository OWNER/NAME")
    return match[1]


def origin() -> str:
    """`owner/name` of the fork that this folder belongs to.

    Raises:
        InputError: there is no git, no remote called origin, or it is elsewhere.
    """
    try:
        found = subprocess.run(["git", "remote", "get-url", "origin"], capture_output=True, text=True)
    except FileNotFoundError:
        raise InputError("git not found: install it, or give --repository OWNER/NAME") from None
    if found.returncode:
        raise InputError("git knows no remote origin here: give --repository OWNER/NAME")
    return repository_of(found.stdout.strip())


def look_up(repository: str) -> tuple[int, int]:
    """The numbers of a public repository's owner and its own; they survive renaming and are never given again.

    Raises:
        InputError: GitHub does not answer, or shows no such repository.
    """
    address = f"{API}/repos/{repository}"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            found = json.load(answer)
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise InputError(f"{address}: {error}: give the numbers, with --ids OWNER REPOSITORY") from None
    return found["owner"]["id"], found["id"]


def subject(repository: str, branch: str, ids: tuple[int, int] | None = None) -> str:
    """The claim `sub` of what runs on a branch; with ids in the form that repositories have since July 2026.

    Raises:
        InputError: a name is no name, or has a wildcard.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise InputError(f"{repository}: write the repository as OWNER/NAME")
    if not re.fullmatch(r"[^\s*?:]+", branch):
        raise InputError(f"{branch}: name one branch, without a wildcard")
    if ids:
        owner, name = repository.split("/")
        repository = f"{owner}@{ids[0]}/{name}@{ids[1]}"
    return f"repo:{repository}:ref:refs/heads/{branch}"


def trust_policy(sub: str, account: str = "ACCOUNT") -> dict:
    """The policy of a role that only jobs with this `sub` can take."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{ISSUER}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": sub}},
            }
        ],
    }


def refusals(policy: dict, claims: dict) -> list[str]:
    """Why a token with these claims is not let in; empty where it is.

    Covers what such policies are made of: one statement that allows, with StringEquals and StringLike.

    Raises:
        InputError: the policy has other parts.
    """
    try:
        (statement,) = policy["Statement"]
        provider, conditions = statement["Principal"]["Federated"], dict(statement["Condition"])
        known = statement["Effect"] == "Allow" and conditions.keys() <= {"StringEquals", "StringLike"}
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise InputError("this judges only policies with one statement, that allows, for a federated principal, with "
                         "StringEquals or StringLike")  # fmt: skip
    found = []
    issuer = str(claims.get("iss")).removeprefix("https://")
    if provider.partition("oidc-provider/")[2] != issuer:
        found.append(f"iss is {issuer}, of another provider")
    for operator, wanted in conditions.items():
        for key, values in wanted.items():
            actual = claims.get(key.removeprefix(f"{ISSUER}:"))
            allowed = [values] if isinstance(values, str) else values
            if not any(isinstance(actual, str) and _fits(operator, value, actual) for value in allowed):
                found.append(f"{key.removeprefix(f'{ISSUER}:')} is {actual}, not {' or '.join(allowed)}")
    return found


def _fits(operator: str, wanted: str, actual: str) -> bool:
    """Both are sensitive to case. In StringLike, * stands for any characters and ? for one."""
    if operator == "StringEquals":
        return wanted == actual
    return bool(re.fullmatch(re.escape(wanted).replace(r"\*", ".*").replace(r"\?", "."), actual, re.DOTALL))


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: give a JSON file") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: give one JSON object")
    return content


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What says which repository is meant, here and in stack.py."""
    parser.add_argument("--repository", metavar="OWNER/NAME", help="default: what git's remote origin names")
    parser.add_argument("--branch", default="main", help="default: %(default)s")
    numbers = parser.add_mutually_exclusive_group()
    numbers.add_argument("--ids", nargs=2, type=int, metavar=("OWNER", "REPOSITORY"), help="GitHub's numbers of both")
    numbers.add_argument("--lookup", action="store_true", help="ask GitHub for these numbers")


def chosen_subject(arguments: argparse.Namespace) -> str:
    """The `sub` that those arguments mean; says on stderr if its form may be the wrong one.

    Raises:
        InputError: they name no repository.
    """
    repository = arguments.repository or origin()
    if not (arguments.ids or arguments.lookup or os.environ.get("AWS_ENDPOINT_URL")):  # a stand-in gets no token
        print("note: a repository made, renamed or moved since 15 July 2026 has numbers in its token: add --lookup, or "
              "--ids OWNER REPOSITORY", file=sys.stderr)  # fmt: skip
    return subject(repository, arguments.branch, look_up(repository) if arguments.lookup else arguments.ids)


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="The trust policy for a repository on GitHub.")
    add_arguments(parser)
    parser.add_argument("--account", default="ACCOUNT", help="the number of your account at AWS")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="take this policy instead")
    parser.add_argument("--token", type=Path, metavar="FILE", help="say whether these claims are let in")
    arguments = parser.parse_args()
    policy = _read(arguments.policy) if arguments.policy else trust_policy(chosen_subject(arguments), arguments.account)
    if not arguments.token:
        print(json.dumps(policy, indent=2))
        return
    reasons = refusals(policy, _read(arguments.token))
    print("\n".join(f"refused: {reason}" for reason in reasons) or "let in")
    sys.exit(1 if reasons else 0)


if __name__ == "__main__":
    main()
