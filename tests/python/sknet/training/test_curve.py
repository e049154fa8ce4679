"""`sknet train-curve`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nets
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tolerance import Op, assert_close

from caffe.proto import caffe_pb2
from sknet.cli import main

LOGS = Path(__file__).parents[3] / "data" / "logs"


def run(*arguments):
    return main(["train-curve", *map(str, arguments)])


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn last: label, colour and points of the lines of each panel."""
    panels = {}
    save = Figure.savefig

    def look_and_save(figure, *arguments, **options):
        panels.clear()
        panels["limits"] = {a.get_ylabel(): a.get_ylim() for a in figure.axes}
        for axes in figure.axes:
            panels[axes.get_ylabel()] = [
                (line.get_label(), line.get_color(), line.get_xydata().tolist())
                for line in axes.lines
                if len(line.get_xydata())
            ]
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", look_and_save)
    return panels


def test_curves_are_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("bvlc_2016_continued.log", "nvidia_0_17.log", "windows_no_prefix.log")
    logs = [LOGS / name for name in names]
    assert run(*logs, "--csv", "c.csv", "--json", "c.json") == 0
    # No image unless asked for.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv", "c.json"]
    record = json.loads(Path("c.json").read_text(), parse_constant=pytest.fail)
    assert list(record) == list(names)
    assert record[names[0]] == {
        "train/loss": [[0, 6.25], [50, 3.5], [100, 2.7], [150, 2.2], [200, 2.125]],
        "train/lr": [[0, 0.01], [50, 0.01], [100, 0.005], [150, 0.0005]],
        "test0/0_loss1/loss1": [[0, 2.4], [100, 1.8], [200, 1.5]],
        "test0/1_loss1/top-1": [[0, 0.125], [100, 0.3125], [200, 0.5]],
        "test0/2_loss3/top-1": [[0, 0.0625], [100, 0.4375], [200, 0.625]],
    }
    assert record[names[1]]["train/iterations_per_s"] == [[100, 2.25], [200, 1.75]]
    assert record[names[2]]["train/loss"] == [[0, 0.875], [1000, None], [2000, None]]
    with Path("c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(c) for run in record.values() for c in run.values())
    for row in rows:
        (value,) = [
            value
            for iteration, value in record[row["log"]][row["curve"]]
            if iteration == int(row["iteration"])
        ]
        assert (
            row["value"] in ("inf", "nan")
            if value is None
            else (float(row["value"]) == value)
        )
    out = capsys.readouterr().out.splitlines()
    assert out[-2:] == ["wrote c.csv", "wrote c.json"]
    (line,) = [line for line in out if "test0/2_loss3/top-1" in line]
    assert line.split()[2:] == ["3", "0.0625", "0.625", "200", "0.625"]
    (line,) = [line for line in out if line.startswith("windows") and "/loss" in line]
    assert line.split()[2:] == ["3", "0.875", "0.875", "2000", "nan"]


def test_the_log_and_tensorboard_show_the_same(run_tool, write_proto, tmp_path):
    """Through text, and past it."""
    solver = caffe_pb2.SolverParameter(
        net=str(write_proto(nets.learner())),
        test_iter=[2, 1],
        test_interval=8,
        base_lr=0.1,
        lr_policy="inv",
        gamma=0.1,
        power=0.75,
        average_loss=3,
        display=4,
        max_iter=20,
        snapshot=10,
        snapshot_prefix=str(tmp_path / "snap"),
        solver_mode=caffe_pb2.SolverParameter.CPU,
    )
    command = (
        *("caffe", "train", "-solver", write_proto(solver, "solver.prototxt")),
        *("-log_file", tmp_path / "train.log", "-tensorboard", tmp_path / "events"),
    )
    assert run_tool(*command).returncode == 0
    state = tmp_path / "snap_iter_10.solverstate"
    assert run_tool(*command, "-snapshot", state).returncode == 0
    assert run(tmp_path / "train.log", "--json", tmp_path / "c.json") == 0
    got = json.loads((tmp_path / "c.json").read_text())["train.log"]
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert tags - set(got) == {"train/raw_loss"}
    assert set(got) <= tags
    assert [step for step, _ in got["train/loss"]] == [0, 4, 8, 12, 16, 20]
    for tag, points in got.items():
        want = events.Scalars(tag)
        assert [step for step, _ in points] == [event.step for event in want]
        values = [value for _, value in points]
        assert_close(values, [event.value for event in want], Op.PRINTED)


def test_the_image_shows_losses_errors_and_rates(tmp_path, drawn):
    path = tmp_path / "c.png"
    assert run(LOGS / "bvlc_2016_continued.log", "-o", path) == 0
    losses = [[0, 6.25], [50, 3.5], [100, 2.7], [150, 2.2], [200, 2.125]]
    rates = [[0, 0.01], [50, 0.01], [100, 0.005], [150, 0.0005]]
    drawn.pop("limits")
    assert drawn == {
        "loss": [
            ("training", "C0", losses),
            ("test loss1/loss1", "C0", [[0, 2.4], [100, 1.8], [200, 1.5]]),
        ],
        "error, %": [
            ("loss1/top-1", "C0", [[0, 87.5], [100, 68.75], [200, 50]]),
            ("loss3/top-1", "C0", [[0, 93.75], [100, 56.25], [200, 37.5]]),
        ],
        "learning rate": [("lr", "C0", rates)],
    }
    with Image.open(path) as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 20)}
    assert (31, 119, 180) in colors


