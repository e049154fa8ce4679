"""The upgrade_* commands: files of old formats in today's."""

from __future__ import annotations

import pytest
from google.protobuf import text_format
from log_lines import messages

from caffe.cli import main
from caffe.proto import caffe_pb2

LATEST = "File already in latest proto format: "


def net_of(path):
    return text_format.Parse(path.read_text(), caffe_pb2.NetParameter())


@pytest.mark.parametrize("generation", ["v0", "v1"])
def test_a_prototxt(run_tool, data_folder, tmp_path, generation):
    old = data_folder / "proto" / f"{generation}_net.prototxt"
    run = run_tool("upgrade_net_proto_text", old, "new.prototxt")
    assert run.returncode == 0, run.stderr
    log = messages(run.stderr)
    assert log[-1] == "Wrote upgraded NetParameter text proto to new.prototxt"
    assert not any(line.startswith(LATEST) for line in log)
    want = net_of(data_folder / "proto" / f"{generation}_net_upgraded.prototxt")
    assert net_of(tmp_path / "new.prototxt") == want


def test_a_caffemodel(run_tool, data_folder, tmp_path):
    old = net_of(data_folder / "proto" / "v1_net.prototxt")
    (tmp_path / "old.caffemodel").write_bytes(old.SerializeToString())
    names = ("old.caffemodel", "new.caffemodel")
    run = run_tool("upgrade_net_proto_binary", *names)
    assert run.returncode == 0, run.stderr
    new = (tmp_path / "new.caffemodel").read_bytes()
    want = net_of(data_folder / "proto" / "v1_net_upgraded.prototxt")
    assert caffe_pb2.NetParameter.FromString(new) == want
    again = run_tool("upgrade_net_proto_binary", names[1], "again.caffemodel")
    assert again.returncode == 0
    assert f"{LATEST}new.caffemodel" in messages(again.stderr)
    assert (tmp_path / "again.caffemodel").read_bytes() == new


def test_another_fork_s_fields_are_no_part_of_a_new_file(run_tool, tmp_path):
    layer = caffe_pb2.LayerParameter(name="a", type="ReLU").SerializeToString()
    layer += bytes([0xC2, 0x0C, 1, 0xFF])  # field 200, which is no message
    model = bytes([0xA2, 0x06, len(layer)]) + layer  # field 100
    (tmp_path / "old.caffemodel").write_bytes(model)
    run = run_tool("upgrade_net_proto_binary", "old.caffemodel", "new.caffemodel")
    assert run.returncode == 0, run.stderr
    assert LATEST not in run.stderr
    new = (tmp_path / "new.caffemodel").read_bytes()
    assert caffe_pb2.NetParameter.FromString(new) == caffe_pb2.NetParameter(
        layer=[caffe_pb2.LayerParameter(name="a", type="ReLU")]
    )


def test_what_has_no_new_form_is_told(run_tool, tmp_path):
    (tmp_path / "old.prototxt").write_text(
        'layers { layer { name: "relu" type: "relu" pad: 3 } bottom: "a" top: "a" }'
    )
    run = run_tool("upgrade_net_proto_text", "old.prototxt", "new.prototxt")
    assert run.returncode == 1
    assert any(
        line.startswith("Encountered error(s) while upgrading prototxt")
        for line in messages(run.stderr)
    )
    (layer,) = net_of(tmp_path / "new.prototxt").layer
    assert (layer.name, layer.type) == ("relu", "ReLU")


def test_a_solver(run_tool, tmp_path):
    old = tmp_path / "old.prototxt"
    old.write_text('net: "ä.prototxt"  # mine\nbase_lr: 0.1\nsolver_type: ADAM\n')
    run = run_tool("upgrade_solver_proto_text", "old.prototxt", "new.prototxt")
    assert run.returncode == 0, run.stderr
    assert (
        messages(run.stderr)[-1]
        == "Wrote upgraded SolverParameter text proto to new.prototxt"
    )
    new = (tmp_path / "new.prototxt").read_text()
    assert sorted(new.splitlines()) == [
        "base_lr: 0.1",
        'net: "ä.prototxt"',
        'type: "Adam"',
    ]
    again = run_tool("upgrade_solver_proto_text", "new.prototxt", "again.prototxt")
    assert f"{LATEST}new.prototxt" in messages(again.stderr)
    assert (tmp_path / "again.prototxt").read_text() == new


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["upgrade_net_proto_text", "none", "new"], 1, "file 'none' does not exist"),
        (["upgrade_net_proto_text", "bad", "new"], 1, "bad:1:"),
        (["upgrade_net_proto_binary", "bad", "new"], 1, "'bad'"),
        (["upgrade_solver_proto_text", "bad", "new"], 1, "bad:1:"),
        (["upgrade_solver_proto_text", "a"], 2, "got 1 argument, expected PROTO_FILE"),
    ],
)
def test_errors(words, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad").write_text("layer { name: }")
    assert main(words) == status
    error = capsys.readouterr().err.splitlines()
    assert any(message in line for line in error)
    assert any(line.startswith(f"caffe {words[0]}: error: ") for line in error)
    assert not (tmp_path / "new").exists()
