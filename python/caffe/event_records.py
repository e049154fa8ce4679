"""What TensorBoard's files consist of: records, each a message of `event.proto`.

A record is the length of an event, the event, and a checksum of each.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

from google.protobuf.message import DecodeError

from caffe.proto.event_pb2 import Event, SessionLog, Summary

# A length and its checksum; a checksum.
_HEAD, _FOOT = 12, 4


def version() -> bytes:
    """The record that a file begins with."""
    return _record(0, file_version="brain.Event:2")


def restart(step: int) -> bytes:
    """A record that hides earlier ones from a step on, from readers that heed it."""
    return _record(step, session_log=SessionLog(status=SessionLog.START))


def scalars(step: int, values: Mapping[str, float]) -> bytes:
    """A record with one value for each tag."""
    points = [Summary.Value(tag=t, simple_value=v) for t, v in values.items()]
    return _record(step, summary=Summary(value=points))


def _record(step: int, **content: Any) -> bytes:
    event = Event(wall_time=time.time(), step=step, **content).SerializeToString()
    length = struct.pack("<Q", len(event))
    return length + _checksum(length) + event + _checksum(event)


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
        try:
            event = Event.FromString(data[:length])
        except DecodeError:  # another program's
            event = Event()
        yield Stored(start, end, event.step, event.HasField("file_version"))
        start = end


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
