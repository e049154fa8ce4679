"""Generated networks against the tables of the release."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import sknet_reference as reference

from caffe.proto import caffe_pb2
from sknet.complexity import analyse, used_in
from sknet.models import (
    create_model,
    deploy,
    list_models,
    recipe_for,
    register_model,
    released,
    train_val,
)

IMAGE = {"data": (1, 3, 224, 224), "label": (1,)}


@pytest.mark.parametrize(
    ("model", "table", "net_name", "layers"),
    [
        ("sknet50", "sknet50_layers.csv", "sknet50_basic", 450),
        ("sknet101", "sknet101_layers.csv", "sknet101", 909),
    ],
)
def test_released_form_equals_the_release(model, table, net_name, layers):
    net = released(create_model(model))
    expected = reference.rows(table)
    counted = analyse(net, IMAGE).layers
    rows = [reference.as_row(index, layer) for index, layer in enumerate(counted)]
    assert net.name == net_name
    assert len(expected) == layers
    assert [row["name"] for row in rows] == [row["name"] for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        assert row == wanted


@pytest.mark.parametrize("model", ["sknet50", "sknet101"])
def test_released_form_has_inputs_of_batch_32_and_no_phases(model):
    net = released(create_model(model))
    shapes = [list(shape.dim) for shape in net.layer[0].input_param.shape]
    assert shapes == [[32, 3, 224, 224], [32]]
    assert not any(layer.include or layer.exclude for layer in net.layer)


@pytest.mark.parametrize(
    ("model", "row", "published_gflops"),
    [
        ("sknet26", "SKNet-26", "2.59"),
        ("sknet50", "SKNet-50", "4.47"),
        ("sknet101", "SKNet-101-file", "8.46"),
        ("sknet101_rule", "SKNet-101-rule", "8.46"),
    ],
)
def test_totals(model, row, published_gflops):
    counts = analyse(deploy(create_model(model)))
    total = counts.total
    (wanted,) = (
        entry for entry in reference.rows("sknet_totals.csv") if entry["model"] == row
    )
    assert {
        "learned_params": str(total.learned),
        "stored_params": str(total.stored),
        "conv_fc_macs": str(total.macs),
        "bn_channels": str((total.stored - total.learned) // 2),
        "bn_elems": str(total.bn_elements),
        "relu_elems": str(total.relu_elements),
        "sel_elems": str(total.select_elements),
        "bias_adds": str(total.bias_adds),
        "pool_input_elems": str(total.pool_inputs),
        "num_convs": str(sum(c.layer.type == "Convolution" for c in counts.layers)),
    }.items() <= wanted.items()
    assert f"{counts.gflops('macs+select'):.2f}" == published_gflops


@pytest.mark.parametrize("model", list_models())
def test_deploy_has_one_input_and_normalised_output(model):
    config = create_model(model)
    net = deploy(config, batch_size=5)
    counts = analyse(net)
    side = config.image_size
    assert counts.layers[0].shapes == [(5, 3, side, side)]
    assert net.layer[-1].type == "Softmax"
    assert list(net.layer[-1].top) == ["prob"]
    assert counts.layers[-1].shapes == [(5, config.classes)]
    assert "label" not in {name for layer in net.layer for name in layer.bottom}


@pytest.mark.parametrize("model", list_models())
def test_every_blob_is_made_before_it_is_read(model):
    for net in (
        deploy(create_model(model)),
        released(create_model(model)),
        train_val(create_model(model), recipe_for("digits"), "train", "val"),
    ):
        for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
            made: set[str] = set()
            for layer in net.layer:
                if not used_in(layer, phase):
                    continue
                assert set(layer.bottom) <= made, layer.name
                made |= set(layer.top)


@pytest.mark.parametrize("model", list_models())
def test_other_image_sizes_keep_the_parameters(model):
    config = create_model(model)
    larger = create_model(model, image_size=config.image_size + 96)
    assert (
        analyse(deploy(larger)).total.learned == analyse(deploy(config)).total.learned
    )


def test_classes_change_only_the_classifier():
    few = analyse(deploy(create_model("sknet50", classes=10)))
    many = analyse(deploy(create_model("sknet50")))
    assert many.total.learned - few.total.learned == 990 * (2048 + 1)


def test_digits_net_is_small_and_made_of_sk_units():
    net = deploy(create_model("sknet_digits"))
    counts = analyse(net)
    kinds = Counter(layer.type for layer in net.layer)
    convolutions = [
        layer.convolution_param for layer in net.layer if layer.type == "Convolution"
    ]
    assert 300_000 < counts.total.learned < 1_000_000
    assert kinds["Axpy"] == kinds["Slice"] == 3
    assert sum(param.group > 1 for param in convolutions) == 6
    assert sum(param.dilation[:] == [2] for param in convolutions) == 3
    assert all(
        extent % 32 == 0
        for entry in counts.layers
        if entry.layer.type == "Convolution"
        for extent in entry.shapes[0][1:2]
    )


def test_train_val_differs_by_phase():
    recipe = recipe_for("imagenet")
    net = train_val(create_model("sknet50"), recipe, "a_lmdb", "b_lmdb")
    by_phase = {
        phase: {
            layer.name: layer
            for layer in net.layer
            if used_in(layer, caffe_pb2.Phase.Value(phase))
        }
        for phase in ("TRAIN", "TEST")
    }
    train, test = by_phase["TRAIN"], by_phase["TEST"]
    assert set(train) - set(test) == {"train-data"}
    assert set(test) - set(train) == {"val-data", "top-1", "top-5"}
    data, val = train["train-data"], test["val-data"]
    assert (data.data_param.source, val.data_param.source) == ("a_lmdb", "b_lmdb")
    assert data.data_param.backend == caffe_pb2.DataParameter.LMDB
    assert (data.transform_param.mirror, val.transform_param.mirror) == (True, False)
    assert val.transform_param.crop_size == 224
    assert list(val.transform_param.mean_value) == [104, 117, 123]
    smoothing = [phase["loss"].loss_param.label_smoothing for phase in (train, test)]
    assert smoothing == [np.float32(recipe.label_smoothing), 0]
    assert test["top-5"].accuracy_param.top_k == 5


def test_unknown_names_are_answered_with_the_closest():
    with pytest.raises(ValueError, match="'sknt50'; the closest known is 'sknet50'"):
        create_model("sknt50")
    with pytest.raises(ValueError, match=r"unknown option 'clases' .*classes"):
        create_model("sknet50", clases=3)
    with pytest.raises(ValueError, match="unknown recipe 'cifar'"):
        recipe_for("cifar")
    with pytest.raises(ValueError, match="unknown field 'epoch'"):
        recipe_for("digits", epoch=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "classes is 0"),
        ({"image_size": -1}, "image_size is -1"),
        ({"depths": (1, 1)}, "4 widths, expected 2"),
        ({"widths": (100, 200, 400, 800)}, "width 100 is not a multiple of groups"),
        ({"attention_widths": (32,)}, "1 attention_widths, expected 4"),
    ],
)
def test_impossible_configurations_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("sknet50", **options)


def test_a_name_registers_once():
    def sknet50() -> None:
        """Another model of the same name."""

    with pytest.raises(ValueError, match="'sknet50' is registered twice"):
        register_model(sknet50)
