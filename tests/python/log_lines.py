"""Lines of the engine's log."""

from __future__ import annotations

import re

# I1122 10:11:12.345678 4242 solver.cpp:218] message
LOG_LINE = re.compile(r"^[IWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [\w.]+:\d+\] (.*)$")


def messages(stderr):
    """The messages of the log.

    Every line must have the log's form, but for definitions that follow a line like
    "Initializing net from parameters:".
    """
    found = []
    for line in stderr.splitlines():
        match = LOG_LINE.match(line)
        if match:
            found.append(match.group(1))
        else:
            assert found[-1].endswith("from parameters: "), line
    return found
