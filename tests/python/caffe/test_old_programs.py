"""Programs written for Caffe 1.0, built against the installed package and run.

They include glog, gflags and Boost, which need not be there: they are built without,
and beside the real glog and gflags where scripts/test.sh could get these.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2

SOURCES = ROOT / "tests" / "plugins" / "programs"
# The real glog and gflags: unpacked there, not installed.
REAL = ROOT / "build" / "real_headers" / "usr"
PREFIXES = {"alone": [], "beside the real ones": [f"-DCMAKE_PREFIX_PATH={REAL}"]}


def configure_and_build(folder: Path, *options: str) -> Path:
    """Builds all programs with find_package(Caffe)."""
    package = Path(caffe.__file__).parent / "lib" / "cmake" / "Caffe"
    configure = ["cmake", "-S", SOURCES, "-B", folder, "-G", "Ninja"]
    configure += [f"-DCaffe_DIR={package}", "-DCMAKE_CXX_FLAGS=-O0", *options]
    for command in (configure, ["cmake", "--build", folder]):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{result.stdout[-4000:]}\n{result.stderr}"
    return folder


@pytest.fixture(scope="module", params=PREFIXES)
def programs(request, tmp_path_factory):
    """The folder of the programs."""
    if PREFIXES[request.param] and not (REAL / "include/glog/logging.h").is_file():
        pytest.skip(f"no glog and gflags in {REAL}; scripts/test.sh fetches them")
    folder = tmp_path_factory.mktemp("programs")
    return configure_and_build(folder, *PREFIXES[request.param])


@pytest.fixture
def run(programs, tmp_path):
    """Runs one of them; returns stderr."""

    libraries = list(REAL.glob("lib/*-linux-gnu"))

    def run(name: str, *arguments: object, status: int = 0) -> str:
        result = subprocess.run(
            [programs / name, *map(str, arguments)],
            cwd=tmp_path,
            # Of the real glog, whose own libraries are unpacked beside it.
            env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == status, f"{result.stdout}\n{result.stderr}"
        return result.stdout + result.stderr

    return run


@pytest.fixture
def images(tmp_path):
    """Six images of one colour each, their list, and the colours from blue to red."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3), dtype=np.uint8)
    lines = []
    for i, colour in enumerate(pixels):
        Image.new("RGB", (5, 4), tuple(map(int, colour))).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png {i % 2}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    return pixels[:, ::-1].astype(np.float64)


def write_net(path: Path) -> caffe.Net:
    """A net over the database, with random weights beside it."""
    net = caffe.NetSpec()
    net.data, net.label = L.Data(
        source=str(path / "db"), backend=caffe.params.Data.LMDB, batch_size=3, ntop=2
    )
    net.fc = L.InnerProduct(net.data, num_output=2, weight_filler={"type": "xavier"})
    net.loss = L.SoftmaxWithLoss(net.fc, net.label)
    net.accuracy = L.Accuracy(net.fc, net.label)
    (path / "net.prototxt").write_text(str(net.to_proto()))
    caffe.set_random_seed(3)
    made = caffe.Net(str(path / "net.prototxt"), caffe.TEST)
    made.save(str(path / "net.caffemodel"))
    return made


def test_images_become_a_database_and_its_mean(run, images, tmp_path):
    printed = run("convert_imageset", "-check_size", f"{tmp_path}/", "list.txt", "db")
    assert "A total of 6 images." in printed
    assert "Processed 6 files." in printed
    assert caffe.db_entries(tmp_path / "db") == 6
    printed = run("compute_image_mean", "--backend", "lmdb", "db", "mean.binaryproto")
    blob = caffe_pb2.BlobProto.FromString((tmp_path / "mean.binaryproto").read_bytes())
    mean = caffe.io.blobproto_to_array(blob)[0]
    assert_close(mean[:, 2, 3], images.mean(axis=0), Op.REDUCTION, len(images))
    assert "mean_value channel [0]: " in printed
    # Resized, grey and encoded, as a LevelDB.
    printed = run(
        *("convert_imageset", "-gray", "--resize_width=3", "-resize_height", 2),
        *("-encoded=true", "-encode_type=png", "-shuffle", "-backend=leveldb"),
        *(f"{tmp_path}/", "list.txt", "grey"),
    )
    assert "Shuffling data" in printed
    assert caffe.db_entries(tmp_path / "grey", "leveldb") == 6


