"""What a user of the installed package builds against it: layers and a program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe import layers as L

HERE = Path(__file__).resolve().parent
SOURCES = sorted((HERE / "src").glob("*.cpp"))
TYPES = ["ChannelShuffle", "DepthwiseConvolution", "FocalLoss", "UnitNorm"]
CLASSES = 5


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a program, with those of the environment of the tests found first."""
    programs = Path(sys.executable).parent
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All layers of src/ in one shared object, built by the command for it."""
    target = tmp_path_factory.mktemp("plugin") / "libmy_layers.so"
    run(
        *("caffe", "build-plugin", *SOURCES, "-o", target),
        *("--", f"-I{HERE / 'include'}", "-O1"),
        cwd=target.parent,
    )
    return target


def definition(labels: bool) -> caffe.NetSpec:
    """A small net of the plugin's layers, with its loss if there are labels."""
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [4, 6, 8, 8]})
    if labels:
        net.label = L.Input(shape={"dim": [4]})
    net.depthwise = L.DepthwiseConvolution(
        net.data,
        convolution_param={
            "num_output": 6,
            "group": 6,
            "kernel_size": [3],
            "pad": [1],
            "stride": [2],
            "weight_filler": {"type": "msra"},
            "bias_filler": {"type": "uniform", "min": -1, "max": 1},
        },
    )
    net.shuffle = L.ChannelShuffle(net.depthwise, convolution_param={"group": 2})
    net.unit = L.UnitNorm(net.shuffle)
    net.fc = L.InnerProduct(
        net.unit, num_output=CLASSES, weight_filler={"type": "xavier"}
    )
    if labels:
        net.loss = L.FocalLoss(net.fc, net.label, power_param={"power": 2})
    return net


def reference(net: caffe.Net, data: np.ndarray) -> np.ndarray:
    """The scores, in float64."""
    weights = {
        name: [blob.data.astype(np.float64) for blob in blobs]
        for name, blobs in net.params.items()
    }
    filters, bias = weights["depthwise"]
    padded = np.pad(data.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    windows = windows[:, :, ::2, ::2]
    x = np.einsum("nchwij,cij->nchw", windows, filters[:, 0])
    x += bias[:, None, None]
    x = x[:, [0, 3, 1, 4, 2, 5]]
    norm = np.sqrt((x**2).sum(axis=1, keepdims=True) + 1e-10)
    x = x / norm * weights["unit"][0][:, None, None]
    return x.reshape(len(x), -1) @ weights["fc"][0].T + weights["fc"][1]


@pytest.fixture(scope="module")
def loaded(plugin: Path) -> list[str]:
    """The plugin, in this process: the names of its layers."""
    return caffe.load_plugin(plugin)


def test_the_plugin_registers_all_its_layers(plugin: Path, loaded: list[str]) -> None:
    assert loaded == TYPES
    assert set(TYPES) <= set(caffe.layer_type_list())
    assert caffe.load_plugin(str(plugin)) == TYPES


@pytest.mark.usefixtures("loaded")
def test_its_layers_compute_in_a_net() -> None:
    caffe.set_random_seed(3)
    net = caffe.Net(definition(labels=False).to_proto(), caffe.TEST)
    data = np.random.default_rng(0).normal(size=(4, 6, 8, 8)).astype(np.float32)
    scores = net.forward(data=data)["fc"]
    assert_close(scores, reference(net, data), Op.REDUCTION, terms=6 * 16)


@pytest.mark.usefixtures("loaded")
def test_its_layers_learn(tmp_path: Path) -> None:
    train = tmp_path / "train.prototxt"
    train.write_text(str(definition(labels=True).to_proto()))
    text = tmp_path / "solver.prototxt"
    text.write_text(
        f'net: "{train}" base_lr: 0.5 lr_policy: "fixed" momentum: 0.9 max_iter: 30 '
        "random_seed: 1 display: 0 snapshot_after_train: false"
    )
    solver = caffe.SGDSolver(str(text))
    rng = np.random.default_rng(0)
    solver.net.blobs["data"].data[...] = rng.normal(size=(4, 6, 8, 8))
    solver.net.blobs["label"].data[...] = np.arange(4) % CLASSES
    first = float(solver.net.forward()["loss"])
    before = solver.net.params["depthwise"][0].data.copy()
    solver.step(30)
    assert float(solver.net.forward()["loss"]) < first / 10
    assert np.abs(solver.net.params["depthwise"][0].data - before).max() > 0


@pytest.mark.usefixtures("loaded")
def test_a_cmake_project_uses_the_installed_package(tmp_path: Path) -> None:
    package = Path(caffe.__file__).parent / "lib" / "cmake" / "Caffe"
    run(
        *("cmake", "-S", HERE / "consumer", "-B", tmp_path, "-G", "Ninja"),
        f"-DCaffe_DIR={package}",
        f"-DLAYER_SOURCES={';'.join(map(str, SOURCES))}",
        f"-DLAYER_INCLUDE={HERE / 'include'}",
        "-DCMAKE_BUILD_TYPE=Debug",
        cwd=tmp_path,
    )
    run("cmake", "--build", tmp_path, cwd=tmp_path)

    caffe.set_random_seed(5)
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_text(str(definition(labels=False).to_proto()))
    net = caffe.Net(str(model), caffe.TEST)
    net.save(str(weights))
    # The program asks for a batch of its own.
    data = np.arange(2 * 6 * 8 * 8).reshape(2, 6, 8, 8)
    want = reference(net, data)

    printed = run(
        *(tmp_path / "classify", model, weights, tmp_path / "libmy_layers.so"),
        cwd=tmp_path,
    )
    scores = np.array([float(line) for line in printed.splitlines()])
    assert_close(scores.reshape(want.shape), want, Op.REDUCTION, terms=6 * 16)
