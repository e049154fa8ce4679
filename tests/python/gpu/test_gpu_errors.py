"""What a GPU that cannot be used, or fails, says: one sentence, and status 1."""

from __future__ import annotations

import nets
import pytest
from emulated_gpus import needed, run, sentence_of, succeed
from google.protobuf import text_format

from caffe import _missing_cuda
from caffe.proto import caffe_pb2

pytestmark = needed


# Machines on which no net can run, and what the sentence must hold.
MACHINES = {
    "no GPU": (
        {"CUDA_EMULATION_DEVICES": 0},
        ["no GPU that CUDA can use", "nvidia-smi", "CUDA_VISIBLE_DEVICES"],
    ),
    "no driver": ({"CUDA_EMULATION_DRIVER": 0}, ["no NVIDIA driver", "on the CPU"]),
    "an old driver": (
        {"CUDA_EMULATION_DRIVER": 12040},
        ["driver supports CUDA 12.4", "built with CUDA 13.0", "install a newer driver"],
    ),
    "a GPU that serves another process alone": (
        {"CUDA_EMULATION_FAIL": "busy"},
        ["GPU 0", "busy with another process", "another GPU"],
    ),
    "a GPU for which no code was compiled": (
        {"CUDA_EMULATION_FAIL": "no_image"},
        ["GPU 0", "no code for GPUs of this architecture", "CMAKE_CUDA_ARCHITECTURES"],
    ),
}


def learner():
    """nets.learner() with a kernel of its own: a TanH in front of the loss."""
    net = nets.learner()
    *before, loss = net.layer
    loss.bottom[0] = "tanh"
    tanh = caffe_pb2.LayerParameter(
        name="tanh", type="TanH", bottom=["fc"], top=["tanh"]
    )
    del net.layer[:]
    net.layer.extend([*before, tanh, loss])
    return net


@pytest.fixture
def solver(tmp_path):
    """Writes learner() and a solver; returns the solver's path."""
    (tmp_path / "net.prototxt").write_text(text_format.MessageToString(learner()))
    message = caffe_pb2.SolverParameter(
        net=str(tmp_path / "net.prototxt"),
        base_lr=0.01,
        lr_policy="fixed",
        max_iter=6,
        snapshot=2,
        display=1,
        random_seed=1,
        snapshot_prefix=str(tmp_path / "s"),
    )
    path = tmp_path / "solver.prototxt"
    path.write_text(text_format.MessageToString(message))
    return path


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("command", ["train", "time", "device_query"])
def test_a_machine_without_a_usable_gpu(machine, command, solver, tmp_path):
    variables, expected = MACHINES[machine]
    arguments = {
        "train": ["-solver", solver],
        "time": ["-model", tmp_path / "net.prototxt"],
        "device_query": [],
    }[command]
    done = run("caffe", command, *arguments, "-gpu", 0, cwd=tmp_path, **variables)
    sentence = sentence_of(done)
    assert [part for part in expected if part not in sentence] == []


def test_a_gpu_that_does_not_exist(solver, tmp_path):
    done = run("caffe", "train", "-solver", solver, "-gpu", 5, cwd=tmp_path)
    assert sentence_of(done).startswith(
        "GPU 5 does not exist: this machine has 2 GPUs, numbered from 0"
    )


def test_a_build_for_gpus_computes_on_the_cpu(solver, tmp_path):
    log = succeed(
        "caffe", "train", "-solver", solver, cwd=tmp_path, CUDA_EMULATION_DEVICES=0
    )
    assert "Use CPU." in log
    assert (tmp_path / "s_iter_6.caffemodel").exists()


def test_a_kernel_that_fails_in_training_leaves_the_last_snapshot(solver, tmp_path):
    failing = {"CUDA_EMULATION_FAIL": "kernel:TanH:8", "CUDA_LAUNCH_BLOCKING": 1}
    done = run("caffe", "train", "-solver", solver, "-gpu", 0, cwd=tmp_path, **failing)
    sentence = sentence_of(done)
    assert sentence.startswith("layer 'tanh' (TanH): CUDA: ")
    assert "unspecified launch failure" in sentence
    # Two kernels an iteration: it was the fourth that failed, behind the snapshot of 2.
    names = {path.name for path in tmp_path.glob("s_iter_*")}
    assert names == {"s_iter_2.caffemodel", "s_iter_2.solverstate"}
    state = tmp_path / "s_iter_2.solverstate"
    succeed(
        *("caffe", "train", "-solver", solver, "-snapshot", state, "-gpu", 0),
        cwd=tmp_path,
    )
    assert (tmp_path / "s_iter_6.caffemodel").exists()


# Kernels run later than they are started, so a later layer may be told.
def test_a_failure_that_shows_later_says_so(solver, tmp_path):
    failing = {"CUDA_EMULATION_FAIL": "kernel:TanH:1"}
    done = run("caffe", "train", "-solver", solver, "-gpu", 0, cwd=tmp_path, **failing)
    sentence = sentence_of(done)
    assert sentence.startswith("layer 'loss' (EuclideanLoss): ")
    assert "in this layer or in one that ran before it" in sentence
    assert "CUDA_LAUNCH_BLOCKING=1" in sentence


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libcudnn.so.9", "nvidia-cudnn-cu13"),
        ("libcublasLt.so.13", "nvidia-cublas"),
        ("libnccl.so.2", "nvidia-nccl-cu13"),
    ],
)
def test_a_library_that_the_loader_lacks(library, package):
    complaint = f"{library}: cannot open shared object file: No such file or directory"
    sentence = _missing_cuda(complaint)
    assert f"needs {library}" in sentence
    assert f"pip install {package}`" in sentence


def test_other_complaints_of_the_loader_pass():
    assert _missing_cuda("libhdf5.so.103: cannot open shared object file") == ""
    assert _missing_cuda("libcudnn.so.9: undefined symbol: cudnnCreate") == ""
