"""Signals at any moment of any command: no crash, no traceback, and work is kept."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from colour_net import write_images, write_net

import caffe
from caffe.cli.signals import Interrupted, status_of

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOMENTS = 90
# For what hangs, not for what a busy machine makes slow.
LONGEST_S = 300
SEED = 11
# What Python, the C++ library and Python's import machinery write when they give up.
FAULTS = ("Traceback", "Exception ignored", "Fatal Python error", "terminate called")
SOLVER = """
net_param {
  layer { name: "data" type: "DummyData" top: "data" top: "target"
          dummy_data_param { shape { dim: 8 dim: 4 } shape { dim: 8 dim: 3 }
                             data_filler { value: 0.5 } data_filler { value: 1 } } }
  layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
          inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "target" top: "loss" }
}
base_lr: 0.01 lr_policy: "fixed" random_seed: 1
display: 100 max_iter: 2000 snapshot: 500 snapshot_prefix: "snap"
"""


@pytest.fixture(autouse=True)
def _signals_are_not_ignored():
    """Processes inherit that a signal is ignored, as in a background job of a shell."""
    former = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the commands work on."""
    root = tmp_path_factory.mktemp("signals")
    write_net(root)
    write_images(root / "images", 35, (22, 27))
    files = sorted((root / "images").glob("*/*"))
    (root / "list.txt").write_text(
        "".join(f"{file.relative_to(root / 'images')} 0\n" for file in files)
    )
    for part in ("train", "val"):
        write_images(root / part, 35, (22, 27))
    (root / "solver.prototxt").write_text(SOLVER)
    run = subprocess.run(
        command("convert_imageset", root / "images/", root / "list.txt", root / "lmdb"),
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return root


def command(name, *arguments):
    if name == "convert_imageset":
        arguments = [f"{arguments[0]}/", *arguments[1:]]
    return [str(Path(sys.executable).with_name(name)), *map(str, arguments)]


def commands(world, out):
    """One command of each kind, which writes into the folder `out`."""
    net = ("-model", world / "colours.prototxt")
    weights = ("-weights", world / "colours.caffemodel")
    few = ("-iterations", 5)
    return [
        command("caffe", "train", "-solver", world / "solver.prototxt"),
        command("caffe", "test", *net, *weights, *few),
        command("caffe", "time", *net, *few),
        command("caffe", "device_query"),
        command("convert_imageset", world / "images", world / "list.txt", out / "db"),
        command("compute_image_mean", world / "lmdb", out / "mean.binaryproto"),
        command("sknet", *evaluation(world, out / "state.json")),
        command("sknet", *preparation(world, out)),
        command("sknet", "complexity", "sknet50"),
        [sys.executable, "-m", "caffe.cli", "device_query"],
    ]


def evaluation(world, state, *more):
    return (
        *("evaluate", world / "colours.prototxt", "--batch", 1, "--resize", 0),
        *("--weights", world / "colours.caffemodel", "--source", world / "images"),
        *("--resume", state, *more),
    )


def preparation(world, out):
    return (
        *("prepare", "imagenet", "--train", world / "train", "--val", world / "val"),
        *("--out", out),
    )


def start(arguments, folder, **environment):
    return subprocess.Popen(
        arguments,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def wait_for_first_line(process):
    """Returns when the command's own code has begun, or it has ended.

    Until then Python starts, and turns SIGINT into a traceback by itself.
    """
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in status.read_text().splitlines():
                name, _, mask = line.partition(":")
                if name == "SigCgt" and int(mask, 16) >> (signal.SIGTERM - 1) & 1:
                    return
        time.sleep(0.0005)


def run_and_signal(arguments, folder, number, seconds):
    """The exit status of a command that got a signal, and what it wrote to stderr."""
    with start(arguments, folder) as process:
        if number == signal.SIGINT:
            wait_for_first_line(process)
        time.sleep(seconds)
        process.send_signal(number)
        try:
            errors = process.communicate(timeout=LONGEST_S)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            errors = "still running"
    return process.returncode, errors


def test_any_moment_of_any_command(world, tmp_path):
    draw = random.Random(SEED)
    lasts = []
    for kind, _ in enumerate(commands(world, tmp_path)):
        folder = tmp_path / f"whole{kind}"
        folder.mkdir()
        began = time.monotonic()
        with start(commands(world, folder)[kind], folder) as process:
            errors = process.communicate()[1]
        assert process.returncode == 0, errors
        lasts.append(time.monotonic() - began)

    def run(case):
        kind, number, seconds, folder = case
        folder.mkdir()
        arguments = commands(world, folder)[kind]
        status, errors = run_and_signal(arguments, folder, number, seconds)
        # Stopped in order, done before, or ended by the system while it had not begun
        # yet or had nothing left to do.
        fine = status in (128 + number, 0, -number)
        if fine and not any(fault in errors for fault in FAULTS):
            return status, ""
        told = f"{arguments[:2]}, {number.name} after {seconds:.3f} s: {status}"
        return status, f"{told}, {errors}"

    cases = []
    for i in range(MOMENTS):
        kind = i % len(lasts)
        number = SIGNALS[i // len(lasts) % len(SIGNALS)]
        moment = draw.uniform(0, lasts[kind])
        cases.append((kind, number, moment, tmp_path / str(i)))
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(run, cases))
    wrong = [text for _, text in ends if text]
    assert not wrong, f"{len(wrong)} of {MOMENTS}:\n" + "\n".join(wrong[:5])
    assert {128 + number for number in SIGNALS} <= {status for status, _ in ends}


def test_a_module_that_was_made_but_never_run():
    # What is left when an exception comes between the two halves of an import.
    script = """
import importlib.util, sys
spec = importlib.util.find_spec("caffe._caffe")
module = importlib.util.module_from_spec(spec)
sys.modules.pop(spec.name, None)
del module
import caffe
assert "Convolution" in caffe.layer_type_list()
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nothing_has_begun_before_the_signals_are_in_hand(tmp_path):
    script = """
import os, signal, sys
from sknet.cli import main
class Finder:
    def find_spec(self, name, *rest):
        if name == "caffe":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["sknet", "list"]
sys.exit(main())
"""
    with start([sys.executable, "-c", script], tmp_path) as process:
        errors = process.communicate(timeout=LONGEST_S)[1]
    assert (process.returncode, errors) == (-signal.SIGINT, "")


def run_module(folder, text, **modules):
    """Runs a command whose module has this text, beside other modules."""
    for name, other in {"module": text, **modules}.items():
        (folder / f"{name}.py").write_text(other)
    script = (
        "import sys; from caffe.cli.signals import run; sys.exit(run('module', None))"
    )
    with start(
        [sys.executable, "-c", script], folder, PYTHONPATH=str(folder)
    ) as process:
        errors = process.communicate(timeout=LONGEST_S)[1]
    return process.returncode, errors


SEND = "import os, signal, time\nos.kill(os.getpid(), signal.{})\n"
WAIT = "    while True: time.sleep(1)\n"


@pytest.mark.parametrize("number", SIGNALS)
def test_an_import_is_not_left_in_the_middle(tmp_path, number):
    send = SEND.format(number.name)
    text = "import time, half\ndef main(argv):\n    open(half.NAME, 'w').close()\n"
    half = send + "time.sleep(0.1)\nNAME = 'whole'\n"
    status, errors = run_module(tmp_path, text + WAIT, half=half)
    assert (status, errors) == (128 + number, "-c: interrupted\n")
    assert (tmp_path / "whole").exists()


def test_nor_what_python_cannot_raise_from(tmp_path):
    send = SEND.format("SIGTERM")
    for i, callback in enumerate(
        (
            "class Last:\n    def __del__(self): send()\nLast()\n",
            "import weakref\nclass Last: pass\nweakref.finalize(Last(), send)\n",
        )
    ):
        folder = tmp_path / str(i)
        folder.mkdir()
        indented = "".join(f"    {line}\n" for line in callback.splitlines())
        text = (
            "import os, signal, time\n"
            f"def send():\n    {send.splitlines()[1]}\n    time.sleep(0.1)\n"
            f"def main(argv):\n{indented}{WAIT}"
        )
        status, errors = run_module(folder, text)
        assert (status, errors) == (143, "-c: interrupted\n")


def test_a_second_signal_does_not_interrupt_what_the_first_set_off(tmp_path):
    text = """
import os, signal
def main(argv):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        open("kept", "w").close()
"""
    assert run_module(tmp_path, text)[0] == 143
    assert (tmp_path / "kept").exists()


def test_an_ignored_signal_stays_ignored(tmp_path):
    text = """
import os, signal
def main(argv):
    os.kill(os.getpid(), signal.SIGHUP)
    return 0
"""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    assert run_module(tmp_path, text)[0] == 0


def test_statuses():
    assert status_of(KeyboardInterrupt()) == 130
    assert [status_of(Interrupted(number)) for number in SIGNALS] == [130, 143, 129]


# Sends the signal when a command reports so many images.
AT_IMAGE = """
import os, sys
import caffe.cli.progress as progress
{more}
def lines():
    def report(done, total):
        if done == {done}:
            os.kill(os.getpid(), {number:d})
    return report
progress._lines = lines
from {package}.cli import {main}
sys.argv[1:] = {arguments}
sys.exit({main}())
"""


def stopped(folder, arguments, number, main="main", done=10, more="", told=""):
    name, *rest = arguments
    script = AT_IMAGE.format(
        done=done,
        package=Path(name).name if main == "main" else "caffe",
        main=main,
        number=number,
        more=more,
        arguments=rest,
    )
    with start([sys.executable, "-c", script], folder) as process:
        errors = process.communicate()[1]
    assert process.returncode == 128 + number, errors
    assert "interrupted" in errors
    assert told in errors.partition("interrupted")[0]
    assert not any(fault in errors for fault in FAULTS)


@pytest.mark.parametrize("number", SIGNALS)
class TestWorkIsKept:
    def test_evaluation_keeps_its_state(self, world, tmp_path, number):
        state = tmp_path / "state.json"
        evaluate = command("sknet", *evaluation(world, state))
        stopped(
            tmp_path,
            evaluate,
            number,
            told="sknet evaluate: stopping after this batch\n",
        )
        assert json.loads(state.read_text())["scores"]["images"] == 10
        results = []
        for where in (state, tmp_path / "other.json"):
            result = tmp_path / "result.json"
            whole = command("sknet", *evaluation(world, where, "--json", result))
            assert subprocess.run(whole, check=False).returncode == 0
            results.append(json.loads(result.read_text()))
        assert [r["resumed_images"] for r in results] == [10, 0]
        assert results[0]["top1"] == results[1]["top1"]

    def test_preparation_keeps_its_partial_folder(self, world, tmp_path, number):
        prepare = command("sknet", *preparation(world, tmp_path / "out"))
        commit = "import sknet.data.prepare as p; p._COMMIT_IMAGES = 4"
        told = "sknet prepare: stopping after the images in hand\n"
        stopped(tmp_path, prepare, number, more=commit, told=told)
        assert (tmp_path / "out" / "train_lmdb.partial").exists()
        again = subprocess.run(prepare, check=False, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert "stored 35 of 35 images" in again.stdout
        assert ", 8 of them in an earlier run" in again.stdout

    def test_conversion_leaves_nothing_half_done(self, world, tmp_path, number):
        convert = command(
            "convert_imageset", world / "images", world / "list.txt", tmp_path / "db"
        )
        told = (
            "convert_imageset: stopping after the images in hand, without a database\n"
        )
        main = "convert_imageset_main"
        stopped(tmp_path, convert, number, main=main, done=1, told=told)
        assert not list(tmp_path.glob("db*"))
        assert subprocess.run(convert, check=False).returncode == 0


# Two convolutions that take a while, in the phases of training and of scoring.
SLOW = """
layer { name: "data" type: "DummyData" top: "data" top: "target"
        dummy_data_param { shape { dim: 4 dim: 64 dim: 64 dim: 64 } shape { dim: 4
                           dim: 64 dim: 64 dim: 64 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
        convolution_param { num_output: 64 kernel_size: 3 pad: 1 } }
layer { name: "b" type: "Convolution" bottom: "a" top: "b"
        convolution_param { num_output: 64 kernel_size: 3 pad: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "target" top: "loss" }
"""
SLOW_SOLVER = 'net: "net.prototxt" base_lr: 0 lr_policy: "fixed" max_iter: 1000000'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("arguments", "begun", "told"),
    [
        (("train", "-solver", "solver.prototxt"), "Solving", "this iteration"),
        (
            ("test", "-model", "net.prototxt", "-weights", "w.caffemodel"),
            "Batch 0,",
            "this batch",
        ),
        (("time", "-model", "net.prototxt"), "Iteration: 1 ", "this iteration"),
    ],
)
def test_what_a_signal_waits_for_is_said(tmp_path, arguments, begun, told, number):
    (tmp_path / "net.prototxt").write_text(SLOW)
    (tmp_path / "solver.prototxt").write_text(SLOW_SOLVER)
    caffe.Net(tmp_path / "net.prototxt", caffe.TEST).save(tmp_path / "w.caffemodel")
    many = () if arguments[0] == "train" else ("-iterations", 10**6)
    with start(command("caffe", *arguments, *many), tmp_path) as process:
        for line in process.stderr:
            if begun in line:
                break
        process.send_signal(number)
        errors = process.communicate(timeout=LONGEST_S)[1]
    assert process.returncode == 128 + number, errors
    assert errors.count("stopping after") == 1, errors
    before, _, after = errors.partition(f"stopping after {told}\n")
    assert "interrupted" not in before
    assert "interrupted" in after


# Closes the terminal of a command that has begun to show how far it is.
HANG_UP = """
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = b""
while b"/35" not in shown:
    shown += os.read(terminal, 4096)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_terminal_that_is_closed(world, tmp_path):
    state = tmp_path / "state.json"
    # Slow enough to be in the middle then.
    evaluate = command("sknet", *evaluation(world, state, "--protocol", "10crop"))
    (tmp_path / "slow.py").write_text(
        "import sys, time\n"
        "from sknet.evaluation.scores import Scores\n"
        "add = Scores.add\n"
        "def slow(self, *arguments):\n"
        "    time.sleep(0.1)\n"
        "    add(self, *arguments)\n"
        "Scores.add = slow\n"
        "from sknet.cli import main\n"
        "sys.exit(main())\n"
    )
    python = [sys.executable, "-c", HANG_UP, sys.executable, "slow.py", *evaluate[1:]]
    with start(python, tmp_path) as process:
        errors = process.communicate(timeout=LONGEST_S)[1]
    assert process.returncode == 129, errors
    assert 0 < json.loads(state.read_text())["scores"]["images"] < 35