def test_a_net_is_trained_scored_and_timed(run, images, tmp_path):
    run("convert_imageset", f"{tmp_path}/", "list.txt", "db")
    write_net(tmp_path)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" test_iter: 2 test_interval: 5 base_lr: 0.0001 '
        'lr_policy: "fixed" max_iter: 10 snapshot_prefix: "snap" solver_mode: CPU '
        "display: 5 random_seed: 1"
    )
    printed = run("caffe_tool", "train", "--solver=solver.prototxt")
    assert "Iteration 5, loss = " in printed or "Iteration 5 (" in printed
    assert "Optimization Done." in printed
    printed = run(
        *("caffe_tool", "train", "-solver", "solver.prototxt"),
        *("-snapshot", "snap_iter_10.solverstate"),
    )
    assert "Resuming from snap_iter_10.solverstate" in printed
    printed = run(
        *("caffe_tool", "test", "-model=net.prototxt", "-iterations=2"),
        "-weights=snap_iter_10.caffemodel",
    )
    assert "Batch 1, accuracy = " in printed
    assert " (* 1 = " in printed
    printed = run("caffe_tool", "time", "-model=net.prototxt", "-iterations=1")
    assert "fc\tbackward: " in printed


def test_features_are_what_the_net_computes(run, images, tmp_path):
    run("convert_imageset", f"{tmp_path}/", "list.txt", "db")
    net = write_net(tmp_path)
    want = [net.forward(blobs=["fc"])["fc"].copy() for _ in range(2)]
    run(
        *("extract_features", "net.caffemodel", "net.prototxt", "fc,label"),
        *("features,labels", 2, "lmdb"),
    )
    import lmdb

    with lmdb.open(str(tmp_path / "features"), readonly=True).begin() as transaction:
        got = [
            list(caffe_pb2.Datum.FromString(bytes(value)).float_data)
            for _, value in transaction.cursor()
        ]
    np.testing.assert_array_equal(got, np.concatenate(want))


