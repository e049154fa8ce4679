"""`caffe test`."""

from __future__ import annotations

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
from caffe.proto.caffe_pb2 import TEST


def run(flags: Values) -> int:
    """Scores a net: logs its outputs batch by batch, then their means."""
    weights = split(required(flags, "weights", "the caffemodel to score"))
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
    outputs = net.outputs
    sums: list[tuple[str, float]] = []
    total_loss = 0.0
    for batch in range(flags.iterations):
        total_loss += net._forward(0, len(net.layers) - 1)
        scores = [
            (name, score)
            for name in outputs
            for score in net.blobs[name].data.ravel().tolist()
        ]
        for name, score in scores:
            log(f"Batch {batch}, {name} = {score:g}")
        if not sums:
            sums = [(name, 0.0) for name, _ in scores]
        sums = [
            (name, total + score)
            for (name, total), (_, score) in zip(sums, scores, strict=True)
        ]
    log(f"Loss: {total_loss / flags.iterations:g}")
    for name, total in sums:
        mean = total / flags.iterations
        weight = net.blob_loss_weights[name]
        loss = f" (* {weight:g} = {weight * mean:g} loss)" if weight else ""
        log(f"{name} = {mean:g}{loss}")
    return 0


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
