"""Device code of users is compiled to machine code with nvcc. Nothing is run on a GPU.

The library's own is, and linked, by tests/cuda/nvcc.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from cuda_compiler import ROOT, Nvcc

OLDEST_ARCHITECTURE = "75"
PLUGINS = sorted((ROOT / "tests" / "plugins" / "src").glob("*.cu"))
# Those of util/ that device code needs come with them; others need more libraries.
HEADERS = sorted(
    path
    for folder in ("caffe", "caffe/layers")
    for path in (ROOT / "include" / folder).glob("*.hpp")
)


def compile_to_object(
    nvcc: Nvcc, proto_include: Path, source: Path, target: Path, *options: str
) -> str:
    """Compiles for the oldest and the newest GPU; returns what ptxas reports."""
    architectures = (OLDEST_ARCHITECTURE, nvcc.newest_architecture())
    result = nvcc.run(
        "-std=c++20",
        "--threads=0",
        *(f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures),
        *(f"-I{folder}" for folder in (ROOT / "include", ROOT / "src", proto_include)),
        *(f"-I{folder}" for folder in nvcc.includes),
        "-Xptxas=-v",
        *options,
        "-c",
        source,
        "-o",
        target,
    )
    assert result.returncode == 0, f"{source.name}:\n{result.stderr}"
    return result.stderr


def defined_functions(target: Path) -> list[str]:
    """Demangled names of the functions that an object file defines."""
    listing = subprocess.run(
        ["nm", "--demangle", "--defined-only", target],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return re.findall(r"^\w+ [tTwW] (.*)$", listing, re.MULTILINE)


def check_layer(report: str, target: Path, layer: str, nvcc: Nvcc) -> None:
    """Kernels for both architectures, and both element types of both passes."""
    for architecture in (OLDEST_ARCHITECTURE, nvcc.newest_architecture()):
        assert f"for 'sm_{architecture}'" in report, "no kernel was compiled"
    functions = defined_functions(target)
    for dtype in ("float", "double"):
        for method in ("Forward_gpu", "Backward_gpu"):
            name = f"caffe::{layer}<{dtype}>::{method}("
            assert any(f.startswith(name) for f in functions), name


def layer_class(source: Path) -> str:
    """The class whose device half a file holds: what it instantiates."""
    text = source.read_text()
    (name,) = re.findall(r"INSTANTIATE_LAYER_GPU_FUNCS\((\w+)\)", text)
    return name


@pytest.mark.parametrize("source", PLUGINS, ids=lambda path: path.stem)
def test_layer_of_a_user(
    nvcc: Nvcc, proto_include: Path, tmp_path: Path, source: Path
) -> None:
    target = tmp_path / "layer.o"
    include = f"-I{ROOT / 'tests' / 'plugins' / 'include'}"
    report = compile_to_object(nvcc, proto_include, source, target, include)
    check_layer(report, target, layer_class(source), nvcc)


def test_everything_public_that_device_code_may_use(
    nvcc: Nvcc, proto_include: Path, tmp_path: Path
) -> None:
    source = Path(__file__).with_name("contract.cu")
    target = tmp_path / "contract.o"
    compile_to_object(nvcc, proto_include, source, target, "-DUSE_CUDNN")
    assert "caffe::ContractLayer<float>::Forward_gpu" in "\n".join(
        defined_functions(target)
    )


def test_every_public_header(nvcc: Nvcc, proto_include: Path, tmp_path: Path) -> None:
    source = tmp_path / "headers.cu"
    names = [header.relative_to(ROOT / "include") for header in HEADERS]
    source.write_text("".join(f'#include "{name}"\n' for name in names))
    target = tmp_path / "headers.o"
    compile_to_object(nvcc, proto_include, source, target, "-DUSE_CUDNN")
    assert target.stat().st_size > 0
