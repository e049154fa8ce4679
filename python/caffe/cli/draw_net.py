"""`caffe draw_net`: the picture of a net."""

from __future__ import annotations

from pathlib import Path

from caffe.cli.flags import Flag, Values
from caffe.cli.program import Program
from caffe.files import write_atomically
from caffe.proto.caffe_pb2 import TEST, TRAIN

_SOURCES = (".dot", ".gv")


def run(flags: Values, words: list[str]) -> int:
    """Draws a net's definition."""
    import caffe

    model, picture = words
    net = caffe.read_net(model)
    phase = {"TRAIN": TRAIN, "TEST": TEST, "ALL": None}[flags.phase]
    print(f"Drawing net to {picture}")
    if Path(picture).suffix in _SOURCES:
        source = caffe.draw.dot_source(
            net, flags.rankdir, phase=phase, display_lrm=flags.display_lrm
        )
        write_atomically(picture, source)
    else:
        caffe.draw.draw_net_to_file(
            net, picture, flags.rankdir, phase, flags.display_lrm
        )
    return 0


PROGRAM = Program(
    "draw_net",
    "draw a net",
    "INPUT_NET_PROTO_FILE OUTPUT_IMAGE_FILE",
    """\
Draws the layers and blobs of a prototxt with Graphviz, into a file whose ending names
the format (.png, .svg, .pdf ...); .dot and .gv are what Graphviz draws from.""",
    (
        Flag(
            "rankdir",
            "LR",
            "Direction: TB (top-bottom, vertical), LR (left-right, horizontal).",
            ("LR", "RL", "TB", "BT"),
        ),
        Flag("phase", "ALL", "Layers of which phase.", ("TRAIN", "TEST", "ALL")),
        Flag("display_lrm", False, "Show the learning rate multipliers."),
    ),
    run,
)
