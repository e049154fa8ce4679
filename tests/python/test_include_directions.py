"""Dependencies point one way, as CONTRIBUTING.md draws and tabulates them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

CPP = {".hpp", ".h", ".cpp", ".cu", ".cuh"}


def picture() -> list[str]:
    """The steps from left to right."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (line,) = re.findall(r"^    (.+→.+)$", text, re.M)
    return [step.strip() for step in line.split("→")]


def table() -> dict[str, str]:
    """The step of each folder and file of the table, by its path without suffix."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| (`[^|]+) \|", text, re.M)
    return {
        place: step for step, where in rows for place in re.findall("`(.+?)`", where)
    }


STEPS = picture()
PLACES = table()


def inner(path: str) -> str:
    """The path inside include/caffe and src/caffe, without its suffix."""
    return re.sub(r"\.[a-z.]+$", "", re.sub("^(include|src)/caffe/", "", path))


def place_of(path: str) -> str:
    """The step of a file: its own where it has one, else that of its folder.

    A header's path is the one that is included: "caffe/util/hdf5.hpp".
    """
    path = inner(path)
    while path not in PLACES:
        assert path, "the table of CONTRIBUTING.md has no place for it"
        path = path.rpartition("/")[0]
    return PLACES[path]


def includes(path: Path) -> Iterator[str]:
    for name in re.findall(r'^ *# *include *["<](.+?)[">]', path.read_text(), re.M):
        if name.startswith("caffe/"):
            yield name.removeprefix("caffe/")


def imports(path: Path) -> Iterator[str]:
    """The modules of ours that a Python file uses, at its top or later."""
    package = path.relative_to(ROOT / "python").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *filter(None, [node.module])]
            names = [".".join([*module, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] in ("caffe", "sknet"):
                yield name


def sources(suffixes: set[str], *folders: str) -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes
    )


def step_of_module(name: str) -> str:
    extension = name.split(".")[:2] == ["caffe", "_caffe"]
    return "bindings" if extension else "python/" + name.split(".")[0]


def test_the_table_places_what_there_is():
    assert [step for step in STEPS if step not in PLACES.values()] == []
    assert set(PLACES.values()) <= set(STEPS)
    known = set(map(inner, sources(CPP | {".py"}, "include", "src", "python")))
    for place in PLACES:
        assert any(path == place or path.startswith(f"{place}/") for path in known), (
            place
        )


@pytest.mark.parametrize("step", STEPS)
def test_a_file_uses_what_stands_to_its_left(step):
    used = [
        (path, name, place_of(name))
        for path in sources(CPP, "include", "src", "python/bindings")
        if place_of(path) == step
        for name in includes(ROOT / path)
    ] + [
        (path, name, step_of_module(name))
        for path in sources({".py"}, "python/caffe", "python/sknet")
        if place_of(path) == step
        for name in imports(ROOT / path)
    ]
    assert used, f"nothing was read of {step}"
    to_its_right = STEPS[STEPS.index(step) + 1 :]
    assert [f"{path}: {name}" for path, name, of in used if of in to_its_right] == []


def test_public_headers_need_no_private_ones():
    generated = "proto/caffe.pb.h"
    missing = [
        f"{path}: {name}"
        for path in sources(CPP, "include")
        for name in includes(ROOT / path)
        if name != generated and not (ROOT / "include/caffe" / name).is_file()
    ]
    assert missing == []


def test_what_is_to_its_right_is_seen(tmp_path):
    """The rule would not hold by seeing nothing."""
    cpp = tmp_path / "a.cpp"
    cpp.write_text('#include <vector>\n#  include "caffe/net.hpp"\n')
    assert [place_of(name) for name in includes(cpp)] == ["net"]
    assert place_of("src/caffe/ops/softmax.hpp") == "ops"
    assert place_of("util/hdf5.hpp") == "memory"
    assert place_of("util/hdf5_guard.hpp") == place_of("util/io.hpp") != "memory"
    found = {step_of_module(name) for name in imports(ROOT / "python/caffe/net.py")}
    assert found == {"bindings", "python/caffe"}
