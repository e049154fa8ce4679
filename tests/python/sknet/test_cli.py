"""The `sknet` command."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import sknet_reference as reference
from definitions import values
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.models import create_model, deploy, list_models, released


def parsed(path, message):
    return text_format.Parse(path.read_text(), message)


def test_list_names_every_model(tmp_path, capsys):
    path = tmp_path / "models.json"
    assert main(["list", "--json", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(list_models())
    records = {record["model"]: record for record in json.loads(path.read_text())}
    assert list(records) == list(list_models())
    assert records["inception_v4"]["image_size"] == 299
    assert records["sknet50"]["released"]


@pytest.mark.parametrize("style", ["deploy", "released"])
def test_generate_writes_what_the_library_makes(style, tmp_path, capsys):
    path = tmp_path / "net.prototxt"
    arguments = ["generate", "sknet50", "--style", style, "--batch", "2"]
    assert main([*arguments, "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"wrote {path}\n"
    make = {"deploy": deploy, "released": released}[style]
    net = parsed(path, caffe_pb2.NetParameter())
    assert values(net) == values(make(create_model("sknet50"), 2))
    assert main(arguments) == 0
    assert capsys.readouterr().out == path.read_text()


def test_generate_gives_deploy_unless_told_otherwise(capsys):
    assert main(["generate", "sknet_digits"]) == 0
    net = text_format.Parse(capsys.readouterr().out, caffe_pb2.NetParameter())
    assert values(net) == values(deploy(create_model("sknet_digits")))


def test_generate_passes_the_recipe_on(tmp_path):
    net, solver = tmp_path / "net.prototxt", tmp_path / "solver.prototxt"
    status = main(
        f"generate sknet_digits --style train_val -o {net} --solver {solver} "
        "--classes 7 --train-source a --val-source b --train-images 100 --val-images "
        "20 --batch 10 --epochs 3 --seed 9 --snapshot-prefix p".split()
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


def test_generate_rescales_the_schedule(tmp_path):
    net, solver = tmp_path / "net.prototxt", tmp_path / "solver.prototxt"
    status = main(
        f"generate sknet26 --style train_val -o {net} --solver {solver} --gpus 4 "
        "--batch 16 --schedule senet".split()
    )
    assert status == 0
    trained = parsed(solver, caffe_pb2.SolverParameter())
    # 4 devices x 16 images x 4 make the 256 of an update, 5005 of them an epoch.
    assert trained.iter_size == 4
    assert trained.max_iter == 270 * 5005
    assert list(trained.stepvalue) == [125 * 5005, 200 * 5005, 250 * 5005]
    assert trained.snapshot_prefix == "snapshots/sknet26"


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ("--kernels 3,5,7", "sknet50_k3k5k7"),
        ("--kernels 5,7 --no-attention", "sknet50_k5k7_sum"),
        ("--branches 3x3,5x5g64", "sknet50_5x5g64"),
        ("--branches 3x3,3x3d3", "sknet50_k3k7"),
        ("--depths 2,2,2,2", "sknet26"),
    ],
)
def test_options_make_the_ablations(options, model, capsys):
    assert main(["generate", "sknet50", *options.split()]) == 0
    net = text_format.Parse(capsys.readouterr().out, caffe_pb2.NetParameter())
    wanted = deploy(create_model(model))
    assert values(net)["layer"] == values(wanted)["layer"]


def test_wider_networks_by_options(capsys):
    options = "--widths 136,272,544,1088 --groups 34 --crop 96 --classes 10"
    assert main(["generate", "resnext50", *options.split()]) == 0
    net = text_format.Parse(capsys.readouterr().out, caffe_pb2.NetParameter())
    model = create_model("resnext50_wider", image_size=96, classes=10)
    assert values(net)["layer"] == values(deploy(model))["layer"]


def test_definitions_need_no_compiled_code(tmp_path):
    program = """
import sys
sys.modules["caffe._caffe"] = None  # importing it raises ImportError
from sknet.cli import main
for line in sys.stdin:
    status = main(line.split())
    if status:
        sys.exit(status)
