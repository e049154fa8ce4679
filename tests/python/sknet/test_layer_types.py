"""Every layer type of the engine has its rules in Python, or a sentence about that.

A new layer is missing from the table below until it has them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

import lmdb
import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.complexity import analyse
from sknet.convert.export.definition import _JUDGES
from sknet.convert.export.operators import RULES

MAP = (2, 6, 5, 7)  # images, channels, height, width
LABELS = (2,)
# By type: shapes of the bottoms, number of tops, and parameters.
CASES = [
    ("AbsVal", [MAP], 1, ""),
    ("Accuracy", [(2, 6), LABELS], 2, "accuracy_param { top_k: 2 }"),
    ("ArgMax", [MAP], 1, "argmax_param { top_k: 3 out_max_val: true }"),
    ("ArgMax", [(2, 6)], 1, ""),
    ("ArgMax", [MAP], 1, "argmax_param { top_k: 3 axis: -2 }"),
    ("Axpy", [(2, 6, 1, 1), MAP, MAP], 1, ""),
    ("BNLL", [MAP], 1, ""),
    ("BatchNorm", [MAP], 1, ""),
    ("BatchReindex", [MAP, (5,)], 1, ""),
    ("Bias", [MAP], 1, "bias_param { axis: 1 num_axes: 2 }"),
    ("Clip", [MAP], 1, "clip_param { min: -1 max: 1 }"),
    ("Concat", [MAP, (2, 3, 5, 7)], 1, ""),
    ("ContrastiveLoss", [(2, 6), (2, 6), LABELS], 1, ""),
    ("Convolution", [MAP], 1, "convolution_param { num_output: 4 kernel_size: 3 }"),
    ("Crop", [MAP, (1, 1, 3, 4)], 1, "crop_param { offset: 1 }"),
    ("Crop", [MAP, (1, 4, 3, 4)], 1, "crop_param { axis: 1 }"),
    ("CuDNNBatchNorm", [MAP], 1, ""),
    (
        "Data",
        [],
        2,
        'data_param { source: "{folder}/lmdb" backend: LMDB batch_size: 3 } '
        "transform_param { crop_size: 4 }",
    ),
    ("Deconvolution", [MAP], 1, "convolution_param { num_output: 4 kernel_size: 3 }"),
    ("Dropout", [MAP], 1, ""),
    ("DummyData", [], 2, "dummy_data_param { shape { dim: 2 dim: 3 } }"),
    ("DummyData", [], 2, "dummy_data_param { shape { dim: 2 } shape { dim: 4 } }"),
    (
        "DummyData",
        [],
        2,
        "dummy_data_param { num: 2 channels: 3 channels: 1 height: 4 width: 5 }",
    ),
    ("ELU", [MAP], 1, ""),
    ("Eltwise", [MAP, MAP], 1, ""),
    ("Embed", [(3, 4)], 1, "embed_param { input_dim: 7 num_output: 5 }"),
    ("Embed", [(3,)], 1, "embed_param { input_dim: 7 num_output: 5 bias_term: false }"),
    ("EuclideanLoss", [MAP, MAP], 1, ""),
    ("Exp", [MAP], 1, ""),
    ("Filter", [MAP, (2, 3), (2,)], 2, ""),
    ("Flatten", [MAP], 1, ""),
    (
        "HDF5Output",
        [MAP, LABELS],
        0,
        'hdf5_output_param { file_name: "{folder}/out.h5" }',
    ),
    ("HingeLoss", [(2, 6), LABELS], 1, ""),
    ("Im2col", [MAP], 1, "convolution_param { kernel_size: 3 stride: 2 pad: 1 }"),
    (
        "ImageData",
        [],
        2,
        'image_data_param { source: "{folder}/list.txt" batch_size: 3 new_height: 5 '
        "new_width: 6 is_color: false }",
    ),
    (
        "ImageData",
        [],
        2,
        'image_data_param { source: "{folder}/list.txt" batch_size: 2 } '
        "transform_param { crop_size: 4 }",
    ),
    ("InfogainLoss", [(2, 6), LABELS, (6, 6)], 2, ""),
    ("InnerProduct", [MAP], 1, "inner_product_param { num_output: 4 }"),
    ("Input", [], 1, "input_param { shape { dim: 2 dim: 3 } }"),
    ("Interp", [MAP], 1, "interp_param { zoom_factor: 2 }"),
    ("LRN", [MAP], 1, ""),
    ("LSTM", [(4, 2, 3, 5), (4, 2)], 1, "recurrent_param { num_output: 6 }"),
    (
        "LSTM",
        [(4, 2, 3), (4, 2), (2, 7), (1, 2, 6), (1, 2, 6)],
        3,
        "recurrent_param { num_output: 6 expose_hidden: true }",
    ),
    ("LSTMUnit", [(1, 2, 3), (1, 2, 12), (1, 2)], 2, ""),
    ("Log", [MAP], 1, ""),
    ("MVN", [MAP], 1, ""),
    (
        "MemoryData",
        [],
        2,
        "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }",
    ),
    ("PReLU", [MAP], 1, ""),
    ("MultinomialLogisticLoss", [(2, 6), LABELS], 1, ""),
    ("Parameter", [], 1, "parameter_param { shape { dim: 2 dim: 3 } }"),
    ("Pooling", [MAP], 2, "pooling_param { kernel_size: 3 stride: 2 }"),
    ("Power", [MAP], 1, ""),
    (
        "RNN",
        [(4, 2, 3), (4, 2), (2, 7)],
        1,
        "recurrent_param { num_output: 6 }",
    ),
    (
        "RNN",
        [(4, 2, 3), (4, 2), (1, 2, 6)],
        2,
        "recurrent_param { num_output: 6 expose_hidden: true }",
    ),
    ("ReLU", [MAP], 1, ""),
    ("Reduction", [MAP], 1, ""),
    ("Reduction", [MAP], 1, "reduction_param { axis: -2 operation: MEAN }"),
    ("Reshape", [MAP], 1, "reshape_param { shape { dim: 0 dim: -1 } }"),
    ("SPP", [MAP], 1, "spp_param { pyramid_height: 2 }"),
    ("SPP", [MAP], 1, "spp_param { pyramid_height: 1 }"),
    ("Scale", [MAP], 1, "scale_param { bias_term: true }"),
    ("Sigmoid", [MAP], 1, ""),
    ("SigmoidCrossEntropyLoss", [MAP, MAP], 1, ""),
    ("Silence", [MAP], 0, ""),
    ("Slice", [MAP], 3, ""),
    ("Softmax", [MAP], 1, ""),
    ("SoftmaxWithLoss", [(2, 6), LABELS], 2, ""),
    ("Split", [MAP], 2, ""),
    ("Swish", [MAP], 1, ""),
    ("TanH", [MAP], 1, ""),
    ("Threshold", [MAP], 1, ""),
    ("Tile", [MAP], 1, "tile_param { tiles: 3 }"),
    (
        "WindowData",
        [],
        2,
        'window_data_param { source: "{folder}/windows.txt" batch_size: 2 '
        "fg_fraction: 1 } transform_param { crop_size: 4 }",
    ),
]
# Its shapes and operations are in its code.
WITHOUT_RULES = {"Python"}
# Its shapes are in its files.
ASKED_FOR = {"HDF5Data"}
SOURCES = {
    "Data",
    "DummyData",
    "HDF5Data",
    "ImageData",
    "Input",
    "MemoryData",
    "WindowData",
}


def engines_types():
    """Of a process of its own, as other tests load plugins into this one."""
    script = "import caffe, json; print(json.dumps(caffe.layer_type_list()))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An LMDB and a list of two images."""
    root = tmp_path_factory.mktemp("types")
    image = np.zeros((3, 8, 9), np.uint8)
    with (
        lmdb.open(str(root / "lmdb")) as database,
        database.begin(write=True) as writer,
    ):
        writer.put(b"0", caffe.io.array_to_datum(image, 1).SerializeToString())
    Image.new("RGB", (9, 8)).save(root / "x.png")
    (root / "list.txt").write_text(f"{root}/x.png 0\n")
    (root / "windows.txt").write_text(f"# 0\n{root}/x.png\n3\n8\n9\n1\n1 1 0 0 4 4\n")
    return root


