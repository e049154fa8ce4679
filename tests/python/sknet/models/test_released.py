"""The released form is the authors' file, layer by layer and field by field."""

from __future__ import annotations

import csv

import pytest
from conftest import ROOT
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.models import create_model, list_models, released

TABLES = ROOT / "tests" / "data" / "reference" / "released"
# The file, the network here, and what the file calls its net.
FILES = {
    "SE-BN-Inception": ("se_bn_inception", "SE-BN-Inception"),
    "SE-ResNet-50": ("se_resnet50", "SE-ResNet-50"),
    "SE-ResNet-101": ("se_resnet101", "SE-ResNet-101"),
    "SE-ResNet-152": ("se_resnet152", "SE-ResNet-152"),
    "SE-ResNeXt-50": ("senet50", "SE-ResNeXt-50 (32 x 4d)"),
    "SE-ResNeXt-101": ("senet101", "SE-ResNeXt-101 (32 x 4d)"),
    "SENet-154": ("senet154", "SENet"),
    "RN50-GEP": ("genet50_theta", "ResNet50-GEP"),
    "RN50-GEPF": ("genet50_theta_minus", "ResNet50-GEPF"),
    "RN50-GEPP": ("genet50_theta_plus", "ResNet50-GEPP"),
}
# Held to tables of their own in test_models.py, which tell layers' shapes as well.
SKNETS = {"sknet50", "sknet101"}


def rows(name):
    with (TABLES / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def listed(text):
    return text.split("|") if text else []


def fields_of(layer):
    """All but what the table has in columns of its own."""
    rest = caffe_pb2.LayerParameter()
    rest.CopyFrom(layer)
    for field in ("name", "type", "bottom", "top"):
        rest.ClearField(field)
    return rest


def test_every_table_is_a_network():
    assert set(FILES) == {path.stem for path in TABLES.glob("*.csv")}
    with_file = {name for name in list_models() if create_model(name).release}
    assert with_file == SKNETS | {model for model, _ in FILES.values()}


@pytest.mark.parametrize("name", FILES)
def test_layers_are_those_of_the_file(name, capsys):
    model, net_name = FILES[name]
    assert main(["generate", model, "--style", "released"]) == 0
    written = capsys.readouterr().out
    net = text_format.Parse(written, caffe_pb2.NetParameter())
    assert net == released(create_model(model))
    assert net.name == net_name
    table = rows(name)
    assert [layer.name for layer in net.layer] == [row["name"] for row in table]
    for layer, row in zip(net.layer, table, strict=True):
        assert layer.type == row["type"], layer.name
        assert list(layer.bottom) == listed(row["bottoms"]), layer.name
        assert list(layer.top) == listed(row["tops"]), layer.name
        want = text_format.Parse(row["fields"], caffe_pb2.LayerParameter())
        assert fields_of(layer) == want, layer.name


@pytest.mark.parametrize(
    "arguments", [["resnext50"], ["sknet26"], ["sknet50", "--kernels", "3,7"]]
)
def test_what_was_not_released_is_told(arguments, capsys):
    assert main(["generate", *arguments, "--style", "released"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the authors released no file of this network" in line
    assert "sknet101" in line
