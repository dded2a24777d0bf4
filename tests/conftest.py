"""Make the modules of tools/ and images/ importable; share the tests out to processes."""

import sys
from pathlib import Path

import pytest

for folder in ("tools", "images"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / folder))


@pytest.hookimpl(tryfirst=True)  # before the plugin looks for groups
def pytest_collection_modifyitems(items):
    """With `--dist loadgroup`: a file's tests share its fixtures and one process, but each README goes its own way."""
    for item in items:
        if not item.get_closest_marker("own_way"):
            item.add_marker(pytest.mark.xdist_group(item.path.name))
