"""The emulated libraries have the names, values and signatures of the real ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from cuda_compiler import ROOT, Nvcc

EMULATED = ROOT / "tests" / "cuda_emulation" / "include"
HEADERS = [
    "cublasLt.h",
    "cublas_v2.h",
    "cuda_runtime_api.h",
    "cudnn.h",
    "curand.h",
    "driver_types.h",
    "library_types.h",
    "nccl.h",
]
PROLOGUE = "#include <cstddef>\n#include <cstdint>\n#include <{}>\n"


def preprocessed(header: str) -> str:
    """What the emulated header itself declares, without comments and macros."""
    result = subprocess.run(
        ["g++", "-E", "-x", "c++", f"-I{EMULATED}", EMULATED / header],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = []
    ours = False
    for line in result.stdout.splitlines():
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            ours = Path(marker[1]) == EMULATED / header
        elif ours:
            lines.append(line)
    return "\n".join(lines)


def contract(header: str) -> str:
    """C++ that compiles behind the real header only if both say the same."""
    text = preprocessed(header)
    checks = [
        f"static_assert({name} == {value}, {name!r});".replace("'", '"')
        for body in re.findall(r"\benum\b[^{;]*\{(.*?)\}", text, re.DOTALL)
        for name, value in re.findall(r"(\w+)\s*=\s*(-?\w+)", body)
    ]
    functions = re.findall(r"^\w[\w :*]*\b\w+\s*\([^;{}]*\);", text, re.MULTILINE)
    assert functions or checks, f"{header} declares nothing"
    # The real header has given the arguments that may be left out.
    functions = [re.sub(r"\s*=[^,)]*", "", function) for function in functions]
    return "\n".join([*checks, 'extern "C" {', *functions, "}"])


@pytest.mark.parametrize("header", HEADERS)
def test_declarations_are_those_of_the_real_header(
    nvcc: Nvcc, header: str, tmp_path: Path
) -> None:
    source = tmp_path / "contract.cpp"
    source.write_text(PROLOGUE.format(header) + contract(header))
    folders = (*nvcc.includes, nvcc.path.parents[1] / "include")
    includes = [f"-I{folder}" for folder in folders]
    result = subprocess.run(
        ["g++", "-std=c++17", "-fsyntax-only", "-w", *includes, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("header", [*HEADERS, "cuda_runtime.h"])
def test_emulated_headers_are_cpp11(header: str, tmp_path: Path) -> None:
    source = tmp_path / "header.cpp"
    source.write_text(f"#include <{header}>\n")
    compile_as = ["g++", "-std=c++11", "-fsyntax-only", f"-I{EMULATED}"]
    result = subprocess.run(
        [*compile_as, "-Wall", "-Wextra", "-Wpedantic", "-Werror", source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
