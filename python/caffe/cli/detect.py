"""`caffe detect`: the scores of windows of images, as in R-CNN."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.images import (
    CHANNEL_SWAP,
    GPU,
    INPUT_SCALE,
    MEAN_FILE,
    MODEL_DEF,
    PRETRAINED_MODEL,
    RAW_SCALE,
    net_files,
    preprocessing,
    use_processor,
)
from caffe.cli.program import Program
from caffe.extras import missing
from caffe.files import (
    check_writable,
    put_in_place,
    read_text,
    temporary_folder,
    write_atomically,
)

_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_ENDINGS = (".csv", ".h5")


def run(flags: Values, words: list[str]) -> int:
    """Scores windows, and writes them with their scores."""
    import caffe

    source, target = words
    if Path(target).suffix.lower() not in _ENDINGS:
        raise UsageError(f"got '{target}', expected a file that ends in .csv or .h5")
    lists = Path(source).suffix.lower()
    if lists not in (".csv", ".txt"):
        raise UsageError(
            f"got '{source}', expected a .csv of windows or a .txt of images"
        )
    # Differs from BVLC, which took selective search for the default even of windows.
    wanted = "list" if lists == ".csv" else "selective_search"
    if "crop_mode" in flags.given and flags.crop_mode != wanted:
        raise UsageError(
            f"flag -crop_mode: got '{flags.crop_mode}', expected {wanted} for "
            f"'{source}'"
        )
    model, weights = net_files(flags)
    if Path(target).suffix.lower() == ".h5":
        _pandas()
    check_writable(target)
    print("Loading input...")
    windows = read_windows(source) if lists == ".csv" else []
    settings = preprocessing(flags, model)
    use_processor(flags)
    detector = caffe.Detector(model, weights, context_pad=flags.context_pad, **settings)
    start = time.monotonic()
    if lists == ".csv":
        found = detector.detect_windows(windows)
    else:
        images = read_text(source, "surrogateescape").split("\n")
        found = detector.detect_selective_search(filter(None, map(str.strip, images)))
    print(
        f"Processed {len(found)} windows in {time.monotonic() - start:.3f} s.",
    )
    if not found:
        raise ValueError(f"'{source}' lists no window")
    if Path(target).suffix.lower() == ".h5":
        _write_frame(found, target)
    else:
        write_atomically(target, as_csv(found))
    print(f"Saved to {target}")
    return 0


def read_windows(path: str) -> list[tuple[str, list[tuple[int, ...]]]]:
    """The windows (ymin, xmin, ymax, xmax) of each image that a CSV file names.

    Raises:
        OSError: The file cannot be read.
        ValueError: It lacks a column, or a window is none.
    """
    rows = csv.DictReader(io.StringIO(read_text(path)), strict=True)
    images: dict[str, list[tuple[int, ...]]] = {}
    try:
        lacking = {"filename", *_CORNERS} - set(rows.fieldnames or ())
        if lacking:
            raise ValueError(
                f"'{path}' has no column '{min(lacking)}'; expected the columns "
                f"filename, {', '.join(_CORNERS)}"
            )
        for row in rows:
            window = tuple(_pixel(row[name]) for name in _CORNERS)
            top, left, bottom, right = window
            if not (0 <= top < bottom and 0 <= left < right):
                raise ValueError(
                    f"'{path}', line {rows.line_num}: got the window {window}, "
                    "expected pixels 0 <= ymin < ymax and 0 <= xmin < xmax"
                )
            images.setdefault(row["filename"], []).append(window)
    except csv.Error as error:
        raise ValueError(f"'{path}', line {rows.line_num}: {error}") from None
    return list(images.items())


def _pixel(text: str | None) -> int:
    try:
        number = float(text or "")
        return int(number) if abs(number) < 2**31 else -1
    except (ValueError, OverflowError):
        return -1


def as_csv(found: list[dict[str, Any]]) -> str:
    """A line for each window: file, corners, and a column for each class."""
    classes = len(found[0]["prediction"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"class{number}" for number in range(classes)]
    writer.writerow(["filename", *_CORNERS, *names])
    for one in found:
        corners = [int(pixel) for pixel in one["window"]]
        writer.writerow([one["filename"], *corners, *one["prediction"].tolist()])
    return text.getvalue()


def _pandas() -> Any:
    try:
        import pandas
        import tables  # noqa: F401
    except ImportError as error:
        package = (error.name or "pandas").partition(".")[0]
        raise ImportError(
            missing(package, "writing tables as .h5", "tables")
            + ", or name a .csv file"
        ) from None
    return pandas


def _write_frame(found: list[dict[str, Any]], target: str) -> None:
    """Writes the table `df` that pandas.read_hdf reads, as Caffe does."""
    import warnings

    pandas = _pandas()
    frame = pandas.DataFrame(found).set_index("filename")
    corners = pandas.DataFrame(
        [[int(pixel) for pixel in one["window"]] for one in found],
        index=frame.index,
        columns=list(_CORNERS),
    )
    frame = pandas.concat([frame[["prediction"]], corners], axis=1)
    with temporary_folder(target) as folder:
        draft = folder / "detections.h5"
        with warnings.catch_warnings():
            # That arrays in cells are pickled.
            warnings.simplefilter("ignore")
            frame.to_hdf(draft, key="df", mode="w")
        put_in_place(draft, Path(target))


PROGRAM = Program(
    "detect",
    "score windows of images",
    "INPUT_FILE OUTPUT_FILE",
    """\
Scores windows of images with a net, as R-CNN does. INPUT_FILE is a .csv with the
columns filename, ymin, xmin, ymax, xmax, or a .txt with an image a line, of which
selective search finds the windows. OUTPUT_FILE is a .csv, with a column for each class
(class0, class1 ...), or a .h5 with the table `df` of pandas, which needs the packages
pandas and tables.""",
    (
        MODEL_DEF,
        PRETRAINED_MODEL,
        Flag(
            "crop_mode",
            "selective_search",
            "How to generate windows for detection; of a .csv, list.",
            ("list", "selective_search"),
        ),
        GPU,
        MEAN_FILE,
        INPUT_SCALE,
        RAW_SCALE,
        CHANNEL_SWAP,
        Flag(
            "context_pad",
            16,
            "Amount of surrounding context to collect in input window.",
        ),
    ),
    run,
)
