"""`caffe train -tensorboard`, read back by TensorBoard itself."""

from __future__ import annotations

import itertools
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nets
import numpy as np
import pytest
from log_lines import messages
from parallel_runs import ENVIRONMENT, MPIRUN
from tensorboard.compat.proto import event_pb2 as tensorflows
from tensorboard_readers import READERS, data_server, multiplexer
from tensorboard_readers import accumulator as curves
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2, event_pb2
from caffe.tensorboard import EventFile, prepare, put_aside, record


def test_the_schema_is_a_part_of_tensorflows():
    def compare(ours, theirs):
        for field in ours.fields:
            other = theirs.fields_by_number[field.number]
            assert (field.name, field.type) == (other.name, other.type)
            if field.message_type:
                compare(field.message_type, other.message_type)
            for value in field.enum_type.values if field.enum_type else ():
                assert other.enum_type.values_by_number[value.number].name == value.name

    compare(event_pb2.Event.DESCRIPTOR, tensorflows.Event.DESCRIPTOR)


@pytest.fixture
def write_solver(write_proto, tmp_path):
    """Writes a solver with other values than the usual; returns its path."""
    net = write_proto(nets.learner(), "net.prototxt")

    def write(**changes):
        values = {
            "net": str(net),
            "test_iter": [2, 1],
            "test_interval": 10,
            "base_lr": 0.1,
            "lr_policy": "step",
            "gamma": 0.5,
            "stepsize": 8,
            "average_loss": 3,
            "display": 5,
            "max_iter": 20,
            "snapshot": 10,
            "snapshot_prefix": str(tmp_path / "snap"),
            "random_seed": 1,
            "solver_mode": caffe_pb2.SolverParameter.CPU,
            **changes,
        }
        return write_proto(caffe_pb2.SolverParameter(**values), "solver.prototxt")

    return write


def logged(log):
    """The numbers of a log by tag and iteration."""
    found = {}
    iteration = net = None
    for line in log:
        if match := re.fullmatch(r"Iteration (\d+), Testing net \(#(\d)\)", line):
            iteration, net = map(int, match.groups())
        elif match := re.fullmatch(r"    Test net output #(\d): (\S+) = (\S+).*", line):
            tag = f"test{net}/{match[1]}_{match[2]}"
            found.setdefault(tag, {})[iteration] = float(match[3])
        elif match := re.fullmatch(r"Iteration (\d+)(.*), (loss|lr) = (\S+)", line):
            iteration = int(match[1])
            found.setdefault(f"train/{match[3]}", {})[iteration] = float(match[4])
            if iteration > 0 and (speed := re.match(r" \((\S+) iter/s", match[2])):
                speeds = found.setdefault("train/iterations_per_s", {})
                speeds[iteration] = float(speed[1])
    return found


def test_the_numbers_are_those_of_the_log(run_tool, write_solver, tmp_path):
    folder = tmp_path / "not" / "there"
    run = run_tool(
        *("caffe", "train", "-solver", write_solver(iter_size=2)),
        *("-tensorboard", folder),
    )
    assert run.returncode == 0, run.stderr
    got, want = curves(folder), logged(messages(run.stderr))
    assert list(got["train/loss"]) == [0, 5, 10, 15, 20]
    assert list(got["train/lr"].values()) == np.float32([0.1, 0.1, 0.05, 0.05]).tolist()
    for net in (0, 1):
        assert got[f"test{net}/1_pair"] == dict.fromkeys((0, 10, 20), 0.25)
    assert len(want) == 9
    assert got.keys() == {*want, "train/raw_loss"}
    for tag, values in want.items():
        assert got[tag].keys() == values.keys()
        assert_close(list(got[tag].values()), list(values.values()), Op.PRINTED)


def test_losses_are_the_solvers(write_solver, tmp_path):
    solver = caffe.get_solver(write_solver(display=1, average_loss=2))
    record(solver, tmp_path)
    raw = []
    for _ in range(4):
        solver.step(1)
        raw.append(float(solver.net.blobs["loss"].data))
    assert raw[0] > raw[3]
    got = curves(tmp_path)
    assert got["train/raw_loss"] == dict(enumerate(raw))
    assert_close(
        list(got["train/loss"].values()),
        [raw[0], *((a + b) / 2 for a, b in itertools.pairwise(raw))],
        Op.ELEMENTWISE,
    )


