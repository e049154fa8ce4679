"""The log of `caffe train` as tables, with the seconds since the solver started.

The tables are those of Caffe's parse_log; its log format is glog's:

    I1122 10:11:12.345678  4242 solver.cpp:218] Iteration 100 (...), loss = 1.5
    I1122 10:11:12.345678  4242 solver.cpp:237]     Train net output #0: loss = 1.5 (...
    I1122 10:11:12.345678  4242 sgd_solver.cpp:105] Iteration 100, lr = 0.01
    I1122 10:11:12.345678  4242 solver.cpp:330] Iteration 100, Testing net (#0)
    I1122 10:11:12.345678  4242 solver.cpp:397]     Test net output #0: accuracy = 0.5
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from caffe.files import reading

# Windows prints 1.#INF and 1.#QNAN.
NUMBER = r"([-+]?(?:1\.#[A-Z]+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf))"
ITERATION = r"\bIteration (\d{1,18})"
# No line of Caffe's is longer; other files may be one line of any length.
_LONGEST = 1 << 16

# mpirun names the process: "[3] " (-l), "[1,3]<stderr>:" (--tag-output).
_RANK = re.compile(r"\s*\[(?:\d+,)?(\d+)\](?: |<)")
_TIME = re.compile(r"[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6})\b")
_ITERATION = re.compile(ITERATION)
_LOSS = re.compile(rf", loss = {NUMBER}")
_RATE = re.compile(rf"\blr = {NUMBER}")
_OUTPUT = re.compile(
    rf"\b(Train|Test) net output #(\d{{1,9}}): (\S+) = {NUMBER}( \(\* )?"
)
# What may stand before the line of the solver's that the clock starts at.
_START = "Solving"


def value_of(text: str) -> float:
    """The value of what `NUMBER` matches."""
    text = text.replace("1.#INF", "inf")
    return math.nan if "#" in text else float(text)


def is_of_another_rank(line: str) -> bool:
    """Whether a process other than the first, rank 0, has logged a line."""
    rank = _RANK.match(line)
    return rank is not None and int(rank[1]) > 0


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a log.

    A last line without an end is left out: it may be cut within a number.

    Raises:
        OSError: The file cannot be read.
    """
    with reading(path), path.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(_LONGEST):
            if line.endswith("\n"):
                yield line


@dataclass
class Row:
    """The outputs of a training or test net in one iteration.

    Attributes:
        iteration: Number of updates before it.
        seconds: Since the solver started, of the first line of the row.
        rate: Learning rate of the iteration, or of the last one before it that the log
            tells; of the first that it tells where there is none before; else NaN.
        outputs: Values by name; of a blob with several values the further ones are
            called `name[1]` and so on.
        losses: Names of those that enter the loss.
    """

    iteration: int
    seconds: float
    rate: float = math.nan
    outputs: dict[str, float] = field(default_factory=dict)
    losses: set[str] = field(default_factory=set)


@dataclass
class Point:
    """A displayed value of training."""

    iteration: int
    seconds: float
    value: float


@dataclass
class Tables:
    """What a log has: rows of both kinds, the displayed losses and learning rates."""

    train: list[Row] = field(default_factory=list)
    test: list[Row] = field(default_factory=list)
    losses: list[Point] = field(default_factory=list)
    rates: list[Point] = field(default_factory=list)


def read(path: Path) -> Tables:
    """Reads a log file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no log of a training.
    """
    with reading(path):
        changed = datetime.fromtimestamp(path.stat().st_mtime)
    tables = parse(lines_of(path), changed)
    if not any((tables.train, tables.test, tables.losses, tables.rates)):
        raise ValueError(
            f"'{path}' has no line such as 'I1122 10:11:12.345678 4242 solver.cpp:218] "
            "Iteration 100, loss = 1.5'; expected the log of `caffe train`"
        )
    return tables


def parse(lines: Iterable[str], changed: datetime) -> Tables:
    """The tables of a log's lines, of which the last is as old as `changed`.

    The log does not tell the year.
    """
    tables = Tables()
    clock = _Clock(changed)
    iteration: int | None = None
    # Number of the last output of the row that is being filled.
    last = {"Train": math.inf, "Test": math.inf}
    # How often that row has each name.
    counts: dict[str, Counter[str]] = {}
    for line in lines:
        if is_of_another_rank(line):
            continue
        at = clock.seconds(line)
        if match := _ITERATION.search(line):
            iteration = int(match[1])
            last = dict.fromkeys(last, math.inf)
        if iteration is None or at is None:
            continue
        if match and (loss := _LOSS.search(line)):
            tables.losses.append(Point(iteration, at, value_of(loss[1])))
        if match and (rate := _RATE.search(line)):
            tables.rates.append(Point(iteration, at, value_of(rate[1])))
        if output := _OUTPUT.search(line):
            kind, number, name, value, enters_loss = output.groups()
            rows = tables.train if kind == "Train" else tables.test
            if int(number) <= last[kind]:
                rows.append(Row(iteration, at))
                counts[kind] = Counter()
            last[kind] = int(number)
            counts[kind][name] += 1
            if counts[kind][name] > 1:
                name = f"{name}[{counts[kind][name] - 1}]"
            rows[-1].outputs[name] = value_of(value)
            if enters_loss:
                rows[-1].losses.add(name)
    for rows in (tables.train, tables.test):
        _add_rates(rows, tables.rates)
    return tables


class _Clock:
    """Seconds since the solver started."""

    def __init__(self, changed: datetime) -> None:
        self._changed = changed
        self._year: int | None = None
        self._month = 0
        self._start: datetime | None = None
        self._started = False

    def seconds(self, line: str) -> float | None:
        """Those at which a line was logged; None of a line without a time."""
        match = _TIME.search(line)
        if not match:
            return None
        month, day, hour, minute, second, micros = map(int, match.groups())
        if self._year is None:
            # A log that begins in a later month than it ends began last year.
            self._year = self._changed.year - (month > self._changed.month)
        elif month < self._month:
            self._year += 1
        self._month = month
        try:
            now = datetime(self._year, month, day, hour, minute, second, micros)
        except ValueError:
            return None
        if self._start is None or (not self._started and _START in line):
            self._start = now
            self._started = _START in line
        return (now - self._start).total_seconds()


def _add_rates(rows: list[Row], rates: list[Point]) -> None:
    # Differs from BVLC: the rate stands behind the outputs of its iteration, which got
    # that of the iteration displayed before.
    place = 0
    for row in rows:
        while place < len(rates) and rates[place].seconds <= row.seconds:
            place += 1
        if place < len(rates) and (
            place == 0 or rates[place].iteration == row.iteration
        ):
            row.rate = rates[place].value
        elif place > 0:
            row.rate = rates[place - 1].value
