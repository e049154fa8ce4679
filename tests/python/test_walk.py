"""The whole path as a user walks it on photographs, by commands alone.

Databases and training are interrupted and resumed, the net is fine-tuned, evaluated
(again, too), put beside the paper's table, looked into, and exported.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import ROOT
from photographs import CLASSES, write_ilsvrc
from PIL import Image

from sknet.data.augmentation import centre_crop, read_image, resize_shorter, to_input

SMALL = ["sknet26", "--depths", "1,1,1,1", "--widths", "32,32,32,64", "--crop", "64"]
RECIPE = ["--batch", "16", "--iter-size", "1", "--base-lr", "0.02"]
TRAIN, VAL = 40, 10  # of each class
EPOCHS = 12
ITERATIONS = EPOCHS * 2 * TRAIN // 16
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "MPLBACKEND": "Agg",
}


class Walk:
    """Commands that are run one after the other in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, *command):
        # Into files: a pipe that nobody reads would stop the command.
        with (
            (self.folder / "out").open("w") as out,
            (self.folder / "err").open("w") as err,
        ):
            return subprocess.Popen(
                list(map(str, command)),
                cwd=self.folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def ended(self, process, status):
        """What it printed on stdout and stderr."""
        try:
            assert process.wait(timeout=300) == status, self.said()[-3000:]
        finally:
            process.kill()
        out, err = ((self.folder / name).read_text() for name in ("out", "err"))
        assert "Traceback" not in err
        return out, err

    def said(self):
        return "".join((self.folder / name).read_text() for name in ("err", "out"))

    def run(self, *command, status=0):
        return self.ended(self.start(*command), status)

    def interrupt(self, begun, *command):
        """Sends Ctrl-C as soon as `begun` says that there is something to lose."""
        process = self.start(*command)
        while not begun():
            assert process.poll() is None, self.said()[-3000:]
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        return self.ended(process, 128 + signal.SIGINT)

    def json(self, name):
        return json.loads((self.folder / name).read_text())


def snapshot(run, iteration, model="sknet26"):
    return f"{run}/snapshots/{model}_iter_{iteration}.caffemodel"


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The databases, built in two goes."""
    walk = Walk(tmp_path_factory.mktemp("walk"))
    write_ilsvrc(walk.folder / "ilsvrc", TRAIN, VAL, side=160)
    # One that a download cut short.
    whole = walk.folder / "ilsvrc/train/n04346328/n04346328_0.JPEG"
    bad = whole.with_name("cut.JPEG")
    bad.write_bytes(whole.read_bytes()[:2000])
    prepare = ["bash", ROOT / "scripts/prepare_imagenet.sh", "ilsvrc", "data"]
    partial = walk.folder / "data/train_lmdb.partial"
    walk.interrupt(partial.exists, *prepare, "--workers", "1")
    assert not (walk.folder / "data/train_lmdb").exists()
    out, err = walk.run(*prepare, status=1)
    assert "cut.JPEG" in out + err
    out, _ = walk.run(*prepare, "--allow-rejects")
    assert f"complete already: {2 * TRAIN} of {2 * TRAIN + 1} images" in out
    assert walk.json("data/train_lmdb/classes.json")["classes"] == list(CLASSES)
    return walk


@pytest.fixture(scope="module")
def trained(walk):
    """Weights of a training that was interrupted, and went on where it was."""
    train = ["bash", ROOT / "scripts/train.sh", *SMALL, "data"]
    options = [*RECIPE, "--epochs", EPOCHS]
    snapshots = walk.folder / "run/snapshots"
    walk.interrupt(
        lambda: any(snapshots.glob("*.solverstate")), *train, "run", *options
    )
    stopped = max(
        int(re.search(r"_iter_(\d+)", path.name)[1])
        for path in snapshots.glob("*.solverstate")
    )
    assert 0 < stopped < ITERATIONS
    walk.run(*train, "run", *options)
    # The weights of a run without an interruption, to the bit.
    walk.run(*train, "whole", *options)
    resumed, whole = (
        (walk.folder / snapshot(run, ITERATIONS)).read_bytes()
        for run in ("run", "whole")
    )
    assert resumed == whole
    out, _ = walk.run(*train, "run", *options)
    assert "complete" in out
    return snapshot("run", ITERATIONS)


@pytest.fixture(scope="module")
def tuned(walk, trained):
    """Weights of the same classes under a classifier of another name."""
    walk.run(
        *("bash", ROOT / "scripts/train.sh", *SMALL, "data", "tuned", *RECIPE),
        *("--epochs", 4, "--classifier", "buildings", "-weights", trained),
    )
    generate = ["sknet", "generate", *SMALL, "--classes", 2, "-o", "deploy.prototxt"]
    walk.run(*generate, "--classifier", "buildings")
    return snapshot("tuned", 4 * 2 * TRAIN // 16)


def evaluated(walk, weights, result, *options):
    net = Path(weights).parts[0] + "/train_val.prototxt"
    command = ["sknet", "evaluate", net, "--weights", weights, "--strict"]
    source = ["--source", "data/val_lmdb", "--json", result]
    out, _ = walk.run(*command, *source, *options)
    return out, walk.json(result)


def test_the_net_is_evaluated_twice(walk, trained):
    options = ["--resume", "state"]
    out, first = evaluated(walk, trained, "first.json", *options)
    assert "all done before" not in out
    again, second = evaluated(walk, trained, "second.json", *options)
    assert "all done before" in again
    _, third = evaluated(walk, trained, "third.json")
    for record in (second, third):
        assert record["top1"] == first["top1"]
        assert record["images"] == 2 * VAL
    # Guessing errs in one half.
    assert first["top1"]["error_percent"] < 25


def test_what_the_log_says_is_what_the_snapshot_gives(walk, trained):
    log = (walk.folder / "run/train.log").read_text()
    accuracies = re.findall(r"Test net output #\d+: top-1 = (\S+)", log)
    _, record = evaluated(walk, trained, "logged.json")
    assert float(accuracies[-1]) == record["top1"]["correct"] / (2 * VAL)
    out, _ = walk.run("sknet", "train-curve", "run/train.log", "-o", "curve.png")
    assert re.search(rf"train\.log +train/loss .* {ITERATIONS} ", out)


def test_results_stand_beside_the_papers(walk, trained):
    _, record = evaluated(walk, trained, "sknet26.json")
    table, note = walk.run("sknet", "table2", "--measured", "sknet26.json")
    assert "SKNet-50" in table
    assert "sknet26" in table + note
    walk.run(
        *("sknet", "scatter", "--measured", "sknet26.json", "-o", "scatter.png"),
        *("--csv", "scatter.csv"),
    )
    rows = (walk.folder / "scatter.csv").read_text()
    assert re.search(r"^SKNet-50,", rows, re.M)
    assert record["net"] == "sknet26"


def test_the_fine_tuned_net_is_looked_into(walk, tuned):
    _, record = evaluated(walk, tuned, "tuned.json")
    assert record["top1"]["error_percent"] < 25
    walk.run(
        *("sknet", "attention", "tuned/train_val.prototxt", "--weights", tuned),
        *("--source", "data/val_lmdb", "--out", "attention"),
    )
    for name in ("average.png", "classes.png", "image_0.png"):
        with Image.open(walk.folder / "attention" / name) as image:
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20


@pytest.mark.parametrize("fold", [False, True])
def test_the_exported_net_gives_the_same_answers(walk, tuned, fold):
    options = ["--fold-bn"] if fold else []
    out, _ = walk.run(
        *("sknet", "export", "onnx", "deploy.prototxt", "--weights", tuned),
        *("-o", "net.onnx", *options),
    )
    assert "layer by layer" in out
    session = onnxruntime.InferenceSession(
        walk.folder / "net.onnx", providers=["CPUExecutionProvider"]
    )
    correct = 0
    for line in (walk.folder / "ilsvrc/val.txt").read_text().splitlines():
        name, label = line.split()
        image = resize_shorter(read_image(walk.folder / "ilsvrc/val" / name), 73)
        crop = to_input(centre_crop(image, 64))[np.newaxis]
        (scores,) = session.run(["prob"], {"data": crop})
        correct += int(scores.argmax()) == int(label)
    _, record = evaluated(walk, tuned, "exported.json")
    assert correct == record["top1"]["correct"]
