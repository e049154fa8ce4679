"""The version is the same wherever it is written."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import sknet

ROOT = Path(__file__).parents[3]


def test_version_is_the_same_everywhere():
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert version("sknet-caffe") == sknet.__version__
    assert re.search(r"project\(Caffe VERSION ([\d.]+)", cmake)[1] == sknet.__version__
    assert f"\n## {sknet.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
