"""The drivers in scripts/ end when they are interrupted, with all they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from photographs import write_ilsvrc
from PIL import Image

import caffe
from sknet.models import create_model, deploy

DEADLINE_S = 300
TINY = ["--depths", "1,1,1,1", "--widths", "32,32,32,64", "--crop", "64"]


@pytest.fixture(autouse=True)
def _signals_are_not_ignored():
    """Processes inherit that a signal is ignored, as in a background job of a shell."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """More work for each driver than is done before the signal."""
    root = tmp_path_factory.mktemp("interrupted")
    levels = np.random.default_rng(1).integers(0, 256, (1200, 1200, 3)).astype(np.uint8)
    Image.fromarray(levels).save(root / "x.jpg")
    for part, classes, count in (("train", 2, 3000), ("val", 10, 200)):
        for label in range(classes):
            folder = root / "imagenet" / part / f"n{label:08}"
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.JPEG").hardlink_to(root / "x.jpg")
    (root / "weights").mkdir()
    net = caffe.Net(deploy(create_model("sknet_digits")), caffe.TEST)
    net.save(str(root / "weights" / "sknet_digits.caffemodel"))
    photographs = write_ilsvrc(root / "photographs", train=8, val=2, side=72)
    done = subprocess.run(
        ["bash", ROOT / "scripts" / "prepare_imagenet.sh", photographs, root / "lmdbs"],
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # Two of the classes of val: a training set has all.
    prepared = root / "two_classes"
    (prepared / "val").mkdir(parents=True)
    (prepared / "train").symlink_to(root / "imagenet" / "train")
    for label in range(2):
        name = f"n{label:08}"
        (prepared / "val" / name).symlink_to(root / "imagenet" / "val" / name)
    return root


def environment():
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


def command(script, world, out):
    weights = world / "weights" / "sknet_digits.caffemodel"
    val = world / "imagenet" / "val"
    recipe = ["--batch", "8", "--iter-size", "1", "--epochs", "100000"]
    arguments = {
        "train.sh": ["sknet26", world / "lmdbs", out, *TINY, *recipe],
        "evaluate.sh": ["sknet_digits", weights, val, out],
        "reproduce_table2.sh": [world / "imagenet", world / "weights", out],
        "prepare_imagenet.sh": [world / "two_classes", out],
    }[script]
    return ["bash", str(ROOT / "scripts" / script), *map(str, arguments)]


def processes(session):
    """{number: command line} of the processes of a session that have not ended."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, of = (
                (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            )
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found[int(folder.name)] = [word.decode() for word in words]
    return found


def ready(session, words):
    """Whether the command that does the work runs and has set its signals up."""
    for number, line in processes(session).items():
        if not any("python" in word for word in line[:1]) or words not in line:
            continue
        try:
            text = (Path("/proc") / str(number) / "status").read_text()
        except OSError:
            continue
        caught = int(text.partition("SigCgt:")[2].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return True
    return False


def wait_until(met):
    end = time.monotonic() + DEADLINE_S
    while not met():
        assert time.monotonic() < end
        time.sleep(0.02)


WORKERS = {
    "train.sh": ["train"],
    "evaluate.sh": ["evaluate"],
    "reproduce_table2.sh": ["--check", "--resume"],
    "prepare_imagenet.sh": ["prepare"],
}
CASES = [(script, word) for script, words in WORKERS.items() for word in words]


@pytest.mark.parametrize("working", [False, True], ids=["at once", "at work"])
@pytest.mark.parametrize("way", ["ctrl-c", "SIGINT", "SIGTERM"])
@pytest.mark.parametrize(("script", "word"), CASES)
def test_an_interrupted_driver_stops_what_follows(
    world, tmp_path, script, word, way, working
):
    """At Ctrl-C all processes of a terminal get the signal, otherwise the script."""
    out = tmp_path / "out"
    line = command(script, world, out)
    if way == "ctrl-c":
        # As people type it.
        line = ["bash", "-c", '"$@" && touch "$0"', str(tmp_path / "after"), *line]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            line, env=environment(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: ready(process.pid, word) or process.poll() is not None)
        if working and script == "train.sh":
            wait_until(lambda: "Iteration 20 " in (tmp_path / "log").read_text())
        elif working:
            time.sleep(1.5)  # wherever it is by then
        text = (tmp_path / "log").read_text()
        assert process.poll() is None or word == "--check", text[-3000:]
        number = signal.SIGTERM if way == "SIGTERM" else signal.SIGINT
        if way == "ctrl-c":
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        status = process.wait(DEADLINE_S)
        text = (tmp_path / "log").read_text()
        assert status == 128 + number, text[-3000:]
        # Nothing goes on behind its back.
        assert processes(process.pid) == {}
    finally:
        for left in processes(process.pid):
            os.kill(left, signal.SIGKILL)
        process.wait()
    assert "Traceback" not in text
    assert not (tmp_path / "after").exists()
    if working and script == "train.sh":
        assert list(out.glob("snapshots/*.solverstate"))
