"""Finds the CUDA compiler for the tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Nvcc:
    """A compiler and the folders of the headers that do not lie beside it."""

    path: Path
    includes: tuple[Path, ...]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(self.path), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def newest_architecture(self) -> str:
        """The highest compute capability it knows, as "121"."""
        listed = self.run("--list-gpu-arch").stdout.split()
        return str(max(int(name.removeprefix("compute_")) for name in listed))


def _from_environment() -> Nvcc | None:
    path = os.environ.get("CUDACXX")
    return Nvcc(Path(path), ()) if path else None


def _from_wheels() -> Nvcc | None:
    packages = Path(sysconfig.get_path("purelib")) / "nvidia"
    path = packages / "cu13" / "bin" / "nvcc"
    folders = ("cu13", "cudnn_jit", "nccl")
    includes = tuple(packages / folder / "include" for folder in folders)
    return Nvcc(path, includes) if path.is_file() else None


def _from_path() -> Nvcc | None:
    path = shutil.which("nvcc")
    return Nvcc(Path(path), ()) if path else None


def find_nvcc() -> Nvcc:
    """$CUDACXX, else the wheels of requirements.txt, else nvcc on the PATH."""
    found = _from_environment() or _from_wheels() or _from_path()
    assert found, (
        "no CUDA compiler found: install one with "
        "'pip install --no-deps -r tests/cuda/requirements.txt', or name one, with "
        "cuDNN's headers beside its own, in CUDACXX"
    )
    return found
