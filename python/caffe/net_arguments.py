"""The arguments of `caffe.Net`, in the forms that scripts give them."""

from __future__ import annotations

import operator
import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caffe import _arguments
from caffe.closest import suggestion
from caffe.proto.caffe_pb2 import TEST, TRAIN

# The arguments behind network_file, in the order of either form.
_NEW_FORM = ("phase", "level", "stages", "weights")
_OLD_FORM = ("weights", "phase", "level", "stages")


def constructor_values(
    who: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[int, int, list[str]], list[str]]:
    """Phase, level, stages and weights, from either form of the constructor."""
    is_old = bool(args) and isinstance(args[0], (str, bytes, os.PathLike, list, tuple))
    form = _OLD_FORM if is_old else _NEW_FORM
    if len(args) > len(form):
        raise TypeError(
            f"{who}: got {len(args) + 1} values, expected at most network_file, "
            f"{', '.join(form)}"
        )
    given = dict(zip(form, args, strict=False))
    for name, value in kwargs.items():
        if name not in form:
            known = [*form, "optimize"]
            raise TypeError(f"{who}: no argument '{name}'{suggestion(name, known)}")
        if name in given:
            raise TypeError(f"{who}: got {name} twice, by position and by name")
        given[name] = value
    weights = given.get("weights")
    if isinstance(weights, str) and weights.upper() in ("TRAIN", "TEST"):
        given.setdefault("phase", weights)  # meant as such, where none is given
    if "phase" not in given:
        raise TypeError(f"{who}: {_without_phase(weights)}")
    make = (
        _phase(given["phase"], who),
        _level(given.get("level", 0), who),
        _stages(given.get("stages"), who),
    )
    return make, _weights(weights, who)


def _without_phase(weights: Any) -> str:
    missing = "the phase is missing, expected caffe.TRAIN or caffe.TEST behind"
    if weights is None:
        return f"{missing} network_file"
    form = f"caffe.Net(network_file, caffe.TEST, weights={reprlib.repr(weights)})"
    return f"{missing} network_file, and weights by name, as in {form}"


def _phase(value: Any, who: str) -> int:
    wrong = f"{who}: phase is {reprlib.repr(value)}, expected caffe.TRAIN or caffe.TEST"
    if isinstance(value, str) and value.upper() in ("TRAIN", "TEST"):
        wrong += ", without quotes"
    try:
        phase = operator.index(value)
    except TypeError:
        raise TypeError(wrong) from None
    if phase not in (TRAIN, TEST):
        raise ValueError(wrong)
    return phase


def _level(value: Any, who: str) -> int:
    if isinstance(value, (str, bytes, os.PathLike, list, tuple)):
        raise TypeError(
            f"{who}: level is {reprlib.repr(value)}, expected a whole number; give "
            "weights and stages by name, as in weights='net.caffemodel'"
        )
    return _arguments.whole_number(value, who, "level")


def _stages(value: Any, who: str) -> list[str]:
    # A text is a sequence as well: of its letters.
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        stages = list(value)
        if all(isinstance(stage, str) for stage in stages):
            return stages
    elif value is None:
        return []
    raise TypeError(
        f"{who}: stages is {reprlib.repr(value)}, expected a list of names such as "
        "['deploy']"
    )


def _weights(value: Any, who: str) -> list[str]:
    if value is None:
        return []
    is_one = isinstance(value, (str, bytes)) or not isinstance(value, Iterable)
    files = [value] if is_one else value
    return [_arguments.path(f, who, "weights", ", or a list of them") for f in files]
