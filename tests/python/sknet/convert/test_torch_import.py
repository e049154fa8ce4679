"""State dicts of torchvision and timm: the converted nets give PyTorch's scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tolerance import Op, assert_close
from torch_networks import random_network, scores, timm, torchvision

import caffe
from sknet.cli import main
from sknet.convert.torch_import import convert, read_state_dict
from sknet.convert.torch_sources import SOURCES, source
from sknet.evaluation import read_definition

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5,) * 3, (0.5,) * 3
DPN = tuple(level / 255 for level in (124, 117, 104)), (1 / (0.0167 * 255),) * 3
# One block in each stage, to be quick.
SHALLOW = {"depths": (1, 1, 1, 1)}


def torchvision_resnext(groups=32, width=4):
    resnet = torchvision.models.resnet
    return resnet.ResNet(
        resnet.Bottleneck, [1, 1, 1, 1], groups=groups, width_per_group=width
    )


def timm_resnet(block="Bottleneck", **block_args):
    resnet = timm.models.resnet
    kinds = {"Bottleneck": resnet.Bottleneck}
    kinds["SelectiveKernel"] = timm.models.sknet.SelectiveKernelBottleneck
    return resnet.ResNet(
        kinds[block],
        (1, 1, 1, 1),
        cardinality=32,
        base_width=4,
        block_args=block_args,
        zero_init_last=False,
    )


def timm_skresnext():
    # The arguments of timm's own skresnext50_32x4d.
    sk = {"rd_ratio": 1 / 16, "rd_divisor": 32, "split_input": False}
    return timm_resnet("SelectiveKernel", sk_kwargs=sk)


def legacy_seresnext():
    senet = timm.models.senet
    return senet.SENet(
        senet.SEResNeXtBottleneck,
        [1, 1, 1, 1],
        groups=32,
        reduction=16,
        inplanes=64,
        downsample_kernel_size=1,
        downsample_padding=0,
    )


def timm_dpn():
    return timm.models.dpn.DPN(
        num_init_features=64,
        k_r=96,
        groups=32,
        k_sec=(1, 2, 1, 1),
        inc_sec=(16, 32, 24, 128),
    )


# (name, network, image size, statistics, reduction of its depth)
CASES = [
    ("resnext50_32x4d", torchvision_resnext, 64, IMAGENET, SHALLOW),
    ("resnext101_32x4d", timm_resnet, 64, IMAGENET, SHALLOW),
    (
        "resnext101_32x8d",
        lambda: torchvision_resnext(width=8),
        64,
        IMAGENET,
        SHALLOW,
    ),
    ("resnext101_64x4d", lambda: torchvision_resnext(64), 64, IMAGENET, SHALLOW),
    ("seresnext50_32x4d", lambda: timm_resnet(attn_layer="se"), 64, IMAGENET, SHALLOW),
    ("legacy_seresnext50_32x4d", legacy_seresnext, 71, IMAGENET, SHALLOW),
    ("skresnext50_32x4d", timm_skresnext, 71, IMAGENET, SHALLOW),
    ("dpn92", timm_dpn, 64, DPN, {"depths": (1, 2, 1, 1)}),
    (
        "inception_v3",
        lambda: torchvision.models.inception_v3(weights=None, init_weights=False),
        75,
        HALF,
        {},
    ),
    ("inception_v3", lambda: timm.create_model("inception_v3"), 107, HALF, {}),
    ("inception_v4", lambda: timm.create_model("inception_v4"), 75, HALF, {}),
    (
        "inception_resnet_v2",
        lambda: timm.create_model("inception_resnet_v2"),
        75,
        HALF,
        {},
    ),
]


def caffe_scores(imported, pixels, tmp_path):
    path = tmp_path / "imported.caffemodel"
    path.write_bytes(imported.weights.SerializeToString())
    net = caffe.Net(imported.definition, caffe.TEST, weights=path)
    mean = np.array(imported.mean, np.float32).reshape(1, 3, 1, 1)
    net.forward(data=pixels[:, ::-1] - mean)
    return net.blobs["classifier"].data


@pytest.mark.parametrize(
    ("name", "make", "size", "statistics", "options"),
    CASES,
    ids=[f"{case[0]}-{case[2]}" for case in CASES],
)
def test_scores_are_those_of_pytorch(
    name, make, size, statistics, options, random, tmp_path
):
    network = random_network(make)
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    imported = convert(state, name, image_size=size, **options)
    pixels = random.integers(0, 256, (1, 3, size, size)).astype(np.float32)
    want = scores(network, pixels, *statistics)
    got = caffe_scores(imported, pixels, tmp_path)
    # The longest sum, 3 x 3 x 512 products, and the errors of some 250 layers.
    assert_close(got, want, Op.REDUCTION, 9 * 512 * 250)
    assert np.ptp(want) > 0.1


@pytest.mark.parametrize("name", SOURCES)
def test_every_network_names_what_its_original_has(name):
    """At full depth: the module names of the real network, each once."""
    with torch.device("meta"):
        network = timm.create_model(name)
    state = {
        key: np.broadcast_to(np.float32(1), value.shape)
        for key, value in network.state_dict().items()
    }
    weights = convert(state, name).weights
    parameters = sum(value.numel() for value in network.parameters())
    statistics = sum(
        value.numel() for key, value in network.state_dict().items() if "running" in key
    )
    fixed = [layer for layer in weights.layer if layer.name.endswith("/inside")]
    stored = sum(
        np.prod(blob.shape.dim)
        for layer in weights.layer
        if layer not in fixed
        for blob in layer.blobs
    )
    assert stored == parameters + statistics
    assert len(fixed) == {"inception_v4": 14, "inception_resnet_v2": 1}.get(name, 0)
    config = network.default_cfg
    assert_close(source(name).mean, config["mean"], Op.ELEMENTWISE)
    assert_close(source(name).std, config["std"], Op.ELEMENTWISE)


@pytest.fixture(scope="module")
def resnext():
    return random_network(torchvision_resnext).state_dict()


def arrays(state):
    return {key: value.numpy() for key, value in state.items()}


def test_files(resnext, tmp_path):
    want = arrays(resnext)
    plain, wrapped, safe = (tmp_path / name for name in ("a.pth", "b.pth", "c.safe"))
    safe = safe.with_suffix(".safetensors")
    torch.save(resnext, plain)
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in resnext.items()}},
        wrapped,
    )
    save_file(resnext, safe)
    for path in (plain, wrapped, safe):
        state = read_state_dict(path)
        assert set(state) == set(want)
        for key, array in want.items():
            np.testing.assert_array_equal(state[key], array)


def test_half_precision(tmp_path):
    halves = {"x": torch.arange(3, dtype=torch.bfloat16)}
    torch.save(halves, tmp_path / "x.pth")
    save_file(halves, tmp_path / "x.safetensors")
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(read_state_dict(path)["x"], [0, 1, 2])


class Harmful:
    def __reduce__(self):
        return (print, ("executed",))


def test_files_that_are_none(tmp_path, capsys):
    path = tmp_path / "x.pth"
    torch.save({"x": Harmful()}, path)
    with pytest.raises(ValueError, match="holds more than tensors"):
        read_state_dict(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="got list, expected a state dict"):
        read_state_dict(path)
    for content in (b"", b"text", b"PK\x03\x04" + bytes(40)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not read as a state dict"):
            read_state_dict(path)
    path = path.with_suffix(".safetensors")
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="not a safetensors file"):
        read_state_dict(path)
    assert "executed" not in capsys.readouterr().out


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: without(s, "layer1.0.conv1.weight"),
            r"'layer1.0.conv1.weight' of resnext50_32x4d is not in the file; the close",
        ),
        (
            lambda s: without(s, "layer1.0.bn1.running_var"),
            r"'layer1.0.bn1.running_var' is not in the file",
        ),
        (
            lambda s: {**s, "layer9.weight": s["fc.weight"]},
            r"'layer9.weight' has no place in resnext50_32x4d",
        ),
        (
            lambda s: {**s, "conv1.bias": s["fc.bias"]},
            r"'conv1.bias' has no place in layer 'conv1/7x7_s2', which has no bias",
        ),
        (
            lambda s: {**s, "conv1.weight": s["conv1.weight"][:32]},
            r"'conv1.weight' has shape \(32, 3, 7, 7\), expected \(64, …, 7, 7\)",
        ),
        (
            lambda s: {**s, "conv1.weight": s["conv1.weight"][:, :1]},
            r"module 'conv1' has arrays of shapes \(64, 1, 7, 7\), but layer 'conv1/7",
        ),
        (
            lambda s: {**s, "bn1.bias": s["bn1.bias"][:5]},
            r"module 'bn1' has arrays of shapes .*another network",
        ),
    ],
)
def test_state_dicts_of_other_networks(change, message, resnext):
    with pytest.raises(ValueError, match=message):
        convert(change(arrays(resnext)), "resnext50_32x4d", **SHALLOW)


def test_unknown_network():
    with pytest.raises(ValueError, match=r"unknown network 'resnext50' \(known: dpn92"):
        convert({}, "resnext50")


def test_classes_and_statistics_of_the_file(resnext, random, tmp_path):
    state = arrays(resnext)
    state["fc.weight"], state["fc.bias"] = state["fc.weight"][:7], state["fc.bias"][:7]
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.4, 0.3)
    imported = convert(
        state, "resnext50_32x4d", image_size=64, mean=mean, std=std, **SHALLOW
    )
    np.testing.assert_allclose(imported.mean, [76.5, 51, 25.5])
    network = torchvision_resnext()
    network.load_state_dict(resnext)
    pixels = random.integers(0, 256, (1, 3, 64, 64)).astype(np.float32)
    want = scores(network.eval(), pixels, mean, std)[:, :7]
    got = caffe_scores(imported, pixels, tmp_path)
    assert_close(got, want, Op.REDUCTION, 9 * 512 * 250)


def test_command(tmp_path, capsys):
    state = tmp_path / "resnext.safetensors"
    full = torchvision.models.resnext50_32x4d(weights=None).state_dict()
    save_file(full, state)
    weights, definition = tmp_path / "resnext.caffemodel", tmp_path / "deploy.prototxt"
    command = ["import", "torch", str(state), "--model", "resnext50_32x4d"]
    command += ["-o", str(weights), "--prototxt", str(definition), "--image-size", "64"]
    assert main([*command, "--mean", "0.5,0.4,0.3"]) == 0
    out = capsys.readouterr().out
    assert "mean to subtract, blue, green, red: 76.5, 102, 127.5" in out
    read = read_definition(str(definition))
    np.testing.assert_array_equal(
        np.float32(read.preprocessing.mean), np.float32((76.5, 102, 127.5))
    )
    assert (read.preprocessing.scale, read.side, read.resize) == (1, 64, 73)
    net = caffe.Net(str(definition), caffe.TEST, weights=str(weights))
    np.testing.assert_array_equal(
        net.params["classifier"][0].data, full["fc.weight"].numpy()
    )
    for options, message in [
        (["--std", "1,0,1"], "--std 1,0,1: expected three numbers"),
        (["--model", "resnet50"], "unknown network 'resnet50' (known: dpn92"),
        (["--image-size", "0"], "--image-size 0: expected above 0"),
    ]:
        assert main([*command, *options]) == 1
        assert message in capsys.readouterr().err
    assert main([command[0], command[1], str(tmp_path / "no.pth"), *command[3:]]) == 1
    assert "no.pth" in capsys.readouterr().err
