"""plugin/install.sh: the layers among the sources of another Caffe, and out again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import other_caffe
import pytest
from other_caffe import PLUGIN, run


def tree_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


# Root writes everywhere by these two, which it can do without.
BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def install(tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    bound = BOUND if os.geteuid() == 0 else []
    return run(*bound, "bash", PLUGIN / "install.sh", tree, *options, status=None)


def refused(tree: Path, *options: str) -> str:
    """The one sentence, after which everything is as before."""
    before = tree_of(tree) if tree.is_dir() else None
    done = install(tree, *options)
    assert done.returncode == 1
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("sknet_layers: ")
    assert (tree_of(tree) if tree.is_dir() else None) == before
    return line


@pytest.fixture
def sources(tmp_path) -> Path:
    return other_caffe.copy_sources(tmp_path / "caffe")


@pytest.mark.parametrize("crlf", [False, True], ids=["", "crlf"])
@pytest.mark.parametrize("newline", [True, False], ids=["", "without_last_newline"])
def test_remove_leaves_no_trace(tmp_path, newline, crlf):
    sources = other_caffe.copy_sources(tmp_path / "their caffe")
    proto = sources / "src/caffe/proto/caffe.proto"
    text = proto.read_text()
    if not newline:
        text = text.rstrip("\n")
    proto.write_text(text, newline="\r\n" if crlf else "\n")
    before = tree_of(sources)
    assert install(sources).returncode == 0
    assert tree_of(sources) != before
    assert "install.sh has been here" in refused(sources)
    assert install(sources, "--remove").returncode == 0
    assert tree_of(sources) == before
    assert "nothing to remove" in refused(sources, "--remove")


def test_one_layer_alone(sources):
    before = tree_of(sources)
    assert install(sources, "--only", "Axpy").returncode == 0
    changed = {
        name for name, text in tree_of(sources).items() if before.get(name) != text
    }
    assert "src/caffe/layers/axpy_layer.cpp" in changed
    assert not any("batch_norm" in name or "proto" in name for name in changed)


def test_what_others_added_stays(sources):
    assert install(sources).returncode == 0
    proto = sources / "src/caffe/proto/caffe.proto"
    proto.write_text(proto.read_text() + "message Mine {}\n")
    (sources / "include/caffe/ops/mine.hpp").write_text("// mine\n")
    assert install(sources, "--remove").returncode == 0
    assert proto.read_text().endswith("message Mine {}\n")
    assert "CuDNN" not in proto.read_text()
    assert (sources / "include/caffe/ops/mine.hpp").exists()


def test_files_of_others_are_not_touched(sources):
    theirs = sources / "src/caffe/layers/axpy_layer.cpp"
    theirs.write_text("// theirs\n")
    assert "axpy_layer.cpp exists and is not ours" in refused(sources)
    theirs.unlink()
    assert install(sources).returncode == 0
    theirs.write_text("// changed\n")
    assert "axpy_layer.cpp was changed" in refused(sources, "--remove")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("optional Foo annotated_data_param = 200;", "for annotated_data_param, and"),
        (
            "optional Foo batch_norm_param = 200;",
            "the release's field 200 (batch_norm_p",
        ),
        ("optional Foo cudnn_batch_norm_param = 7;", "this Caffe was patched before"),
    ],
)
def test_protos_that_cannot_be_patched(sources, line, sentence):
    proto = sources / "src/caffe/proto/caffe.proto"
    text = proto.read_text()
    proto.write_text(
        text.replace(
            "optional BatchNormParameter", f"{line}\n  optional BatchNormParameter"
        )
    )
    assert sentence in refused(sources)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("class LayerBase {};", "has layers of two types"),
        ("class Layer {};", "is older than 2014"),
    ],
)
def test_layers_of_another_kind(sources, header, sentence):
    (sources / "include/caffe/layer.hpp").write_text(header)
    assert sentence in refused(sources)


def test_folders_that_cannot_be_written(sources):
    layers = sources / "src/caffe/layers"
    layers.chmod(0o555)
    assert f"the folder {layers} cannot be written" in refused(sources)
    layers.chmod(0o755)
    assert install(sources).returncode == 0
    layers.chmod(0o555)
    assert f"the folder {layers} cannot be written" in refused(sources, "--remove")
    layers.chmod(0o755)


def test_folders_without_a_caffe(tmp_path):
    assert "there is no folder" in refused(tmp_path / "none")
    assert "no Caffe sources at" in refused(tmp_path)
    assert "this project's own" in install(other_caffe.ROOT).stderr
    assert "expected Axpy or CuDNNBatchNorm" in refused(tmp_path, "--only", "ReLU")
