"""`caffe summarize`: a net as a table."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.program import Program
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter, ParamSpec

# Colours of blobs, used in turn, and of bottoms that no layer makes.
_COLOURS = ("92", "93", "94", "95", "96", "97", "42", "43;30", "100", "103;30")
_UNMADE = "41"
# Of tops that no layer reads.
_UNREAD = "\033[1;4m"
_CODE = re.compile(r"\033\[[\d;]+m")


def run(flags: Values, words: list[str]) -> int:
    """Prints the table."""
    import caffe

    name = "w" if "w" in flags.given else "max_width"
    width = getattr(flags, name)
    if width < 1:
        raise UsageError(f"flag -{name}: got {width}, expected 1 or more columns")
    table = summary(caffe.read_net(words[0]))
    for line in aligned(table, width):
        # Differs from BVLC: in a file or a pipe there are no colours.
        print(line if sys.stdout.isatty() else _CODE.sub("", line))
    return 0


def summary(net: NetParameter) -> list[list[str]]:
    """A row for each layer: name, type, params, bottoms, an arrow, tops, geometry."""
    unread: set[str] = set()
    for layer in net.layer:
        unread |= set(layer.top)
        unread -= set(layer.bottom)
    colours: dict[str, str] = {}
    table = []
    for layer in net.layer:
        bottoms = [_coloured(name, colours.get(name, _UNMADE)) for name in layer.bottom]
        tops = []
        for index, name in enumerate(layer.top):
            colour = colours.setdefault(name, _COLOURS[len(colours) % len(_COLOURS)])
            text = _UNREAD + name if name in unread else name
            if index < len(layer.loss_weight):
                text = f"{_number(layer.loss_weight[index])} * {text}"
            tops.append(_coloured(text, colour))
        kind = layer.type
        if kind == "Python":
            kind = f"{layer.python_param.module}.{layer.python_param.layer}"
        table.append(
            [
                *(layer.name, kind, _params(layer.param)),
                *(", ".join(bottoms), "->", ", ".join(tops)),
                _geometry(layer),
            ]
        )
    return table


def aligned(table: Sequence[Sequence[str]], max_width: int) -> list[str]:
    """The rows as lines; columns are as narrow as they can be, up to `max_width`.

    Text may overflow its column, which moves the next ones no more than it must.
    """
    widths = [
        min(max_width, 1 + max(_shown(row[column]) for row in table))
        for column in range(len(table[0]) if table else 0)
    ]
    lines = []
    for row in table:
        line, end = "", 0
        for cell, width in zip(row, widths, strict=True):
            end += width
            line += f"{cell} "
            line += " " * (end - _shown(line))
        lines.append(line.rstrip(" "))
    return lines


def _shown(text: str) -> int:
    return len(_CODE.sub("", text))


def _coloured(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m"


def _number(value: float) -> str:
    # The digits that tell one float32 from others.
    return str(float(f"{value:.7g}"))


def _params(params: Sequence[ParamSpec]) -> str:
    texts = []
    for param in params:
        words = [param.name] if param.name else []
        if param.lr_mult != 1:
            words.append(f"x{_number(param.lr_mult)}")
        if param.decay_mult != 1:
            words.append(f"Dx{_number(param.decay_mult)}")
        texts.append(" ".join(words))
    return f"({', '.join(texts)})" if any(texts) else ""


def _geometry(layer: LayerParameter) -> str:
    """Such as "3/2+1 64/4": kernel, stride, pad; outputs, groups."""
    if layer.type in ("Convolution", "Deconvolution"):
        conv = layer.convolution_param
        outputs = f" {conv.num_output}" + (f"/{conv.group}" if conv.group != 1 else "")
        return _window(conv) + outputs
    if layer.type == "Pooling":
        pool = layer.pooling_param
        return "global" if pool.global_pooling else _window(pool)
    return ""


def _window(param: Any) -> str:
    kernel = _extent(param, "kernel_size", "kernel")
    stride = _extent(param, "stride", "stride")
    pad = _extent(param, "pad", "pad")
    return (
        kernel
        + (f"/{stride}" if stride not in ("", "1") else "")
        + (f"+{pad}" if pad not in ("", "0") else "")
    )


def _extent(param: Any, name: str, short: str) -> str:
    height, width = getattr(param, f"{short}_h"), getattr(param, f"{short}_w")
    if height or width:
        return f"{height}x{width}"
    value = getattr(param, name)
    return "x".join(map(str, value)) if hasattr(value, "__len__") else str(value)


PROGRAM = Program(
    "summarize",
    "print a net as a table",
    "FILENAME",
    """\
Prints a line for each layer of a prototxt: name, type, names and multipliers of its
parameters (x2.0 of the learning rate, Dx0.0 of the decay), bottoms -> tops, and of
convolutions and poolings kernel/stride+pad, outputs/groups. On a terminal blobs have
colours; a bottom that no layer makes is red, a top that no layer reads underlined.""",
    (
        Flag("max_width", 30, "Maximum width of a column."),
        Flag("w", 30, "The same."),
    ),
    run,
)
