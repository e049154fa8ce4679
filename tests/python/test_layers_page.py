"""The pages of layers have every one, with its parameters by their names."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

import caffe
from caffe.proto import caffe_pb2

PAGE = "\n".join(
    (ROOT / "docs" / name).read_text() for name in ("layers.md", "layers_of_forks.md")
)


def entries() -> dict[str, str]:
    """What the page says of each type."""
    parts = re.split(r"^\* \*\*(\w+)\*\*: ", PAGE, flags=re.MULTILINE)
    texts = (re.split(r"\n(?=\n|#)", text)[0] for text in parts[2::2])
    return dict(zip(parts[1::2], texts, strict=True))


def test_every_layer_has_one_entry():
    names = re.findall(r"^\* \*\*(\w+)\*\*: ", PAGE, flags=re.MULTILINE)
    assert len(names) == len(set(names))
    assert set(names) == {name for name in caffe.layer_type_list() if name != "Python"}


def test_entries_of_a_section_are_in_order():
    for section in PAGE.split("\n## ")[1:]:
        names = re.findall(r"^\* \*\*(\w+)\*\*: ", section, flags=re.MULTILINE)
        assert names == sorted(names, key=str.lower)


@pytest.mark.parametrize(("kind", "text"), entries().items())
def test_parameters_exist_and_have_these_defaults(kind, text):
    layer = caffe_pb2.LayerParameter.DESCRIPTOR
    messages = re.findall(r"`(\w+_param)`", text)
    fields = {}
    for message in messages:
        # Of the layer, or of a message that stands before it.
        field = layer.fields_by_name.get(message) or fields[message]
        fields.update(field.message_type.fields_by_name)
    # Of the parameters alone: `name` (default), behind the message that has them.
    for listing in re.findall(r"`\w+_param`:(.*?)(?:\. |\.$|;|$)", text, re.DOTALL):
        for name, said in re.findall(r"`(\w+)`[^`(]*(?:\(([^)`]*)\))?", listing):
            if name.endswith("_param"):
                continue
            assert name in fields, f"{kind}: {name}"
            number = re.fullmatch(r"-?[\d.]+(?:e-?\d+)?|true|false", said or "")
            field = fields[name]
            if number is None or field.message_type or field.is_repeated:
                continue
            default = field.default_value
            if isinstance(default, bool):
                assert said == str(default).lower(), f"{kind}: {name}"
            elif not isinstance(default, str):
                assert float(said) == pytest.approx(default), f"{kind}: {name}"
