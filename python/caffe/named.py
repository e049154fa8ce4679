"""Mappings by name that answer an unknown name with the one that was meant."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, TypeVar

from caffe.closest import suggestion

Value = TypeVar("Value")


class UnknownNameError(KeyError):
    """A KeyError whose text is a sentence."""

    def __str__(self) -> str:
        return str(self.args[0])


class Named(OrderedDict[str, Value]):
    """An OrderedDict like those of Caffe's nets."""

    _problem = "no name"

    @classmethod
    def of(cls, problem: str, entries: Iterable[tuple[str, Value]]) -> Named[Value]:
        """Makes one; `problem` begins the error, as "net 'x': no blob" does."""
        named = cls(entries)
        named._problem = problem
        return named

    def __missing__(self, name: Any) -> Value:
        if not isinstance(name, str):
            raise UnknownNameError(f"{self._problem} {name!r}, expected a name")
        raise UnknownNameError(f"{self._problem} '{name}'{suggestion(name, self)}")
