"""Another Caffe, as its users have it: the stand-in of tests/plugin, built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "plugin"
_BIN = Path(sys.executable).parent


def run(
    *command: str | Path,
    status: int | None = 0,
    cwd: Path | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Runs a program, with those beside this Python found first."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
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
    """Builds the tree, or targets of it, in its folder `build`, which is returned."""
    folder = tree / "build"
    python = f"-DPYTHON_INCLUDE={sysconfig.get_path('include')}"
    run("cmake", "-S", tree, "-B", folder, python, *_cache())
    chosen = [part for target in targets for part in ("--target", target)]
    run("cmake", "--build", folder, "--parallel", "2", *chosen)
    return folder


def configure_plugin(
    build_folder: Path,
    *options: str | Path,
    status: int | None = 0,
    source: Path = PLUGIN,
) -> str:
    """Runs cmake on plugin/; what it printed."""
    command = ["cmake", "-S", source, "-B", build_folder, *_cache(), *options]
    done = run(*command, status=status)
    return done.stdout + done.stderr


_folder: list[Path] = []


def folder_of_a_user(root: Path) -> Path:
    """Where a user works: `their_caffe`, built, `their_sources` and `plugin`.

    All tests of a session share one, and what is in its folder `build`.
    """
    if not _folder:
        folder = root / "user"
        build(copy_sources(folder / "their_caffe"))
        copy_sources(folder / "their_sources")
        (folder / "plugin").symlink_to(PLUGIN)
        _folder.append(folder)
    return _folder[0]
