"""No key, token or account number in the repository, and none in the logs of its workflows."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from engine import SECRETS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTED = {b"123456789012", b"111122223333", b"000000000000"}  # accounts that AWS's documentation and moto use
ACCOUNTS = [  # where the number of an account stands
    rb"arn:aws[\w-]*:[\w-]+:[\w-]*:(\d{12}):",
    rb"(?<!\d)(\d{12})\.dkr\.ecr\.",
    rb"(?i)account(?:[_-]?id)?['\"]?\s*[:=]\s*['\"]?(\d{12})(?!\d)",
]
STEPS = [
    (workflow.name, job, step)
    for workflow in sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
    for job in yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    for step in job["steps"]
]
LOGINS = [entry for entry in STEPS if entry[2].get("uses", "").startswith("aws-actions/configure-aws-credentials@")]


def files() -> list[Path]:
    """The files that git tracks, or would."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def secrets_in(content: bytes) -> list[str]:
    content = re.sub(rb"@example\.(?:com|org)", b"", content)  # where nobody has a password
    found = [kind for kind, pattern in SECRETS.items() if re.search(pattern, content)]
    numbers = {number for pattern in ACCOUNTS for number in re.findall(pattern, content)}
    return found + [f"account {number.decode()}" for number in numbers - DOCUMENTED]


def test_no_file_holds_a_secret():
    found = {str(path.relative_to(ROOT)): secrets_in(path.read_bytes()) for path in files()}
    assert len(found) > 100
    assert {path: kinds for path, kinds in found.items() if kinds} == {}


@pytest.mark.parametrize(
    "content",
    [
        b"AKIA" + b"A" * 16,
        b"ASIA" + b"A" * 16,
        b"aws_secret_access_key = " + b"k" * 40,
        b"ghp_" + b"a" * 36,
        b"arn:aws:iam::" + b"9" * 12 + b":role/cola",
        b"9" * 12 + b".dkr.ecr.eu-central-1.amazonaws.com/cola",
        b'"AccountId": "' + b"9" * 12 + b'"',
    ],
)
def test_the_scan_finds_what_it_looks_for(content):
    assert secrets_in(b"x\n" + content + b"\n")


def test_the_scan_knows_what_is_no_secret():
    assert secrets_in(b"arn:aws:iam::123456789012:role/cola, 9" + b"9" * 12 + b", created: 202611241500") == []


def test_there_are_workflows_that_log_in_to_aws():
    assert "week_7_ecr.yaml" in {workflow for workflow, *_ in LOGINS}


@pytest.mark.parametrize(("workflow", "job", "step"), LOGINS, ids=[workflow for workflow, *_ in LOGINS])
def test_a_login_to_aws_uses_no_key_and_shows_no_account(workflow, job, step):
    """A log shows what a step gets, except secrets; of variables it shows all."""
    options = step["with"]
    assert options["role-to-assume"] == "${{ secrets.AWS_ROLE_ARN }}"
    assert options["mask-aws-account-id"] is True
    assert not {"aws-access-key-id", "aws-secret-access-key", "aws-session-token"} & set(options)
    assert job["permissions"]["id-token"] == "write"
    assert "AWS_ROLE_ARN" not in str([job.get("env"), [each.get("env") for each in job["steps"]]])
