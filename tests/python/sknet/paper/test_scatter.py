"""`sknet scatter`."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from sknet.cli import main
from sknet.paper.scatter import draw, points


def test_points_are_those_of_table_2(tmp_path, capsys):
    measured = tmp_path / "measured.json"
    record = {
        "net": "sknet50_basic",
        "protocol": {"crop": 224, "crops": 1},
        "top1": {"error_percent": 20.5},
    }
    measured.write_text(json.dumps(record))
    image, table = tmp_path / "scatter.png", tmp_path / "scatter.csv"
    command = ["scatter", "-o", str(image), "--csv", str(table)]
    assert main([*command, "--measured", str(measured)]) == 0
    assert "13 networks" in capsys.readouterr().out
    with table.open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    # Table 2 of the paper.
    for name, params, error in [
        ("SKNet-50", 27.5, 20.79),
        ("SKNet-101", 48.9, 20.19),
        ("ResNeXt-50", 25.0, 22.23),
        ("DPN-98", 61.6, 20.20),
        ("SENet-101", 49.2, 20.58),
    ]:
        row = rows[name]
        assert (float(row["params_m"]), float(row["error_percent"])) == (params, error)
        assert row["measured_percent"] == ("20.5" if name == "SKNet-50" else "")
    with Image.open(image) as drawn:
        pixels = np.asarray(drawn.convert("RGB"), int)
    red = np.abs(pixels - (0xD6, 0x27, 0x28)).max(axis=-1) <= 2
    assert red.sum() > 300

    # A net that only Figure 2 has is a ring, at its own size.
    another = tmp_path / "another.json"
    another.write_text(
        json.dumps({**record, "net": "sknet26_basic", "learned_params": 16_250_000})
    )
    assert main([*command, "--measured", str(measured), str(another)]) == 0
    assert "14 networks" in capsys.readouterr().out
    with table.open() as file:
        row = {row["model"]: row for row in csv.DictReader(file)}["SKNet-26"]
    assert row["params_m"] == "16.25"
    assert (row["error_percent"], row["measured_percent"]) == ("", "20.5")

    assert main([*command, "--crop", "320"]) == 0
    with table.open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert len(rows) == 16
    assert rows["SKNet-101"]["error_percent"] == "18.4"


@pytest.mark.parametrize("crop", ["224", "320"])
@pytest.mark.parametrize("ours", [None, 0.0, 0.4])
def test_no_label_covers_anything_else(crop, ours):
    """Measured on the drawn boxes, with nets of our own in a crowd as well."""
    found = [
        dataclasses.replace(
            point, measured=None if ours is None else point.error + ours
        )
        for point in points(crop)
    ]
    if ours is not None:
        found += [
            dataclasses.replace(found[0], name=f"SKNet-{n}", error=None, params_m=27.5)
            for n in range(26, 32)
        ]
    figure = draw(found, crop)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert len(axes.texts) == len(found)
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    inside = axes.get_window_extent()
    for text, box in zip(axes.texts, boxes, strict=True):
        assert not box.overlaps(axes.get_legend().get_window_extent()), text
        assert inside.x0 <= box.x0 <= box.x1 <= inside.x1, text
        assert inside.y0 <= box.y0 <= box.y1 <= inside.y1, text
        for point in found:
            for error in (point.error, point.measured):
                if error is not None:
                    at = axes.transData.transform((point.params_m, error))
                    assert not box.contains(*at), text


def test_other_files_are_no_results(tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_text("{}")
    assert (
        main(["scatter", "-o", str(tmp_path / "x.png"), "--measured", str(path)]) == 1
    )
    assert "expected results of `sknet evaluate --json`" in capsys.readouterr().err


def test_a_result_of_another_crop_is_said_to_be_left_out(tmp_path, capsys):
    for crop in (64, 320):
        record = {
            "net": "sknet26",
            "protocol": {"crop": crop, "crops": 1},
            "top1": {"error_percent": 1.0},
            "learned_params": 5,
        }
        (tmp_path / f"{crop}.json").write_text(json.dumps(record))
    files = [str(tmp_path / f"{crop}.json") for crop in (64, 320)]
    assert main(["scatter", "-o", str(tmp_path / "x.png"), "--measured", *files]) == 0
    notes = capsys.readouterr().out.splitlines()[:-1]
    assert notes == [
        "note: net 'sknet26' at 64 is left out, expected crops of 224 or 320"
    ]