def test_every_type_is_in_the_table():
    types = engines_types()
    assert {kind for kind, *_ in CASES} == types - WITHOUT_RULES - ASKED_FOR
    assert types >= WITHOUT_RULES | ASKED_FOR


@pytest.mark.parametrize("engine", [False, True])
@pytest.mark.parametrize(("kind", "bottoms", "tops", "parameters"), CASES)
def test_complexity_has_the_engines_shapes_and_parameters(
    folder, kind, bottoms, tops, parameters, engine
):
    net = caffe_pb2.NetParameter(name="n")
    for number, shape in enumerate(bottoms):
        layer = net.layer.add(name=f"in{number}", type="Input", top=[f"b{number}"])
        layer.input_param.shape.add(dim=shape)
    layer = net.layer.add(name="l", type=kind, top=[f"t{i}" for i in range(tops)])
    text_format.Merge(parameters.replace("{folder}", str(folder)), layer)
    layer.bottom.extend(f"b{i}" for i in range(len(bottoms)))
    built = caffe.Net(net, caffe.TEST)
    entry = analyse(net, engine=engine).layers[-1]
    assert entry.shapes == [tuple(built.blobs[top].shape) for top in layer.top]
    stored = sum(blob.count for blob in built.params.get("l", ()))
    assert entry.cost.stored == stored


