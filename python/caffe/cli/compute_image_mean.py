"""The `compute_image_mean` command: the mean image of a database."""

from __future__ import annotations

from caffe.cli.flags import Flag, Values
from caffe.cli.program import Program
from caffe.cli.progress import reporting
from caffe.cli.tool import log
from caffe.cli.waiting import finishing

NAME = "compute_image_mean"
FLAGS = (
    Flag("backend", "lmdb", "Kind of database.", ("lmdb", "leveldb")),
    Flag("skip_bad", False, "Leave out images that cannot be decoded."),
    Flag("threads", 0, "Number of threads; 0 for one per core."),
)


def run(flags: Values, words: list[str]) -> int:
    """Averages, and logs the means."""
    from caffe import _caffe

    options = _caffe.ComputeImageMeanOptions()
    options.database = words[0]
    options.output_file = words[1] if len(words) == 2 else ""
    options.backend = flags.backend
    options.skip_bad = flags.skip_bad
    options.threads = flags.threads
    ends = finishing(NAME, "the images in hand")
    with ends, reporting("Averaging") as report:
        result = _caffe.compute_image_mean(options, report)
    for image in result.rejected:
        log(f"Left out '{image.name}': {image.reason}")
    if options.output_file:
        log(f"Write to {options.output_file}")
    log(f"Number of images: {result.images}")
    log(f"Number of channels: {result.channels}")
    for channel, mean in enumerate(result.channel_means):
        log(f"mean_value channel [{channel}]: {mean:g}")
    return 0


PROGRAM = Program(
    NAME,
    "average the images of a database",
    "INPUT_DB [OUTPUT_FILE]",
    """\
Computes the mean of the images of a database, which must have one size, logs the mean
of each channel, and writes the image to OUTPUT_FILE, a binaryproto for `mean_file`.""",
    FLAGS,
    run,
)
main = PROGRAM.main
