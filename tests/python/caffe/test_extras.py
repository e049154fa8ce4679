"""What an error says about a missing package works wherever it is said."""

from __future__ import annotations

import re
import shlex
from importlib import metadata
from pathlib import Path

import pytest

from caffe.extras import missing

ROOT = Path(__file__).parents[3]


def extras():
    return metadata.metadata("sknet-caffe").get_all("Provides-Extra")


@pytest.mark.parametrize("extra", extras())
def test_the_command_installs_the_packages_of_the_extra(extra):
    sentence = missing("something", "drawing", extra)
    assert sentence.startswith("drawing needs the package something; ")
    (command,) = re.findall("`(.*)`", sentence)
    pip, install, *packages = shlex.split(command)
    assert (pip, install) == ("pip", "install")
    assert packages
    requirements = {
        line.partition(";")[0]
        for line in metadata.requires("sknet-caffe")
        if re.search(rf"""extra == ["']{extra}["']""", line)
    }
    assert set(packages) == requirements


def test_without_metadata_the_package_itself_is_named(monkeypatch):
    """As where the sources are used without an installation."""

    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert missing("onnx", "writing ONNX", "onnx") == (
        "writing ONNX needs the package onnx; install it with `pip install onnx`"
    )


def test_nothing_sends_users_to_an_index():
    """No index has this package, so no name of an extra can be asked of one."""
    files = [
        *(ROOT / "python").rglob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "scripts").iterdir(),
        *(ROOT / "benchmarks").glob("*.py"),
        *(ROOT / "tests" / "python").rglob("*.py"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
    ]
    asked = re.compile(r"sknet-caffe" + r"\[")
    assert [path for path in files if asked.search(path.read_text())] == []
