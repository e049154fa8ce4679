"""Nets and files that many tests use."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import settings

ROOT = Path(__file__).parents[2]

# What has no build for this Python yet, and the tests that wait for it.
_UNBUILT = {
    "onnxruntime": [
        "sknet/test_end_to_end.py",
        "sknet/convert/test_export.py",
        "sknet/convert/test_export_check.py",
        "sknet/convert/test_export_command.py",
        "test_documentation.py",
        "test_walk.py",
    ],
    "openvino": ["sknet/convert/test_export.py"],
}
_waiting = {
    package: files
    for package, files in _UNBUILT.items()
    if sys.version_info >= (3, 15) and find_spec(package) is None
}
collect_ignore = [file for files in _waiting.values() for file in files]


def pytest_report_header() -> list[str]:
    """Names the tests that are left out."""
    return [
        f"left out for want of {package}: {', '.join(files)}"
        for package, files in _waiting.items()
    ]


# A busy machine is no failure; a failing example can be run again from its blob.
settings.register_profile("here", deadline=None, print_blob=True)
settings.load_profile("here")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """tests/data."""
    return ROOT / "tests" / "data"


@pytest.fixture
def write_proto(tmp_path):
    """Writes a message, or text, as a prototxt; returns its path."""

    def write(definition, name="net.prototxt"):
        path = tmp_path / name
        if not isinstance(definition, str):
            definition = text_format.MessageToString(definition)
        path.write_text(definition)
        return path

    return write


@pytest.fixture
def random():
    """Numbers that are the same in every run."""
    return np.random.default_rng(20190318)


@pytest.fixture
def run_tool(tmp_path):
    """Runs one of the installed commands in an empty folder."""

    def run(*arguments, cwd=None, env=None, timeout=300):
        command = Path(sys.executable).with_name(str(arguments[0]))
        return subprocess.run(
            [command, *map(str, arguments[1:])],
            cwd=cwd or tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
