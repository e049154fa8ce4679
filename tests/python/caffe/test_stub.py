"""The stub of the compiled module against the module."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from caffe import _caffe

STUB = Path(__file__).parents[3] / "python" / "caffe" / "_caffe.pyi"


def stubbed(body):
    """Names that a stub's module or class defines, with classes' own names."""
    names = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            names[node.name] = set(stubbed(node.body))
        elif isinstance(node, ast.FunctionDef):
            names[node.name] = None
        elif isinstance(node, ast.AnnAssign):
            names[node.target.id] = None
        elif isinstance(node, ast.Assign):
            names[node.targets[0].id] = None
    return names


def is_public(name):
    return not name.startswith("_") or name in (
        *("__len__", "__getitem__", "__iter__", "__call__"),
    )


@pytest.fixture(scope="module")
def stub():
    return stubbed(ast.parse(STUB.read_text()).body)


def test_module(stub):
    module = {name for name in vars(_caffe) if is_public(name)}
    assert module == {name for name in stub if is_public(name)}


def test_classes(stub):
    for name, cls in inspect.getmembers(_caffe, inspect.isclass):
        members = {member for member in vars(cls) if is_public(member)}
        assert members == {member for member in stub[name] if is_public(member)}, name
