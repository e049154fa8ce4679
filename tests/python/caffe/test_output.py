"""Standard output that nobody reads, has no room or is closed; logs without room."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import nets
import pytest

from caffe.proto import caffe_pb2

COMMANDS = [
    ("caffe", "help"),
    ("caffe", "help", "train"),
    ("caffe", "--version"),
    ("caffe", "build-plugin", "-help"),
    ("convert_imageset", "-help"),
    ("compute_image_mean", "-help"),
    ("extract_features", "-help"),
    ("caffe", "help", "parse_log"),
    ("sknet", "--help"),
    ("sknet", "list"),
    ("sknet", "generate", "sknet_digits"),
    ("sknet", "complexity", "sknet_digits", "--by-layer"),
    ("sknet", "table3"),
]


def start(command, **streams):
    program = Path(sys.executable).with_name(command[0])
    return subprocess.run([program, *command[1:]], check=False, timeout=300, **streams)


@contextlib.contextmanager
def abandoned_pipe():
    """Where `| head` leads once it has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_reader_that_has_gone(command, tmp_path):
    with abandoned_pipe() as pipe:
        run = start(command, stdout=pipe, stderr=subprocess.PIPE, cwd=tmp_path)
    assert run.stderr == b""
    assert run.returncode == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_both_readers_have_gone(command, tmp_path):
    with abandoned_pipe() as pipe:
        assert start(command, stdout=pipe, stderr=pipe, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_full_disk(command, tmp_path):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        run = start(command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr.decode() == (
        f"{command[0]}: error: cannot write to the standard output: No space left on "
        "device\n"
    )


@pytest.mark.parametrize("where", ["/dev/full", "a pipe", "closed"])
def test_work_is_not_lost(tmp_path, where):
    """What a command writes behind what it prints."""
    command = [Path(sys.executable).with_name("sknet"), "list", "--json", "list.json"]
    redirection = {
        "/dev/full": '"$@" > /dev/full',
        "a pipe": '"$@" | true',
        "closed": '"$@" >&- 2>&- <&-',
    }[where]
    shell = ["bash", "-c", f"set -o pipefail; {redirection}", "bash", *command]
    run = subprocess.run(shell, cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode == (where == "/dev/full")
    assert (tmp_path / "list.json").read_text().endswith("]\n")


def test_files_do_not_become_standard_streams(tmp_path):
    program = """
import os, pathlib
from caffe.cli import output
def main():
    with open("file", "w") as file:
        file.write(str(file.fileno()))
    print("to nobody")
    return 0
raise SystemExit(output.run(main, "test"))
"""
    shell = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", sys.executable, "-c"]
    run = subprocess.run([*shell, program], cwd=tmp_path, check=False)
    assert run.returncode == 0
    assert int((tmp_path / "file").read_text()) > 2


@pytest.fixture
def training(write_proto, tmp_path):
    """A training of 20 iterations that writes no snapshots."""
    solver = caffe_pb2.SolverParameter(
        net=str(write_proto(nets.learner(), "net.prototxt")),
        test_iter=[1, 1],
        test_interval=100,
        base_lr=0.1,
        lr_policy="fixed",
        display=1,
        max_iter=20,
        snapshot=0,
        snapshot_after_train=False,
        snapshot_prefix=str(tmp_path / "snap"),
        solver_mode=caffe_pb2.SolverParameter.CPU,
    )
    program = Path(sys.executable).with_name("caffe")
    return (program, "train", "-solver", write_proto(solver, "solver.prototxt"))


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_log_file_without_room(training, tmp_path, blocks):
    """Training goes on, the log that is printed is whole, and tells of it once."""
    log = tmp_path / "train.log"
    limited = f'ulimit -f {blocks}; "$@"'
    run = subprocess.run(
        ["bash", "-c", limited, "bash", *training, "-log_file", log],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stderr.splitlines()
    told = [line for line in lines if "log file" in line]
    assert len(told) == 1
    assert told[0].startswith("W")
    assert told[0].endswith(
        f"] log file '{log}' cannot be written (File too large); it misses lines from "
        "here on, the run goes on"
    )
    assert sum("Iteration" in line and "loss" in line for line in lines) == 21
    whole = "".join(f"{line}\n" for line in lines if line != told[0])
    assert log.read_text() == whole[: 1024 * blocks]


def test_a_log_on_a_device_without_room(training):
    run = subprocess.run(
        [*training, "-log_file", "/dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0
    assert len(re.findall("'/dev/full' cannot be written", run.stderr)) == 1
    assert "(No space left on device)" in run.stderr


@pytest.mark.parametrize("where", ["/dev/full", "&-"])
def test_nowhere_to_log_to(training, tmp_path, where):
    """The other outputs of a run are as ever."""
    log = tmp_path / "train.log"
    shell = ["bash", "-c", f'"$@" 2>{where}', "bash", *training, "-log_file", log]
    assert subprocess.run(shell, check=False).returncode == 0
    assert "Optimization Done." in log.read_text()
