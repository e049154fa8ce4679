"""How pytest-xdist shares the tests out among processes."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Files that share what takes long to build, or would take each other's processors.
TOGETHER = {
    "another Caffe": {"test_documentation.py", "test_plugin_for_other_caffes.py"},
    "MPI": {"test_missing_rank.py", "test_parallel.py"},
}


def group(path: Path) -> str:
    """Tests of one group are run by one process, one after the other."""
    for name, files in TOGETHER.items():
        if path.name in files:
            return name
    # A file's fixtures are made once.
    return str(path.relative_to(ROOT))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item.path)))
