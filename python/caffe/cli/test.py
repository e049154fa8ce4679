"""`caffe test`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from caffe.cli.command import (
    GPU,
    ITERATIONS,
    LEVEL,
    MODEL,
    OPTIMIZE,
    PLUGIN,
    PRECISION,
    STAGE,
    WEIGHTS,
    Command,
    load_net,
    required,
    split,
)
from caffe.cli.flags import Flag, Values
from caffe.cli.tool import log, require_file
from caffe.cli.waiting import finishing
from caffe.proto.caffe_pb2 import TEST

if TYPE_CHECKING:
    from caffe.net import Net


def run(flags: Values) -> int:
    """Scores a net: logs its outputs batch by batch, then their means."""
    from caffe import _caffe

    weights = split(required(flags, "weights", "the caffemodel to score"))
    _caffe.join_group()
    _caffe.share_random_seed()  # by which data layers shuffle
    net = load_net(flags, TEST, [], optimize=flags.optimize)
    for file in weights:
        require_file(file, "file")
        report = net.copy_from(file)
        if not report.matched and not flags.allow_random:
            theirs, ours = report.without_layer, report.without_weights
            raise ValueError(
                f"'{file}' has weights for no layer of the net, but for "
                f"{_some(theirs)}, while the net has {_some(ours)}; they belong to "
                "another net (-allow_random scores this one as its fillers made it)"
            )
    try:
        net.check_weights()
    except ValueError as error:
        raise ValueError(f"'{','.join(weights)}': {error}") from None
    log(f"Running for {flags.iterations} iterations.")
    names = [name for name in net.outputs for _ in range(net.blobs[name].count)]
    sums = [0.0] * (1 + len(names))
    with finishing("caffe test", "this batch"):
        for batch, scores in enumerate(_batches(net, flags.iterations, len(sums))):
            for name, score in zip(names, scores[1:], strict=True):
                log(f"Batch {batch}, {name} = {score:g}")
            sums = [total + score for total, score in zip(sums, scores, strict=True)]
    log(f"Loss: {sums[0] / flags.iterations:g}")
    for name, total in zip(names, sums[1:], strict=True):
        mean = total / flags.iterations
        weight = net.blob_loss_weights[name]
        loss = f" (* {weight:g} = {weight * mean:g} loss)" if weight else ""
        log(f"{name} = {mean:g}{loss}")
    return 0


def _batches(net: Net, iterations: int, values: int) -> Iterator[list[float]]:
    """The loss and the outputs of each batch, which processes share between them.

    Every process reads all batches, and runs the net on each `size`-th.
    """
    from caffe import _caffe

    rank, size = _caffe.solver_rank(), _caffe.solver_count()
    for first in range(0, iterations, size):
        count = min(size, iterations - first)
        scores = [0.0] * (count * values)
        for turn in range(count):
            if turn == rank:
                scores[turn * values : (turn + 1) * values] = _scores(net, values)
            else:
                net._engine.skip_batch()
        scores = _caffe.sum_over_group(scores)
        for turn in range(count):
            yield scores[turn * values : (turn + 1) * values]


def _scores(net: Net, values: int) -> list[float]:
    scores = [net._forward(0, len(net.layers) - 1)]
    for name in net.outputs:
        scores += net.blobs[name].data.ravel().tolist()
    if len(scores) != values:
        raise ValueError(
            f"net '{net.name}': {len(scores) - 1} output values for a batch, expected "
            f"{values - 1} as in the first; a mean needs as many in each"
        )
    return scores


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(f"'{name}'" for name in names[:2]) + more if names else "none"


COMMAND = Command(
    "test",
    "score a net",
    (
        MODEL,
        WEIGHTS,
        ITERATIONS,
        GPU,
        LEVEL,
        STAGE,
        PRECISION,
        PLUGIN,
        OPTIMIZE,
        Flag(
            "allow_random",
            False,
            "Score a net for which the weights have no layer, as its fillers made it.",
        ),
    ),
    run,
)
