"""`caffe classify`: the scores of images."""

from __future__ import annotations

import time
from pathlib import Path

from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.images import (
    CHANNEL_SWAP,
    GPU,
    INPUT_SCALE,
    MEAN_FILE,
    MODEL_DEF,
    PRETRAINED_MODEL,
    RAW_SCALE,
    channels_of,
    integers,
    load_array,
    net_files,
    preprocessing,
    use_processor,
)
from caffe.cli.program import Program
from caffe.cli.tool import require_file
from caffe.files import check_writable, reading, write_atomically


def run(flags: Values, words: list[str]) -> int:
    """Scores the images and writes the scores."""
    import numpy as np

    import caffe

    source, target = Path(words[0]).expanduser(), words[1]
    dims = integers(flags, "images_dim")
    if len(dims) != 2 or min(dims) < 1:
        raise UsageError(
            f"flag -images_dim: got '{flags.images_dim}', expected 'height,width'"
        )
    model, weights = net_files(flags)
    # As numpy.save names it.
    target = target if target.endswith(".npy") else f"{target}.npy"
    check_writable(target)
    settings = preprocessing(flags, model)
    use_processor(flags)
    classifier = caffe.Classifier(model, weights, image_dims=dims, **settings)
    color = channels_of(model) != 1
    if source.suffix == ".npy":
        print(f"Loading file: {source}")
        inputs = list(load_array(str(source)))
        if any(image.ndim != 3 for image in inputs):
            raise ValueError(
                f"'{source}': expected an array of (images, height, width, channels)"
            )
    elif source.is_dir():
        print(f"Loading folder: {source}")
        with reading(source):
            files = sorted(source.glob(f"*.{flags.ext}"))
        inputs = [caffe.io.load_image(file, color) for file in files]
    else:
        require_file(str(source), "input file")
        print(f"Loading file: {source}")
        inputs = [caffe.io.load_image(source, color)]
    if not inputs:
        raise ValueError(
            f"'{source}' has no image that ends in .{flags.ext}; -ext names another "
            "ending"
        )
    print(f"Classifying {len(inputs)} inputs.")
    start = time.monotonic()
    predictions = classifier.predict(inputs, not flags.center_only)
    print(f"Done in {time.monotonic() - start:.2f} s.")
    print(f"Saving results into {target}")
    write_atomically(target, lambda file: np.save(file, predictions))
    return 0


PROGRAM = Program(
    "classify",
    "score images",
    "INPUT_FILE OUTPUT_FILE",
    """\
Scores an image, the images of a folder in the order of their names, or those in a
NumPy file of (images, height, width, channels), with a net, and saves an array of
(images, classes) as OUTPUT_FILE, a NumPy file (.npy).""",
    (
        MODEL_DEF,
        PRETRAINED_MODEL,
        GPU,
        Flag(
            "center_only",
            False,
            "Predict from the center crop alone instead of averaging predictions "
            "across crops.",
        ),
        Flag(
            "images_dim", "256,256", "'height,width' that images are first resized to."
        ),
        MEAN_FILE,
        INPUT_SCALE,
        RAW_SCALE,
        CHANNEL_SWAP,
        Flag("ext", "jpg", "Ending of the images in a folder."),
    ),
    run,
)
