"""Trains a small SKNet on scanned digits, then times SKNet-50 on a photograph.

Works in the folder given (by default demo_output), which it empties first. Every step
is a command that users run themselves; the demo prints each one.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from sklearn.datasets import load_digits, load_sample_image
from sklearn.model_selection import train_test_split

import caffe
from caffe.proto import caffe_pb2
from sknet.complexity import analyse
from sknet.data.augmentation import centre_crop, resize_shorter, to_input
from sknet.data.opencv import cv2, write_image
from sknet.models import create_model, deploy, recipe_for
from sknet.text import table
from sknet.training.curve import plot
from sknet.training.log import TestPoint, TrainingLog

RECIPE = recipe_for("digits")
SIDE = create_model("sknet_digits").image_size
# The folder of this name may be emptied: it holds a file that only the demo writes.
MARKER = "written_by_demo"


def main() -> None:
    """Runs the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("demo_output"))
    folder: Path = parser.parse_args().folder
    fresh(folder)

    heading("1. Real images: the 1,797 scanned digits of scikit-learn")
    write_databases(folder)

    heading("2. A small SKNet")
    generate(folder)
    run(f"sknet generate sknet_digits -o {folder}/deploy.prototxt")
    preview = folder / "augmentation.png"
    run(
        f"sknet augment-preview {folder}/train_val.prototxt "
        f"--source {folder}/train_lmdb --images 8 -o {preview}"
    )

    heading("3. Training, on augmented images")
    began = time.monotonic()
    log = train(folder)
    seconds = time.monotonic() - began
    curve = folder / "training_curve.png"
    plot({"sknet_digits": log}, curve, "sknet_digits on scikit-learn's digits")
    snapshot = last_snapshot(folder)

    heading("4. Test on the 360 images of val, of which nothing was trained on")
    scores = score(folder, snapshot)
    digits = table_row(folder, scores)

    heading("5. Which kernels the trained net chooses as digits grow")
    attention = folder / "attention"
    run(
        f"sknet attention sknet_digits --weights {snapshot} "
        f"--source {folder}/val_lmdb --out {attention}"
    )

    heading("6. SKNet-50 at 224x224 on a photograph")
    probabilities, milliseconds = sknet50(folder)
    print(time_table(folder))

    heading("Summary")
    print(digits)
    speed = images_per_second(log)
    print(f"\ntraining speed      {speed:.0f} images/s, {seconds:.0f} s in all")
    print(f"training curve      {curve}")
    print(f"augmented images    {preview}")
    print(f"attention figures   {attention}/average.png, classes.png, image_0.png …")
    print(f"snapshot            {snapshot}")
    print(
        f"SKNet-50            {milliseconds:.0f} ms for one 224x224 photograph; "
        f"{probabilities.size} probabilities, sum {probabilities.sum():.4f}\n"
        "                    (its weights are random: nothing was trained)"
    )


