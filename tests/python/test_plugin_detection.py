"""plugin/: where the parts of another Caffe are found, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from other_caffe import PLUGIN, ROOT, configure_plugin, run


def make_tree(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return folder


def locate(root: Path, *options: str, status: int = 0) -> str:
    script = PLUGIN / "cmake" / "locate.cmake"
    command = ["cmake", f"-DCAFFE_ROOT={root}", *options, "-P", script]
    return run(*command, status=status).stderr


PROTO = "caffe/proto/caffe.pb.h"
HEADER = "include/caffe/layer.hpp"


@pytest.mark.parametrize(
    ("files", "proto", "library"),
    [
        (["build/CMakeCache.txt"], "build/include", "build/lib/libcaffe.so"),
        ([], "build/src", "build/lib/libcaffe.so"),
        ([], ".build_release/src", ".build_release/lib/libcaffe.so"),
        (
            ["build-cpu/CMakeCache.txt"],
            "build-cpu/include",
            "build-cpu/lib/libcaffe.so",
        ),
        ([], "include", "lib/libcaffe.so"),
        ([], "include", "build/lib/libcaffe.so"),
        ([], "include", "lib/x86_64-linux-gnu/libcaffe.so"),
        ([], "distribute/include", "distribute/lib/libcaffe.so"),
        (["build/CMakeCache.txt"], "build/include", "build/lib/libcaffe-d.so"),
        # Builds by hand.
        ([], "src", "build/lib/libcaffe.so"),
        ([], "build", "build/libcaffe.so"),
        ([], "include", "libcaffe.so"),
    ],
)
def test_layouts(tmp_path, files, proto, library):
    root = make_tree(tmp_path, HEADER, f"{proto}/{PROTO}", library, *files)
    found = locate(root)
    assert f"INCLUDE={root}/include\n" in found
    assert f"PROTO_INCLUDE={root / proto}\n" in found
    assert f"LIBRARY={root / library}\n" in found


def test_the_links_of_a_build_by_make(tmp_path):
    library = ".build_release/lib/libcaffe.so.1.0.0"
    make_tree(tmp_path, HEADER, f".build_release/src/{PROTO}", library)
    (tmp_path / "build").symlink_to(".build_release")
    (tmp_path / "build/lib/libcaffe.so").symlink_to("libcaffe.so.1.0.0")
    found = locate(tmp_path)
    assert f"PROTO_INCLUDE={tmp_path}/build/src\n" in found
    assert f"LIBRARY={tmp_path}/build/lib/libcaffe.so\n" in found
    assert "LAYOUT=source tree, built by make in" in found


def test_places_that_are_named(tmp_path):
    make_tree(tmp_path, HEADER, f"out/gen/{PROTO}", "out/caffe.so")
    library = f"-DCAFFE_LIBRARY={tmp_path}/out/caffe.so"
    proto = f"-DCAFFE_PROTO_INCLUDE_DIR={tmp_path}/out/gen"
    assert "-DCAFFE_LIBRARY=" in locate(tmp_path, proto, status=1)
    assert "-DCAFFE_PROTO_INCLUDE_DIR=" in locate(tmp_path, library, status=1)
    found = locate(tmp_path, library, proto)
    assert f"PROTO_INCLUDE={tmp_path}/out/gen\n" in found
    assert f"LIBRARY={tmp_path}/out/caffe.so\n" in found


def test_a_build_folder_elsewhere(tmp_path):
    source = make_tree(tmp_path / "source", HEADER)
    build = make_tree(tmp_path / "build", f"include/{PROTO}", "lib/libcaffe.so")
    (build / "CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={source}\n")
    found = locate(build)
    assert f"INCLUDE={source}/include\n" in found
    assert f"LIBRARY={build}/lib/libcaffe.so\n" in found


def test_the_config_of_an_install(tmp_path):
    config = "share/Caffe/CaffeConfig.cmake"
    make_tree(tmp_path, HEADER, f"include/{PROTO}", "lib/libcaffe.so", config)
    assert f"LIBRARY={tmp_path}/lib/libcaffe.so\n" in locate(tmp_path / "share/Caffe")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (["README.md"], "no Caffe at {root}: expected include/caffe/layer.hpp in it"),
        ([HEADER], "is not built: caffe/proto/caffe.pb.h is in none of"),
        ([HEADER, f"build/src/{PROTO}"], "is half built"),
        ([HEADER, f"build/src/{PROTO}", "build/lib/libcaffe.a"], "and no libcaffe.so"),
        (["CaffeConfig.cmake"], "no folder above it has include/caffe/layer.hpp"),
    ],
)
def test_what_is_no_built_caffe(tmp_path, files, sentence):
    root = make_tree(tmp_path, *files)
    printed = locate(root, status=1)
    lines = [line for line in printed.splitlines() if "sknet_layers: " in line]
    assert len(lines) == 1
    assert sentence.format(root=root) in lines[0]


def test_this_project_itself():
    assert "is this project's own, which has both layers" in locate(ROOT, status=1)


def test_no_such_folder(tmp_path):
    assert f"there is no folder {tmp_path}/none;" in locate(tmp_path / "none", status=1)


def libcaffe(tree: Path, code: str, *flags: str) -> None:
    """A libcaffe.so of that code, in an installed Caffe."""
    make_tree(tree, f"include/{PROTO}", "include/caffe/common.hpp", "lib/libcaffe.so")
    source = tree / "code.cpp"
    source.write_text(code)
    run("c++", "-shared", "-fPIC", *flags, source, "-o", tree / "lib/libcaffe.so")


def refused_by_cmake(build: Path, *options: str | Path) -> str:
    printed = configure_plugin(build, *options, status=1)
    lines = [line for line in printed.splitlines() if "sknet_layers: " in line]
    assert len(lines) == 1, printed
    return lines[0]


def test_caffes_of_another_kind(tmp_path):
    build, tree = tmp_path / "build", tmp_path / "caffe"
    headers = tree / "include/caffe"
    root = f"-DCAFFE_ROOT={tree}"

    libcaffe(tree, "#include <string>\nvoid Read(std::string) {}")
    (headers / "layer.hpp").write_text("class LayerBase {};\n")
    assert "layers of two types" in refused_by_cmake(build, root)
    (headers / "layer.hpp").write_text("class Layer {};\n")
    assert "is older than 2014" in refused_by_cmake(build, root)

    (headers / "layer.hpp").write_text("vector<bool> param_propagate_down_;\n")
    (headers / "layer_factory.hpp").write_text("")
    line = refused_by_cmake(build, root)
    assert "cannot be compiled and linked with this Caffe" in line
    assert "error:" in line

    nowhere = f"-DProtobuf_INCLUDE_DIR={tmp_path}"
    assert "the headers of protobuf are missing" in refused_by_cmake(
        build, root, nowhere
    )
    found = "-UProtobuf_INCLUDE_DIR"

    old = "-D_GLIBCXX_USE_CXX11_ABI=0"
    libcaffe(tree, "#include <string>\nvoid Read(std::string) {}", old)
    line = refused_by_cmake(build, root, found)
    assert "another compiler's ABI" in line
    assert "libstdc++ before GCC 5" in line
    # The cure, in the same build folder, gets a reader further.
    line = refused_by_cmake(build, root, f"-DCMAKE_CXX_FLAGS={old}")
    assert "cannot be compiled and linked with this Caffe" in line

    (tree / "lib/libcaffe.so").write_text("no library")
    assert "cannot read the symbols of" in refused_by_cmake(build, root)
    for layers in ("ReLU", "Axpy,CuDNNBatchNorm", ""):
        line = refused_by_cmake(build, root, f"-DSKNET_LAYERS={layers}")
        assert "expected Axpy, CuDNNBatchNorm or both" in line
    # Caffe_DIR counts, whatever CAFFE_ROOT the cache has.
    elsewhere = f"-DCaffe_DIR={tmp_path}/none"
    line = refused_by_cmake(build, root, "-USKNET_LAYERS", elsewhere)
    assert f"there is no folder {tmp_path}/none" in line
    assert "which Caffe is this for?" in refused_by_cmake(
        build, "-UCAFFE_ROOT", "-UCaffe_DIR"
    )
