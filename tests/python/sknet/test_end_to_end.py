"""The whole way on real photographs: databases, training with the full augmentation,
evaluation by both protocols, attention, and the same answers in ONNX Runtime.
"""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
from photographs import write_ilsvrc
from PIL import Image

import caffe
from sknet.cli import main
from sknet.evaluation import Preprocessing, Protocol, open_source

# SKNet-26 made small: one block a stage, for the two classes of the photographs.
SMALL = ["sknet26", "--depths", "1,1,1,1", "--widths", "32,32,32,64", "--classes", "2"]
TRAIN, VAL = 32, 8
EPOCHS = 10


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained net in a folder, with its databases."""
    folder = tmp_path_factory.mktemp("run")
    images = write_ilsvrc(folder / "ilsvrc", TRAIN, VAL, side=256)
    sknet(
        *("prepare", "imagenet", "--train", images / "train", "--val", images / "val"),
        *("--val-labels", images / "val.txt", "--out", folder / "data", "--seed", 1),
    )
    sknet(
        *("generate", *SMALL, "--style", "train_val"),
        *("-o", folder / "train_val.prototxt", "--solver", folder / "solver.prototxt"),
        *("--train-source", folder / "data/train_lmdb"),
        *("--val-source", folder / "data/val_lmdb"),
        *("--train-images", 2 * TRAIN, "--val-images", 2 * VAL, "--batch", 8),
        *("--iter-size", 1, "--epochs", EPOCHS, "--base-lr", 0.05, "--seed", 1),
        *("--snapshot-prefix", folder / "small"),
    )
    sknet("generate", *SMALL, "-o", folder / "deploy.prototxt")
    definition = (folder / "train_val.prototxt").read_text()
    for field in ("random_resized_crop", "max_rotation: 10", "max_jitter: 20"):
        assert field in definition
    solver = caffe.get_solver(str(folder / "solver.prototxt"))
    solver.solve()
    assert solver.iter == EPOCHS * 2 * TRAIN // 8
    return folder


def sknet(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def weights(run):
    return run / f"small_iter_{EPOCHS * 2 * TRAIN // 8}.caffemodel"


def evaluated(run, protocol, *options):
    result = run / f"{protocol}.json"
    sknet(
        *("evaluate", run / "deploy.prototxt", "--weights", weights(run), "--strict"),
        *("--source", run / "data/val_lmdb", "--protocol", protocol, "--batch", 8),
        *("--json", result, *options),
    )
    return json.loads(result.read_text())


def exported_answers(run, crop, resize):
    """Labels, and the answers of the exported net in ONNX Runtime."""
    net = run / f"deploy_{crop}.prototxt"
    sknet("generate", *SMALL, "--crop", crop, "--batch", 2 * VAL, "-o", net)
    model = run / f"small_{crop}.onnx"
    sknet("export", "onnx", net, "--weights", weights(run), "--fold-bn", "-o", model)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    source = open_source(run / "data/val_lmdb")
    preprocessing = Preprocessing((104.0, 117.0, 123.0))
    ((crops, labels),) = source.batches(
        Protocol(crop, resize, 1), preprocessing, 2 * VAL
    )
    (scores,) = session.run(None, {session.get_inputs()[0].name: crops})
    return labels, scores.reshape(len(labels), -1).argmax(axis=1)


@pytest.mark.parametrize(("crop", "resize"), [(224, 256), (320, 352)])
def test_both_protocols_and_onnx_runtime_agree(run, crop, resize):
    record = evaluated(run, crop)
    assert record["protocol"]["resize"] == resize
    assert record["images"] == 2 * VAL
    # A temple and a flower; guessing errs in one half.
    assert record["top1"]["error_percent"] <= 15
    labels, answers = exported_answers(run, crop, resize)
    assert (answers == labels).sum() == record["top1"]["correct"]
    confusions = {
        (entry["label"], entry["answer"]): entry["images"]
        for entry in record["confusions"]
    }
    for pair, count in confusions.items():
        assert np.sum((labels == pair[0]) & (answers == pair[1])) == count


def test_fusing_layers_changes_no_answer(run):
    plain, fused = evaluated(run, 224, "--no-optimize"), evaluated(run, 224)
    assert plain["top1"] == fused["top1"]
    assert plain["confusions"] == fused["confusions"]


def test_attention_is_plotted(run):
    out = run / "attention"
    sknet(
        *("attention", run / "deploy.prototxt", "--weights", weights(run)),
        *("--source", run / "data/val_lmdb", "--batch", 8, "--out", out),
    )
    pictures = sorted(out.glob("*.png"))
    assert pictures
    for picture in pictures:
        with Image.open(picture) as image:
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20
    assert sorted(out.glob("*.csv"))
