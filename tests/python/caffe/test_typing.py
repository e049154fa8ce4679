"""What a type checker says of programs that use caffe."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import caffe

pytest.importorskip("mypy")

RIGHT = """
import caffe

net: caffe.Net = caffe.Net("net.prototxt", caffe.TEST, weights="w.caffemodel")
solver: caffe.Solver = caffe.get_solver("solver.prototxt")
caffe.init_log(1)
spec = caffe.NetSpec()
spec.data = caffe.layers.Input(shape={"dim": [1]})
caffe.io.load_image("image.png")
print(net.blobs["data"].shape, solver.net.params["fc"][0].data, caffe.__version__)
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Runs mypy on a program; returns what it printed."""
    # One folder: mypy keeps there what it has read of the packages.
    folder = tmp_path_factory.mktemp("typing")
    (folder / "mypy.ini").write_text("[mypy]\nstrict = true\n")

    def run(text):
        (folder / "program.py").write_text(textwrap.dedent(text))
        return subprocess.run(
            [sys.executable, "-m", "mypy", "program.py"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    return run


def test_right_names_are_accepted(check):
    printed = check(RIGHT)
    assert "Success: no issues found" in printed, printed


@pytest.mark.parametrize(
    "expression", ["caffe.Nett", "caffe.get_solvers", "caffe.io.load_imge"]
)
def test_misspelt_names_are_not(check, expression):
    printed = check(f"import caffe\n\nprint({expression})\n")
    name = expression.rpartition(".")[2]
    assert f'has no attribute "{name}"' in printed, printed


def test_all_names_are_told_to_type_checkers(check):
    uses = "\n".join(f"print(caffe.{name})" for name in caffe.__all__)
    printed = check(f"import caffe\n\n{uses}\n")
    assert "Success: no issues found" in printed, printed
    assert (Path(caffe.__file__).parent / "py.typed").exists()
