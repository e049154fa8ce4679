"""What README and docs/ tell a reader to run, run as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import other_caffe
import pytest
from conftest import ROOT
from documented import Block, Page, difference, read

PAGES = [
    "README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")),
]
BIN = Path(sys.executable).parent
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "MPLBACKEND": "Agg",
    # Tests run as root, and on two cores.
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}


def start(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def demo_digits(folder: Path) -> None:
    """What the README's example starts with: the images that the demo writes."""
    spec = spec_from_file_location("demo", ROOT / "scripts" / "demo.py")
    demo = module_from_spec(spec)
    # Its dataclasses and annotations look it up.
    sys.modules["demo"] = demo
    try:
        spec.loader.exec_module(demo)
        (folder / "demo_output").mkdir()
        demo.write_digits(folder / "demo_output")
    finally:
        del sys.modules["demo"]


class Reader:
    """Follows pages in folders of their own, each at most once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: dict[str, Path] = {}
        self.failures: dict[str, str] = {}

    def follow(self, name: str) -> Path:
        """Runs a page, behind the one in whose folder it begins; the folder."""
        if name in self.failures:
            pytest.fail(f"needs {name}, which failed: {self.failures[name]}")
        if name not in self.folders:
            try:
                self.folders[name] = self._run(read(ROOT / name))
            except pytest.fail.Exception as failure:
                self.failures[name] = str(failure.msg)
                raise
        return self.folders[name]

    def _run(self, page: Page) -> Path:
        if page.folder_of.endswith(".md"):
            folder = self.follow(page.folder_of)
        elif page.folder_of == "tests/plugin/stand_in":
            folder = other_caffe.folder_of_a_user(self.root)
        else:
            folder = self.root / page.path.relative_to(ROOT).with_suffix("")
            folder.mkdir(parents=True)
            # The folder that a reader has: the checkout's programs, and nothing else.
            (folder / "scripts").symlink_to(ROOT / "scripts")
            if page.folder_of:
                demo_digits(folder)
        program = ""
        run = [block for block in page.blocks if block.runs]
        behind = dict(zip(map(id, run), run[1:], strict=False))
        for block in page.blocks:
            if block.file:
                (folder / block.file).write_text("\n".join(block.lines) + "\n")
            if not block.runs:
                continue
            where = f"{page.path.relative_to(ROOT)}:{block.line}"
            if block.language == "python":
                text = "\n".join(block.lines) + "\n"
                program = program + text if block.marked("goes on") else text
                later = behind.get(id(block))
                if later and later.language == "python" and later.marked("goes on"):
                    continue  # it is run with that one
                self._succeeds(where, folder, sys.executable, "-c", program)
            elif block.language == "sh":
                script = "\n".join(block.lines)
                self._succeeds(where, folder, "bash", "-euo", "pipefail", "-c", script)
            else:
                self._console(where, folder, block)
        return folder

    def _succeeds(self, where: str, folder: Path, *command: str) -> None:
        done = start(folder, *command)
        if done.returncode:
            pytest.fail(f"{where}: status {done.returncode}\n{done.stdout[-3000:]}")

    def _console(self, where: str, folder: Path, block: Block) -> None:
        for command, shown in block.commands():
            done = start(folder, "bash", "-euo", "pipefail", "-c", command)
            if done.returncode and not shown:
                pytest.fail(
                    f"{where}: `{command}`: status {done.returncode}\n"
                    f"{done.stdout[-3000:]}"
                )
            printed = done.stdout.splitlines()
            line = difference(shown, printed, block.marked("numbers vary"))
            # What is not shown may be anything.
            if shown and line is not None:
                pytest.fail(
                    f"{where}: `{command}`: page and output differ at\n{line}\n"
                    f"--- it printed (status {done.returncode})\n{done.stdout[-3000:]}"
                )


@pytest.fixture(scope="session")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_what_it_says(name, reader):
    reader.follow(name)


def test_most_blocks_are_run():
    blocks = [block for name in PAGES for block in read(ROOT / name).blocks]
    commands = [block for block in blocks if block.language in {"sh", "console"}]
    assert sum(block.runs for block in commands) > 0.6 * len(commands)


@pytest.mark.parametrize(
    ("shown", "printed", "vary", "same"),
    [
        ("a 1\nb", "a 1\nb", False, True),
        ("a 1\nb", "a 2\nb", False, False),
        ("a 1\nb", "a 2\nb", True, True),
        ("a 1", "c 1", True, False),
        ("a", "a\nb", False, False),
        ("a\nb", "a", False, False),
        ("a\n...", "a\nb", False, True),
        ("a\n...\nd", "a\nb\nc\nd", False, True),
        ("...\nd", "a\nd\ne", False, False),
        ("sknet26 0.00 %", "sknet50 0.00 %", True, False),
        ("5x5 of 2", "3x3 of 2", True, False),
        ("(27.9 iter/s, 0.71s/20 iters)", "(4.8 iter/s, 4.1s/20 iters)", True, True),
        ("--------\n 1,234", "----\n5e-07", True, True),
        ("a", "I0101 01:02:03.456789 7 solver.cpp:99] Iteration 20\na", False, True),
        (
            "I1122 11:14:37.662745 17476 solver.cpp:227] Iteration 20",
            "I0101 01:02:03.456789 7 solver.cpp:99] Iteration 20",
            False,
            True,
        ),
        (
            "I1122 11:14:37.662745 17476 solver.cpp:227] Iteration 20",
            "W0101 01:02:03.456789 7 solver.cpp:99] Iteration 20",
            False,
            False,
        ),
    ],
)
def test_output_is_compared(shown, printed, vary, same):
    found = difference(shown.splitlines(), printed.splitlines(), vary)
    assert (found is None) == same
