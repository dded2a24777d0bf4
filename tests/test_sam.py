"""The template of week 8 as SAM's own command sees it."""

import os
import subprocess
import sys
from pathlib import Path

from walk import find_week


def test_sam_validates_the_template(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"SAM_CLI_TELEMETRY": "0", "HOME": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1"}
    sam = Path(sys.executable).with_name("sam")
    command = [sam, "validate", "--lint", "--template", find_week("8") / "aws/template.yaml"]
    assert "is a valid SAM Template" in subprocess.check_output(command, env=environment, text=True)