"""
    commands = f"""list
generate attention56 -o {tmp_path}/net.prototxt
generate inception_v3_aux --style train_val -o {tmp_path}/train.prototxt
complexity attention56
table5
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=commands,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "31,810,728" in done.stdout


def test_the_command_starts_without_what_only_some_commands_need():
    heavy = {"caffe._caffe", "numpy", "lmdb", "matplotlib", "cv2", "importlib.metadata"}
    program = f"import sys, sknet.cli.commands; print({heavy} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_complexity_of_a_model_and_of_its_file_agree(tmp_path, capsys):
    path, counts = tmp_path / "deploy.prototxt", tmp_path / "counts.json"
    main(["generate", "sknet50", "-o", str(path)])
    capsys.readouterr()
    assert main(["complexity", "sknet50"]) == 0
    of_model = capsys.readouterr().out
    assert main(["complexity", str(path), "--json", str(counts)]) == 0
    assert capsys.readouterr().out == of_model
    assert "27,479,784" in of_model
    assert "27,564,328" in of_model
    assert re.search(r"macs\+select\s+4\.4682", of_model)
    record = json.loads(counts.read_text())
    (totals,) = (
        {key: int(value) for key, value in row.items() if key != "model"}
        for row in reference.rows("table2_totals.csv")
        if row["model"] == "SKNet-50"
    )
    assert (record["learned"], record["macs"]) == (
        totals["learned_params"],
        totals["conv_fc_macs"],
    )
    assert record["select_elements"] == totals["sel_elems"]
    memory = record["memory_bytes"]
    assert memory["training"] > memory["inference"] > memory["inference_peak"] > 0


def test_complexity_counts_other_inputs(tmp_path):
    path = tmp_path / "counts.json"
    options = ["--input", "4x3x64x64", "--json", str(path), "--by-layer"]
    assert main(["complexity", "sknet_digits", *options]) == 0
    record = json.loads(path.read_text())
    assert record["batch_size"] == 4
    assert record["layers"][0]["tops"] == {"data": [4, 3, 64, 64]}
    assert sum(layer["macs"] for layer in record["layers"]) == record["macs"]
    assert record["gflops"]["macs"] == record["macs"] / 4e9


def test_complexity_counts_the_layers_of_a_phase(tmp_path, capsys):
    path = tmp_path / "net.prototxt"
    main(["generate", "inception_v3_aux", "--style", "train_val", "-o", str(path)])
    for phase, learned in (("TRAIN", "27,161,264"), ("TEST", "23,834,568")):
        assert main(["complexity", str(path), "--phase", phase]) == 0
        assert learned in capsys.readouterr().out


def test_complexity_lists_every_layer(capsys):
    assert main(["complexity", "sknet_digits", "--by-layer"]) == 0
    out = capsys.readouterr().out
    for layer in deploy(create_model("sknet_digits")).layer:
        assert re.search(rf"^{re.escape(layer.name)} +{layer.type}", out, re.M)


def test_table_2_is_printed_and_written(tmp_path, capsys):
    rows, measured = tmp_path / "rows.json", tmp_path / "measured.json"
    measured.write_text(
        json.dumps(
            {
                "net": "dpn92",
                "protocol": {"crop": 224, "crops": 1},
                "top1": {"error_percent": 21.37},
            }
        )
    )
    arguments = ["--json", str(rows), "--measured", str(measured)]
    assert main(["table2", *arguments]) == 0
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if line.startswith("DPN-92"))
    assert " ".join(line.split()) == (
        "DPN-92 37.7 37.668 37.794 yes 6.50 6.5017 macs yes 20.70 21.37 19.30"
    )
    (line,) = (line for line in out.splitlines() if line.startswith("Attention-92 "))
    assert "51.3 52.466 52.600 no 10.43 10.5338 macs no" in " ".join(line.split())
    assert len(json.loads(rows.read_text())) == 17


