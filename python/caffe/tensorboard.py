"""TensorBoard's files of a training run.

They are written here, without tensorboardX or TensorFlow: importing these takes
hundreds of megabytes beside the net, and their writers hand events to a thread that
ends when the disk is full.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from caffe import _caffe
from caffe.solver import Solver


def prepare(folder: Path) -> None:
    """Creates a folder for events.

    Raises:
        OSError: It cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> OSError:
    return OSError(
        f"'{folder}' cannot be a folder of TensorBoard's files: {error.strerror}"
    )


def record(solver: Solver, folder: Path) -> None:
    """Writes the numbers that the log shows from now on into an event file.

    `train/loss` is the smoothed loss, `train/raw_loss` that of the iteration itself;
    `test0/1_top-5` is output #1 of test net #0, whose blob is `top-5`. Values that the
    folder already has from `solver.iter` on are hidden, so that a run that was killed
    and continued shows one curve.

    Raises:
        OSError: The folder cannot be written to.
    """
    try:
        events = EventFile(folder, solver.iter)
    except OSError as error:
        raise _unusable(folder, error) from None
    last = solver.param.max_iter

    def on_display(loss: float, iterations_per_s: float) -> None:
        values = {"train/loss": solver.smoothed_loss, "train/raw_loss": loss}
        if solver.iter < last:  # no update follows the loss after the last one
            # Solvers of plugins may have no rate.
            with contextlib.suppress(NotImplementedError):
                values["train/lr"] = solver.lr
        if iterations_per_s > 0:
            values["train/iterations_per_s"] = iterations_per_s
        events.add(solver.iter, values)

    def on_test(net: int, outputs: list[tuple[str, float]]) -> None:
        events.add(
            solver.iter,
            {f"test{net}/{i}_{name}": mean for i, (name, mean) in enumerate(outputs)},
        )

    solver.add_callback(on_display=on_display, on_test=on_test)


class EventFile:
    """A file of events that is complete after every call.

    What cannot be written, to a full disk for example, is left out, and the first time
    there is a warning in the log.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        """Creates the file; TensorBoard hides what earlier ones have from that step on.

        Raises:
            OSError: It cannot be written.
        """
        # TensorBoard reads the files of a folder in the order of their names.
        self._path = folder / (
            f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        )
        self._path.touch(exist_ok=False)
        self._end = 0
        self._warned = False
        start = _number(1, 1)
        self._append(
            _event(0, _bytes(3, b"brain.Event:2")), _event(first_step, _bytes(7, start))
        )

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one value for each tag."""
        summary = b"".join(
            _bytes(1, _bytes(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
            for tag, value in values.items()
        )
        try:
            self._append(_event(step, _bytes(5, summary)))
        except OSError as error:
            if not self._warned:
                self._warned = True
                _caffe.log(
                    f"Iteration {step}: '{self._path}' cannot be written "
                    f"({error.strerror}); TensorBoard misses values, training goes on",
                    1,
                    __file__,
                    sys._getframe().f_lineno,
                )

    def _append(self, *events: bytes) -> None:
        data = b"".join(map(_record, events))
        # Opened each time, since some file systems report errors on closing.
        with self._path.open("r+b", buffering=0) as file:
            # Behind a part of an event the others would be unreadable.
            file.seek(self._end)
            try:
                written = 0
                while written < len(data):
                    written += file.write(data[written:])
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self._end)
                raise
        self._end += len(data)


# Fields of tensorflow.Event as protobuf encodes them: number and kind, then the value.


def _event(step: int, content: bytes) -> bytes:
    return b"\x09" + struct.pack("<d", time.time()) + _number(2, step) + content


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
    """Length and data, each with its checksum."""
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