def test_old_formats_are_upgraded(run, tmp_path):
    old = 'name: "old" layers { name: "x" type: RELU bottom: "data" top: "x" } '
    (tmp_path / "old.prototxt").write_text(
        old + 'input: "data" input_dim: [1, 2, 3, 4]'
    )
    run("upgrade_net_proto_text", "old.prototxt", "new.prototxt")
    new = caffe.read_net(tmp_path / "new.prototxt")
    assert [layer.type for layer in new.layer] == ["Input", "ReLU"]
    assert "layers" not in (tmp_path / "new.prototxt").read_text()

    net = caffe_pb2.NetParameter(name="old")
    layer = net.layers.add(name="fc", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    layer.bottom.append("data")
    layer.top.append("fc")
    layer.blobs.add(data=[1, 2], shape={"dim": [1, 2]})
    (tmp_path / "old.caffemodel").write_bytes(net.SerializeToString())
    run("upgrade_net_proto_binary", "old.caffemodel", "new.caffemodel")
    upgraded = caffe_pb2.NetParameter.FromString(
        (tmp_path / "new.caffemodel").read_bytes()
    )
    assert [layer.type for layer in upgraded.layer] == ["InnerProduct"]
    assert list(upgraded.layer[0].blobs[0].data) == [1, 2]

    (tmp_path / "old_solver").write_text('net: "net.prototxt" solver_type: ADAM')
    run("upgrade_solver_proto_text", "old_solver", "new_solver")
    assert 'type: "Adam"' in (tmp_path / "new_solver").read_text()
    printed = run("upgrade_solver_proto_text", "none", "new_solver", status=1)
    assert "none" in printed.splitlines()[-1]


def test_users_test_their_layers(run):
    printed = run("layer_test")
    assert "[  PASSED  ] 9 tests." in printed or "[  PASSED  ] 17 tests." in printed


def test_what_is_used_of_boost_is_there(run):
    assert "[  PASSED  ] 6 tests." in run("boost_test")


def test_wrong_calls_are_told_in_a_sentence(run):
    printed = run("caffe_tool", "train", status=1)
    assert "Need a solver definition to train." in printed.splitlines()[-1]
    printed = run("caffe_tool", "train", "-solvr=x", status=1)
    assert "solvr" in printed
    printed = run("caffe_tool", "brew", status=1)
    assert "Unknown action: brew" in printed.splitlines()[-1]
    printed = run("caffe_tool", status=1)
    assert "command line brew" in printed
    assert "-solver (The solver prototxt.)" in printed
    printed = run("caffe_tool", "train", "-solver=none.prototxt", status=1)
    last = printed.splitlines()[-1]
    assert last.startswith("caffe_tool: error: ")
    assert "none.prototxt" in last


HABITS = """
namespace caffe {
template <typename Dtype>
class Habit : public Layer<Dtype> {
 public:
  explicit Habit(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual ~Habit<Dtype>() {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top) {
    top[0]->ReshapeLike(*bottom[0]);
  }
  virtual inline const char* type() const { return "Habit"; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top) {
    const Dtype least = std::max(Dtype(FLT_MIN), Dtype(kLOG_THRESHOLD));
    CHECK_GT(bottom[0]->count(), 1) << "Habit needs two";
    const Dtype* x = bottom[0]->cpu_data();
    Dtype* y = top[0]->mutable_cpu_data();
    for (int i = 0; i < bottom[0]->count(); ++i) y[i] = std::log(std::max(x[i], least));
    boost::shared_ptr<Blob<Dtype> > scratch(new Blob<Dtype>());
    shared_ptr<Blob<Dtype> > kept(new Blob<Dtype>());
    LOG_IF(INFO, kept.get() == NULL) << "never";
  }
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {
    NOT_IMPLEMENTED;
  }
};
template <typename Dtype>
class HabitLayer : public Habit<Dtype> {
 public:
  explicit HabitLayer(const LayerParameter& param) : Habit<Dtype>(param) {}
};
INSTANTIATE_CLASS(HabitLayer);
REGISTER_LAYER_CLASS(Habit);
}  // namespace caffe
"""


def test_build_plugin_takes_habits_and_a_standard(run_tool, tmp_path):
    includes = "\n".join(
        f"#include {name}"
        for name in (
            '"caffe/layers/loss_layer.hpp"',
            '"caffe/filler.hpp"',
            '"caffe/util/mkl_alternate.hpp"',
            '"caffe/util/nccl.hpp"',
            "<glog/logging.h>",
            "<boost/shared_ptr.hpp>",
        )
    )
    (tmp_path / "habit.cpp").write_text(includes + HABITS)
    result = run_tool("caffe", "build-plugin", "habit.cpp", "-o", "habit.so")
    assert result.returncode == 0, result.stderr
    result = run_tool(
        *("caffe", "build-plugin", "habit.cpp", "-o", "habit.so", "--", "-std=c++20"),
        *("-Werror", "-pedantic-errors"),
    )
    # A destructor named ~Habit<Dtype>() is none in C++20.
    assert result.returncode == 1
    assert "destructor" in result.stderr


def test_public_headers_are_cpp17(tmp_path):
    """All of them in one file, which also shows that none collides with another."""
    from caffe import _caffe
    from caffe.cli.build_plugin import include_folder

    folder = include_folder()
    headers = sorted(
        path.relative_to(folder).as_posix()
        for path in (folder / "caffe").rglob("*.h*")
        if "no_log_macros" not in path.name and "compat" not in path.parts
    )
    # HDF5 is wanted by those alone who read it, GoogleTest by those who test.
    text = "".join(
        f"#include <{name}>\n"
        for name in headers
        if name != "caffe/util/hdf5.hpp" and "/test/" not in name
    )
    (tmp_path / "all.cpp").write_text(text)
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    command += [] if _caffe.has_gpu else ["-DCPU_ONLY"]
    command += [f"-I{folder}", "all.cpp"]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-4000:]
