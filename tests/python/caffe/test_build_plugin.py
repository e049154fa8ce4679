"""`caffe build-plugin`: layers of a user, built against the installed package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAYER = """
#include <vector>
#include "caffe/layer.hpp"
#include "caffe/filler.hpp"

namespace caffe {

// top = w * bottom + GAIN, with one learned w.
template <typename Dtype>
class TestGainLayer : public Layer<Dtype> {
 public:
  explicit TestGainLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top) {
    this->blobs_.resize(1);
    this->blobs_[0].reset(new Blob<Dtype>(vector<int>(1, 1)));
    FillerParameter filler;
    filler.set_value(2);
    shared_ptr<Filler<Dtype> > made(GetFiller<Dtype>(filler));
    made->Fill(this->blobs_[0].get());
    LOG(INFO) << "TestGain set up";
  }
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top) {
    CHECK_EQ(bottom[0]->num_axes(), 2) << "TestGain wants matrices";
    top[0]->ReshapeLike(*bottom[0]);
  }
  virtual inline const char* type() const { return "TestGain"; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top) {
    const Dtype w = this->blobs_[0]->cpu_data()[0];
    for (int i = 0; i < bottom[0]->count(); ++i) {
      top[0]->mutable_cpu_data()[i] = w * bottom[0]->cpu_data()[i] + GAIN;
    }
  }
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {
    NOT_IMPLEMENTED;
  }
};

INSTANTIATE_CLASS(TestGainLayer);
REGISTER_LAYER_CLASS(TestGain);

}  // namespace caffe
"""

USE = """
import sys
import numpy as np
import caffe
from caffe import layers as L

if len(sys.argv) > 1:
    print(caffe.load_plugin(sys.argv[1]), caffe.load_plugin(sys.argv[1]))
net = caffe.Net(caffe.to_proto(L.TestGain(L.Input(shape={"dim": [1, 2]}))), caffe.TEST)
print(net.forward(Input1=np.array([[1, 2]]))["TestGain1"].tolist())
net.blobs["Input1"].reshape(2)
try:
    net.reshape()
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The layer above, compiled by the command: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "gain_layer.cpp").write_text(LAYER)
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("caffe"), "build-plugin"),
            *("gain_layer.cpp", "-o", "libs/libgain.so", "--", "-DGAIN=10"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return folder, run


@pytest.fixture
def plugin(built):
    """The shared object."""
    return built[0] / "libs" / "libgain.so"


def test_the_command_builds_and_names_what_it_registers(built, plugin):
    run = built[1]
    assert run.returncode == 0, run.stderr
    assert run.stdout == "built libs/libgain.so: TestGain\n"
    assert plugin.exists()


def run_python(run_tool, *arguments, **environment):
    return run_tool(
        *("python", "-c", USE, *arguments), env={**os.environ, **environment}
    )


def test_nets_use_it(plugin, run_tool):
    run = run_python(run_tool, plugin)
    loaded, values, error = run.stdout.splitlines()
    assert loaded == "['TestGain'] ['TestGain']"
    assert values == "[[12.0, 14.0]]"
    assert "TestGain wants matrices" in error
    assert "'TestGain1'" in error


def test_the_environment_names_plugins(plugin, run_tool):
    run = run_python(run_tool, CAFFE_PLUGINS=str(plugin))
    assert run.stdout.startswith("[[12.0, 14.0]]\n")
    run = run_python(run_tool, CAFFE_PLUGINS="/nonexistent/lib.so")
    assert "OSError" in run.stderr
    assert "/nonexistent/lib.so" in run.stderr


def test_the_command_line_loads_it(plugin, run_tool, tmp_path):
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data"\n'
        "  input_param { shape { dim: 1 dim: 2 } } }\n"
        'layer { name: "gain" type: "TestGain" bottom: "data" top: "gain" }\n'
    )
    run = run_tool(
        *("caffe", "time", "-model", "net.prototxt", "-iterations=1"),
        *("-plugin", plugin),
    )
    assert run.returncode == 0, run.stderr
    assert f"Loaded {plugin}: TestGain" in run.stderr
    assert "TestGain set up" in run.stderr
    run = run_tool("caffe", "time", "-model", "net.prototxt")
    assert run.returncode == 1
    assert "unknown layer type 'TestGain'" in run.stderr


