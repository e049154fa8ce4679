"""How far a command is: a bar on a terminal, lines of log otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from caffe.cli.tool import log

# Seconds between lines of log.
_INTERVAL = 10.0


@contextmanager
def reporting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to be called with the numbers of images done and of all."""
    if sys.stderr.isatty():
        with _bar(what) as report:
            yield report
    else:
        yield _lines()


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report


def _lines() -> Callable[[int, int], None]:
    next_time = time.monotonic() + _INTERVAL

    def report(done: int, total: int) -> None:
        nonlocal next_time
        if done == total or time.monotonic() >= next_time:
            log(f"Processed {done} of {total} files.")
            next_time = time.monotonic() + _INTERVAL

    return report
