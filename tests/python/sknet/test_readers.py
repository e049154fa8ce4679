"""One reader of prototxts: all that read one take and refuse the same texts."""

from __future__ import annotations

import numpy as np
import pytest

import caffe
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.evaluation.network import read_prototxt

DATA = (
    b'layer { name: "data" type: "Input" top: "data"'
    b" input_param { shape { dim: 1 dim: 4 dim: 6 dim: 6 } } }\n"
)
NORM = b'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }\n'
LAST = b'layer { name: "r" type: "ReLU" bottom: "bn" top: "r" }\n'
NET = DATA + NORM + LAST


def pooled(settings: bytes) -> bytes:
    return NET + (
        b'layer { name: "p" type: "Pooling" bottom: "r" top: "p" pooling_param { '
        b"kernel_size: 3 stride: 2 " + settings + b" } }"
    )


V1 = (
    b'input: "data" input_dim: 1 input_dim: 4 input_dim: 6 input_dim: 6\n'
    b'layers { name: "bn" type: RELU bottom: "data" top: "bn" }\n'
    b'layers { name: "p" type: POOLING bottom: "bn" top: "p"'
    b" pooling_param { kernel_size: 3 stride: 2 } }"
)
V0 = (
    b'input: "data" input_dim: 1 input_dim: 4 input_dim: 6 input_dim: 6\n'
    b'layers { layer { name: "bn" type: "relu" } bottom: "data" top: "bn" }\n'
    b'layers { layer { name: "p" type: "pool" kernelsize: 3 stride: 2 }'
    b' bottom: "bn" top: "p" }'
)

ACCEPTED = {
    "plain": NET,
    "byte-order mark": b"\xef\xbb\xbf" + NET,
    "Windows lines": NET.replace(b"\n", b"\r\n"),
    "comment in Latin-1": b"# caf\xe9\n" + NET,
    "comment in GBK": NET + b"# \xcd\xf8\xc2\xe7",
    "comment with braces": b"# } layer {\n" + NET,
    "name in UTF-8": NET.replace(b'"r"', '"é 网"'.encode()),
    "space behind minus": NET.replace(
        b'"ReLU"', b'"ReLU" relu_param { negative_slope: - 1 }'
    ),
    "hexadecimal": NET.replace(b"dim: 6", b"dim: 0x6"),
    "octal": NET.replace(b"dim: 6", b"dim: 06"),
    "float with f": NET.replace(
        b'"ReLU"', b'"ReLU" relu_param { negative_slope: .5f }'
    ),
    "angle brackets": NET.replace(b"layer {", b"layer <").replace(b" }\n", b" >\n"),
    "colon before braces": NET.replace(b"layer {", b"layer: {"),
    "list of layers": b"layer ["
    + b"".join([part.removeprefix(b"layer") + b"," for part in (DATA, NORM)])
    + LAST.removeprefix(b"layer")
    + b"]",
    "list of numbers": NET.replace(
        b"dim: 1 dim: 4 dim: 6 dim: 6", b"dim: [1, 4, 6, 6]"
    ),
    "separators": NET.replace(b"}\n", b"};\n", 1).replace(
        b' top: "bn"', b', top: "bn"'
    ),
    "single quotes": NET.replace(b'"', b"'"),
    "strings in parts": NET.replace(b'"ReLU"', b"\"Re\" 'LU'"),
    "number for a name": pooled(b"pool: 1"),
    "ceil_mode": pooled(b"ceil_mode: false"),
    "settings of forks": b"default_forward_type: FLOAT16\n"
    + NET.replace(b'"BatchNorm"', b'"BatchNorm" batch_norm_param { engine: MKLDNN }'),
    "NVIDIA's batch norm": NET.replace(
        b'"BatchNorm"', b'"BatchNorm" batch_norm_param { scale_bias: true }'
    ),
    "depthwise convolution": NET.replace(
        b'"ReLU"', b'"DepthwiseConvolution" convolution_param { kernel_size: 3 }'
    ),
    "input fields": b'input: "data" input_shape { dim: 1 dim: 4 dim: 6 dim: 6 }\n'
    + NORM
    + LAST,
    "2014": V1,
    "2013": V0,
}

