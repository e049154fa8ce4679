"""Definitions as text that people can read: short messages stand on one line."""

from __future__ import annotations

import io
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

_WIDTH = 100
# Message fields whose presence alone says nothing if they stand behind all others.
_TRAILING = {"param"}


def to_text(message: Message, *, explicit: bool = False) -> str:
    """Writes a message in protobuf's text format.

    A message has one line if that fits into 100 columns; else its fields go on as many
    as they need, and every message within it begins one.

    Args:
        message: A net, a solver or a part of one.
        explicit: Write values, too, that are the defaults of the schema. Without that
            a reader gets the same values, if not the knowledge that they were given.
            Fields for which the schema states no default are always written.

    Returns:
        Lines, each with a line break.
    """
    return "".join(f"{line}\n" for line in _lines(message, explicit))


def _lines(message: Message, explicit: bool) -> list[str]:
    lines: list[str] = []
    words = ""
    for field, value in _fields(message, explicit):
        if field.message_type is None:
            word = _scalar(field, value)
            if words and len(words) + 1 + len(word) > _WIDTH:
                lines.append(words)
                words = ""
            words = f"{words} {word}" if words else word
            continue
        if words:
            lines.append(words)
            words = ""
        inner = _lines(value, explicit)
        line = (
            f"{field.name} {{ {' '.join(inner)} }}" if inner else f"{field.name} {{}}"
        )
        if len(line) <= _WIDTH:
            lines.append(line)
        else:
            lines.append(f"{field.name} {{")
            lines += [f"  {line}" for line in inner]
            lines.append("}")
    if words:
        lines.append(words)
    return lines


def _fields(message: Message, explicit: bool) -> list[tuple[Any, Any]]:
    """Field and value of every entry, in the order of the schema."""
    found: list[tuple[Any, Any]] = []
    for field, value in message.ListFields():
        repeated = hasattr(value, "append")  # spelled alike in all versions of protobuf
        entries = list(value) if repeated else [value]
        if not explicit:
            if not repeated and _is_default(field, value):
                continue
            if field.name in _TRAILING:
                while entries and not _fields(entries[-1], explicit):
                    del entries[-1]
        found += [(field, entry) for entry in entries]
    return found


def _is_default(field: Any, value: Any) -> bool:
    # Without a default of its own in the schema a field's presence may mean something.
    return bool(field.has_default_value and value == field.default_value)


def _scalar(field: Any, value: Any) -> str:
    out = io.StringIO()
    text_format.PrintField(field, value, out, as_one_line=True)
    # 104.0 is 104, but a text in quotes stays as it is.
    text = out.getvalue().strip()
    return text.removesuffix(".0") if isinstance(value, float) else text
