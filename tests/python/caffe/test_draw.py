"""Pictures of nets: the graph that is handed to Graphviz."""

from __future__ import annotations

import re
import sys

import pytest

import caffe
from caffe import draw
from caffe import layers as L
from caffe import params as P


@pytest.fixture
def net():
    spec = caffe.NetSpec()
    spec.data = L.Input(shape={"dim": [1, 3, 8, 8]})
    spec["conv 1"] = L.Convolution(
        spec.data,
        num_output=20,
        kernel_size=5,
        stride=2,
        pad=2,
        group=4,
        dilation=2,
        param=[{"lr_mult": 1}, {"lr_mult": 2}],
    )
    spec.pool = L.Pooling(
        spec["conv 1"], pool=P.Pooling.AVE, kernel_h=3, kernel_w=2, stride=2
    )
    spec.all = L.Pooling(spec.pool, global_pooling=True)
    spec.drop = L.Dropout(spec.all, in_place=True, include={"phase": caffe.TRAIN})
    spec.fc = L.InnerProduct(spec.drop, num_output=7)
    return spec.to_proto()


def labels(source):
    return re.findall(r'label="([^"]*)"', source)


def test_layers_and_blobs_are_nodes(net):
    shown = labels(draw.dot_source(net))
    assert (
        r"conv 1\n(Convolution)\nkernel_size: 5\nstride: 2\npad: 2\ngroup: 4"
        r"\ndilation: 2" in shown
    )
    assert r"pool\n(Pooling)\nAVE\nkernel_size: 3x2\nstride: 2" in shown
    assert r"all\n(Pooling)\nMAX\nglobal" in shown
    assert {"data", "conv 1", "pool", "fc"} <= set(shown)


def test_edges_show_the_number_of_channels(net):
    source = draw.dot_source(net)
    assert '"blob data" -> layer1;' in source
    assert 'layer1 -> "blob conv 1" [label="20"];' in source
    assert 'layer5 -> "blob fc" [label="7"];' in source
    assert "[label" not in "".join(
        line
        for line in draw.dot_source(net, label_edges=False).split("\n")
        if "->" in line
    )


def test_boxes_have_the_styles(net):
    source = draw.dot_source(net)

    def style(label):
        (line,) = (line for line in source.split("\n") if f'[label="{label}' in line)
        return line

    assert 'shape="record",fillcolor="#FF5050",style="filled"' in style(r"conv 1\n")
    assert f'fillcolor="{draw.NEURON_LAYER_STYLE["fillcolor"]}"' in style(r"drop\n")
    assert f'fillcolor="{draw.LAYER_STYLE_DEFAULT["fillcolor"]}"' in style(r"data\n")
    assert f'shape="{draw.BLOB_STYLE["shape"]}"' in style('data"')


def test_caffes_helpers():
    assert draw.get_pooling_types_dict() == {0: "MAX", 1: "AVE", 2: "STOCHASTIC"}
    assert draw.choose_color_by_layertype("Pooling") == "#FF9900"
    assert draw.choose_color_by_layertype("ReLU") == "#6495ED"
    fc = L.InnerProduct(L.Input(), num_output=7, param=[{"lr_mult": 1}, {"lr_mult": 2}])
    layer = caffe.to_proto(fc).layer[-1]
    assert draw.get_layer_lr_mult(layer) == [1, 2]
    assert draw.get_edge_label(layer) == "7"
    data = caffe.to_proto(L.Data(batch_size=32)).layer[0]
    assert draw.get_edge_label(data) == "Batch 32"
    assert draw.get_layer_label(layer, "TB").startswith("InnerProduct1 (InnerProduct)")


def test_names_cannot_part_a_record():
    net = caffe.proto.caffe_pb2.NetParameter()
    net.layer.add(name="a|b<c>{d}", type="ReLU")
    assert r'label="a\|b\<c\>\{d\}\n(ReLU)"' in draw.dot_source(net)


def test_phase_and_rates(net):
    assert "drop" in draw.dot_source(net, phase=caffe.TRAIN)
    assert "drop" not in draw.dot_source(net, phase=caffe.TEST)
    assert "lr_mult: 1x2" in draw.dot_source(net, display_lrm=True)


def test_directions(net):
    assert "rankdir=TB" in draw.dot_source(net, rankdir="TB")
    assert "fc (InnerProduct)" in labels(draw.dot_source(net, rankdir="TB"))
    with pytest.raises(ValueError, match="rankdir is 'UP'"):
        draw.dot_source(net, rankdir="UP")


@pytest.fixture
def fake_dot(tmp_path, monkeypatch):
    """A `dot` that writes its arguments and its input."""
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if sys.argv[1] == '-Tbad': sys.exit('unknown format')\n"
        "print(sys.argv[1:], sys.stdin.read())\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.usefixtures("fake_dot")
def test_pictures_come_from_graphviz(net, tmp_path):
    draw.draw_net_to_file(net, tmp_path / "net.svg", rankdir="TB")
    written = (tmp_path / "net.svg").read_text()
    assert written.startswith("['-Tsvg'] digraph")
    assert draw.draw_net(net, "TB", "svg").decode() == written
    with pytest.raises(RuntimeError, match="dot -Tbad: unknown format"):
        draw.draw_net(net, "TB", "bad")


def test_a_missing_graphviz_is_named(net, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="install graphviz"):
        draw.draw_net(net, "LR")
