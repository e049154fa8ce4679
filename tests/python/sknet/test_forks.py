"""Files of other Caffes: loaded where the meaning is exact, else explained."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.complexity import analyse
from sknet.evaluation.network import load_network, read_definition
from sknet.shapes import infer

INPUT = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 '
    "dim: 4 dim: 6 dim: 5 } } }\n"
)
DEPTHWISE = ["ConvolutionDepthwise", "DepthwiseConvolution"]
CHANNELS = 4


@pytest.fixture
def log(capfd):
    """The lines that were logged, those that have a text."""
    caffe.init_log(0)

    def lines(text):
        return [line for line in capfd.readouterr().err.split("\n") if text in line]

    return lines


@pytest.fixture
def data(random):
    return random.normal(size=(2, CHANNELS, 6, 5)).astype(np.float32)


# Depthwise convolutions.


def depthwise(kind, settings="num_output: 4"):
    return (
        f'{INPUT}layer {{ name: "gather" type: "{kind}" bottom: "data" top: "gather" '
        f"convolution_param {{ {settings} kernel_size: 3 bias_term: false "
        'weight_filler { type: "msra" } } }'
    )


@pytest.mark.parametrize("kind", DEPTHWISE)
def test_depthwise_weights_load_by_name(kind, write_proto, tmp_path, random, data):
    filters = random.normal(size=(CHANNELS, 1, 3, 3)).astype(np.float32)
    layer = caffe_pb2.LayerParameter(name="gather", type=kind)
    layer.blobs.add(data=filters.ravel()).shape.dim.extend(filters.shape)
    path = tmp_path / "x.caffemodel"
    path.write_bytes(caffe_pb2.NetParameter(layer=[layer]).SerializeToString())
    windows = np.lib.stride_tricks.sliding_window_view(
        data.astype(np.float64), (3, 3), axis=(2, 3)
    )
    want = np.einsum("nchwij,cij->nchw", windows, filters[:, 0].astype(np.float64))
    for settings in ("num_output: 4 group: 4", "num_output: 4", ""):
        for optimize in (False, True):
            net = caffe.Net(
                str(write_proto(depthwise(kind, settings))),
                caffe.TEST,
                weights=str(path),
                optimize=optimize,
            )
            assert_close(net.forward(data=data)["gather"], want, Op.REDUCTION, 9)
    net.save(tmp_path / "saved.caffemodel")
    saved = caffe.read_net(tmp_path / "saved.caffemodel").layer[1]
    assert (saved.type, saved.convolution_param.group) == ("Convolution", CHANNELS)


@pytest.mark.parametrize("kind", DEPTHWISE)
@pytest.mark.parametrize("settings", ["", "num_output: 4", "group: 4 num_output: 4"])
def test_depthwise_counts_are_those_of_a_convolution(kind, settings, write_proto):
    plain = caffe.read_net(
        write_proto(depthwise("Convolution", "num_output: 4 group: 4"))
    )
    net = caffe.read_net(write_proto(depthwise(kind, settings)))
    assert net.layer[1].type == kind
    assert analyse(net).total == analyse(plain).total
    assert analyse(net).layers[1].shapes == [(2, 4, 4, 3)]


@pytest.mark.parametrize("kind", DEPTHWISE)
def test_depthwise_with_other_groups_is_refused(kind, write_proto):
    path = write_proto(depthwise(kind, "num_output: 4 group: 2"))
    sentence = "group is 2, expected 4, the channels of bottom.0., or nothing"
    with pytest.raises(ValueError, match=f"'gather' .*{sentence}"):
        caffe.Net(str(path), caffe.TEST)
    with pytest.raises(ValueError, match=f"'gather' .*{sentence}"):
        analyse(caffe.read_net(path))


@pytest.mark.parametrize("kind", DEPTHWISE)
def test_depthwise_can_be_written_in_python(kind):
    net = caffe.NetSpec()
    net.data = caffe.layers.Input(shape={"dim": [1, 4, 5, 5]})
    net.conv = getattr(caffe.layers, kind)(net.data, kernel_size=3, pad=1)
    assert caffe.Net(net.to_proto(), caffe.TEST).blobs["conv"].shape[:] == (1, 4, 5, 5)
    assert kind not in caffe.layer_type_list()


# Pooling.


@pytest.mark.parametrize(
    ("settings", "side"),
    [
        ("", 2),
        ("ceil_mode: true", 2),
        ("ceil_mode: false", 1),
        ("round_mode: FLOOR", 1),
        ("ceil_mode: false round_mode: FLOOR", 1),
        ("ceil_mode: true round_mode: CEIL", 2),
    ],
)
@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_ceil_mode(settings, side, pool, write_proto, tmp_path):
    """(4 - 3) / 2 + 1, rounded: in the engine, in Python, and in ONNX Runtime."""
    path = write_proto(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 '
        'dim: 1 dim: 4 dim: 4 } } } layer { name: "p" type: "Pooling" bottom: "data" '
        f'top: "p" pooling_param {{ pool: {pool} kernel_size: 3 stride: 2 {settings} '
        "} }"
    )
    net = caffe.Net(str(path), caffe.TEST)
    image = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    got = net.forward(data=image)["p"]
    reduce = np.max if pool == "MAX" else np.mean
    # The last window is cut at the edge.
    want = [
        [reduce(image[0, 0, y : y + 3, x : x + 3]) for x in range(0, 2 * side, 2)]
        for y in range(0, 2 * side, 2)
    ]
    assert_close(got[0, 0], np.array(want), Op.ELEMENTWISE)
    assert analyse(caffe.read_net(path)).layers[1].shapes == [(1, 1, side, side)]
    # A definition that no reader has upgraded.
    layer = caffe_pb2.LayerParameter(name="p", type="Pooling", top=["p"])
    layer.pooling_param.kernel_size, layer.pooling_param.stride = 3, 2
    if "ceil_mode" in settings:
        layer.pooling_param.ceil_mode = "ceil_mode: true" in settings
        assert infer(layer, [(1, 1, 4, 4)]) == [(1, 1, side, side)]
    net.save(tmp_path / "w.caffemodel")
    onnx = tmp_path / "net.onnx"
    weights = tmp_path / "w.caffemodel"
    assert (
        main(["export", "onnx", str(path), "--weights", str(weights), "-o", str(onnx)])
        == 0
    )


# Batch norms.

BN = 'layer {{ name: "bn1" type: "BatchNorm" bottom: "data" top: "bn1" {} }}\n'


@pytest.fixture
def parts(random):
    """mean, variance, scale, bias."""
    return [
        random.normal(size=CHANNELS),
        random.uniform(0.5, 2, CHANNELS),
        random.normal(size=CHANNELS),
        random.normal(size=CHANNELS),
    ]


def stored(path, *blobs, kind="BatchNorm", raw=None):
    layer = caffe_pb2.LayerParameter(name="bn1", type=kind)
    for values in blobs:
        blob = layer.blobs.add()
        blob.shape.dim.append(len(values))
        if raw is None:
            blob.data.extend(values)
        else:
            blob.raw_data = np.asarray(values, raw).tobytes()
            blob.raw_data_type = {2: blob.FLOAT16, 4: blob.FLOAT, 8: blob.DOUBLE}[
                np.dtype(raw).itemsize
            ]
    path.write_bytes(caffe_pb2.NetParameter(layer=[layer]).SerializeToString())
    return str(path)


def normalised(data, mean, variance, scale, bias, eps=1e-5):
    def wide(values):
        return np.asarray(values, np.float64).reshape(1, -1, 1, 1)

    return (data - wide(mean)) / np.sqrt(wide(variance) + eps) * wide(scale) + wide(
        bias
    )


@pytest.mark.parametrize(
    "settings",
    [
        "scale_bias: true",
        "scale_bias: true engine: CUDNN use_global_stats: false",
        "scale_filler { value: 1 }",
        "bias_filler { value: 0 }",
        "use_weight_bias: true bias_term: true engine: MKLDNN",
        "scale_bias: true eps: 1e-8",
    ],
)
@pytest.mark.parametrize("optimize", [False, True])
def test_batch_norms_of_nvidia_and_intel_load(
    settings, optimize, write_proto, tmp_path, parts, data
):
    mean, variance, scale, bias = parts
    weights = stored(tmp_path / "w.caffemodel", mean, variance, [1.0], scale, bias)
    path = write_proto(INPUT + BN.format(f"batch_norm_param {{ {settings} }}"))
    net = caffe.Net(str(path), caffe.TEST, weights=weights, optimize=optimize)
    assert_close(
        net.forward(data=data)["bn1"], normalised(data, *parts), Op.REDUCTION, 9
    )


def test_intel_keeps_its_eps(write_proto, tmp_path, parts, data):
    parts[1] = np.full(CHANNELS, 1e-4)
    mean, variance, scale, bias = parts
    weights = stored(tmp_path / "w.caffemodel", mean, variance, [1.0], scale, bias)
    path = write_proto(
        INPUT + BN.format("batch_norm_param { use_weight_bias: true eps: 1e-6 }")
    )
    net = caffe.Net(str(path), caffe.TEST, weights=weights)
    want = normalised(data, *parts, eps=1e-6)
    assert_close(net.forward(data=data)["bn1"], want, Op.REDUCTION, 9)


@pytest.mark.parametrize("raw", [np.float64, np.float32, np.float16])
def test_nvidia_stores_raw_values(raw, write_proto, tmp_path, parts, data):
    parts = [part.astype(raw) for part in parts]
    mean, variance, scale, bias = parts
    weights = stored(
        tmp_path / "w.caffemodel", mean, variance, [1], scale, bias, raw=raw
    )
    path = write_proto(INPUT + BN.format("batch_norm_param { scale_bias: true }"))
    net = caffe.Net(str(path), caffe.TEST, weights=weights)
    assert_close(
        net.forward(data=data)["bn1"], normalised(data, *parts), Op.REDUCTION, 9
    )


def test_what_was_split_is_saved_and_loads_again(write_proto, tmp_path, parts, data):
    mean, variance, scale, bias = parts
    weights = stored(tmp_path / "w.caffemodel", mean, variance, [1.0], scale, bias)
    path = str(write_proto(INPUT + BN.format("batch_norm_param { scale_bias: true }")))
    net = caffe.Net(path, caffe.TEST, weights=weights)
    want = net.forward(data=data)["bn1"].copy()
    for save, file in ((net.save, "a.caffemodel"), (net.save_hdf5, "a.h5")):
        save(tmp_path / file)
        again = caffe.Net(path, caffe.TEST, weights=tmp_path / file)
        assert_close(again.forward(data=data)["bn1"], want, Op.COPY)
    assert list(net.params) == ["bn1", "bn1/scale"]


def test_it_is_said_once(write_proto, log):
    text = INPUT + BN.format("batch_norm_param { scale_bias: true }")
    text += text.split("\n")[1].replace("bn1", "bn2").replace('"data"', '"bn1"')
    caffe.Net(str(write_proto(text)), caffe.TEST)
    lines = log("becomes a")
    assert len(lines) == 1
    assert "layer 'bn1' (BatchNorm) and 1 more: a batch norm with scale" in lines[0]


def test_training_learns_scale_and_bias_only(write_proto, tmp_path, random):
    path = write_proto(
        INPUT
        + BN.format(
            "param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } "
            "param { lr_mult: 1 } param { lr_mult: 2 } "
            "batch_norm_param { scale_bias: true }"
        )
        + 'layer { name: "target" type: "Input" top: "target" input_param { shape { '
        'dim: 2 dim: 4 dim: 6 dim: 5 } } } layer { name: "loss" '
        'type: "EuclideanLoss" bottom: "bn1" bottom: "target" top: "loss" }'
    )
    net = caffe.Net(str(path), caffe.TRAIN)
    for name in ("data", "target"):
        net.blobs[name].data[...] = random.normal(size=net.blobs[name].shape)
    net.forward()
    net.backward()
    x = net.blobs["data"].data.astype(np.float64)
    x = (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(
        x.var((0, 2, 3), keepdims=True) + 1e-5
    )
    slope = (x - net.blobs["target"].data) / 2
    scale, bias = net.params["bn1/scale"]
    assert_close(scale.diff, (slope * x).sum((0, 2, 3)), Op.REDUCTION, 120)
    assert_close(bias.diff, slope.sum((0, 2, 3)), Op.REDUCTION, 120)


@pytest.mark.parametrize(
    ("definition", "kind", "sizes", "form"),
    [
        ("BatchNorm", "BatchNorm", (4, 4, 1, 4, 4), "bvlc"),
        ("BatchNorm", "BatchNorm", (4, 4), "bvlc"),
        ("BatchNorm", "BatchNorm", (4, 4, 4, 4), "bvlc"),
        ("BatchNorm", "CuDNNBatchNorm", (4, 4, 4, 4), "bvlc"),
        ("CuDNNBatchNorm", "BatchNorm", (4, 4, 1), "sknet"),
        ("CuDNNBatchNorm", "BatchNorm", (4, 4, 1, 4, 4), "sknet"),
    ],
)
def test_another_form_names_the_command_that_converts(
    definition, kind, sizes, form, write_proto, tmp_path, data
):
    """And the command does it, as printed."""
    weights = stored(
        tmp_path / "w.caffemodel", *([1.0] * size for size in sizes), kind=kind
    )
    path = write_proto(INPUT + BN.format("").replace('"BatchNorm"', f'"{definition}"'))
    with pytest.raises(ValueError, match=r"layer 'bn1' .* has a") as caught:
        caffe.Net(str(path), caffe.TEST, weights=weights)
    sentence = str(caught.value)
    assert ("scale_bias: true" in sentence) == (
        kind == "BatchNorm" == definition and len(sizes) > 3
    )
    words = sentence[sentence.index("`sknet convert-bn") :].strip("`").split()
    assert words[words.index("--to") + 1] == form
    renamed = {"NET.prototxt": str(path), f"NET_{form}.prototxt": f"{path}.{form}"}
    # The weights' own Caffe has their type in the definition.
    path.write_text(INPUT + BN.format("").replace('"BatchNorm"', f'"{kind}"'))
    assert main([renamed.get(word, word) for word in words[1:]]) == 0
    converted = caffe.Net(f"{path}.{form}", caffe.TEST, weights=words[3])
    assert np.isfinite(converted.forward(data=data)["bn1"]).all()


def test_counts_include_scale_and_bias(write_proto):
    def cost(settings):
        net = caffe.read_net(
            write_proto(INPUT + BN.format(f"batch_norm_param {{ {settings} }}"))
        )
        return analyse(net).layers[1].cost

    plain = cost("")
    assert (plain.learned, plain.stored) == (0, 9)
    for settings in ("scale_bias: true", "use_weight_bias: true", "bias_filler { }"):
        assert (cost(settings).learned, cost(settings).stored) == (8, 17)
    assert cost("use_weight_bias: true bias_term: false").learned == 4


def test_evaluation_fills_split_batch_norms(write_proto, tmp_path, parts):
    mean, variance, scale, bias = parts
    path = write_proto(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 '
        "dim: 3 dim: 8 dim: 8 } } }\n"
        + BN.format("batch_norm_param { scale_bias: true }").replace('"data"', '"c"')
        + 'layer { name: "pool" type: "Pooling" bottom: "bn1" top: "pool" '
        "pooling_param { pool: AVE global_pooling: true } }"
    )
    text = path.read_text()
    conv = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 4 kernel_size: 1 } }\n"
    )
    path.write_text(text.replace("}\nlayer", "}\n" + conv + "layer", 1))
    stored(tmp_path / "w.caffemodel", mean, variance, [1.0], scale, bias)
    model = caffe.read_net(tmp_path / "w.caffemodel")
    layer = model.layer.add(name="c", type="Convolution")
    for shape in ((4, 3, 1, 1), (4,)):
        blob = layer.blobs.add(data=[0.5] * int(np.prod(shape)))
        blob.shape.dim.extend(shape)
    (tmp_path / "w.caffemodel").write_bytes(model.SerializeToString())
    network = load_network(
        read_definition(str(path)), tmp_path / "w.caffemodel", 8, 2, strict=True
    )
    assert network.weights.without_weights == network.weights.without_layer == []


# Types and fields.


@pytest.mark.parametrize(
    ("layer", "parts"),
    [
        ('type: "Permute"', ["type 'Permute' is a layer of SSD's Caffe"]),
        (
            'type: "Permute" permute_param { order: 0 }',
            ["'permute_param'", "SSD's Caffe"],
        ),
        ('type: "Normalize" norm_param { eps: 1 }', ["'norm_param'", "SSD's Caffe"]),
        ('type: "BN" bn_param { eps: 1 }', ["'bn_param'", "SegNet's Caffe"]),
        (
            'type: "ROIPooling" roi_pooling_param { pooled_w: 6 }',
            ["Fast R-CNN's Caffe"],
        ),
        ('type: "ReLU6"', ["'ReLU6' is a layer of"]),
        ('type: "BatchNorm" batch_norm_param { relu: true }', ["write a ReLU layer"]),
    ],
)
def test_what_is_not_here_is_called_by_what_it_is(layer, parts, write_proto):
    path = write_proto(f'{INPUT}layer {{ name: "x" bottom: "data" top: "y" {layer} }}')
    with pytest.raises(ValueError, match="layer 'x'") as caught:
        caffe.Net(str(path), caffe.TEST)
    for part in parts:
        assert part in str(caught.value)
    assert "closest" not in str(caught.value)


def test_ignored_settings_are_said_once(write_proto, log):
    layer = (
        'layer {{ name: "{}" type: "ReLU" forward_type: FLOAT16 bottom: "data" '
        'top: "{}" }}'
    )
    path = write_proto(
        "eltwise_mem_sharing: true\n"
        + INPUT
        + "".join(layer.format(name, name) for name in "abc")
    )
    net = caffe.Net(str(path), caffe.TEST)
    assert list(net.blobs)[-3:] == ["a", "b", "c"]
    lines = log("are ignored")
    assert len(lines) == 1
    assert lines[0].endswith("are ignored: eltwise_mem_sharing forward_type")


def test_solvers_of_nvidia(tmp_path, write_proto):
    net = write_proto(INPUT)
    path = tmp_path / "solver.prototxt"
    common = f'net: "{net}" base_lr: 0.1 lr_policy: "fixed" '
    path.write_text(common + 'larc: false larc_policy: "clip" momentum_policy: "fixed"')
    assert caffe.get_solver(path).param.base_lr == np.float32(0.1)
    path.write_text(common + "larc: true")
    with pytest.raises(ValueError, match="'larc: true' is a setting of NVIDIA's Caffe"):
        caffe.get_solver(path)
