"""The version is the same wherever it is written."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import sknet

ROOT = Path(__file__).parents[3]


def test_python_is_the_same_everywhere():
    project = (ROOT / "pyproject.toml").read_text()
    # No upper end: an untried Python is the user's to try.
    oldest = re.search(r'requires-python = ">=([\d.]+)"', project)[1]
    assert f'python_version = "{oldest}"' in project
    assert f"with Python {oldest} or later" in (ROOT / "README.md").read_text()
    bindings = (ROOT / "python" / "bindings" / "CMakeLists.txt").read_text()
    assert f"find_package(Python {oldest} REQUIRED" in bindings
    setup = (ROOT / "scripts" / "setup.sh").read_text()
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in setup
    assert f"no Python from {oldest} on found" in setup


def test_version_is_the_same_everywhere():
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert version("sknet-caffe") == sknet.__version__
    assert re.search(r"project\(Caffe VERSION ([\d.]+)", cmake)[1] == sknet.__version__
    assert f"\n## {sknet.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
