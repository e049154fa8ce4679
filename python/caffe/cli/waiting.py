"""What a command finishes before it ends, said when a signal comes and not after it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def finishing(command: str, what: str) -> Iterator[None]:
    """Tells "stopping after `what`" as soon as a signal asks the command to end.

    Python runs its handlers between two of its own instructions, so not while the
    engine computes; but it tells a file descriptor at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are matters of the main thread
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    thread = threading.Thread(
        target=_tell, args=(reader, f"{command}: stopping after {what}\n"), daemon=True
    )
    # What a signal interrupts up to `try` is left as it is: the command ends.
    thread.start()
    former = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(former)
        os.close(writer)
        thread.join()
        os.close(reader)


def _tell(reader: int, message: str) -> None:
    told = False
    while number := os.read(reader, 1):
        if number[0] in _ENDING and not told:
            told = True
            with suppress(OSError):  # the terminal may have gone
                sys.stderr.write(message)
                sys.stderr.flush()
