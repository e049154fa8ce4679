"""`caffe parse_log`: the log of a training as tables."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.program import Program
from caffe.files import write_atomically
from caffe.training_log import Row, read


def run(flags: Values, words: list[str]) -> int:
    """Writes the rows of training and of tests."""
    log, folder = Path(words[0]), Path(words[1])
    if len(flags.delimiter) != 1 or flags.delimiter in '"\r\n':
        raise UsageError(
            f"flag -delimiter: got {flags.delimiter!r}, expected one character that is "
            "no quote and ends no line"
        )
    tables = read(log)
    for rows, kind in ((tables.train, "train"), (tables.test, "test")):
        path = folder / f"{log.name}.{kind}"
        if rows:
            write_atomically(path, as_csv(rows, flags.delimiter))
        if flags.verbose:
            print(f"Wrote {path}" if rows else f"Not writing {path}; no lines to write")
    return 0


def as_csv(rows: list[Row], delimiter: str = ",") -> str:
    """The rows as text, with a column for each output that any of them has."""
    names = list(dict.fromkeys(name for row in rows for name in row.outputs))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["NumIters", "Seconds", "LearningRate", *names])
    for row in rows:
        # A number with a fraction, as in Caffe's files.
        line = [float(row.iteration), row.seconds, row.rate]
        writer.writerow([*line, *(row.outputs.get(name, "") for name in names)])
    return text.getvalue()


PROGRAM = Program(
    "parse_log",
    "turn the log of a training into tables",
    "LOGFILE OUTPUT_DIR",
    """\
Writes OUTPUT_DIR/LOGFILE.train and OUTPUT_DIR/LOGFILE.test, CSV files with the columns
NumIters, Seconds (since the solver started), LearningRate, and one for each output of
the net. A table without rows is not written.""",
    (
        Flag("verbose", False, "Print the names of the files."),
        Flag("delimiter", ",", "Column delimiter in the files."),
    ),
    run,
)
