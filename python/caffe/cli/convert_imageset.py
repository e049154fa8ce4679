"""The `convert_imageset` command: from a list of images to a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.cli.flags import Flag, Values
from caffe.cli.program import Program
from caffe.cli.progress import reporting
from caffe.cli.tool import log
from caffe.cli.waiting import finishing

if TYPE_CHECKING:
    from caffe import _caffe

NAME = "convert_imageset"
FLAGS = (
    Flag("gray", False, "Store one channel instead of three."),
    Flag("shuffle", False, "Store the images in random order."),
    Flag("seed", -1, "Seed of -shuffle; negative for another order every time."),
    Flag("backend", "lmdb", "Kind of database.", ("lmdb", "leveldb")),
    Flag("resize_width", 0, "Width to resize to; 0 keeps the size."),
    Flag("resize_height", 0, "Height to resize to; 0 keeps the size."),
    Flag("check_size", False, "Reject images of another size than the first."),
    Flag("encoded", False, "Store the image files instead of their pixels."),
    Flag("encode_type", "", "Store files of this type, e.g. png or jpg."),
    Flag("skip_bad", False, "Do not fail because of images that were rejected."),
    Flag("threads", 0, "Number of threads; 0 for one per core."),
)
# More of them would bury the summary; the log has all.
_SHOWN_CLASSES = 20


def run(flags: Values, words: list[str]) -> int:
    """Stores the images and says what became of them."""
    from caffe import _caffe

    if flags.shuffle:
        log("Shuffling data")
    ends = finishing(NAME, "the images in hand, without a database")
    with ends, reporting("Converting") as report:
        result = _caffe.convert_imageset(_options(flags, words), report)
    _summarise(result, words[2])
    if result.rejected and not flags.skip_bad:
        raise ValueError(
            f"{len(result.rejected)} of {result.listed} images were rejected, see "
            f"above; '{words[2]}' holds the others, and -skip_bad makes that a success"
        )
    return 0


def _options(flags: Values, words: list[str]) -> _caffe.ConvertImagesetOptions:
    from caffe import _caffe

    options = _caffe.ConvertImagesetOptions()
    options.root_folder, options.list_file, options.database = words
    options.backend = flags.backend
    options.gray = flags.gray
    options.shuffle = flags.shuffle
    options.seed = flags.seed
    options.resize_width = flags.resize_width
    options.resize_height = flags.resize_height
    options.check_size = flags.check_size
    options.encoded = flags.encoded
    options.encode_type = flags.encode_type
    options.threads = flags.threads
    return options


def _summarise(result: _caffe.BuildResult, database: str) -> None:
    counts = sorted(result.class_counts.items())
    log(
        f"Wrote {result.written} of {result.listed} images in {len(counts)} classes, "
        f"{result.bytes / 1e6:.1f} MB, to {database}"
    )
    if result.resumed:
        log(f"An earlier run had written {result.resumed} of them")
    for label, count in counts[:_SHOWN_CLASSES]:
        log(f"Class {label}: {count} images")
    if hidden := counts[_SHOWN_CLASSES:]:
        least = min(hidden, key=lambda entry: entry[1])
        most = max(hidden, key=lambda entry: entry[1])
        log(
            f"{len(hidden)} more classes: from {least[1]} images (class {least[0]}) to "
            f"{most[1]} (class {most[0]})"
        )
    for image in result.rejected:
        log(f"Rejected line {image.line}, '{image.name}': {image.reason}")


PROGRAM = Program(
    NAME,
    "store the images of a list in a database",
    "ROOTFOLDER/ LISTFILE DB_NAME",
    """\
Stores images in a database that Data layers read. A line of LISTFILE is the path of an
image below ROOTFOLDER, a space, and its label. A command that was interrupted or killed
goes on where it was when given again.""",
    FLAGS,
    run,
)
main = PROGRAM.main
