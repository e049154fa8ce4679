"""Another Caffe, as its users have it: the stand-in of tests/plugin, built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "plugin"
_BIN = Path(sys.executable).parent


def run(
    *command: str | Path, status: int | None = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program, with those beside this Python found first."""
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "PATH": f"{_BIN}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if status is not None:
        assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def _cache() -> list[str]:
    launcher = shutil.which("ccache")
    return [f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}"] if launcher else []


def copy_sources(folder: Path) -> Path:
    """The source tree of a Caffe at `folder`."""
    shutil.copytree(ROOT / "tests" / "plugin" / "stand_in", folder)
    return folder


def build(tree: Path, *targets: str) -> Path:
    """Builds the tree in its folder `build`, which is returned."""
    folder = tree / "build"
    run("cmake", "-S", tree, "-B", folder, *_cache())
    chosen = [part for target in targets for part in ("--target", target)]
    run("cmake", "--build", folder, "--parallel", "2", *chosen)
    return folder


def configure_plugin(
    build_folder: Path, *options: str | Path, status: int | None = 0
) -> str:
    """Runs cmake on plugin/; what it printed."""
    command = ["cmake", "-S", PLUGIN, "-B", build_folder, *_cache(), *options]
    done = run(*command, status=status)
    return done.stdout + done.stderr


_built: dict[str, Path] = {}


def built_once(root: Path) -> Path:
    """The tree of a Caffe that is built; all tests of a session share one."""
    if "tree" not in _built:
        tree = copy_sources(root / "their_caffe")
        build(tree)
        _built["tree"] = tree
    return _built["tree"]