REFUSED = {
    "underscore in a number": NET.replace(b"dim: 6", b"dim: 1_0"),
    "plus": NET.replace(b"dim: 4", b"dim: +4"),
    "binary number": NET.replace(b"dim: 4", b"dim: 0b100"),
    "unknown field": NET.replace(b"bottom:", b"botom:"),
    "field of a fork": NET.replace(
        b'"ReLU"', b'"ReLU" video_data_param { device_id: 0 }'
    ),
    "unquoted type": NET.replace(b'"ReLU"', b"RELU"),
    "missing brace": NET + b"layer {",
    "brace too many": NET + b"}",
    "field twice": NET.replace(b'name: "r"', b'name: "r" name: "r"'),
    "both formats": NET + V1,
    "negative size": pooled(b"pad: -1"),
    "unknown value": pooled(b"pool: MEAN"),
    "opposite rounding": pooled(b"ceil_mode: false round_mode: CEIL"),
    "byte 0": NET + b"\0",
    "UTF-16": NET.decode().encode("utf-16"),
    "name in Latin-1": NET.replace(b'"r"', b'"\xe9"'),
    "name in Latin-1 beside an error": NET.replace(b'"r"', b'"\xe9" typo: 1'),
    "name of bytes": NET.replace(b'"r"', b'"\\377"'),
    "not text": b"\x89PNG\r\n\x1a\n\0\0\0",
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """For all nets of the table: one batch norm."""
    layer = caffe_pb2.LayerParameter(name="bn", type="BatchNorm")
    for value, size in ((0, 4), (1, 4), (1, 1)):
        layer.blobs.add(data=[value] * size).shape.dim.append(size)
    path = tmp_path_factory.mktemp("weights") / "bn.caffemodel"
    path.write_bytes(caffe_pb2.NetParameter(layer=[layer]).SerializeToString())
    return path


def command(capsys, *arguments):
    """Runs a subcommand of sknet; its errors are raised again."""
    status = main([str(argument) for argument in arguments])
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if status:
        raise ValueError(error)


def solver(path):
    return caffe.get_solver(
        caffe.SolverParameter(net=str(path), base_lr=1, lr_policy="fixed")
    )


@pytest.fixture
def readers(capsys, weights, tmp_path):
    """Everything that reads a prototxt."""

    def convert(path):
        out = tmp_path / "out"
        try:
            command(
                capsys,
                *("convert-bn", weights, out / "x.caffemodel", "--to", "sknet"),
                *("--prototxt", path, "--out-prototxt", out / "x.prototxt"),
            )
        except ValueError as error:
            # Formats of 2014 and before had none.
            if "the net has no batch norm" not in str(error):
                raise
        else:
            net = caffe.read_net(out / "x.prototxt")
            assert [layer.type for layer in net.layer].count("CuDNNBatchNorm") == 1

    (tmp_path / "out").mkdir()
    return {
        "Net": lambda path: caffe.Net(str(path), caffe.TEST),
        "read_net": caffe.read_net,
        "solver": solver,
        "complexity": lambda path: command(capsys, "complexity", path),
        "convert-bn": convert,
        "evaluation": read_prototxt,
    }


@pytest.mark.parametrize("name", ACCEPTED)
def test_texts_that_every_reader_takes(name, readers, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(ACCEPTED[name])
    for read in readers.values():
        read(path)
    net = caffe.read_net(path)
    assert not net.layers
    assert not net.input
    assert net.layer[0].type == "Input"
    assert caffe.Net(net, caffe.TEST).blobs["data"].shape[:] == (1, 4, 6, 6)


@pytest.mark.parametrize("name", REFUSED)
def test_texts_that_every_reader_refuses(name, readers, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(REFUSED[name])
    sentences = {}
    for reader, read in readers.items():
        with pytest.raises((ValueError, OSError)) as caught:
            read(path)
        assert not isinstance(caught.value, UnicodeError), reader
        sentences[reader] = str(caught.value)
    # All say the same: what Net says is part of it.
    for reader, sentence in sentences.items():
        # … but for what a file that is no text might have been.
        assert sentences["read_net"].split(", expected")[0] in sentence, reader


def test_read_net_reads_caffemodels(weights):
    (layer,) = caffe.read_net(weights).layer
    assert [list(blob.data) for blob in layer.blobs] == [[0] * 4, [1] * 4, [1]]


def test_read_net_upgrades_what_it_reads(tmp_path):
    (tmp_path / "v1").write_bytes(V1)
    (tmp_path / "v0").write_bytes(V0)
    v1, v0 = caffe.read_net(tmp_path / "v1"), caffe.read_net(tmp_path / "v0")
    assert [layer.type for layer in v1.layer] == ["Input", "ReLU", "Pooling"]
    assert v0 == v1
    message = caffe_pb2.NetParameter.FromString(v1.SerializeToString())
    assert message == v1


def test_read_net_builds_no_layers(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text('layer { name: "x" type: "Permute" bottom: "nowhere" }')
    assert caffe.read_net(path).layer[0].type == "Permute"


def test_read_net_of_no_net(tmp_path):
    with pytest.raises(OSError, match=r"cannot read .*missing"):
        caffe.read_net(tmp_path / "missing")
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(OSError, match="is an HDF5 file, expected a caffemodel"):
        caffe.read_net(tmp_path / "x.h5")


def test_a_stored_name_that_is_not_utf8(tmp_path):
    """No UnicodeDecodeError: weights load, by the other names, and messages refuse."""
    layer = caffe_pb2.LayerParameter(name="XX", type="Bias")
    layer.blobs.add(data=[1]).shape.dim.append(1)
    other = caffe_pb2.LayerParameter(name="fc", type="Bias")
    other.blobs.add(data=[1, 2, 3, 4]).shape.dim.append(4)
    stored = caffe_pb2.NetParameter(layer=[layer, other]).SerializeToString()
    path = tmp_path / "x.caffemodel"
    path.write_bytes(stored.replace(b"XX", b"\xe9\xff"))
    text = DATA.decode() + 'layer { name: "fc" type: "Bias" bottom: "data" top: "fc" }'
    (tmp_path / "net.prototxt").write_text(text)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST, weights=str(path))
    np.testing.assert_array_equal(net.params["fc"][0].data, [1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"layer\[0\]\.name '\\xe9\\xff' is not UTF-8"):
        caffe.read_net(path)


@pytest.mark.parametrize("name", [n for n in ACCEPTED if n not in ("2014", "2013")])
def test_a_converted_text_keeps_the_rest(name, capsys, weights, tmp_path):
    """Byte by byte but for the layers concerned and the brackets of lists."""
    path, out = tmp_path / "net.prototxt", tmp_path / "out.prototxt"
    path.write_bytes(ACCEPTED[name])
    command(
        capsys,
        *("convert-bn", weights, tmp_path / "x.caffemodel", "--to", "sknet"),
        *("--prototxt", path, "--out-prototxt", out),
    )
    before, after = caffe.read_net(path), caffe.read_net(out)
    for one, other in zip(before.layer, after.layer, strict=True):
        assert (one.type == "BatchNorm") == (other.type == "CuDNNBatchNorm")
        if one.type != "BatchNorm":
            assert one == other
    for line in ACCEPTED[name].splitlines():
        if b"layer" not in line and b"BatchNorm" not in line:
            assert line.strip(b", ]") in out.read_bytes()
