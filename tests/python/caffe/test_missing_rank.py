"""A process of several that is stopped, or whose machine hangs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import parallel_runs as runs
import pytest

pytestmark = pytest.mark.skipif(
    not (shutil.which("mpirun") and shutil.which("mpicc")),
    reason="MPI is not installed (apt-get install libopenmpi-dev openmpi-bin)",
)


@pytest.fixture
def database(tmp_path):
    runs.write_images(tmp_path / "lmdb", [runs.raw(image) for image in runs.images()])
    return tmp_path / "lmdb"


@pytest.fixture
def patience(monkeypatch):
    def set_to(warning, timeout):
        monkeypatch.setitem(runs.ENVIRONMENT, "CAFFE_RANK_WARNING_S", str(warning))
        monkeypatch.setitem(runs.ENVIRONMENT, "CAFFE_RANK_TIMEOUT_S", str(timeout))

    return set_to


def script(tmp_path, text):
    (tmp_path / "script.py").write_text(text)
    return runs.finish(runs.launch(2, sys.executable, tmp_path / "script.py"))


def name(run, rank):
    return f"rank {rank} (process {run.ranks[rank]} on {socket.gethostname()})"


def ordered(ranks):
    """The processes by rank."""

    def rank(process):
        environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        return dict(e.partition(b"=")[::2] for e in environment)[
            b"OMPI_COMM_WORLD_RANK"
        ]

    return sorted(ranks, key=rank)


def read_until(process, text):
    last = time.monotonic() + runs.LONGEST_S
    while text not in (line := process.stdout.readline()):
        assert line
        assert time.monotonic() < last
    return line


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stopped_rank_is_named_and_may_go_on(stopped, database, patience, tmp_path):
    patience(1, 0)
    with runs.Running(database, tmp_path / "s") as run:
        run.ranks = ordered(run.ranks)
        os.kill(run.ranks[stopped], signal.SIGSTOP)
        line = read_until(run.process, "no sign of life")
        assert line.startswith("W")
        assert f"rank {1 - stopped} has waited 1" in line
        assert f"no sign of life from {name(run, stopped)}" in line
        assert "kill -CONT" in line
        os.kill(run.ranks[stopped], signal.SIGCONT)
        os.kill(run.ranks[1], signal.SIGTERM)
        output, status = runs.finish(run.process)
        assert status == 143, output
        assert len(run.snapshots()) == 1


def test_the_others_give_up_in_the_end(database, patience, tmp_path):
    patience(1, 3)
    with runs.Running(database, tmp_path / "s", snapshot=50) as run:
        run.ranks = ordered(run.ranks)
        os.kill(run.ranks[1], signal.SIGSTOP)
        output, status = runs.finish(run.process)
        assert status not in (0, None)
        assert f"error: MPI: no sign of life from {name(run, 1)}" in output
        assert "expected one within 3 s (CAFFE_RANK_TIMEOUT_S)" in output
        assert run.snapshots()
        last = time.monotonic() + runs.LONGEST_S
        while any(Path(f"/proc/{rank}/exe").exists() for rank in run.ranks):
            assert time.monotonic() < last
            time.sleep(0.1)


def test_all_may_be_stopped_for_long(database, patience, tmp_path):
    """As a scheduler does that has something more urgent to run."""
    patience(1, 2)
    with runs.Running(database, tmp_path / "s") as run:
        for rank in run.ranks:
            os.kill(rank, signal.SIGSTOP)
        time.sleep(4)
        for rank in run.ranks:
            os.kill(rank, signal.SIGCONT)
        read_until(run.process, "Iteration")
        os.kill(run.ranks[1], signal.SIGTERM)
        output, status = runs.finish(run.process)
        assert status == 143, output
        assert "sign of life" not in output


def test_a_rank_that_is_busy_is_waited_for(database, patience, tmp_path):
    patience(1, 3)
    file = runs.solver(tmp_path / "s", runs.classifier(*runs.data(database, 2)))
    output, status = script(
        tmp_path,
        f"""
import time, caffe
solver = caffe.get_solver({str(file)!r})
solver.step(1)
if caffe.solver_rank() == 0:
    time.sleep(5)
solver.step(1)
""",
    )
    assert status == 0, output
    assert "sign of life" not in output


def test_a_rank_that_is_stopped_at_the_end_is_not_waited_for(
    database, patience, tmp_path
):
    patience(1, 2)
    file = runs.solver(tmp_path / "s", runs.classifier(*runs.data(database, 2)))
    output, status = script(
        tmp_path,
        f"""
import os, signal, caffe
solver = caffe.get_solver({str(file)!r})
solver.step(1)
if caffe.solver_rank() == 1:
    os.kill(os.getpid(), signal.SIGSTOP)
""",
    )
    assert status not in (0, None)
    assert "no sign of life from rank 1" in output


STOPPED_AT_ITS_START = """
import os, signal, sys, caffe
if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
    os.kill(os.getpid(), signal.SIGSTOP)
caffe.get_solver(sys.argv[1]).step(1)
"""


@pytest.mark.parametrize("gives_up", [True, False])
def test_a_rank_that_is_stopped_before_it_connects(
    gives_up, database, patience, tmp_path, monkeypatch
):
    patience(1, 3)
    if not gives_up:
        # What a script may do for long there is waited for, if nothing else is set.
        monkeypatch.delitem(runs.ENVIRONMENT, "CAFFE_RANK_TIMEOUT_S")
    file = runs.solver(tmp_path / "s", runs.classifier(*runs.data(database, 2)))
    (tmp_path / "script.py").write_text(STOPPED_AT_ITS_START)
    process = runs.launch(2, sys.executable, tmp_path / "script.py", file)
    line = read_until(process, "to connect")
    assert line.startswith("W")
    assert "rank 0 of 2 has waited 1 s for the others to connect" in line
    if not gives_up:
        assert "has waited 4 s" in read_until(process, "has waited 4")
        for rank in runs.children(process.pid):
            os.kill(rank, signal.SIGCONT)
    output, status = runs.finish(process)
    assert (status == 0) != gives_up, output
    assert ("error: MPI: rank 0 of 2 has waited 3 s" in output) == gives_up


def test_patience_is_a_number_of_seconds(database, monkeypatch, tmp_path):
    monkeypatch.setitem(runs.ENVIRONMENT, "CAFFE_RANK_TIMEOUT_S", "10min")
    file = runs.solver(tmp_path / "s", runs.classifier(*runs.data(database, 2)))
    output, status = runs.finish(runs.launch(2, runs.CAFFE, "train", "-solver", file))
    assert status not in (0, None)
    assert (
        "CAFFE_RANK_TIMEOUT_S is '10min', expected seconds, at least 0 (0 for never)"
        in output
    )