@pytest.mark.parametrize("read", READERS)
def test_a_continued_run_shows_one_curve(run_tool, write_solver, tmp_path, read):
    folder = tmp_path / "events"
    command = ("caffe", "train", "-tensorboard", folder, "-solver")
    assert run_tool(*command, write_solver()).returncode == 0
    first = read(folder)
    # As if it had been killed before the next snapshot, with another rate since.
    state = tmp_path / "snap_iter_10.solverstate"
    path = write_solver(base_lr=0.4, max_iter=30)
    assert run_tool(*command, path, "-snapshot", state).returncode == 0
    got = read(folder)
    rates = {0: 0.1, 5: 0.1, 10: 0.2, 15: 0.2, 20: 0.1, 25: 0.05}
    assert list(got["train/lr"]) == list(rates)
    assert_close(list(got["train/lr"].values()), list(rates.values()), Op.ELEMENTWISE)
    for tag, every in (("train/loss", 5), ("test1/0_loss", 10)):
        assert list(got[tag]) == list(range(0, 31, every))
        assert got[tag][0] == first[tag][0]
        assert got[tag][20] < first[tag][20]


@pytest.mark.parametrize("read", READERS)
def test_stale_values_go_before_new_ones_come(write_solver, tmp_path, read):
    """Those of a tag, too, that never comes again."""
    solver = caffe.get_solver(write_solver(display=1))
    folder = tmp_path / "events"
    folder.mkdir()
    before = EventFile(folder, 0)
    for step in range(0, 30, 5):
        before.add(step, {"train/loss": step, "gone": -step})
    (earlier,) = folder.iterdir()
    whole = earlier.read_bytes()
    del before
    solver.step(10)
    record(solver, folder)
    kept = {0: 0.0, 5: 5.0}
    negative = {step: -value for step, value in kept.items()}
    assert read(folder) == {"train/loss": kept, "gone": negative}
    # What was taken out is all there.
    (aside,) = folder.glob("*.replaced.*")
    assert aside.name == earlier.name.replace("tfevents", "replaced") + ".from_10"
    shown = tmp_path / "aside"
    shown.mkdir()
    aside.rename(shown / "tfevents")
    assert list(read(shown)["gone"]) == [10, 15, 20, 25]
    # Byte by byte: the version, which both have, and the events.
    version = _records(whole)[0]
    rest = _records((shown / "tfevents").read_bytes())
    assert rest[0] == version
    assert _records(earlier.read_bytes()) + rest[1:] == _records(whole)


def test_resuming_where_it_ended_loses_no_point(run_tool, write_solver, tmp_path):
    folder = tmp_path / "events"
    command = ("caffe", "train", "-tensorboard", folder, "-solver", write_solver())
    assert run_tool(*command).returncode == 0
    first = curves(folder)
    state = tmp_path / "snap_iter_20.solverstate"
    assert run_tool(*command, "-snapshot", state).returncode == 0
    got = curves(folder)
    assert {tag: list(points) for tag, points in got.items()} == {
        tag: list(points) for tag, points in first.items()
    }


def _records(data):
    """Events with their lengths and checksums."""
    found = []
    while data:
        end = 16 + int.from_bytes(data[:8], "little")
        found.append(data[:end])
        data = data[end:]
    return found


def events_at(folder, *steps, name="events.out.tfevents.1.host.1"):
    """A file of one value for each step, as a run that has ended left it."""
    file = EventFile(folder, 0)
    for step in steps:
        file.add(step, {"x": step})
    path = max(folder.glob("*tfevents*"), key=lambda path: path.stat().st_mtime_ns)
    del file
    return path.rename(folder / name)


def test_resuming_again_and_from_earlier(tmp_path):
    first = events_at(tmp_path, 0, 10, 20, 30)
    for step in (20, 20, 10):
        put_aside(tmp_path, step)
    assert list(data_server(tmp_path)["x"]) == [0]
    names = sorted(path.name for path in tmp_path.glob("*replaced*"))
    name = first.name.replace("tfevents", "replaced")
    assert names == [f"{name}.from_10", f"{name}.from_20"]


