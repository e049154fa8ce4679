"""The message classes: like generated ones, in a pool of their own."""

from __future__ import annotations

import ast
import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor import FieldDescriptor

from caffe.proto import caffe_pb2, event_pb2

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "python" / "caffe"


def messages(container):
    for message in container.values():
        yield message
        yield from messages(message.nested_types_by_name)


def test_messages_enums_and_values_are_module_attributes():
    for name in caffe_pb2.DESCRIPTOR.message_types_by_name:
        assert getattr(caffe_pb2, name).DESCRIPTOR.name == name
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Name(caffe_pb2.TEST) == "TEST"
    assert caffe_pb2.Phase.Value("TRAIN") == caffe_pb2.TRAIN
    assert caffe_pb2.PoolingParameter.STOCHASTIC == 2
    assert caffe_pb2.PoolingParameter.PoolMethod.Name(1) == "AVE"


def test_text_binary_copy_and_pickle():
    layer = caffe_pb2.LayerParameter(name="a", type="ReLU", bottom=["x"])
    layer.relu_param.negative_slope = 0.25
    text = text_format.MessageToString(layer)
    assert text_format.Parse(text, caffe_pb2.LayerParameter()) == layer
    assert caffe_pb2.LayerParameter.FromString(layer.SerializeToString()) == layer
    assert copy.deepcopy(layer) == layer
    assert pickle.loads(pickle.dumps(layer)) == layer


def test_the_shared_pool_stays_free_for_another_caffe():
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("caffe.NetParameter")


def test_batch_norm_of_the_releases_and_of_caffe_have_their_fields():
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_number
    assert fields[139].name == "batch_norm_param"
    assert fields[200].name == "cudnn_batch_norm_param"


@pytest.mark.parametrize("module", [caffe_pb2, event_pb2])
def test_the_stub_has_every_field_and_value(module):
    stub = Path(module.__file__).with_suffix(".pyi").name
    tree = ast.parse((PACKAGE / "proto" / stub).read_text())

    def annotated(body):
        return {
            node.target.id: ast.unparse(node.annotation)
            for node in body
            if isinstance(node, ast.AnnAssign)
        }

    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    top_level = module.DESCRIPTOR.message_types_by_name
    enums = module.DESCRIPTOR.enum_types_by_name
    assert set(classes) == {*top_level, *enums}
    for name, message in top_level.items():
        stubbed = {
            field: kind
            for field, kind in annotated(classes[name].body).items()
            if not field.isupper() and not kind.startswith("_ClassVar")
        }
        assert {field.name for field in message.fields} == {
            field for field in stubbed if field in message.fields_by_name
        }
        for field in message.fields:
            repeated = "Repeated" in stubbed[field.name]
            assert repeated == _is_repeated(field), field.full_name
        for enum in message.enum_types:
            for value in enum.values:
                assert value.name in annotated(classes[name].body), enum.full_name


def _is_repeated(field):
    if hasattr(field, "is_repeated"):  # protobuf 6 and later
        value = field.is_repeated
        return value() if callable(value) else value
    return field.label == FieldDescriptor.LABEL_REPEATED


def test_classes_have_those_within_them_without_protobufs_compiled_half():
    program = """
from google.protobuf.internal import api_implementation
from caffe.proto import event_pb2
print(api_implementation.Type(), event_pb2.Summary.Value(tag="x").tag)
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "python x\n", run.stderr


WRITE_A_NET = """
import caffe
from caffe import layers as L
print(caffe.__file__, len(caffe.to_proto(L.ReLU(L.Input())).layer))
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of what `caffe.proto` needs, without build products."""
    root = tmp_path / "checkout"
    (root / "src/caffe/proto").mkdir(parents=True)
    source = ROOT / "src/caffe/proto/caffe.proto"
    (root / "src/caffe/proto/caffe.proto").write_bytes(source.read_bytes())
    for file in (*PACKAGE.glob("*.py"), *PACKAGE.glob("proto/*.py")):
        target = root / "python/caffe" / file.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return root


def run_in(checkout, tmp_path, code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(checkout / "python"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_checkout_that_was_never_built_compiles_the_schema_once(checkout, tmp_path):
    first = run_in(checkout, tmp_path, WRITE_A_NET)
    assert first.stdout.split() == [str(checkout / "python/caffe/__init__.py"), "2"]
    (cached,) = (tmp_path / "cache/sknet-caffe").iterdir()
    # The second run needs no compiler.
    second = run_in(checkout, tmp_path, WRITE_A_NET, PATH=str(tmp_path))
    assert second.stdout == first.stdout
    assert cached.exists()


def test_without_a_compiler_the_error_says_what_to_do(checkout, tmp_path):
    run = run_in(checkout, tmp_path, WRITE_A_NET, PATH=str(tmp_path))
    assert run.returncode == 1
    assert "ImportError" in run.stderr
    assert "install protobuf-compiler" in run.stderr


def test_a_package_without_schema_says_so(checkout, tmp_path):
    (checkout / "src/caffe/proto/caffe.proto").unlink()
    run = run_in(checkout, tmp_path, WRITE_A_NET)
    assert "caffe.desc is missing; install sknet-caffe again" in run.stderr


def test_the_engine_is_only_needed_when_it_is_used(checkout, tmp_path):
    run = run_in(checkout, tmp_path, WRITE_A_NET + "caffe.Net")
    assert run.stdout.endswith(" 2\n")
    assert "ImportError: caffe.pycaffe needs the compiled engine" in run.stderr
    assert "`pip install .`" in run.stderr


def test_it_is_there_without_an_import_of_its_own():
    program = "import caffe; print(caffe.proto.caffe_pb2.Datum(label=3))"
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True).strip() == "label: 3"
