"""Command lines in the spelling of gflags, which Caffe's tools use.

One or two dashes, values behind `=` or as the next argument, switches as `-name`,
`-noname` or `-name=false`, flags and other arguments in any order, `--` before
arguments that look like flags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caffe.closest import closest

_TRUE = ("1", "t", "true", "y", "yes")
_FALSE = ("0", "f", "false", "n", "no")


class UsageError(Exception):
    """A command line that cannot be understood; the message says why."""


@dataclass(frozen=True)
class Flag:
    """One flag; the type of its default is the type of its values.

    Attributes:
        name: Without dashes.
        default: A str, int, float or bool.
        help: One sentence.
        choices: The only values allowed, if any.
    """

    name: str
    default: str | int | float | bool
    help: str
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> str | int | float | bool:
        """The value that `text` stands for."""
        kind = type(self.default)
        try:
            value = _boolean(text) if kind is bool else kind(text)
        except ValueError:
            expected = {int: "a whole number", float: "a number", bool: "true or false"}
            raise UsageError(
                f"flag -{self.name}: got '{text}', expected {expected[kind]}"
            ) from None
        if self.choices and value not in self.choices:
            raise UsageError(
                f"flag -{self.name}: got '{text}', expected {' or '.join(self.choices)}"
            )
        return value


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise ValueError
    return text.lower() in _TRUE


class Values:
    """Parsed flags as attributes; those not given have their defaults."""

    def __init__(self, values: dict[str, Any], given: set[str]) -> None:
        self._values = values
        self.given = given

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def replace(self, **changes: Any) -> Values:
        """A copy with other values."""
        return Values({**self._values, **changes}, self.given)


def parse(
    arguments: Sequence[str], flags: Sequence[Flag]
) -> tuple[Values, list[str], list[str]]:
    """Splits a command line.

    Returns:
        The flags, the other arguments, and those behind `--`.

    Raises:
        UsageError: Unknown flag, missing or wrong value.
    """
    by_name = {flag.name: flag for flag in flags}
    values = {flag.name: flag.default for flag in flags}
    given: set[str] = set()
    positional: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            break
        if not argument.startswith("-") or argument == "-":
            positional.append(argument)
            continue
        name, equals, text = argument.lstrip("-").partition("=")
        # Dashes and underscores within names mean the same.
        name = name.replace("-", "_")
        flag = by_name.get(name)
        if flag is None:
            switch = by_name.get(name.removeprefix("no"))
            if name.startswith("no") and switch and type(switch.default) is bool:
                if equals:
                    raise UsageError(f"flag -{name} takes no value, got '{text}'")
                values[switch.name] = False
                given.add(switch.name)
                continue
            raise UsageError(_unknown(argument, name, by_name))
        if not equals:
            if type(flag.default) is bool:
                text = "true"
            elif rest:
                text = rest.pop(0)
            else:
                raise UsageError(f"flag -{name} needs a value")
        values[flag.name] = flag.parse(text)
        given.add(flag.name)
    return Values(values, given), positional, rest


def _unknown(argument: str, name: str, known: dict[str, Flag]) -> str:
    message = f"unknown flag '{argument.partition('=')[0]}'"
    close = closest(name, known)
    return message if close is None else f"{message}; the closest is '-{close}'"


def describe(flags: Sequence[Flag]) -> str:
    """A help text: one paragraph per flag."""
    lines = []
    for flag in flags:
        kind = type(flag.default)
        shown = {str: " TEXT", int: " N", float: " X", bool: ""}[kind]
        if flag.choices:
            shown = f" {'|'.join(flag.choices)}"
        default = (
            f" (default {flag.default})" if flag.default not in ("", False) else ""
        )
        lines.append(f"  -{flag.name}{shown}\n      {flag.help}{default}")
    return "\n".join(lines)
