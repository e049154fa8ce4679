"""Checks of what users hand to constructors and methods, before the engine sees it."""

from __future__ import annotations

import operator
import os
import reprlib
from collections.abc import Callable
from typing import Any


def path(value: Any, who: str, name: str, otherwise: str = "") -> str:
    """The path as text. `otherwise` says what may stand there instead of a path."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if isinstance(text, str):
        return text
    raise TypeError(
        f"{who}: {name} is {reprlib.repr(value)}, expected a path (str or "
        f"os.PathLike){otherwise}"
    )


def whole_number(value: Any, who: str, name: str) -> int:
    """The value as an int that fits into the engine's 32 bits."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{who}: {name} is {reprlib.repr(value)}, expected a whole number"
        ) from None
    if not -(2**31) <= number < 2**31:
        limit = "less than 2^31" if number > 0 else "at least -2^31"
        raise ValueError(f"{who}: {name} is {number}, expected {limit}")
    return number


def function(value: Any, who: str, name: str) -> Callable[..., Any]:
    """The value, which can be called."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise TypeError(f"{who}: {name} is {reprlib.repr(value)}, expected a function")
