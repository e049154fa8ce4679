"""The preprocessing of a deploy file, in a comment at its head.

Where training has a data layer a deploy file has an Input, and so it tells no mean and
no scale; with others than the weights learned a net is wrong in silence. Comments are
passed over by every Caffe, so what the data layer of testing does stands in one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import text_format

from caffe.files import reading
from caffe.proto import caffe_pb2
from sknet.prototxt import to_text

_TITLE = (
    "What a data layer would do with the images (sknet reads this, Caffe does not):"
)
# Far more than a comment of ours takes.
_MAX_LINES = 100


def to_comment(transform: Any) -> str:
    """Lines to put before a definition.

    Args:
        transform: A TransformationParameter.
    """
    layer = caffe_pb2.LayerParameter(transform_param=transform)
    return "".join(f"# {line}\n" for line in [_TITLE, *to_text(layer).splitlines()])


def from_comment(path: Path) -> Any:
    """The TransformationParameter at the head of a file; None if it has none.

    Raises:
        ValueError: It cannot be read.
        OSError: The file cannot be.
    """
    lines: list[str] = []
    with reading(path), path.open(encoding="utf-8", errors="replace") as file:
        for _ in range(_MAX_LINES):
            line = file.readline(_MAX_LINES * 10)
            if not line.startswith("#"):
                break
            lines.append(line[1:].strip())
    if _TITLE not in lines:
        return None
    layer = caffe_pb2.LayerParameter()
    try:
        text_format.Parse("\n".join(lines[lines.index(_TITLE) + 1 :]), layer)
    except text_format.ParseError as error:
        raise ValueError(
            f"'{path}': the comment at its head tells no transform_param ({error}); "
            "correct it, or remove it and give --mean and --scale"
        ) from None
    return layer.transform_param
