"""Commands on emulated GPUs: tests/cuda_emulation makes the libcaffe that they use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

_TAG = "cp{}{}".format(*sys.version_info)
FOLDER = next((ROOT / "build").glob(f"{_TAG}-*/emulated"), None)
LONGEST_S = 300

needed = pytest.mark.skipif(
    FOLDER is None or not (FOLDER / "libcaffe.so").exists(),
    reason="the library with emulated GPUs is not built (bash scripts/test.sh does it)",
)


def environment(**variables: object) -> dict[str, str]:
    """That of a process with emulated GPUs, which work in the same order every time."""
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(FOLDER),
        "CAFFE_DETERMINISTIC": "1",
        # The processes share two processors with other tests.
        "OMP_NUM_THREADS": "1",
        **{name: str(value) for name, value in variables.items()},
    }


def run(
    *command: object, cwd: Path, **variables: object
) -> subprocess.CompletedProcess:
    """Runs a command that is installed with the package, `python`, or another one."""
    installed = Path(sys.executable).with_name(str(command[0]))
    executable = installed if installed.exists() else command[0]
    return subprocess.run(
        [str(executable), *map(str, command[1:])],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )


def succeed(*command: object, cwd: Path, **variables: object) -> str:
    """What the command prints and logs; it must succeed."""
    done = run(*command, cwd=cwd, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def sentence_of(done: subprocess.CompletedProcess) -> str:
    """The one sentence in which the command said why it failed."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if ": error: " in line]
    assert len(errors) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == errors[0]
    return errors[0].partition(": error: ")[2]
