"""TensorBoard's files of a training run.

They are written here, without tensorboardX or TensorFlow: importing these takes
hundreds of megabytes beside the net, and their writers hand events to a thread that
ends when the disk is full.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from caffe import _caffe
from caffe._log import log
from caffe.event_records import Stored, restart, scalars, stored, version
from caffe.files import (
    make_folder,
    put_in_place,
    sentence,
    sync_folder,
    temporary_folder,
    try_lock,
    writing,
)
from caffe.solver import Solver

# What TensorBoard knows its files by; those that it must not read have the other.
_READ, _IGNORED = "tfevents", "replaced"


def prepare(folder: Path) -> None:
    """Creates a folder for events.

    Raises:
        OSError: It cannot be created or written to.
    """
    try:
        make_folder(folder)
        with temporary_folder(folder / "events"):
            pass
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> OSError:
    reason = os.strerror(error.errno) if error.errno else sentence(error)
    return OSError(f"'{folder}' cannot be a folder of TensorBoard's files: {reason}")


def record(solver: Solver, folder: Path) -> None:
    """Writes the numbers that the log shows from now on into an event file.

    `train/loss` is the smoothed loss, `train/raw_loss` that of the iteration itself;
    `test0/1_top-5` is output #1 of test net #0, whose blob is `top-5`. Values that the
    folder already has from `solver.iter` on are put aside, so that a run that was
    killed and continued shows one curve; see `put_aside`.

    Of the processes that train together only the first writes.

    Raises:
        OSError: The folder cannot be written to.
    """
    if _caffe.solver_rank() > 0:
        return
    try:
        put_aside(folder, solver.iter)
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


def put_aside(folder: Path, first_step: int) -> list[Path]:
    """Takes what a run is about to write again out of the files that it wrote before.

    TensorBoard's usual reader knows no marks that hide values, so the files must not
    have them. Nothing is lost: `events.out.tfevents.X` is written anew without its
    events from the step on, which go, as they are, into
    `events.out.replaced.X.from_STEP`, where TensorBoard does not look. A crash at any
    moment leaves every event in one of the two.

    A file that a living process writes to is left as it is.

    Args:
        folder: The files' folder; not those within it.
        first_step: The first step to take out.

    Returns:
        The files with what was taken out.

    Raises:
        OSError: A file cannot be read or written.
    """
    with writing(folder):
        paths = [path for path in sorted(folder.iterdir()) if _READ in path.name]
    taken = []
    for path in paths:
        if path.is_file() and (aside := _put_aside(path, first_step)):
            taken.append(aside)
            log(f"TensorBoard: iteration {first_step} and later are now in '{aside}'")
    return taken


def _put_aside(path: Path, first_step: int) -> Path | None:
    with writing(path), path.open("r+b") as file:
        found = list(stored(file))
        replaced = [r for r in found if r.step >= first_step and not r.is_version]
        if not replaced:
            return None
        if try_lock(file.fileno()) is False:
            log(
                f"'{path}': a living process writes it; TensorBoard shows its values "
                f"from iteration {first_step} on beside those to come",
                severity=1,
            )
            return None
        kept = [r for r in found if r.step < first_step and not r.is_version]
        aside = path.with_name(
            f"{path.name.replace(_READ, _IGNORED)}.from_{first_step}"
        )
        # Named after `aside`: TensorBoard reads hidden files, too.
        with temporary_folder(aside) as drafts:
            draft = drafts / "replaced"
            _copy(file, [r for r in found if r.is_version] + replaced, draft)
            with draft.open("ab") as end:  # what a killed process left unfinished
                file.seek(found[-1].end)
                shutil.copyfileobj(file, end)
            aside = _unused(aside, draft)
            if not kept:
                path.rename(aside)
                sync_folder(path.parent)
                return aside
            rest = drafts / "kept"
            _copy(file, [r for r in found if r not in set(replaced)], rest)
            put_in_place(draft, aside)
            put_in_place(rest, path)
    return aside


def _copy(file: BinaryIO, records: Iterable[Stored], target: Path) -> None:
    with target.open("wb") as copy:
        for entry in records:
            file.seek(entry.start)
            copy.write(file.read(entry.end - entry.start))


def _unused(path: Path, draft: Path) -> Path:
    """A name for a draft that no file of other content has."""
    number, free = 1, path
    # A crash can have left the same.
    while free.exists() and free.read_bytes() != draft.read_bytes():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free


class EventFile:
    """A file of events that is complete after every call.

    What cannot be written, to a full disk for example, is left out, and the first time
    there is a warning in the log.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        """Creates the file, with a mark for readers that have seen later steps.

        Raises:
            OSError: It cannot be written.
        """
        # TensorBoard reads the files of a folder in the order of their names.
        self._path = folder / (
            f"events.out.{_READ}.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        )
        # Held as long as this lives; see put_aside.
        self._held = self._path.open("xb")
        try_lock(self._held.fileno())
        self._end = 0
        self._warned = False
        try:
            self._append(version() + restart(first_step))
        except OSError:
            self._path.unlink(missing_ok=True)
            raise

    def __del__(self) -> None:
        if held := getattr(self, "_held", None):
            held.close()

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one value for each tag."""
        try:
            self._append(scalars(step, values))
        except OSError as error:
            if not self._warned:
                self._warned = True
                log(
                    f"Iteration {step}: '{self._path}' cannot be written "
                    f"({error.strerror}); TensorBoard misses values, training goes on",
                    severity=1,
                )

    def _append(self, data: bytes) -> None:
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