def test_a_file_of_nothing_else_goes_whole(tmp_path):
    earlier = events_at(tmp_path, 10, 20)
    whole = earlier.read_bytes()
    later = events_at(tmp_path, 5, name="events.out.tfevents.2.host.1")
    content = later.read_bytes()
    put_aside(tmp_path, 6)
    # The mark at its beginning has step 0.
    assert len(_records(earlier.read_bytes())) == 2
    assert later.read_bytes() == content
    put_aside(tmp_path, 0)
    assert not list(tmp_path.glob("*tfevents*"))
    asides = {p.name.rpartition("_")[2]: p for p in tmp_path.glob("*.1.host.1.from*")}
    both = _records(asides["0"].read_bytes()) + _records(asides["6"].read_bytes())[1:]
    assert both == _records(whole)


def test_what_a_killed_run_left_unfinished_is_kept(tmp_path):
    earlier = events_at(tmp_path, 0, 10, 20)
    earlier.write_bytes(earlier.read_bytes()[:-5])
    torn = earlier.read_bytes()
    put_aside(tmp_path, 10)
    assert list(multiplexer(tmp_path)["x"]) == [0]
    (aside,) = tmp_path.glob("*replaced*")
    assert torn.endswith(aside.read_bytes()[len(_records(torn)[0]) :])


def test_an_aside_of_the_same_name_stays(tmp_path):
    events_at(tmp_path, 0, 10)
    taken = tmp_path / "events.out.replaced.1.host.1.from_10"
    taken.write_text("another file")
    (aside,) = put_aside(tmp_path, 10)
    assert aside.name == f"{taken.name}.2"
    assert taken.read_text() == "another file"


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "events.out.tfevents.nonsense").write_bytes(b"no events" * 9)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "tfevents").mkdir()
    events_at(tmp_path / "tfevents", 50)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert put_aside(tmp_path, 0) == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_crash_at_any_moment_loses_nothing(tmp_path):
    """Whatever the last thing was that it did to files, running again ends the same."""
    program = """
import itertools, os, pathlib, shutil, signal, sys
import caffe.files, caffe.tensorboard
here = pathlib.Path(sys.argv[1])
for stop in itertools.count(1):
    folder = shutil.copytree(here / "template", here / str(stop))
    child = os.fork()
    if not child:
        calls = 0
        def audit(event, arguments):
            global calls
            if event == "open" or event.startswith(("os.", "shutil.")):
                calls += 1
                if calls == stop:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(audit)
        caffe.tensorboard.put_aside(folder, 10)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""
    (tmp_path / "template").mkdir()
    events = events_at(tmp_path / "template", 0, 5, 10, 15)
    whole = set(_records(events.read_bytes()))
    command = [sys.executable, "-c", program, tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    folders = [path for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(folders) > 10
    for folder in folders:
        # Hidden ones are no data of anybody's.
        files = [path for path in folder.iterdir() if not path.name.startswith(".")]
        found = [record for path in files for record in _records(path.read_bytes())]
        assert set(found) == whole, folder
        prepare(folder)
        put_aside(folder, 10)
        assert list(curves(folder)["x"]) == [0, 5]
        assert len(list(folder.iterdir())) == 2, folder


def test_a_living_writers_file_is_left_as_it_is(tmp_path):
    program = """
import pathlib, sys
from caffe.tensorboard import EventFile
events = EventFile(pathlib.Path(sys.argv[1]), 0)
for step in (0, 10):
    events.add(step, {"x": step})
