"""What docs/gpu.md says of each layer is what the library has."""

from __future__ import annotations

import re

from conftest import ROOT

import caffe

# Layers by another name, of another class.
CLASSES = {"DepthwiseConvolution": "Convolution"}
WITHOUT_CODE = ("host", "share memory", "through the layers")


def rows() -> dict[str, str]:
    """What the table says of the GPU, by type."""
    text = (ROOT / "docs" / "gpu.md").read_text()
    table = re.findall(r"^\| (.+?) \| .+? \| (.+?) \| yes \|", text, re.MULTILINE)
    return {
        name: where
        for names, where in table
        for name in names.partition(":")[0].split(", ")
    }


def test_every_layer_has_a_row():
    ours = {name for name in caffe.layer_type_list() if name != "Python"}
    assert set(rows()) >= ours


def test_what_is_said_to_run_on_a_gpu_has_device_code():
    stubs = (ROOT / "src" / "caffe" / "no_gpu" / "layers.cpp").read_text()
    has_code = set(re.findall(r"^REFUSE\((\w+)Layer\);", stubs, re.MULTILINE))
    said = {
        CLASSES.get(name, name)
        for name, where in rows().items()
        if not where.startswith(WITHOUT_CODE)
    }
    assert said == has_code
