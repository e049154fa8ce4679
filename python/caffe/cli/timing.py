"""`caffe time`."""

from __future__ import annotations

from caffe.cli.command import (
    GPU,
    ITERATIONS,
    LEVEL,
    MODEL,
    PLUGIN,
    PRECISION,
    STAGE,
    WEIGHTS,
    Command,
    load_net,
    split,
)
from caffe.cli.flags import Flag, Values
from caffe.cli.tool import log
from caffe.proto.caffe_pb2 import TEST, TRAIN


def run(flags: Values) -> int:
    """Times a net: every layer forward and backward, and all of them together."""
    phase = TEST if flags.phase == "TEST" else TRAIN
    net = load_net(flags, phase, split(flags.weights))
    last = len(net.layers) - 1
    # A first run allocates memory and is not counted.
    log("Performing Forward")
    log(f"Initial loss: {net._forward(0, last):g}")
    log("Performing Backward")
    net._backward(last, 0)
    log("*** Benchmark begins ***")
    log(f"Testing for {flags.iterations} iterations.")
    names = list(net.top_names)
    forward = [0.0] * len(names)
    backward = [0.0] * len(names)
    total = 0.0
    for iteration in range(flags.iterations):
        times = net._engine.time_layers()
        forward = [a + b for a, b in zip(forward, times.forward_ms, strict=True)]
        backward = [a + b for a, b in zip(backward, times.backward_ms, strict=True)]
        total += times.total_ms
        log(f"Iteration: {iteration + 1} forward-backward time: {times.total_ms:g} ms.")
    log("Average time per layer: ")
    for name, forward_ms, backward_ms in zip(names, forward, backward, strict=True):
        log(f"{name:>10}\tforward: {forward_ms / flags.iterations:g} ms.")
        log(f"{name:>10}\tbackward: {backward_ms / flags.iterations:g} ms.")
    log(f"Average Forward pass: {sum(forward) / flags.iterations:g} ms.")
    log(f"Average Backward pass: {sum(backward) / flags.iterations:g} ms.")
    log(f"Average Forward-Backward: {total / flags.iterations:g} ms.")
    log(f"Total Time: {total:g} ms.")
    log("*** Benchmark ends ***")
    return 0


COMMAND = Command(
    "time",
    "time the layers of a net",
    (
        MODEL,
        WEIGHTS,
        ITERATIONS,
        Flag("phase", "TRAIN", "Phase of the net.", ("TRAIN", "TEST")),
        GPU,
        LEVEL,
        STAGE,
        PRECISION,
        PLUGIN,
    ),
    run,
)
