"""Wrong input to the commands: one sentence that names the culprit, status 1."""

from __future__ import annotations

import nets
import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

import caffe
from caffe.cli import main
from caffe.cli.convert_imageset import main as convert_imageset
from caffe.proto import caffe_pb2

INPUTS = """
layer { name: "in" type: "Input" top: "data" top: "gate" top: "label"
  input_param { shape { dim: 2 dim: 8 dim: 4 dim: 4 } shape { dim: 2 dim: 8 }
                shape { dim: 2 } } }
"""

# What is wrong with a net, its text, and what the sentence must hold.
BAD_NETS = {
    "a line that is no field": (
        'layer {\n  name: "a" type: "ReLU"\n  frobnicate: 3 }',
        ["net.prototxt:6:", "frobnicate"],
    ),
    "a brace that is missing": ('layer { name: "a" type: "ReLU"', ["net.prototxt:"]),
    "an unknown enum value": (
        'layer { name: "p" type: "Pooling" bottom: "data" top: "p"\n'
        "  pooling_param { pool: MEAN } }",
        ["net.prototxt:5:", "MEAN"],
    ),
    "a number that is text": (
        'layer { name: "p" type: "Pooling" bottom: "data" top: "p"\n'
        '  pooling_param { kernel_size: "three" } }',
        ["net.prototxt:5:", "three"],
    ),
    "an unknown layer type": (
        'layer { name: "r" type: "Rellu" bottom: "data" top: "r" }',
        ["'r'", "'Rellu'", "'ReLU'"],
    ),
    "an unknown bottom": (
        'layer { name: "r" type: "ReLU" bottom: "date" top: "r" }',
        ["'r'", "'date'", "'data'"],
    ),
    "a top made twice": (
        'layer { name: "r" type: "ReLU" bottom: "data" top: "gate" }',
        ["'r'", "'gate'"],
    ),
    "an Axpy with two bottoms": (
        'layer { name: "x" type: "Axpy" bottom: "gate" bottom: "data" top: "x" }',
        ["'x'", "Axpy", "2 bottom", "expected 3", "x and y"],
    ),
    "an Axpy of other shapes": (
        'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"\n'
        "  pooling_param { kernel_size: 2 stride: 2 } }\n"
        'layer { name: "x" type: "Axpy" bottom: "gate" bottom: "data" bottom: "pool"'
        ' top: "x" }',
        ["'x'", "Axpy", "(2, 8, 2, 2)", "(2, 8, 4, 4)"],
    ),
    "sums of other shapes": (
        'layer { name: "s" type: "Eltwise" bottom: "data" bottom: "gate" top: "s" }',
        ["'s'", "Eltwise"],
    ),
    "groups that do not divide the channels": (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c"\n'
        "  convolution_param { num_output: 9 kernel_size: 1 group: 3 } }",
        ["'c'", "Convolution", "8", "3"],
    ),
    "a kernel that is larger than the image": (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c"\n'
        "  convolution_param { num_output: 8 kernel_size: 7 } }",
        ["'c'", "Convolution"],
    ),
    "an absurd size": (
        'layer { name: "f" type: "InnerProduct" bottom: "data" top: "f"\n'
        "  inner_product_param { num_output: 2000000000 } }",
        ["'f'"],
    ),
    "rules of both kinds": (
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r"\n'
        "  include { phase: TEST } exclude { phase: TRAIN } }",
        ["'r'", "include", "exclude"],
    ),
}


def last_line(capfd):
    """The last line of stderr; there is no traceback."""
    error = capfd.readouterr().err
    assert "Traceback" not in error
    return error.splitlines()[-1]


@pytest.mark.parametrize("what", BAD_NETS)
def test_nets(what, write_proto, capfd):
    text, parts = BAD_NETS[what]
    model = write_proto(INPUTS.strip() + "\n" + text)
    assert main(["time", "-model", str(model), "-iterations=1"]) == 1
    line = last_line(capfd)
    assert line.startswith("caffe time: error: ")
    for part in parts:
        assert part in line


