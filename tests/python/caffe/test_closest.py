"""Suggestions: made only when they are close, by one rule everywhere."""

from __future__ import annotations

import csv

import pytest

import caffe
from caffe import layers as L
from caffe.cli.flags import Flag, UsageError, parse
from caffe.closest import closest, suggestion
from sknet.convert.torch_sources import source
from sknet.models import create_model


def test_decides_as_the_table_does(data_folder):
    with (data_folder / "names" / "closest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 20
    for row in rows:
        got = closest(row["name"], row["candidates"].split())
        assert (got or "") == row["closest"], row


def test_names_the_closest_or_the_few_or_nothing():
    assert suggestion("Relu", ["ELU", "ReLU"]) == "; the closest is 'ReLU'"
    assert suggestion("data", ["label", "fc"]) == "; there are 'label', 'fc'"
    assert suggestion("data", ["label"]) == "; there is only 'label'"
    assert suggestion("data", []) == ""
    assert suggestion("data", ["label"] * 13) == ""


def net():
    made = caffe.NetSpec()
    made.data = L.Input(shape={"dim": [1, 2, 3, 3]})
    for index in range(14):
        made[f"relu{index}"] = L.ReLU(made.data)
    return caffe.Net(made.to_proto(), caffe.TEST)


def unknown_flag(name):
    parse([f"-{name}=1"], [Flag("weights", "", "A flag.")])


def unknown_field(name):
    L.Convolution(**{name: 1}).to_proto()


# A name near one that the place knows.
SITES = [
    (unknown_flag, "wieghts", "weights", UsageError),
    (unknown_field, "num_ouput", "num_output", AttributeError),
    (lambda name: getattr(caffe.NetSpec(), name), "dta", None, AttributeError),
    (lambda name: net().forward(blobs=[name]), "rellu3", "relu3", ValueError),
    (create_model, "sknet5O", "sknet50", ValueError),
    (source, "resnext50_32x4", "resnext50_32x4d", ValueError),
    (
        lambda name: caffe.get_solver(caffe.SolverParameter(type=name)),
        "Nesterof",
        "Nesterov",
        ValueError,
    ),
]


@pytest.mark.parametrize(("ask", "near", "meant", "error"), SITES)
def test_every_place_uses_the_rule(ask, near, meant, error):
    if meant:
        with pytest.raises(error, match=rf"the closest is '-?{meant}'"):
            ask(near)
    with pytest.raises(error) as caught:
        ask("qqqqqqqqqqqqqq")
    assert "the closest" not in str(caught.value)
