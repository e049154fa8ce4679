"""Counts of nets against arithmetic on paper, and memory against the engine's blobs."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from sknet.complexity import CONVENTIONS, Cost, activation_memory, analyse
from sknet.models import create_model, deploy

# A block with a shortcut: `a` is read by two layers, ReLU works in place, and the views
# of `sum` take no memory of their own.
RESIDUAL = """
layer { name: "x" type: "Input" top: "x"
        input_param { shape { dim: [1, 2, 8, 8] } } }
layer { name: "a" type: "Convolution" bottom: "x" top: "a"
        convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "b" type: "Convolution" bottom: "a" top: "b"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "b" bottom: "a" top: "sum" }
layer { name: "flat" type: "Flatten" bottom: "sum" top: "flat" }
layer { name: "y" type: "InnerProduct" bottom: "flat" top: "y"
        inner_product_param { num_output: 3 } }
"""
X, MAP, Y = 2 * 8 * 8, 4 * 8 * 8, 3


def net(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


def test_counts_of_a_small_net():
    total = analyse(net(RESIDUAL)).total
    weights = 2 * 4 + 4 * 4 * 9, MAP * 3
    assert total == Cost(
        learned=sum(weights) + 4 + 3,
        stored=sum(weights) + 4 + 3,
        macs=weights[0] * 64 + weights[1],
        bias_adds=MAP,
        relu_elements=MAP,
    )


def test_memory_of_a_small_net():
    memory = activation_memory(analyse(net(RESIDUAL)))
    data = X + 3 * MAP + Y  # x, a, b, sum, y
    # Of a: the sum, and one for each of its two readers.
    gradients = 3 * MAP + MAP + MAP + Y
    assert memory.inference == 4 * data
    assert memory.training == 4 * (data + gradients)
    assert memory.inference_peak == 4 * 3 * MAP  # a, b and sum


def test_results_are_kept_to_the_end():
    text = RESIDUAL.replace('bottom: "b" bottom: "a"', 'bottom: "b" bottom: "b"')
    with_result = text + (
        'layer { name: "p" type: "Pooling" bottom: "x" top: "p" '
        "pooling_param { global_pooling: true } }"
    )
    # x waits for its last reader behind all others.
    peak = activation_memory(analyse(net(with_result))).inference_peak
    assert peak == activation_memory(analyse(net(text))).inference_peak + 4 * X


def test_inputs_of_old_definitions_take_memory_too():
    old = net(
        'input: "x" input_dim: [1, 2, 8, 8] '
        'layer { name: "p" type: "Pooling" bottom: "x" top: "p" '
        "pooling_param { global_pooling: true } }"
    )
    assert activation_memory(analyse(old)).inference == 4 * (X + 2)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("sknet_digits", {}),
        ("sknet_digits", {"attention": False}),
        ("resnext50_cbam", {"image_size": 32, "depths": (2, 1, 1, 1)}),
        ("dpn92", {"image_size": 32, "depths": (2, 1, 1, 1)}),
    ],
)
def test_memory_is_that_of_the_engines_blobs(model, options, tmp_path):
    definition = deploy(create_model(model, **options), batch_size=2)
    for layer in definition.layer:
        # Zeros, because random numbers take seconds.
        layer.convolution_param.ClearField("weight_filler")
    path = tmp_path / "net.prototxt"
    path.write_text(text_format.MessageToString(definition))
    memory = activation_memory(analyse(definition))

    def kept(net, part, names):
        blobs = [getattr(net.blobs[name], part) for name in names]
        return sum({array.ctypes.data: array.nbytes for array in blobs}.values())

    testing = caffe.Net(str(path), caffe.TEST)
    testing.forward()
    assert kept(testing, "data", testing.blobs) == memory.inference

    training = caffe.Net(str(path), caffe.TRAIN)
    training.forward()
    training.backward()
    learned = [name for name in training.blobs if not name.startswith("data")]
    gradients = kept(training, "diff", learned)
    assert gradients == memory.training - memory.inference


def test_conventions_add_what_they_say():
    cost = Cost(
        macs=1,
        bias_adds=10,
        bn_elements=100,
        relu_elements=1000,
        select_elements=10_000,
        pool_inputs=100_000,
    )
    assert {name: count(cost) for name, count in CONVENTIONS.items()} == {
        "macs": 1,
        "macs+bn": 101,
        "macs+2bn": 201,
        "macs+select": 10_001,
        "all": 1 + 10 + 200 + 1000 + 100_000,
    }


def test_shared_parameters_count_once():
    shared = (
        'param { name: "w" } inner_product_param { num_output: 5 bias_term: false }'
    )
    text = "".join(
        f'layer {{ name: "{top}" type: "InnerProduct" bottom: "x" top: "{top}"'
        f"        {shared} }}"
        for top in "ab"
    )
    first = (
        'layer { name: "x" type: "Input" top: "x" '
        "input_param { shape { dim: [1, 7] } } }"
    )
    total = analyse(net(first + text)).total
    assert (total.learned, total.macs) == (35, 70)


def test_the_first_format_is_refused():
    old = net('name: "old" layers { name: "x" type: DATA top: "x" }')
    with pytest.raises(ValueError, match="net 'old': has `layers` of Caffe's first"):
        analyse(old)
