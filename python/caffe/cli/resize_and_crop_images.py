"""`caffe resize_and_crop_images`: square images for training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.program import Program
from caffe.cli.progress import reporting
from caffe.cli.tool import log
from caffe.cli.waiting import finishing
from caffe.files import (
    make_folder,
    read_bytes,
    read_text,
    sentence,
    write_atomically,
)

NAME = "resize_and_crop_images"
# The largest that an image of 2^28 pixels can have.
_MAX_SIDE = 1 << 14
# Images that are handed to the threads together; a list may have millions.
_AT_ONCE = 256


def run(flags: Values, words: list[str]) -> int:
    """Resizes, crops and stores the images of a list."""
    for name in ("input", "input_folder", "output_folder"):
        if not getattr(flags, name):
            raise UsageError(f"flag -{name} is missing")
    side = flags.output_side_length
    if not 1 <= side <= _MAX_SIDE:
        raise UsageError(
            f"flag -output_side_length: got {side}, expected 1 to {_MAX_SIDE} pixels"
        )
    if flags.threads < 0:
        raise UsageError(f"flag -threads: got {flags.threads}, expected 0 or more")
    names = list(listed(flags.input, flags.input_folder))
    if not names:
        raise ValueError(f"'{flags.input}' lists no image")

    def square(name: str) -> str | None:
        """Makes one image; what is wrong with it."""
        source = Path(flags.input_folder, name)
        target = Path(flags.output_folder, name)
        try:
            make_square(source, target, side)
        except (OSError, ValueError) as error:
            return sentence(error)
        return None

    threads = flags.threads or len(os.sched_getaffinity(0))
    rejected = 0
    with (
        finishing(NAME, "the images in hand"),
        reporting("Resizing") as report,
        ThreadPoolExecutor(threads) as pool,
    ):
        try:
            for start in range(0, len(names), _AT_ONCE):
                some = names[start : start + _AT_ONCE]
                for name, problem in zip(some, pool.map(square, some), strict=True):
                    if problem:
                        rejected += 1
                        log(f"Left out '{name}': {problem}", 1)
                report(start + len(some), len(names))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    log(f"Wrote {len(names) - rejected} of {len(names)} images")
    if rejected and not flags.skip_bad:
        raise ValueError(
            f"{rejected} of {len(names)} images were left out, see above; "
            f"'{flags.output_folder}' has the others, and -skip_bad makes that a "
            "success"
        )
    return 0


def listed(path: str, folder: str) -> Iterator[str]:
    """The images of a list, by their paths below the folder.

    A line may have the folder before the path, and a label behind it.

    Raises:
        OSError: The list cannot be read.
        ValueError: A path leads out of the folder.
    """
    text = read_text(path, "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        name, _, label = line.strip().rpartition(" ")
        if not (name and label.lstrip("-").isdecimal()):
            name = line.strip()
        if not name:
            continue
        name = name.removeprefix(folder).lstrip("/")
        if not name or ".." in PurePath(name).parts:
            raise ValueError(
                f"'{path}', line {number}: got '{line.strip()}', expected the path of "
                f"an image below '{folder}'"
            )
        yield name


def make_square(source: Path, target: Path, side: int) -> None:
    """Writes the square in the middle of an image.

    Raises:
        OSError: A file cannot be read or written, or is no image.
        ValueError: The target's ending names no type of images.
    """
    from caffe import _caffe

    encoding = target.suffix[1:].lower() or "jpg"
    square = _caffe.square_image(read_bytes(source), side, encoding)
    make_folder(target.parent)
    write_atomically(target, square)


PROGRAM = Program(
    NAME,
    "make square images of a list of images",
    "",
    """\
Resizes each image of a list so that its shorter side has -output_side_length pixels,
cuts out the square in the middle, and writes it to the same path below -output_folder,
in the same format and in colour. Existing files are replaced.""",
    (
        Flag("input", "", "List of images: a path below -input_folder a line."),
        Flag("input_folder", "", "The folder that contains all input images."),
        Flag("output_side_length", 256, "Side length of the output images."),
        Flag("output_folder", "", "The folder to write the images to."),
        Flag("skip_bad", False, "Do not fail because of images that were left out."),
        Flag("threads", 0, "Number of threads; 0 for one per core."),
    ),
    run,
)
