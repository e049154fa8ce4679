"""Families of networks against what their authors published."""

from __future__ import annotations

from collections import Counter

import pytest

from sknet.complexity import analyse
from sknet.models import create_model, deploy, released


def layers(net):
    return {layer.name: layer for layer in net.layer}


# Sizes of the caffemodel files in MiB that SENet's repository lists: four bytes for
# every stored value, and a little for the names.
@pytest.mark.parametrize(
    ("model", "mebibytes"),
    [
        ("se_bn_inception", 46),
        ("se_resnet50", 107),
        ("se_resnet101", 189),
        ("se_resnet152", 256),
        ("senet50", 105),
        ("senet101", 187),
        ("senet154", 440),
    ],
)
def test_stored_values_fill_the_released_files(model, mebibytes):
    total = analyse(released(create_model(model))).total
    assert 4 * total.stored / 2**20 == pytest.approx(mebibytes, abs=0.55)


# Millions of parameters, SENet's paper (arXiv 1709.01507).
@pytest.mark.parametrize(
    ("model", "millions"),
    [
        ("se_resnet50", 28.1),
        ("se_resnet101", 49.3),
        ("se_resnet152", 66.8),
        ("senet154", 115.1),
    ],
)
def test_published_parameters(model, millions):
    total = analyse(deploy(create_model(model))).total
    assert round(total.learned / 1e6, 1) == millions


def test_genet_is_resnet_50_and_its_modules():
    resnet50 = 25_557_032  # of torchvision
    stages = zip((3, 4, 6, 3), (256, 512, 1024, 2048), (56, 28, 14, 7), strict=True)
    gather = excite = 0
    for blocks, channels, side in stages:
        gather += blocks * channels * (side * side + 2)  # 2: of the batch norm
        middle = channels // 16
        excite += blocks * (2 * channels * middle + channels + middle)
    learned = {
        part: analyse(deploy(create_model(f"genet50_theta{part}"))).total.learned
        for part in ("_minus", "", "_plus")
    }
    assert learned == {
        "_minus": resnet50,
        "": resnet50 + gather,
        "_plus": resnet50 + gather + excite,
    }


# Learned and stored parameters (10^6) and 10^9 multiply-adds with the select step,
# counted by other code from the paper's description; the last column is the paper's but
# for one kernel, where it counts batch norms too (4.24).
@pytest.mark.parametrize(
    ("model", "learned", "stored", "gflops", "published"),
    [
        ("resnext50_wider", 28.018, 28.090, 4.7400, 4.74),
        ("resnext56", 27.282, 27.358, 4.6704, 4.67),
        ("resnext50_36x4d", 27.549, 27.621, 4.6993, 4.70),
        ("sknet50_3x3d1", 27.480, 27.564, 4.4682, 4.47),
        ("sknet50_5x5g64", 28.030, 28.114, 4.5581, 4.56),
        ("sknet50_7x7g128", 27.991, 28.075, 4.5517, 4.55),
        ("sknet50_k5", 25.029, 25.097, 4.2305, 4.23),
        ("sknet50_k7", 25.029, 25.097, 4.2305, 4.23),
        ("sknet50_k3k5_sum", 26.459, 26.542, 4.4617, 4.46),
        ("sknet50_k3k7", 27.480, 27.564, 4.4682, 4.47),
        ("sknet50_k3k7_sum", 26.459, 26.542, 4.4617, 4.46),
        ("sknet50_k5k7", 27.480, 27.564, 4.4682, 4.47),
        ("sknet50_k5k7_sum", 26.459, 26.542, 4.4617, 4.46),
        ("sknet50_k3k5k7", 29.250, 29.349, 4.7025, 4.70),
        ("sknet50_k3k5k7_sum", 27.888, 27.987, 4.6929, 4.69),
    ],
)
def test_ablations(model, learned, stored, gflops, published):
    counts = analyse(deploy(create_model(model)))
    assert round(counts.total.learned / 1e6, 3) == learned
    assert round(counts.total.stored / 1e6, 3) == stored
    assert round(counts.gflops(), 4) == gflops
    assert round(counts.gflops(), 2) == published