@pytest.mark.parametrize("number", [3, 5, 6, 7])
def test_other_tables_are_printed(number, capsys):
    assert main([f"table{number}"]) == 0
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()[2:]
    assert lines
    assert not any(" no " in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "sknet5"], "the closest is 'sknet50'"),
        (["generate", "sknet50", "--solver", "s"], "add --style train_val"),
        (["generate", "sknet50", "--epochs", "3"], "--epochs is of training"),
        (["generate", "sknet50", "--batch", "0"], "--batch is 0, expected at least 1"),
        (["generate", "sknet50", "-o", "no/such/folder/x"], "no/such/folder/x"),
        (
            ["generate", "dpn92", "--kernels", "3,5"],
            "--kernels is no option of dpn92, which takes --classes, --crop, --depths, "
            "--groups\n",
        ),
        (
            ["generate", "resnext50", "--no-attention"],
            "--no-attention is no option of resnext50, which takes --classes, --crop, "
            "--depths, --widths, --groups\n",
        ),
        (
            ["generate", "inception_v4", "--branches", "3x3,5x5"],
            "--branches is no option of inception_v4, which takes --classes, --crop\n",
        ),
        (["generate", "sknet50", "--crop", "0"], "--crop is 0, expected at least 1"),
        (["generate", "sknet50", "--classes", "-3"], "--classes is -3, expected at"),
        (["generate", "dpn92", "--style", "released"], "the authors released no file"),
        (["generate", "sknet50", "--groups", "48"], "not a multiple of groups, 48"),
        (["generate", "--all"], "--all needs -o DIR"),
        (
            ["generate", "sknet26", "--style", "train_val", "--solver", "s"],
            "--solver needs -o FILE",
        ),
        (["table2", "--measured", "no/such.json"], "no/such.json"),
        (["complexity", "no/such.prototxt"], "no such file"),
        (["complexity", "no/such"], "no such file"),
        (["complexity", "deploy.prototx"], "'deploy.prototx': no such file"),
        (
            ["evaluate", "deploy.prototx", "--weights", "w", "--source", "s"],
            "'deploy.prototx': no such file",
        ),
        (["complexity", "sknet50", "--input", "3xy"], "expected a shape such as"),
        (
            ["complexity", "no_file"],
            "unknown model 'no_file'; `sknet list` names all 5",
        ),
    ],
)
def test_errors_are_one_sentence(arguments, message, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "sknet26", "a", "b", "--epoch", "3"], "is '--epochs'"),
        (["table2", "--measurd=x"], "unrecognized arguments: --measurd=x; the closest"),
        (
            ["export", "onnx", "n", "--weights", "w", "-o", "f", "--fold_bn"],
            "unrecognized arguments: --fold_bn; the closest to '--fold_bn' is "
            "'--fold-bn'",
        ),
        (["table2", "--nothing-like-it"], "arguments: --nothing-like-it\n"),
        (["table2", "more"], "arguments: more\n"),
    ],
)
def test_an_unknown_option_is_said_with_the_command_and_the_closest(
    arguments, message, capsys
):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"usage: sknet {arguments[0]} ")
    assert message in error


def test_several_processes_are_refused(monkeypatch, capsys):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    assert main(["list"]) == 1
    printed = capsys.readouterr()
    assert not printed.out
    assert "one of 2 processes that mpirun started, and sknet list" in printed.err


def test_a_text_error_names_file_and_line(tmp_path, capsys):
    path = tmp_path / "broken.prototxt"
    path.write_text('name: "x"\nlayer { nonsense: 1 }\n')
    assert main(["complexity", str(path)]) == 1
    assert f"{path}:2:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--kernels", "3,4", "kernel 4, expected an odd number"),
        ("--branches", "3x5", "branch '3x5', expected a square kernel"),
        ("--depths", "3,x", "expected whole numbers with commas between"),
    ],
)
def test_values_that_cannot_be_read_are_named(option, value, message, capsys):
    with pytest.raises(SystemExit):
        main(["generate", "sknet50", option, value])
    assert message in capsys.readouterr().err
