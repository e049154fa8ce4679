"""What TensorBoard's files consist of: records, each a tensorflow.Event.

Events are written and looked into here without TensorFlow's classes. A record is the
length of an event, the event, and a checksum of each.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

# Fields of tensorflow.Event.
_STEP, _FILE_VERSION, _SUMMARY, _SESSION = 2, 3, 5, 7
# A length and its checksum; a checksum.
_HEAD, _FOOT = 12, 4


def version() -> bytes:
    """The record that a file begins with."""
    return _record(_event(0, _bytes(_FILE_VERSION, b"brain.Event:2")))


def restart(step: int) -> bytes:
    """A record that hides earlier ones from a step on, from readers that heed it."""
    return _record(_event(step, _bytes(_SESSION, _number(1, 1))))


def scalars(step: int, values: dict[str, float]) -> bytes:
    """A record with one value for each tag."""
    summary = b"".join(
        _bytes(1, _bytes(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        for tag, value in values.items()
    )
    return _record(_event(step, _bytes(_SUMMARY, summary)))


class Stored(NamedTuple):
    """A record in a file.

    Attributes:
        start: Where it begins.
        end: Where the next one does.
        step: Of its event.
        is_version: Whether it tells the file's version and nothing else.
    """

    start: int
    end: int
    step: int
    is_version: bool


def stored(file: BinaryIO) -> Iterator[Stored]:
    """The records of a file from where it stands, as far as they are whole."""
    start = file.tell()
    while True:
        head = file.read(_HEAD)
        if len(head) < _HEAD or _checksum(head[:8]) != head[8:]:
            return
        length = int.from_bytes(head[:8], "little")
        data = file.read(length + _FOOT)
        if len(data) < length + _FOOT:
            return
        end = start + _HEAD + length + _FOOT
        fields = _numbers(data[:length])
        yield Stored(start, end, fields.get(_STEP, 0), _FILE_VERSION in fields)
        start = end


def _numbers(event: bytes) -> dict[int, int]:
    """The fields of an event, with the values of those that are whole numbers."""
    found: dict[int, int] = {}
    at = 0
    try:
        while at < len(event):
            key, at = _read_varint(event, at)
            value = 0
            kind = key & 7
            if kind == 0:
                value, at = _read_varint(event, at)
            elif kind == 2:
                size, at = _read_varint(event, at)
                at += size
            else:
                at += {1: 8, 5: 4}[kind]
            found[key >> 3] = value - (1 << 64) if value >> 63 else value
    except (IndexError, KeyError):  # damaged
        pass
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


# Fields as protobuf encodes them: number and kind, then the value.


def _event(step: int, content: bytes) -> bytes:
    return b"\x09" + struct.pack("<d", time.time()) + _number(_STEP, step) + content


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            # The polynomial of Castagnoli, bits reversed.
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated and shifted as TensorFlow does."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
