"""The template of week 8 as SAM's own command sees it."""

import os
import subprocess
import sys
from pathlib import Path

WEEK = Path(__file__).resolve().parent.parent / "week_8_serverless"


def test_sam_validates_the_template(tmp_path):
    sam = Path(sys.executable).with_name("sam")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"SAM_CLI_TELEMETRY": "0", "HOME": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sam, "validate", "--lint", "--template", WEEK / "template.yaml"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "is a valid SAM Template" in run.stdout
