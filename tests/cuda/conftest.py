"""What the tests of device code share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cuda_compiler import ROOT, Nvcc, find_nvcc


@pytest.fixture(scope="session")
def nvcc() -> Nvcc:
    return find_nvcc()


@pytest.fixture(scope="session")
def proto_include(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with caffe/proto/caffe.pb.h."""
    include = tmp_path_factory.mktemp("proto")
    target = include / "caffe" / "proto"
    target.mkdir(parents=True)
    source = ROOT / "src" / "caffe" / "proto"
    subprocess.run(
        ["protoc", f"--cpp_out={target}", f"-I{source}", source / "caffe.proto"],
        check=True,
    )
    return include
