"""The `compute_image_mean` command: the mean image of a database."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from caffe.cli.flags import Flag, UsageError, describe, parse
from caffe.cli.progress import reporting
from caffe.cli.tool import (
    ALL_LOG_FLAGS,
    LOG_FLAGS,
    guard,
    log,
    refuse_several_processes,
    set_up_log,
)
from caffe.cli.waiting import finishing

NAME = "compute_image_mean"
FLAGS = (
    Flag("backend", "lmdb", "Kind of database.", ("lmdb", "leveldb")),
    Flag("skip_bad", False, "Leave out images that cannot be decoded."),
    Flag("threads", 0, "Number of threads; 0 for one per core."),
)
_HELP = Flag("help", False, "Show this text.")
_USAGE = f"""\
usage: compute_image_mean [flags] INPUT_DB [OUTPUT_FILE]

Computes the mean of the images of a database, which must have one size, logs the mean
of each channel, and writes the image to OUTPUT_FILE, a binaryproto for `mean_file`.

{describe(FLAGS)}

log:
{describe(LOG_FLAGS)}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guard(NAME, f"See `{NAME} -help`.", lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    flags, words, rest = parse(arguments, (*FLAGS, *ALL_LOG_FLAGS, _HELP))
    words += rest
    if flags.help:
        print(_USAGE)
        return 0
    if len(words) not in (1, 2):
        raise UsageError(f"got {len(words)} arguments, expected INPUT_DB [OUTPUT_FILE]")
    refuse_several_processes(NAME)
    set_up_log(flags, NAME)
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
