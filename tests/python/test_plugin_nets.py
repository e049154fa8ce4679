"""plugin/: the nets of the release, rewritten for other Caffes as the page says."""

from __future__ import annotations

import csv
import shutil

import documented
import pytest
from conftest import ROOT
from google.protobuf import text_format
from google.protobuf.message import Message
from other_caffe import PLUGIN, run

from caffe.proto import caffe_pb2


def bvlc_fields() -> set[tuple[str, str]]:
    """Message and field, of all that Caffe 1.0 reads."""
    path = ROOT / "tests/data/proto/bvlc_fields.csv"
    with path.open(newline="") as file:
        return {(row["owner"], row["name"]) for row in csv.DictReader(file)}


def installed_fields() -> set[tuple[str, str]]:
    """What install.sh adds to them."""
    message = "CuDNNBatchNormParameter"
    text = (PLUGIN / "batch_norm_message.proto").read_text()
    assert f"message {message} {{" in text
    own = {line.split()[2] for line in text.splitlines() if "  optional" in line}
    parent = ("LayerParameter", "cudnn_batch_norm_param")
    return {parent, *((message, name) for name in own)}


def fields_of(message: Message) -> set[tuple[str, str]]:
    """All that are given in a message and those in it."""
    found = set()
    for field, value in message.ListFields():
        found.add((message.DESCRIPTOR.name, field.name))
        # Of repeated fields, those of messages alone have `add`.
        for inner in value if hasattr(value, "add") else [value]:
            if isinstance(inner, Message):
                found |= fields_of(inner)
    return found


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory) -> list[str]:
    """The lines for a Caffe with BVLC's parameters, and those for a patched one."""
    page = documented.read(ROOT / "docs/plugin_for_other_caffes.md")
    (block,) = [b for b in page.blocks if "s/frozen:/" in "\n".join(b.lines)]
    folder = tmp_path_factory.mktemp("nets")
    net = folder / "sknet50.prototxt"
    shutil.copy(ROOT / "models/sknet50/deploy.prototxt", net)
    lines = run("bash", "-ec", "\n".join(block.lines), cwd=folder).stdout.splitlines()
    end = len(net.read_text().splitlines())
    assert len(lines) == 2 * end
    return ["\n".join(lines[:end]), "\n".join(lines[end:])]


def test_for_bvlcs_parameters(rewritten):
    net = text_format.Parse(rewritten[0], caffe_pb2.NetParameter())
    fields = fields_of(net)
    assert fields <= bvlc_fields()
    assert ("BatchNormParameter", "moving_average_fraction") in fields


def test_for_a_patched_caffe(rewritten):
    net = text_format.Parse(rewritten[1], caffe_pb2.NetParameter())
    fields = fields_of(net)
    assert fields <= bvlc_fields() | installed_fields()
    assert ("CuDNNBatchNormParameter", "momentum") in fields