# Table 5 of SKNet's paper: 10^6 parameters, and the classes they are counted with.
@pytest.mark.parametrize(
    ("model", "classes", "millions"),
    [
        ("resnext29_16x32d", 100, 25.2),
        ("resnext29_8x64d", 10, 34.4),
        ("resnext29_16x64d", 10, 68.2),
        ("senet29", 100, 35.0),
        ("sknet29", 10, 27.7),
    ],
)
def test_networks_for_cifar(model, classes, millions):
    config = create_model(model, classes=classes)
    counts = analyse(deploy(config))
    assert counts.layers[0].shapes == [(1, 3, 32, 32)]
    assert round(counts.total.learned / 1e6, 1) == millions
    last = [entry for entry in counts.layers if len(entry.shapes[0]) == 4][-2]
    assert last.shapes[0][2:] == (8, 8)


@pytest.mark.parametrize(("model", "count"), [("senet50", 309), ("senet101", 615)])
def test_senet_is_released_with_stock_batch_norms(model, count):
    net = released(create_model(model))
    kinds = Counter(layer.type for layer in net.layer)
    assert len(net.layer) == count
    assert net.layer[0].name == "data"
    assert list(net.layer[0].input_param.shape[0].dim) == [1, 3, 224, 224]
    assert kinds["BatchNorm"] == kinds["Scale"] > 0
    assert kinds["CuDNNBatchNorm"] == 0
    norm = layers(net)["conv2_1_3x3/bn"]
    assert norm.batch_norm_param.use_global_stats
    assert not norm.batch_norm_param.HasField("eps")
    assert list(norm.top) == list(norm.bottom) == ["conv2_1_3x3"]
    assert not any(layer.param for layer in net.layer)


def test_senet_has_the_names_and_order_of_the_release():
    net = released(create_model("senet50"))
    names = [layer.name for layer in net.layer]
    start = names.index("pool1/3x3_s2")
    assert names[1:start] == [
        "conv1/7x7_s2",
        "conv1/7x7_s2/bn",
        "conv1/7x7_s2/bn/scale",
        "conv1/relu_7x7_s2",
    ]
    block = names[start + 1 : names.index("conv2_2_1x1_reduce")]
    assert block == [
        "conv2_1_1x1_reduce",
        "conv2_1_1x1_reduce/bn",
        "conv2_1_1x1_reduce/bn/scale",
        "conv2_1_1x1_reduce/relu",
        "conv2_1_3x3",
        "conv2_1_3x3/bn",
        "conv2_1_3x3/bn/scale",
        "conv2_1_3x3/relu",
        "conv2_1_1x1_increase",
        "conv2_1_1x1_increase/bn",
        "conv2_1_1x1_increase/bn/scale",
        "conv2_1_global_pool",
        "conv2_1_1x1_down",
        "conv2_1_1x1_down/relu",
        "conv2_1_1x1_up",
        "conv2_1_prob",
        "conv2_1_1x1_proj",
        "conv2_1_1x1_proj/bn",
        "conv2_1_1x1_proj/bn/scale",
        "conv2_1",
        "conv2_1/relu",
    ]
    assert names[-3:] == ["pool5/7x7_s1", "classifier", "prob"]
    by_name = layers(net)
    assert list(by_name["conv2_1"].bottom) == [
        "conv2_1_1x1_up",
        "conv2_1_1x1_increase",
        "conv2_1_1x1_proj",
    ]
    assert list(by_name["conv2_2"].bottom)[2] == "conv2_1"


@pytest.mark.parametrize(
    ("model", "reduce", "middle"),
    [("se_resnet50", 2, 1), ("senet50", 1, 2), ("senet154", 1, 2)],
)
def test_strides_are_where_the_releases_have_them(model, reduce, middle):
    net = layers(deploy(create_model(model)))
    strides = [
        net[f"conv3_1_{part}"].convolution_param.stride[0]
        for part in ("1x1_reduce", "3x3", "1x1_proj")
    ]
    assert strides == [reduce, middle, 2]


def test_senet_154_has_its_own_stem_shortcuts_and_dropout():
    net = layers(deploy(create_model("senet154")))
    stem = [net[f"conv1_{part}"].convolution_param for part in ("1/3x3_s2", "3/3x3")]
    assert [param.num_output for param in stem] == [64, 128]
    shortcuts = [net[f"conv{stage}_1_1x1_proj"] for stage in (2, 3)]
    assert [s.convolution_param.kernel_size[0] for s in shortcuts] == [1, 3]
    assert net["conv2_1_3x3"].convolution_param.group == 64
    assert net["pool5/dropout_7x7_s1"].dropout_param.dropout_ratio == pytest.approx(0.2)