def truncate(path, keep):
    """Keeps that many bytes of a file, or that share, or all but a number."""
    contents = path.read_bytes()
    end = int(keep * len(contents)) if isinstance(keep, float) else keep
    path.write_bytes(contents[:end])


@pytest.fixture
def model(write_proto):
    return write_proto(nets.regression(), "model.prototxt")


@pytest.fixture
def solver(write_proto, model, tmp_path):
    return write_proto(
        f'net: "{model}" base_lr: 0.1 lr_policy: "fixed" max_iter: 2 random_seed: 1\n'
        f'snapshot_prefix: "{tmp_path / "snap"}" solver_mode: CPU\n',
        "solver.prototxt",
    )


@pytest.fixture
def snapshot(solver, capfd, tmp_path):
    """What two iterations of the solver left: the path without its ending."""
    assert main(["train", "-solver", str(solver)]) == 0
    capfd.readouterr()
    return tmp_path / "snap_iter_2"


def train(capfd, solver, *flags):
    assert main(["train", "-solver", str(solver), *map(str, flags)]) == 1
    line = last_line(capfd)
    assert line.startswith("caffe train: error: ")
    return line


class TestWeights:
    def test_of_another_shape(self, solver, snapshot, model, capfd):
        weights = snapshot.with_suffix(".caffemodel")
        text = model.read_text().replace("num_output: 3", "num_output: 5")
        model.write_text(text.replace("dim: 3", "dim: 5"))
        line = train(capfd, solver, "-weights", weights)
        for part in ("'fc'", "InnerProduct", "(3, 4)", "(5, 4)"):
            assert part in line

    def test_of_another_number(self, solver, snapshot, model, capfd):
        weights = snapshot.with_suffix(".caffemodel")
        text = model.read_text().replace(
            "num_output: 3", "num_output: 3 bias_term: false"
        )
        model.write_text(text)
        line = train(capfd, solver, "-weights", weights)
        for part in ("'fc'", "2", "1"):
            assert part in line

    @pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
    def test_truncated(self, solver, snapshot, capfd, keep):
        weights = snapshot.with_suffix(".caffemodel")
        truncate(weights, keep)
        assert str(weights) in train(capfd, solver, "-weights", weights)

    def test_a_prototxt(self, solver, model, capfd):
        assert str(model) in train(capfd, solver, "-weights", model)

    def test_missing(self, solver, capfd):
        assert "'none.caffemodel'" in train(
            capfd, solver, "-weights", "none.caffemodel"
        )


class TestSnapshots:
    def test_weights_as_snapshot_and_the_reverse(self, solver, snapshot, capfd):
        weights = snapshot.with_suffix(".caffemodel")
        state = snapshot.with_suffix(".solverstate")
        line = train(capfd, solver, "-snapshot", weights)
        assert str(weights) in line
        assert "-weights" in line or "caffemodel" in line
        line = train(capfd, solver, "-weights", state)
        assert str(state) in line
        assert "-snapshot" in line or "solverstate" in line

    @pytest.mark.parametrize("keep", [1, 0.5, -1])
    def test_truncated(self, solver, snapshot, capfd, keep):
        state = snapshot.with_suffix(".solverstate")
        truncate(state, keep)
        assert str(state) in train(capfd, solver, "-snapshot", state)

    def test_whose_weights_are_gone(self, solver, snapshot, capfd):
        snapshot.with_suffix(".caffemodel").unlink()
        state = snapshot.with_suffix(".solverstate")
        line = train(capfd, solver, "-snapshot", state)
        assert "snap_iter_2.caffemodel" in line

    def test_of_another_solver(self, solver, snapshot, capfd):
        solver.write_text(solver.read_text() + 'type: "Adam" momentum: 0.9\n')
        state = snapshot.with_suffix(".solverstate")
        line = train(capfd, solver, "-snapshot", state)
        assert "SGD" in line
        assert "Adam" in line