ENGINES = [
    case
    for case in CASES
    if case[0]
    in (
        "Convolution",
        "Deconvolution",
        "LRN",
        "Pooling",
        "ReLU",
        "SPP",
        "Sigmoid",
        "Softmax",
        "TanH",
    )
]


@pytest.mark.parametrize(("kind", "bottoms", "tops", "parameters"), ENGINES)
def test_engines_of_caffe_are_accepted_and_agree(kind, bottoms, tops, parameters):
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    name = {"Deconvolution": "convolution"}.get(kind, kind.lower()) + "_param"
    assert "engine" in fields[name].message_type.fields_by_name
    results = {}
    for engine in ("DEFAULT", "CAFFE", "CUDNN"):
        net = caffe_pb2.NetParameter(name="n")
        layer = net.layer.add(name="in", type="Input", top=["b"])
        layer.input_param.shape.add(dim=bottoms[0])
        layer = net.layer.add(name="l", type=kind, bottom=["b"])
        layer.top.extend(f"t{i}" for i in range(tops))
        text_format.Merge(f"{parameters} {name} {{ engine: {engine} }}", layer)
        built = caffe.Net(net, caffe.TEST)
        random = np.random.default_rng(3)
        built.blobs["b"].data[...] = random.normal(0, 1, bottoms[0])
        for blob in built.params.get("l", ()):
            blob.data[...] = random.normal(0, 1, blob.shape)
        built.forward()
        results[engine] = built.blobs["t0"].data.copy()
    for engine in ("CAFFE", "CUDNN"):
        assert_close(results[engine], results["DEFAULT"], Op.REDUCTION, 54)


def test_the_export_has_a_rule_for_every_type():
    """Sources become inputs, what judges results is left out."""
    assert engines_types() <= {*RULES, *_JUDGES, *SOURCES, *WITHOUT_RULES}


def net_with(kind, parameters=""):
    return (
        'layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 1 dim: 3 } } }\n"
        f'layer {{ name: "mine" type: "{kind}" bottom: "data" top: "mine" '
        f"{parameters} }}\n"
    )


def test_shapes_of_hdf5_files_are_asked_for():
    text = 'layer { name: "data" type: "HDF5Data" top: "data" }'
    net = text_format.Parse(text, caffe_pb2.NetParameter())
    with pytest.raises(ValueError, match="in the files; give shapes of the tops"):
        analyse(net)
    assert analyse(net, {"data": (2, 3)}).layers[0].shapes == [(2, 3)]


@pytest.mark.parametrize("kind", ["Python", "LayerOfAPlugin"])
def test_types_without_a_rule_are_told_in_a_sentence(kind):
    net = text_format.Parse(net_with(kind), caffe_pb2.NetParameter())
    with pytest.raises(ValueError, match="no rule for the shapes of this") as raised:
        analyse(net)
    assert str(raised.value).startswith(f"layer 'mine' ({kind}): ")


def test_types_that_the_engine_has_not_are_told_in_its_sentence(tmp_path, capsys):
    path = tmp_path / "net.prototxt"
    path.write_text(net_with("LayerOfAPlugin"))
    assert main(["complexity", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    who = "sknet complexity: layer 'mine' (LayerOfAPlugin): "
    assert error.startswith(f"{who}unknown layer type 'LayerOfAPlugin'")


class Doubled(caffe.Layer):
    """Twice as many of each row."""

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].shape[0], 2 * bottom[0].shape[1])


def test_layers_in_python_have_the_shapes_that_they_tell_the_engine(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "doubled", sys.modules[__name__])
    path = tmp_path / "net.prototxt"
    mine = 'python_param { module: "doubled" layer: "Doubled" }'
    path.write_text(net_with("Python", mine))
    assert main(["complexity", str(path), "--by-layer"]) == 0
    assert re.search(r"^mine +Python +1x6$", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", []),
        ("# nothing but a comment\n", []),
        ('name: "n"', []),
        (
            'layer { name: "d" type: "Input" top: "d" include { phase: TRAIN } '
            "input_param { shape { dim: 1 } } }",
            ["--phase", "TEST"],
        ),
    ],
)
def test_nothing_to_count_is_an_error(tmp_path, capsys, text, options):
    path = tmp_path / "empty.prototxt"
    path.write_text(text)
    assert main(["complexity", str(path), *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    name = "n" if 'name: "n"' in text else "empty"
    assert f"net '{name}': no layers in phase TEST, expected at least" in captured.err
