"""Remarks that GitHub shows at the top of a run: `notice("No remote", "...")`; elsewhere they go to stderr, as text."""

import os
import sys

ESCAPES = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})


def notice(title: str, message: str, level: str = "notice") -> None:
    """Show a remark; `level` is "notice" or "warning". A title has neither `,` nor `:`, which end it for GitHub."""
    if os.environ.get("GITHUB_ACTIONS") == "true":  # its runners read commands like this one from standard output
        print(f"::{level} title={title}::{message.translate(ESCAPES)}", flush=True)
    else:
        print(f"{level}: {title}: {message}", file=sys.stderr, flush=True)
