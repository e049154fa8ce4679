"""Tables and charts of training logs, and the commands that write them."""

from __future__ import annotations

import csv
import math
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from caffe.cli import main
from caffe.cli.plot_training_log import CHARTS, draw, points
from caffe.training_log import parse, read

LOGS = Path(__file__).parents[2] / "data" / "logs"
CONTINUED = LOGS / "bvlc_2016_continued.log"
WHEN = datetime(2024, 6, 1)


def cells(path, delimiter=","):
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def numbers(rows):
    return [[float(cell) if cell else None for cell in row] for row in rows]


class TestParseLog:
    def test_tables_of_a_log(self, tmp_path, capsys):
        assert main(["parse_log", str(CONTINUED), str(tmp_path)]) == 0
        assert capsys.readouterr().out == ""
        header, *rows = cells(tmp_path / f"{CONTINUED.name}.train")
        assert header == ["NumIters", "Seconds", "LearningRate", "loss1/loss1"]
        # From 09:14:02.118319, where the solver starts, to 09:14:10.882146.
        assert rows == [["0.0", "8.763827", "0.01", "2.5"]]
        header, *rows = cells(tmp_path / f"{CONTINUED.name}.test")
        assert header == [
            *("NumIters", "Seconds", "LearningRate"),
            *("loss1/loss1", "loss1/top-1", "loss3/top-1"),
        ]
        assert numbers(rows) == [
            [0, 7.382858, 0.01, 2.4, 0.125, 0.0625],
            [100, 155.781826, 0.01, 1.9, 0.25, 0.375],
            [100, 8782.983615, 0.005, 1.8, 0.3125, 0.4375],
            [200, 8932.202498, 0.0005, 1.5, 0.5, 0.625],
        ]

    def test_nets_with_other_outputs_and_several_values(self, tmp_path):
        assert main(["parse_log", str(LOGS / "caffe_1_0.log"), str(tmp_path)]) == 0
        header, *rows = cells(tmp_path / "caffe_1_0.log.test")
        assert header[3:] == [
            *("loss", "top-1"),
            *("per_class", "per_class[1]", "per_class[2]"),
        ]
        # Without the solver's line the clock starts at the first one.
        assert numbers(rows) == [
            [0, 1.654323, 0.01, 2.31, 0.1, None, None, None],
            [100, 13.654324, 0.001, None, None, 0.5, 0.75, 1],
        ]

    def test_options(self, tmp_path, capsys):
        log = tmp_path / "run.log"
        text = (LOGS / "caffe_1_0.log").read_text()
        log.write_text(text.replace("Train net", "Other net"))
        words = ["--verbose", "--delimiter=;", str(log), str(tmp_path)]
        assert main(["parse_log", *words]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"Not writing {log}.train; no lines to write",
            f"Wrote {log}.test",
        ]
        assert not Path(f"{log}.train").exists()
        assert cells(Path(f"{log}.test"), ";")[1][0] == "0.0"

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            (["none.log", "."], 1, "cannot read 'none.log'"),
            (["other.txt", "."], 1, "'other.txt' has no line such as"),
            (["run.log", "none"], 1, "create the folder 'none' first"),
            (["run.log"], 2, "got 1 argument, expected LOGFILE OUTPUT_DIR"),
            (["run.log", ".", "x"], 2, "got 3 arguments"),
            (["run.log", ".", "-delimiter=ab"], 2, "got 'ab', expected one character"),
            (["run.log", ".", "-verbos"], 2, "the closest is '-verbose'"),
        ],
    )
    def test_errors(self, words, status, message, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        shutil.copy(CONTINUED, "run.log")
        Path("other.txt").write_text("nothing\n")
        assert main(["parse_log", *words]) == status
        error = capsys.readouterr().err
        assert error.startswith("caffe parse_log: error: ")
        assert message in error
        assert sorted(path.name for path in Path().iterdir()) == [
            "other.txt",
            "run.log",
        ]


def test_of_several_processes_the_first_speaks():
    tables = read(LOGS / "intel_mpirun.log")
    assert [(p.iteration, p.value) for p in tables.losses] == [
        *((0, 7.125), (5, 6.75), (10, 6.5)),
    ]
    (row,) = tables.test
    assert (row.rate, row.outputs) == (0.2, {"loss": 7.06, "accuracy": 0.001})
    assert [row.outputs for row in tables.train] == [{"loss": 7.125}]


def lines(*messages, month=5):
    return [
        f"I{month:02}12 10:11:{second:02}.500000  7 solver.cpp:1] {message}\n"
        for second, message in enumerate(messages)
    ]


def test_a_year_may_end_within_a_log():
    first = lines("Solving net", "Iteration 0, loss = 1", month=12)
    second = lines("Iteration 9, loss = 2", month=1)
    tables = parse([*first, *second], datetime(2024, 1, 12))
    # 31 days, less a second.
    assert [point.seconds for point in tables.losses] == [1, 31 * 86400]


def test_numbers_that_are_none():
    text = "    Test net output #0: loss = "
    messages = ["Iteration 3, Testing net (#0)", f"{text}nan (* 1 = nan loss)"]
    tables = parse(lines(*messages, "Iteration 4", f"{text}-inf"), WHEN)
    assert [row.iteration for row in tables.test] == [3, 4]
    assert math.isnan(tables.test[0].outputs["loss"])
    assert tables.test[0].losses == {"loss"}
    assert tables.test[1].outputs == {"loss": -math.inf}
    assert math.isnan(tables.test[0].rate)


def test_what_is_cut_or_has_no_time_is_left_out(tmp_path):
    log = tmp_path / "a.log"
    whole = lines("Iteration 0, loss = 1", "Iteration 5, loss = 2")
    log.write_text("Iteration 2, loss = 3\n" + "".join(whole)[:-1])
    assert [point.iteration for point in read(log).losses] == [0]


class TestPlot:
    @pytest.mark.parametrize("chart", range(8))
    def test_every_chart_is_a_picture(self, chart, tmp_path):
        first = tmp_path / "first.log"
        shutil.copy(CONTINUED, first)
        picture = tmp_path / "chart.png"
        words = [str(chart), str(picture), str(first), str(LOGS / "caffe_1_0.log")]
        assert main(["plot_training_log", *words]) == 0
        with Image.open(picture) as image:
            assert image.size == (960, 600)
            assert len(image.convert("RGB").getcolors(1 << 20)) > 10

    def test_the_numbers_of_the_charts(self):
        assert [f"{field} / {axis}" for field, axis in CHARTS] == [
            *("Test accuracy / Iters", "Test accuracy / Seconds"),
            *("Test loss / Iters", "Test loss / Seconds"),
            *("Train learning rate / Iters", "Train learning rate / Seconds"),
            *("Train loss / Iters", "Train loss / Seconds"),
        ]

    @pytest.mark.parametrize(
        ("field", "axis", "x", "y"),
        [
            (
                *("Test accuracy", "Iters"),
                [0, 100, 100, 200],
                [0.125, 0.25, 0.3125, 0.5],
            ),
            (
                *("Test loss", "Seconds"),
                [7.382858, 155.781826, 8782.983615, 8932.202498],
                [2.4, 1.9, 1.8, 1.5],
            ),
            (
                *("Train learning rate", "Iters"),
                [0, 50, 100, 150, 100, 150],
                [0.01, 0.01, 0.01, 0.001, 0.005, 0.0005],
            ),
            (
                *("Train loss", "Iters"),
                [0, 50, 100, 150, 100, 150, 200],
                [6.25, 3.5, 2.75, math.nan, 2.7, 2.2, 2.125],
            ),
        ],
    )
    def test_what_is_drawn(self, field, axis, x, y):
        figure = draw([("run", points(read(CONTINUED), field))], field, axis)
        (axes,) = figure.axes
        (line,) = axes.lines
        assert line.get_xdata().tolist() == x
        assert line.get_ydata().tolist() == pytest.approx(y, nan_ok=True, abs=0)
        assert axes.get_title() == f"{field}  vs. {axis}"
        assert (axes.get_xlabel(), axes.get_ylabel()) == (axis, field)
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["run"]

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            (["8", "a.png", "run.log"], 2, "got chart type '8', expected one of 0 to"),
            (["0", "a.jpg", "run.log"], 2, "a file that ends in .png"),
            (["0", "a.png", "run.txt"], 2, "a log that ends in .log"),
            (["0", "a.png"], 2, "got 2 arguments, expected CHART_TYPE PICTURE.png"),
            (["0", "a.png", "none.log"], 1, "cannot read 'none.log'"),
            (["0", "a.png", "run.log"], 1, "no test accuracy in run.log; expected"),
        ],
    )
    def test_errors(self, words, status, message, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        Path("run.log").write_text("".join(lines("Iteration 1, loss = 2")))
        assert main(["plot_training_log", *words]) == status
        assert message in capsys.readouterr().err
        assert not Path("a.png").exists()