def test_the_users_headers_come_first(run_tool, tmp_path):
    fork = tmp_path / "fork" / "caffe" / "util"
    fork.mkdir(parents=True)
    # Ours of this name declares none of it.
    (fork / "format.hpp").write_text("#define FORK 7\n")
    (tmp_path / "fork.cpp").write_text(
        '#include "caffe/layer.hpp"\n#include "caffe/util/format.hpp"\n'
        + LAYER.replace("GAIN", "FORK")
    )
    build = ["caffe", "build-plugin", "fork.cpp", "-o", "fork.so"]
    run = run_tool(*build, "--", "-Ifork")
    assert run.returncode == 0, run.stderr
    run = run_tool(*build, env={**os.environ, "CXXFLAGS": "-Ifork"})
    assert run.returncode == 0, run.stderr
    run = run_tool(*build)
    assert run.returncode == 1
    assert "FORK" in run.stderr


def test_loss_layers_find_their_threshold(run_tool, tmp_path):
    # The least probability of Caffe 1.0's loss layers, under its name and value.
    (tmp_path / "loss.cpp").write_text(
        LAYER.replace("caffe/layer.hpp", "caffe/layers/loss_layer.hpp").replace(
            "+ GAIN", "+ std::max(Dtype(0), Dtype(kLOG_THRESHOLD))"
        )
        + "static_assert(caffe::kLOG_THRESHOLD == 1e-20f);\n"
    )
    run = run_tool("caffe", "build-plugin", "loss.cpp", "-o", "loss.so")
    assert run.returncode == 0, run.stderr


def test_compiler_errors_are_shown(run_tool, tmp_path):
    (tmp_path / "bad.cpp").write_text("#include <caffe/layer.hpp>\nint x = nothing;\n")
    run = run_tool("caffe", "build-plugin", "bad.cpp", "-o", "bad.so")
    assert run.returncode == 1
    assert "bad.cpp:2:9" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("caffe build-plugin: error: ")
    assert not (tmp_path / "bad.so").exists()


def test_a_failed_build_keeps_the_former_one(run_tool, tmp_path):
    (tmp_path / "x.cpp").write_text("int x;")
    former = tmp_path / "lib.so"
    former.write_bytes(b"the former one")
    command = ("caffe", "build-plugin", "x.cpp", "-o", "lib.so", "--")
    # A compiler that writes, and then fails, as when the disk is full.
    half = tmp_path / "half"
    half.write_text(
        '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho half > "$2"\nexit 1\n'
    )
    half.chmod(0o755)
    run = run_tool(*command, env={**os.environ, "CXX": str(half)})
    assert run.returncode == 1
    assert former.read_bytes() == b"the former one"
    assert {path.name for path in tmp_path.iterdir()} == {"x.cpp", "lib.so", "half"}


def test_the_compiler_can_be_chosen(run_tool, tmp_path):
    (tmp_path / "a.cpp").write_text("")
    run = run_tool(
        *("caffe", "build-plugin", "a.cpp", "-o", "a.so"),
        env={**os.environ, "CXX": "no_such_compiler -x"},
    )
    assert run.returncode == 1
    assert "cannot run the compiler 'no_such_compiler'" in run.stderr


def test_libraries_that_register_nothing_are_refused(run_tool, tmp_path):
    (tmp_path / "empty.cpp").write_text("int nothing = 0;\n")
    run = run_tool("caffe", "build-plugin", "empty.cpp", "-o", "empty.so")
    assert run.returncode == 1
    assert "empty.so" in run.stderr.splitlines()[-1]
