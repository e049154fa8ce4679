"""The `sknet` command."""

from __future__ import annotations

import re

import pytest
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.models import create_model, deploy, list_models, released


def parsed(path, message):
    return text_format.Parse(path.read_text(), message)


def test_list_names_every_model(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(list_models())


def test_generate_writes_what_the_library_makes(tmp_path):
    files = {name: tmp_path / name for name in ("deploy", "released")}
    arguments = [f"--{name}={path}" for name, path in files.items()]
    assert main(["generate", "sknet50", "--batch-size", "2", *arguments]) == 0
    model = create_model("sknet50")
    for name, make in (("deploy", deploy), ("released", released)):
        assert parsed(files[name], caffe_pb2.NetParameter()) == make(model, 2)


def test_generate_passes_the_recipe_on(tmp_path):
    net, solver = tmp_path / "net.prototxt", tmp_path / "solver.prototxt"
    status = main(
        f"generate sknet_digits --train-val {net} --solver {solver} --classes 7 "
        "--train-source a --val-source b --train-images 100 --val-images 20 "
        "--train-batch-size 10 --epochs 3 --seed 9 --snapshot-prefix p".split()
    )
    assert status == 0
    definition = parsed(net, caffe_pb2.NetParameter())
    data = {layer.name: layer.data_param for layer in definition.layer}
    assert (data["train-data"].source, data["train-data"].batch_size) == ("a", 10)
    assert (data["val-data"].source, data["val-data"].batch_size) == ("b", 20)
    trained = parsed(solver, caffe_pb2.SolverParameter())
    assert trained.net == str(net)
    assert trained.max_iter == 30
    assert list(trained.test_iter) == [1]
    assert trained.random_seed == 9
    assert trained.snapshot_prefix == "p"


def test_complexity_of_a_model_and_of_its_file_agree(tmp_path, capsys):
    path = tmp_path / "deploy.prototxt"
    main(["generate", "sknet50", "--deploy", str(path)])
    capsys.readouterr()
    assert main(["complexity", "sknet50"]) == 0
    of_model = capsys.readouterr().out
    assert main(["complexity", str(path)]) == 0
    assert capsys.readouterr().out == of_model
    assert "27,479,784" in of_model
    assert "27,564,328" in of_model
    assert re.search(r"macs\+select\s+4\.4682", of_model)


def test_complexity_lists_every_layer(capsys):
    assert main(["complexity", "sknet_digits", "--layers"]) == 0
    out = capsys.readouterr().out
    for layer in deploy(create_model("sknet_digits")).layer:
        assert re.search(rf"^{re.escape(layer.name)} +{layer.type}", out, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "sknet5", "--deploy", "x"], "the closest known is 'sknet50'"),
        (["generate", "sknet50"], "nothing to write"),
        (["generate", "sknet50", "--solver", "s"], "--solver needs --train-val"),
        (["generate", "sknet50", "--deploy", "no/such/folder/x"], "no/such/folder/x"),
        (["complexity", "sknet50", "--input", "3xy"], "expected a shape such as"),
        (["complexity", "no_file"], "unknown model 'no_file'"),
    ],
)
def test_errors_are_one_sentence(arguments, message, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_text_error_names_file_and_line(tmp_path, capsys):
    path = tmp_path / "broken.prototxt"
    path.write_text('name: "x"\nlayer { nonsense: 1 }\n')
    assert main(["complexity", str(path)]) == 1
    assert f"{path}:2:" in capsys.readouterr().err
