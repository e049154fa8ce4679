"""`caffe summarize` and `caffe draw_net`: nets as a table and as a picture."""

from __future__ import annotations

import pytest

import caffe
from caffe.cli import main
from caffe.cli.summarize import aligned, summary

NET = """
name: "net"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { name: "w" lr_mult: 0.1 decay_mult: 0 } param { lr_mult: 2 }
  convolution_param { num_output: 64 kernel_size: 7 stride: 2 pad: 3 group: 4 }
}
layer {
  name: "tall" type: "Convolution" bottom: "conv" top: "tall" param { }
  convolution_param { num_output: 8 kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0 }
}
layer {
  name: "pool" type: "Pooling" bottom: "tall" top: "pool"
  pooling_param { kernel_size: 3 stride: 2 pad: 1 }
}
layer {
  name: "all" type: "Pooling" bottom: "pool" top: "all"
  pooling_param { global_pooling: true }
}
layer {
  name: "mine" type: "Python" bottom: "all" bottom: "nowhere" top: "loss" top: "unread"
  loss_weight: 0.5 loss_weight: 1
  python_param { module: "losses" layer: "Mine" }
}
"""

TABLE = """\
in   Input                                 -> data
conv Convolution (w x0.1 Dx0.0, x2.0) data -> conv               7/2+3 64/4
tall Convolution                      conv -> tall               3x1+1x0 8
pool Pooling                          tall -> pool               3/2+1
all  Pooling                          pool -> all                global
mine losses.Mine                      all, nowhere -> 0.5 * loss, 1.0 * unread
"""


def run_in(folder, monkeypatch, *words):
    monkeypatch.chdir(folder)
    return main(list(words))


def test_the_table(write_proto, tmp_path, monkeypatch, capsys):
    write_proto(NET)
    words = ("summarize", "net.prototxt", "-w", "21")
    assert run_in(tmp_path, monkeypatch, *words) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        line.split() for line in TABLE.splitlines()
    ]


def test_columns_are_as_narrow_as_they_can_be():
    table = [["a", "bcd", "e"], ["long name", "f", "g"]]
    assert aligned(table, 30) == ["a         bcd e", "long name f   g"]
    # What overflows its column moves the next one, which then has less room.
    assert aligned(table, 4) == ["a   bcd e", "long name f g"]


def test_colours_tell_who_reads_what(write_proto):
    rows = {row[0]: row for row in summary(caffe.read_net(write_proto(NET)))}
    data = rows["in"][5]
    assert data.startswith("\033[")
    assert data == rows["conv"][3]
    assert "\033[41mnowhere\033[0m" in rows["mine"][3]
    assert rows["mine"][5].count("\033[1;4m") == 2
    assert "\033[1;4m" not in data


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["summarize", "none"], 1, "none"),
        (["summarize"], 2, "got 0 arguments, expected FILENAME"),
        (["summarize", "a", "-w=0"], 2, "flag -w: got 0, expected 1 or more columns"),
        (["summarize", "a", "--max-width=-1"], 2, "flag -max_width: got -1"),
        (["draw_net", "net.prototxt", "a.dot", "-rankdir=UP"], 2, "got 'UP', expected"),
        (["draw_net", "none", "a.dot"], 1, "none"),
    ],
)
def test_errors(words, status, message, write_proto, tmp_path, monkeypatch, capsys):
    write_proto(NET)
    assert run_in(tmp_path, monkeypatch, *words) == status
    error = capsys.readouterr().err.splitlines()
    (line,) = (line for line in error if line.startswith(f"caffe {words[0]}: error: "))
    assert message in line


def test_a_net_is_drawn(write_proto, tmp_path, monkeypatch, capsys):
    write_proto(NET + 'layer { name: "t" type: "ReLU" include { phase: TRAIN } }')
    words = ("draw_net", "net.prototxt", "net.gv", "--rankdir", "TB", "-phase=TEST")
    assert run_in(tmp_path, monkeypatch, *words, "--display_lrm") == 0
    assert capsys.readouterr().out == "Drawing net to net.gv\n"
    source = (tmp_path / "net.gv").read_text()
    assert source.startswith('digraph "net" {\n  rankdir=TB;')
    assert "conv (Convolution) kernel_size: 7 stride: 2 pad: 3 group: 4" in source
    assert "lr_mult: 0.1x2" in source
    assert "t (ReLU)" not in source


def test_a_picture_needs_graphviz(write_proto, tmp_path, monkeypatch, capsys):
    write_proto(NET)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_in(tmp_path, monkeypatch, "draw_net", "net.prototxt", "net.png") == 1
    assert "cannot run Graphviz's dot" in capsys.readouterr().err
    assert not (tmp_path / "net.png").exists()