class TestSolvers:
    @pytest.mark.parametrize(
        ("old", "new", "parts"),
        [
            ('"fixed"', '"fixd"', ["'fixd'", "'fixed'"]),
            ("base_lr", "base_rl", ["solver.prototxt:1:", "base_rl"]),
            ("max_iter: 2", 'max_iter: "x"', ["solver.prototxt:1:"]),
            ("solver_mode: CPU", 'type: "SDG"', ["'SDG'", "'SGD'"]),
        ],
    )
    def test_settings(self, solver, capfd, old, new, parts):
        solver.write_text(solver.read_text().replace(old, new))
        line = train(capfd, solver)
        for part in parts:
            assert part in line

    def test_missing_nets(self, solver, model, capfd):
        model.unlink()
        assert str(model) in train(capfd, solver)


class TestDatabases:
    @pytest.fixture
    def database(self, tmp_path, random, capfd):
        lines = []
        for index in range(8):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{index}.png")
            lines.append(f"{index}.png {index}")
        (tmp_path / "list.txt").write_text("\n".join(lines))
        words = [f"{tmp_path}/", str(tmp_path / "list.txt"), str(tmp_path / "db")]
        assert convert_imageset(words) == 0
        capfd.readouterr()
        return tmp_path / "db"

    def net(self, write_proto, database, classes=8):
        return write_proto(
            f'layer {{ name: "data" type: "Data" top: "data" top: "label"\n'
            f'  data_param {{ source: "{database}" batch_size: 8 backend: LMDB }} }}\n'
            'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"\n'
            f"  inner_product_param {{ num_output: {classes} }} }}\n"
            'layer { name: "loss" type: "SoftmaxWithLoss" top: "loss"\n'
            '  bottom: "fc" bottom: "label" }\n'
        )

    def time(self, capfd, path):
        assert main(["time", "-model", str(path), "-iterations=1"]) == 1
        return last_line(capfd)

    def test_good(self, write_proto, database):
        path = self.net(write_proto, database)
        assert main(["time", "-model", str(path), "-iterations=1"]) == 0

    def test_missing(self, write_proto, database, capfd):
        line = self.time(capfd, self.net(write_proto, database.with_name("none")))
        assert str(database.with_name("none")) in line
        assert "'data'" in line

    def test_truncated(self, write_proto, database, capfd):
        file = database / "data.mdb"
        file.write_bytes(file.read_bytes()[:5000])
        assert str(database) in self.time(capfd, self.net(write_proto, database))

    def test_of_garbage(self, write_proto, database, capfd):
        (database / "data.mdb").write_bytes(b"no database" * 1000)
        assert str(database) in self.time(capfd, self.net(write_proto, database))

    def test_labels_outside_of_the_classes(self, write_proto, database, capfd):
        line = self.time(capfd, self.net(write_proto, database, classes=5))
        assert "'loss'" in line
        assert "label" in line
        assert "5" in line

    def test_exist_already(self, database, capfd, tmp_path):
        before = (database / "data.mdb").read_bytes()
        words = [f"{tmp_path}/", str(tmp_path / "list.txt"), str(database)]
        assert convert_imageset(words) == 1
        assert str(database) in last_line(capfd)
        assert (database / "data.mdb").read_bytes() == before


@pytest.mark.parametrize("part", ["model", "weights"])
def test_test_names_missing_files(part, model, capfd, tmp_path):
    net = caffe.Net(model, caffe.TEST)
    net.save(tmp_path / "w.caffemodel")
    files = {"model": str(model), "weights": str(tmp_path / "w.caffemodel")}
    files[part] = str(tmp_path / "gone")
    flags = [f"-{name}={path}" for name, path in files.items()]
    assert main(["test", *flags]) == 1
    assert str(tmp_path / "gone") in last_line(capfd)


def test_binary_nets_are_no_text(write_proto, tmp_path, capfd):
    path = tmp_path / "net.prototxt"
    path.write_bytes(nets.linear().SerializeToString())
    assert main(["time", "-model", str(path)]) == 1
    assert str(path) in last_line(capfd)


def test_messages_of_other_kinds(tmp_path, capfd):
    path = tmp_path / "net.prototxt"
    solver = caffe_pb2.SolverParameter(base_lr=0.1, max_iter=3)
    path.write_text(text_format.MessageToString(solver))
    assert main(["time", "-model", str(path)]) == 1
    line = last_line(capfd)
    assert f"{path}:1:" in line
    assert "base_lr" in line