def fresh(folder: Path) -> None:
    """Creates the folder, or empties it if an earlier demo wrote it."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARKER).exists():
            sys.exit(f"error: {folder} holds other files; name another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def heading(text: str) -> None:
    """Announces a part."""
    print(f"\n== {text}", flush=True)


def run(command: str) -> None:
    """Prints and runs a command; its failure ends the demo."""
    print(f"$ {command}", flush=True)
    status = subprocess.run(shlex.split(command), check=False).returncode
    if status:
        sys.exit(f"error: this command failed with status {status}: {command}")


def capture(command: str, path: Path) -> str:
    """Runs a command that logs to stderr; its log, which also goes to a file."""
    print(f"$ {command} 2>{path}", flush=True)
    done = subprocess.run(
        shlex.split(command), stderr=subprocess.PIPE, text=True, check=False
    )
    path.write_text(done.stderr)
    if done.returncode:
        sys.exit(f"{done.stderr}error: this command failed: {command}")
    return done.stderr


def write_databases(folder: Path) -> None:
    """Writes the digits as two databases."""
    write_digits(folder)
    for part in ("train", "val"):
        run(
            "convert_imageset -shuffle -seed 1 -encoded "
            f"{folder}/images/ {folder}/{part}.txt {folder}/{part}_lmdb"
        )


def generate(folder: Path) -> None:
    """Writes the net that learns them, and its solver."""
    run(
        f"sknet generate sknet_digits --style train_val "
        f"-o {folder}/train_val.prototxt --solver {folder}/solver.prototxt "
        f"--train-source {folder}/train_lmdb --val-source {folder}/val_lmdb "
        f"--snapshot-prefix {folder}/sknet_digits"
    )


def write_digits(folder: Path) -> None:
    """Writes the digits as PNG files, and lists for training and validation.

    The split is fixed and stratified: a fifth of each digit is kept for validation.
    """
    digits = load_digits()
    numbers = np.arange(len(digits.images))
    train, val = train_test_split(
        numbers, test_size=RECIPE.val_images, stratify=digits.target, random_state=0
    )
    for part, members in (("train", sorted(train)), ("val", sorted(val))):
        (folder / "images" / part).mkdir(parents=True)
        lines = []
        for number in members:
            name = f"{part}/{number:04}.png"
            # Grey levels 0 to 16 in 8x8 pixels.
            pixels = np.rint(digits.images[number] * (255 / 16)).astype(np.uint8)
            image = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            write_image(folder / "images" / name, image)
            lines.append(f"{name} {digits.target[number]}\n")
        (folder / f"{part}.txt").write_text("".join(lines))
        print(f"{len(members)} images in {folder}/images/{part}, {folder}/{part}.txt")


def iterations() -> int:
    """Updates of the whole training."""
    return RECIPE.iterations(RECIPE.epochs)


def last_snapshot(folder: Path) -> Path:
    """What the whole training leaves."""
    (snapshot,) = folder.glob(f"*_iter_{iterations()}.caffemodel")
    return snapshot


def train(folder: Path, flags: str = "") -> TrainingLog:
    """Runs `caffe train`, showing a line per test; the log goes to a file."""
    command = f"caffe train -solver {folder}/solver.prototxt{flags}"
    path = folder / "train.log"
    print(f"$ {command} 2>{path}", flush=True)
    log = TrainingLog()
    shown = 0
    with (
        path.open("w") as file,
        subprocess.Popen(
            shlex.split(command), stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            file.write(line)
            log.add(line)
            if shown < len(log.tests) and "top-5" in log.tests[shown].outputs:
                show(log.tests[shown], log)
                shown += 1
    if process.returncode:
        tail = "".join(path.read_text().splitlines(keepends=True)[-15:])
        sys.exit(f"{tail}error: {command} failed; the whole log is {path}")
    return log


def show(test: TestPoint, log: TrainingLog) -> None:
    """One line of progress."""
    loss = f"{log.train[-1].loss:.3f}" if log.train else "-"
    print(
        f"  iteration {test.iteration:4} of {iterations()}   training loss {loss}   "
        f"val top-1 error {error(test.outputs['top-1'])}",
        flush=True,
    )


def error(accuracy: float | list[float]) -> str:
    """`1.39 %` for an accuracy of 0.9861."""
    assert isinstance(accuracy, float)
    return f"{100 * (1 - accuracy):.2f} %"


def images_per_second(log: TrainingLog) -> float:
    """Median over the log's intervals."""
    speeds = [p.iterations_per_s for p in log.train[1:] if p.iterations_per_s]
    return statistics.median(speeds) * RECIPE.batch_size * RECIPE.iter_size