def test_se_bn_inception_scales_the_outputs_of_its_modules():
    counts = analyse(released(create_model("se_bn_inception")))
    outputs = {
        entry.layer.top[0].split("/")[0].removeprefix("inception_"): entry.shapes[0][1:]
        for entry in counts.layers
        if entry.layer.name.endswith("_scale")
    }
    assert outputs == {
        "3a": (256, 28, 28),
        "3b": (320, 28, 28),
        "3c": (576, 14, 14),
        "4a": (576, 14, 14),
        "4b": (576, 14, 14),
        "4c": (608, 14, 14),
        "4d": (608, 14, 14),
        "4e": (1056, 7, 7),
        "5a": (1024, 7, 7),
        "5b": (1024, 7, 7),
    }


@pytest.mark.parametrize(
    ("model", "name", "weights"),
    [
        ("genet50_theta_minus", "ResNet50-GEPF", "conv2_1/gather"),
        ("genet50_theta", "ResNet50-GEP", "conv2_1/gather/bn"),
        ("genet50_theta_plus", "ResNet50-GEPP", "conv2_1/excite/1x1_up"),
    ],
)
def test_genet_has_the_names_of_the_release(model, name, weights):
    net = released(create_model(model))
    by_name = layers(net)
    assert net.name == name
    assert list(by_name["conv2_1/axpy"].bottom) == [
        weights,
        "conv2_1/1x1_increase/bn",
        "conv2_1/1x1_proj/bn",
    ]
    assert list(by_name["conv2_1/excite/sigmoid"].top) == [weights]
    kernels = [
        by_name[f"conv{stage}_1/gather"].convolution_param.kernel_size[:]
        for stage in (2, 3, 4, 5)
    ]
    whole = [[56], [28], [14], [7]]
    assert kernels == ([[]] * 4 if model.endswith("minus") else whole)
    assert by_name["conv3_1/1x1_reduce"].convolution_param.stride[:] == [2]


def test_three_branches_are_weighed_one_after_the_other():
    net = layers(deploy(create_model("sknet50_k3k5k7")))
    unit = "conv3_4"
    branches = [f"{unit}/3x3g32{suffix}/bn" for suffix in ("", "d2", "d3")]
    assert list(net[f"{unit}_3x3"].bottom) == branches
    assert net[f"{unit}/B_re"].reshape_param.shape.dim[:] == [0, 3, -1, 0]
    assert [list(net[f"{unit}/{part}"].bottom) for part in ("B_axpy1", "B_axpy")] == [
        [f"{unit}/B_slice1", branches[1], f"{unit}/scale"],
        [f"{unit}/B_slice2", branches[2], f"{unit}/B_axpy1"],
    ]


def test_attention_masks_return_to_the_size_of_the_trunk():
    counts = analyse(deploy(create_model("attention56")))
    shapes = {entry.layer.name: entry.shapes[0][2:] for entry in counts.layers}
    for module, sizes in (("A1", (28, 14, 7)), ("B1", (14, 7)), ("C1", (7,))):
        mask = f"attention_{module}/mask"
        for level, size in enumerate(sizes):
            assert shapes[f"{mask}/down{level + 1}/pool"] == (size, size)
        trunk = f"attention_{module}/trunk/res3"
        assert shapes[f"{mask}/interp"] == shapes[trunk] == (2 * sizes[0],) * 2


def test_small_inputs_of_inception_keep_concatenations_together():
    for model in ("inception_v3", "inception_v4", "inception_resnet_v2"):
        analyse(deploy(create_model(model, image_size=224)))


def test_inception_resnet_scales_its_residuals():
    net = layers(deploy(create_model("inception_resnet_v2")))
    for block, count, scale in (("block35", 10, 0.17), ("block17", 20, 0.1)):
        for index in range(1, count + 1):
            coefficients = net[f"{block}_{index}"].eltwise_param.coeff
            assert list(coefficients) == pytest.approx([1, scale])
            assert f"{block}_{index}/relu" in net
    assert list(net["block8_9"].eltwise_param.coeff) == pytest.approx([1, 0.2])
    # The last is added as it is, and stays negative where it is.
    assert not net["block8_10"].eltwise_param.coeff
    assert "block8_10/relu" not in net
