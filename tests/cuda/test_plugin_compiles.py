"""plugin/'s device code, compiled with nvcc for other Caffes. Nothing is run."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cuda_compiler import ROOT, Nvcc

TESTS = ROOT / "tests" / "plugin"
# Where each cuDNN declares batch normalisation, and where it says which version it is.
CUDNN_HEADERS = {
    7: ("cudnn.h", "cudnn.h"),
    8: ("cudnn_ops_infer.h", "cudnn_version.h"),
    9: ("cudnn_ops.h", "cudnn_version.h"),
}


@dataclass
class TheirCaffe:
    """A Caffe's sources with the layers put in, and caffe.pb.h."""

    tree: Path
    work: Path

    def compile(self, nvcc: Nvcc, layer: str, target: Path, *options: str) -> None:
        """As C++11 for one GPU, to machine code (.o) or to assembly (.ptx)."""
        headers = [self.tree / "include", self.work / "proto", self.work / "libraries"]
        result = nvcc.run(
            "-std=c++11",
            "-arch=sm_75",
            "-w",  # cuDNN 9 calls deprecated what there is no other function for in 7
            *options,
            *(f"-I{folder}" for folder in (*headers, *nvcc.includes)),
            "-ptx" if target.suffix == ".ptx" else "-c",
            self.tree / f"src/caffe/layers/{layer}.cu",
            "-o",
            target,
        )
        assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def their_caffe(tmp_path_factory: pytest.TempPathFactory) -> TheirCaffe:
    work = tmp_path_factory.mktemp("their_caffe")
    tree = work / "caffe"
    shutil.copytree(TESTS / "stand_in", tree)
    install = ["bash", ROOT / "plugin" / "install.sh", tree]
    subprocess.run(install, check=True, capture_output=True)
    proto = work / "proto" / "caffe" / "proto"
    proto.mkdir(parents=True)
    source = tree / "src" / "caffe" / "proto"
    subprocess.run(
        ["protoc", f"--cpp_out={proto}", f"-I{source}", source / "caffe.proto"],
        check=True,
    )
    # Caffe's headers include cuBLAS's and cuRAND's, of which these layers use nothing.
    libraries = work / "libraries"
    libraries.mkdir()
    for name in ("cublas_v2.h", "curand.h"):
        shutil.copy(ROOT / "tests" / "cuda_emulation" / "include" / name, libraries)
    return TheirCaffe(tree, work)


def cudnn(folder: Path, major: int) -> Path:
    """The headers of that cuDNN, as an install has them."""
    folder.mkdir()
    where, version = CUDNN_HEADERS[major]
    text = {"cudnn.h": "#pragma once\n"}
    text[version] = f"#pragma once\n#define CUDNN_MAJOR {major}\n"
    if version != "cudnn.h":
        text["cudnn.h"] += f'#include "{version}"\n#include "{where}"\n'
    declarations = (TESTS / "cudnn" / "batch_norm.h").read_text()
    text[where] = text.get(where, "") + declarations
    for name, lines in text.items():
        (folder / name).write_text(lines)
    return folder


def kernels(target: Path) -> str:
    """The mangled names of a .ptx file's kernels."""
    names = re.findall(r"^\.visible \.entry (\w+)\(", target.read_text(), re.MULTILINE)
    return " ".join(names)


# To .ptx the compiler checks all of a file, the processor's part too, and is done four
# times as fast.
def test_axpy(nvcc: Nvcc, their_caffe: TheirCaffe, tmp_path: Path) -> None:
    target = tmp_path / "axpy.ptx"
    their_caffe.compile(nvcc, "axpy_layer", target)
    for name in ("BackwardRows", "BackwardChannels"):
        assert re.search(f"{name}Iff.*{name}Idd", kernels(target)), name


def test_batch_norm_without_cudnn(
    nvcc: Nvcc, their_caffe: TheirCaffe, tmp_path: Path
) -> None:
    target = tmp_path / "batch_norm.ptx"
    their_caffe.compile(nvcc, "cudnn_batch_norm_layer", target)
    for name in ("BatchStatistics", "RunningStatistics", "GradientSums"):
        assert re.search(f"{name}I[fd].*{name}I[fd]", kernels(target)), name


@pytest.mark.parametrize(("major", "handle"), [(7, False), (8, True), (9, True)])
def test_batch_norm(
    nvcc: Nvcc, their_caffe: TheirCaffe, tmp_path: Path, major: int, handle: bool
) -> None:
    options = [f"-I{cudnn(tmp_path / 'cudnn', major)}", "-DUSE_CUDNN"]
    if not handle:
        options.append("-DSTAND_IN_WITHOUT_HANDLE")
    target = tmp_path / "batch_norm.ptx"
    their_caffe.compile(nvcc, "cudnn_batch_norm_layer", target, *options)
    assert "BatchStatistics" in kernels(target)


def test_machine_code(nvcc: Nvcc, their_caffe: TheirCaffe, tmp_path: Path) -> None:
    target = tmp_path / "batch_norm.o"
    options = [f"-I{cudnn(tmp_path / 'cudnn', 9)}", "-DUSE_CUDNN"]
    options.append("-DSTAND_IN_WITHOUT_HANDLE")
    their_caffe.compile(nvcc, "cudnn_batch_norm_layer", target, *options)
    functions = subprocess.run(
        ["nm", "--demangle", target], capture_output=True, text=True, check=True
    ).stdout
    for dtype in ("float", "double"):
        for method in ("Forward_gpu", "Backward_gpu"):
            assert f"caffe::CuDNNBatchNormLayer<{dtype}>::{method}(" in functions
    # Which cuDNN their Caffe has, and how it hands it out, is all one to the layer.
    assert "U cudnn" not in functions