def score(folder: Path, snapshot: Path, flags: str = "") -> dict[str, float]:
    """Runs `caffe test` on val; the mean of each output."""
    batches = RECIPE.val_images // RECIPE.exact_val_batch
    command = (
        f"caffe test -model {folder}/train_val.prototxt -weights {snapshot} "
        f"-iterations {batches}{flags}"
    )
    log = capture(command, folder / "test.log")
    # The last value of each name is the mean; those before it are single batches.
    found = re.findall(r"\] (?:Batch \d+, )?(\S+) = (\S+)", log)
    scores = {name: float(value) for name, value in found}
    print("  " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    return scores


def table_row(folder: Path, scores: dict[str, float]) -> str:
    """The row of a table of results, under its header."""
    net = text_format.Parse(
        (folder / "deploy.prototxt").read_text(), caffe_pb2.NetParameter()
    )
    counts = analyse(net)
    return table(
        ("model", "#P", "GFLOPs", "top-1 error", "top-5 error"),
        [
            (
                counts.name,
                f"{counts.total.learned / 1e6:.2f} M",
                f"{counts.gflops():.4f}",
                error(scores["top-1"]),
                error(scores["top-5"]),
            )
        ],
    )


def sknet50(folder: Path) -> tuple[np.ndarray, float]:
    """Runs SKNet-50 on a photograph: probabilities, and milliseconds per image.

    Without trained weights the running statistics of the batch norms mean nothing, and
    values would grow beyond float. One pass over two photographs in TRAIN takes their
    statistics instead.
    """
    photographs = np.stack(
        [preprocess(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    )
    caffe.set_random_seed(1)
    model = create_model("sknet50")
    definition = deploy(model)
    path = folder / "sknet50.prototxt"
    path.write_text(text_format.MessageToString(definition))
    calibration = deploy(model, batch_size=len(photographs))
    for layer in calibration.layer:
        if layer.type == "CuDNNBatchNorm":
            layer.batch_norm_param.momentum = 0
    calibration_path = folder / "sknet50_calibration.prototxt"
    calibration_path.write_text(text_format.MessageToString(calibration))
    calibrated = caffe.Net(str(calibration_path), caffe.TRAIN)
    calibrated.blobs["data"].data[...] = photographs
    calibrated.forward()
    weights = folder / "sknet50_untrained.caffemodel"
    calibrated.save(str(weights))

    net = caffe.Net(str(path), caffe.TEST, weights=str(weights))
    net.blobs["data"].data[...] = photographs[:1]
    net.forward()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        probabilities = net.forward()["prob"][0]
        times.append(time.perf_counter() - began)
    if not np.isfinite(probabilities).all():
        sys.exit("error: SKNet-50 gave probabilities that are no numbers")
    milliseconds = 1000 * statistics.median(times)
    print(f"china.jpg: {milliseconds:.0f} ms per forward pass in Python")
    return probabilities, milliseconds


def time_table(folder: Path) -> str:
    """Runs `caffe time` on SKNet-50; milliseconds of every layer and every type."""
    command = (
        f"caffe time -model {folder}/sknet50.prototxt "
        f"-weights {folder}/sknet50_untrained.caffemodel -phase TEST -iterations 5"
    )
    log = capture(command, folder / "time.log")
    times = {
        name: float(value)
        for name, value in re.findall(r"\] +(\S+)\tforward: (\S+) ms", log)
    }
    net = text_format.Parse(
        (folder / "sknet50.prototxt").read_text(), caffe_pb2.NetParameter()
    )
    # Split layers are inserted by the engine, where several layers read one blob.
    kinds = {layer.name: layer.type for layer in net.layer}
    by_type: dict[str, float] = {}
    for name, milliseconds in times.items():
        kind = kinds.get(name, "Split")
        by_type[kind] = by_type.get(kind, 0.0) + milliseconds
    layers = [
        (name, kinds.get(name, "Split"), f"{milliseconds:.3f}")
        for name, milliseconds in times.items()
    ]
    whole = sum(by_type.values())
    types = [
        (kind, f"{milliseconds:.3f}", f"{100 * milliseconds / whole:.1f} %")
        for kind, milliseconds in sorted(by_type.items(), key=lambda item: -item[1])
    ]
    return "\n\n".join(
        [
            table(("layer", "type", "forward ms"), layers),
            table(("type", "forward ms", "share"), types),
        ]
    )


def preprocess(image: np.ndarray) -> np.ndarray:
    """The released models' protocol: shorter side 256, centre crop, BGR minus mean."""
    return to_input(centre_crop(resize_shorter(image[:, :, ::-1], 256), 224))


if __name__ == "__main__":
    main()
