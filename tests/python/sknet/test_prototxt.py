"""Definitions as text: the same values, in fewer lines."""

from __future__ import annotations

import pytest
from definitions import values
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from sknet.models import (
    create_model,
    deploy,
    list_models,
    recipe_for,
    released,
    solver,
    train_val,
)
from sknet.prototxt import to_text


@pytest.mark.parametrize("name", sorted(list_models()))
def test_definitions_are_read_as_they_were_made(name):
    model = create_model(name)
    recipe = recipe_for(model.recipe)
    for message in (
        deploy(model),
        train_val(model, recipe, "train", "val"),
        solver(recipe, "net", "snapshots/x"),
    ):
        text = to_text(message)
        assert values(text_format.Parse(text, type(message)())) == values(message)
        assert max(map(len, text.splitlines())) <= 104
        spread = text_format.MessageToString(message)
        assert text.count("\n") < spread.count("\n") / 2


def test_explicit_text_is_the_message_itself():
    message = released(create_model("sknet50"))
    text = to_text(message, explicit=True)
    assert text_format.Parse(text, caffe_pb2.NetParameter()) == message


def test_presence_is_kept_where_it_means_something():
    layer = caffe_pb2.LayerParameter(name="bn", type="BatchNorm")
    layer.batch_norm_param.use_global_stats = False
    layer.batch_norm_param.eps = 1e-5  # the schema's default
    layer.param.add()
    layer.param.add(lr_mult=2)
    layer.param.add(lr_mult=1, decay_mult=1)
    layer.transform_param.random_resized_crop.SetInParent()
    assert to_text(layer) == (
        'name: "bn" type: "BatchNorm"\n'
        "param {}\n"
        "param { lr_mult: 2 }\n"
        "transform_param { random_resized_crop {} }\n"
        "batch_norm_param { use_global_stats: false }\n"
    )


def test_long_messages_are_broken():
    layer = caffe_pb2.LayerParameter(name="n" * 60, bottom=["b" * 60, "c"])
    net = caffe_pb2.NetParameter(layer=[layer])
    assert to_text(net).splitlines() == [
        "layer {",
        f'  name: "{"n" * 60}"',
        f'  bottom: "{"b" * 60}" bottom: "c"',
        "}",
    ]