def test_several_runs_have_a_colour_each(tmp_path, drawn):
    names = "caffe_1_0.log", "nvidia_0_17.log", "nvidia_detection.log"
    logs = [LOGS / name for name in names]
    # An ending chooses the format.
    path = tmp_path / "c.svg"
    assert run(*logs, "-o", path, "--title", "a title") == 0
    assert "<!-- a title -->" in path.read_text()
    assert [line[:2] for line in drawn["loss"]] == [
        ("caffe_1_0.log, training", "C0"),
        ("caffe_1_0.log, test loss", "C0"),
        ("nvidia_0_17.log, training", "C1"),
        ("nvidia_0_17.log, test loss", "C1"),
        ("nvidia_detection.log, training", "C2"),
    ]
    # per_class of the first has several values.
    assert [line[:2] for line in drawn["error, %"]] == [
        ("caffe_1_0.log, top-1", "C0"),
        ("nvidia_0_17.log, top-5", "C1"),
        ("nvidia_detection.log, detection_eval", "C2"),
    ]
    assert [line[1] for line in drawn["learning rate"]] == ["C0", "C1", "C2"]


def test_old_logs_do_not_name_outputs(tmp_path, drawn):
    assert run(LOGS / "bvlc_2014.log", "-o", tmp_path / "c.png") == 0
    (error,) = drawn["error, %"]
    assert error[0] == "score0"
    assert_close([y for _, y in error[2]], [89.75, 44.96], Op.ELEMENTWISE)


def test_losses_that_are_no_numbers_are_marked(tmp_path, drawn):
    lines = [f"Iteration {i}, loss = {3 if i < 3 else 'nan'}\n" for i in range(5)]
    log = tmp_path / "a.log"
    log.write_text("".join(lines))
    assert run(log, "-o", tmp_path / "a.png") == 0
    _, (_, color, crosses) = drawn["loss"]
    assert color == "C0"
    assert [x for x, _ in crosses] == [3, 4]


def test_a_high_loss_of_a_test_does_not_flatten_the_others(tmp_path, drawn):
    log = tmp_path / "a.log"
    tests = [
        f"Iteration {i}, Testing net (#0)\n"
        f"    Test net output #0: loss = {loss} (* 1 = {loss} loss)\n"
        f"Iteration {i}, loss = 2\n"
        for i, loss in enumerate((25, 2.5, 1))
    ]
    log.write_text("".join(tests))
    assert run(log, "-o", tmp_path / "a.png") == 0
    *_, (_, _, crosses) = drawn["loss"]
    assert [x for x, _ in crosses] == [0]
    assert drawn["limits"]["loss"] == (0, 3)


@pytest.mark.parametrize(
    "text",
    [
        "Iteration 0, Testing net (#0)\n    Test net output #0: top-1 = 0.5\n",
        "Iteration 0, loss = nan\n",
        "Iteration 0, loss = -1\nIteration 0, lr = 0\n",
        # One line for each class would hide the others.
        "Iteration 0, Testing net (#0)\n"
        + "".join(f"    Test net output #{i}: per_class = 0.5\n" for i in range(1000)),
    ],
)
def test_short_logs_are_plotted(tmp_path, text, capsys, drawn):
    log, image = tmp_path / "a.log", tmp_path / "a.png"
    log.write_text(text)
    status = run(log, "-o", image)
    if "per_class" in text:
        assert status == 1
        assert "nothing to draw" in capsys.readouterr().err
    else:
        assert status == 0
        assert image.stat().st_size > 1000
        if "loss = -1" in text:
            low, high = drawn["limits"]["loss"]
            assert low < -1 < high
            assert len(drawn["loss"]) == 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["empty.log"], "empty.log' has no line such as"),
        (["no_such.log"], "no_such.log"),
        (["good.log", "empty.log"], "empty.log' has no line such as"),
        (["good.log", "good.log"], "a log is given twice"),
        (["good.log", "-o", "x.unknown"], "'unknown' is not supported"),
        (["good.log", "-o", "no/such/x.png"], "no/such/x.png"),
        (["good.log", "--csv", "no/such/x.csv"], "no/such/x.csv"),
    ],
)
def test_errors_are_one_sentence(names, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("empty.log").touch()
    Path("good.log").write_text("Iteration 0, loss = 1\n")
    assert run(*names) == 1
    error = capsys.readouterr().err
    assert error.startswith("sknet train-curve: ")
    assert message in error
    assert error.count("\n") == 1


def test_logs_of_one_name_are_told_apart(tmp_path, capsys):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.log").write_text("Iteration 0, loss = 1\n")
    logs = [tmp_path / "a" / "train.log", tmp_path / "b" / "train.log"]
    assert run(*logs, "--csv", tmp_path / "x.csv") == 0
    out = capsys.readouterr().out
    for log in logs:
        assert f"{log}  train/loss" in out