print("ready", flush=True)
sys.stdin.readline()
events.add(20, {"x": 20})
"""
    resume = "import caffe.tensorboard as t, pathlib, sys\n"
    resume += "print(t.put_aside(pathlib.Path(sys.argv[1]), 10))"
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        writer.stdout.readline()
        done = subprocess.run(
            [sys.executable, "-c", resume, tmp_path],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "[]\n"
        assert "a living process writes it" in done.stderr
        writer.communicate(b"\n")
    assert list(curves(tmp_path)["x"]) == [0, 10, 20]
    (aside,) = put_aside(tmp_path, 10)
    assert aside.name.endswith(".from_10")
    assert list(curves(tmp_path)["x"]) == [0]


def test_of_several_processes_the_first_writes(write_solver, tmp_path):
    folder = tmp_path / "events"
    command = (*MPIRUN, "-n", "2", Path(sys.executable).with_name("caffe"), "train")
    run = subprocess.run(
        [*command, "-solver", write_solver(), "-tensorboard", folder],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(list(folder.iterdir())) == 1
    assert list(curves(folder)["train/loss"]) == [0, 5, 10, 15, 20]


def test_a_running_job_is_seen_and_a_killed_one_kept(write_solver, tmp_path):
    path = write_solver(max_iter=10**9, snapshot=0, test_interval=10**9)
    folder = tmp_path / "events"
    command = Path(sys.executable).with_name("caffe")
    with subprocess.Popen(
        [command, "train", "-solver", path, "-tensorboard", folder],
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            last = time.monotonic() + 300
            while not (folder.exists() and len(curves(folder).get("train/lr", ())) > 3):
                assert time.monotonic() < last
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)
    steps = list(curves(folder)["train/raw_loss"])
    assert steps == [5 * i for i in range(len(steps))]


def test_a_full_disk_does_not_stop_training(write_solver, tmp_path):
    path = write_solver(display=1, snapshot=0, snapshot_after_train=False)
    folder = tmp_path / "events"
    command = Path(sys.executable).with_name("caffe")
    # No file may grow beyond 1 KiB.
    limited = ["bash", "-c", 'ulimit -f 1; exec "$0" "$@"']
    run = subprocess.run(
        [*limited, command, "train", "-solver", path, "-tensorboard", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    warnings = [line for line in run.stderr.splitlines() if line.startswith("W")]
    assert len(warnings) == 1
    assert "TensorBoard misses values, training goes on" in warnings[0]
    want = logged(messages(run.stderr))["train/loss"]
    assert len(want) == 21
    got = curves(folder)["train/loss"]
    assert 0 < len(got) < 21
    assert_close(list(got.values()), [want[step] for step in got], Op.PRINTED)


def test_a_disk_that_is_full_from_the_start_is_one_sentence(write_solver, tmp_path):
    path = write_solver(snapshot=0, snapshot_after_train=False)
    command = Path(sys.executable).with_name("caffe")
    limited = ["bash", "-c", 'ulimit -f 0; exec "$0" "$@"']
    run = subprocess.run(
        [*limited, command, "train", "-solver", path, "-tensorboard", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "Starting Optimization" not in run.stderr
    assert run.stderr.splitlines()[-1] == (
        f"caffe train: error: '{tmp_path}' cannot be a folder of TensorBoard's files: "
        "File too large"
    )


def test_events_go_on_when_the_disk_has_room_again(tmp_path):
    program = """
import pathlib, resource, sys
from caffe.tensorboard import EventFile
events = EventFile(pathlib.Path(sys.argv[1]), 0)
for step in range(3):
    events.add(step, {"x": step})
resource.setrlimit(resource.RLIMIT_FSIZE, (400, resource.RLIM_INFINITY))
for step in range(3, 6):
    events.add(step, {"x": step, 200 * "y": step})
resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (resource.RLIM_INFINITY,))
for step in range(6, 9):
    events.add(step, {"x": step})
"""
    command = [sys.executable, "-c", program, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.count("cannot be written (File too large)") == 1
    assert list(curves(tmp_path)["x"]) == [0, 1, 2, 6, 7, 8]
    (file,) = tmp_path.iterdir()
    data, end = file.read_bytes(), 0
    while end < len(data):
        # An event between its length and two checksums; nothing behind the last.
        end += 16 + int.from_bytes(data[end : end + 8], "little")
    assert end == len(data)


def test_unusual_values(tmp_path):
    events = EventFile(tmp_path, 0)
    values = {0: math.inf, 300: -math.inf, 450_000: math.nan, 2**31 - 1: 1e-45}
    for step, value in values.items():
        events.add(step, {"größe/x": value})
    got = curves(tmp_path)["größe/x"]
    assert list(got) == list(values)
    np.testing.assert_array_equal(list(got.values()), np.float32(list(values.values())))


@pytest.mark.parametrize("folder", ["net.prototxt", "net.prototxt/below"])
def test_an_impossible_folder_is_one_sentence(run_tool, write_solver, tmp_path, folder):
    path = write_solver()
    run = run_tool(
        *("caffe", "train", "-solver", path, "-tensorboard", tmp_path / folder)
    )
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert re.fullmatch(
        rf"caffe train: error: '{tmp_path / folder}' cannot be a folder of "
        r"TensorBoard's files: \w.*\n",
        run.stderr,
    )
