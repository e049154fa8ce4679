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
from sknet.models.sknet import Branch

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


# Names in the reference, ours, and inputs of poolings that the reference leaves out:
# those across channels (two per CBAM), of Inception-V3's modules that keep the size
# (three A, four B, two C), and of Inception-V4's classifier.
TABLE_2 = [
    ("ResNeXt-50", "resnext50", 0),
    ("AttentionNeXt-56", "attentionnext56", 0),
    ("Attention-56", "attention56", 0),
    (
        "InceptionV3",
        "inception_v3",
        35 * 35 * (192 + 256 + 288) + 17 * 17 * 4 * 768 + 8 * 8 * (1280 + 2048),
    ),
    ("ResNeXt-50+BAM", "resnext50_bam", 0),
    ("ResNeXt-50+CBAM", "resnext50_cbam", 11_038_720),
    ("SENet-50", "senet50", 0),
    ("SKNet-50", "sknet50", 0),
    ("ResNeXt-101", "resnext101", 0),
    ("Attention-92", "attention92", 0),
    ("AttentionNeXt-92", "attentionnext92", 0),
    ("DPN-92", "dpn92", 0),
    ("DPN-98", "dpn98", 0),
    ("InceptionV4", "inception_v4", 8 * 8 * 1536),
    ("Inception-ResNetV2", "inception_resnet_v2", 0),
    ("ResNeXt-101+BAM", "resnext101_bam", 0),
    ("ResNeXt-101+CBAM", "resnext101_cbam", 17_862_656),
    ("SENet-101", "senet101", 0),
    ("SKNet-101-file", "sknet101", 0),
    ("SKNet-101-rule", "sknet101_rule", 0),
    ("SKNet-26", "sknet26", 0),
]


def reference_totals(name):
    (row,) = (
        row for row in reference.rows("table2_totals.csv") if row["model"] == name
    )
    return {key: int(value) for key, value in row.items() if key != "model"}


@pytest.mark.parametrize(("name", "model", "uncounted"), TABLE_2)
def test_totals(name, model, uncounted):
    counts = analyse(deploy(create_model(model)))
    total = counts.total
    assert reference_totals(name) == {
        "input": counts.layers[0].shapes[0][-1],
        "learned_params": total.learned,
        "stored_params": total.stored,
        "conv_fc_macs": total.macs,
        "bn_channels": (total.stored - total.learned) // 2,
        "bn_elems": total.bn_elements,
        "relu_elems": total.relu_elements,
        "sel_elems": total.select_elements,
        "bias_adds": total.bias_adds,
        "pool_input_elems": total.pool_inputs - uncounted,
        "num_convs": sum(c.layer.type == "Convolution" for c in counts.layers),
    }


def test_the_auxiliary_head_is_there_in_training_only():
    definition = train_val(
        create_model("inception_v3_aux"), recipe_for("imagenet"), "train", "val"
    )
    training = analyse(definition, phase="TRAIN")
    wanted = reference_totals("InceptionV3+aux")
    assert training.total.learned == wanted["learned_params"]
    assert training.total.stored == wanted["stored_params"]
    assert wanted["num_convs"] == sum(
        entry.layer.type == "Convolution" for entry in training.layers
    )
    losses = {
        entry.layer.name: list(entry.layer.loss_weight)
        for entry in training.layers
        if entry.layer.type == "SoftmaxWithLoss"
    }
    assert losses == {"loss": [], "loss/aux1": [np.float32(0.4)]}
    testing = analyse(definition, phase="TEST")
    assert testing.total.learned == reference_totals("InceptionV3")["learned_params"]
    assert not any("aux" in entry.layer.name for entry in testing.layers)


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
    config = create_model(model)
    nets = [deploy(config), train_val(config, recipe_for("digits"), "train", "val")]
    if config.release:
        nets.append(released(config))
    for net in nets:
        for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
            made: set[str] = set()
            for layer in net.layer:
                if not used_in(layer, phase):
                    continue
                assert set(layer.bottom) <= made, layer.name
                made |= set(layer.top)


@pytest.mark.parametrize(
    "model",
    # GENet's convolutions over the whole map have weights for every pixel of it.
    [name for name in list_models() if not name.startswith("genet50_theta")]
    + ["genet50_theta_minus"],
)
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
    with pytest.raises(ValueError, match="'sknt50'; the closest is 'sknet50'"):
        create_model("sknt50")
    with pytest.raises(ValueError, match=r"unknown option 'clases' .*classes"):
        create_model("sknet50", clases=3)
    with pytest.raises(ValueError, match="unknown recipe 'coco'"):
        recipe_for("coco")
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
        ({"outputs": (256,)}, "1 outputs, expected 4"),
        ({"depths": (1, 0, 1, 1)}, "depths has 0, expected numbers >= 1"),
        ({"branches": ()}, "no branches, expected one or more"),
        (
            {"branches": (Branch(3, 1, 48),)},
            "width 128 is not a multiple of groups, 48",
        ),
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
