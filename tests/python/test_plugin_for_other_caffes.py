"""plugin/: both layers for Caffes other than this project's."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import other_caffe
import pytest
from other_caffe import PLUGIN, configure_plugin, run
from tolerance import Op, assert_close

import caffe

# In BVLC's names: what other Caffes' batch_norm_param has.
NET = """
name: "both"
force_backward: true
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 3 dim: 5 } } }
layer {
  name: "in" type: "Input" top: "x" top: "y"
  input_param {
    shape { dim: 3 dim: 5 dim: 9 dim: 37 } shape { dim: 3 dim: 5 dim: 9 dim: 37 }
  }
}
layer {
  name: "bn1" type: "CuDNNBatchNorm" bottom: "x" top: "bn1"
  batch_norm_param { moving_average_fraction: 0.75 }
}
layer { name: "relu1" type: "ReLU" bottom: "bn1" top: "relu1" }
layer { name: "axpy" type: "Axpy" bottom: "a" bottom: "relu1" bottom: "y" top: "axpy" }
layer {
  name: "bn2" type: "CuDNNBatchNorm" bottom: "axpy" top: "axpy"
  batch_norm_param { moving_average_fraction: 0.9 eps: 0.001 }
}
layer { name: "relu2" type: "ReLU" bottom: "axpy" top: "axpy" }
layer {
  name: "bn3" type: "CuDNNBatchNorm" bottom: "axpy" top: "bn3"
  batch_norm_param { use_global_stats: true }
}
"""
BLOBS = ["a", "x", "y", "bn1", "relu1", "axpy", "bn3"]


@pytest.fixture(scope="session")
def their_caffe(tmp_path_factory) -> Path:
    folder = other_caffe.folder_of_a_user(tmp_path_factory.mktemp("other"))
    return folder / "their_caffe"


@pytest.fixture(scope="session")
def table(their_caffe) -> tuple[Path, str]:
    """The build folder of the plugin, and what cmake printed."""
    folder = their_caffe.parent
    build = folder / "build/plugin"
    root = f"-DCAFFE_ROOT={their_caffe}"
    return build, configure_plugin(build, root, source=folder / "plugin")


@pytest.fixture(scope="session")
def plugin(table) -> Path:
    run("cmake", "--build", table[0], "--parallel", "2")
    return table[0] / "libsknet_layers.so"


def row(printed: str, name: str) -> str:
    found = re.search(rf"^--   {re.escape(name)} +(.*)$", printed, re.MULTILINE)
    assert found, f"{name}\n{printed}"
    return found[1]


def test_cmake_prints_what_their_caffe_has(table, their_caffe):
    _, printed = table
    assert row(printed, "layout").startswith("source tree, built by CMake")
    assert row(printed, "library") == f"{their_caffe}/build/lib/libcaffe.so"
    assert row(printed, "CUDA") == "no (CPU_ONLY)"
    assert row(printed, "cuDNN") == "no"
    assert row(printed, "shared_ptr") == "boost::shared_ptr, which is std::shared_ptr"
    assert row(printed, "C++") == "C++11"
    assert row(printed, "glog") == f"{their_caffe}/include/glog"
    assert "REGISTER_LAYER_CREATOR" in row(printed, "layer registry")
    assert row(printed, "cudnn_batch_norm_param") == "no"
    assert row(printed, "batch_norm_param") == (
        "field 139, caffe.BatchNormParameter: "
        "use_global_stats, moving_average_fraction, eps"
    )
    missing = "missing of the release's: frozen, momentum, scale_filler, bias_filler"
    assert missing in printed


class Variant:
    """The built stand-in as an install, whose parts can be changed."""

    def __init__(self, their_caffe: Path, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(their_caffe / "include", folder / "include")
        shutil.copytree(
            their_caffe / "build/include", folder / "include", dirs_exist_ok=True
        )
        (folder / "lib").mkdir()
        objects = (their_caffe / "build/CMakeFiles/caffe.dir").rglob("*.o")
        self.objects = sorted(objects)

    def replace(self, header: str, *pairs: tuple[str, str]) -> None:
        path = self.folder / "include/caffe" / header
        text = path.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)

    def link(self, name: str, *parts: Path | str) -> None:
        command = ["c++", "-shared", *parts, "-lprotobuf", f"-Wl,-soname,{name}"]
        rpath = "-Wl,-rpath,$ORIGIN"
        run(*command, f"-L{self.folder}/lib", rpath, "-o", self.folder / "lib" / name)

    def configure(self, build: Path, status: int = 0) -> str:
        return configure_plugin(build, f"-DCAFFE_ROOT={self.folder}", status=status)


@pytest.fixture
def variant(their_caffe, tmp_path) -> Variant:
    return Variant(their_caffe, tmp_path / "variant")


def test_standard_pointers_newer_cxx_and_a_plain_registry(variant, tmp_path):
    variant.replace(
        "common.hpp",
        ("#include <boost/shared_ptr.hpp>", "#include <memory>"),
        ("using boost::shared_ptr", "using std::shared_ptr"),
        (
            "namespace caffe {",
            "#if __cplusplus < 201402\n#error C++14\n#endif\nnamespace caffe {",
        ),
    )
    variant.replace("layer_factory.hpp", ("REGISTER_LAYER_CREATOR", "REGISTER"))
    variant.link("libcaffe.so", *variant.objects)
    printed = variant.configure(tmp_path / "build")
    assert row(printed, "layout") == "install"
    assert row(printed, "shared_ptr") == "std::shared_ptr"
    assert row(printed, "C++") == "C++14"
    assert row(printed, "layer registry") == "LayerRegistry, as a plain map, 1 types"


def test_the_code_of_the_proto_in_a_library_of_its_own(variant, tmp_path):
    proto = [path for path in variant.objects if path.name.startswith("caffe.pb")]
    rest = [path for path in variant.objects if path not in proto]
    variant.link("libcaffeproto.so", *proto)
    variant.link("libcaffe.so", *rest, "-lcaffeproto")
    assert row(variant.configure(tmp_path / "build"), "C++") == "C++11"


def test_a_registry_that_is_hidden_is_refused(variant, tmp_path):
    script = tmp_path / "hidden.map"
    script.write_text("{ local: *LayerRegistry*; };\n")
    variant.link("libcaffe.so", *variant.objects, f"-Wl,--version-script={script}")
    printed = variant.configure(tmp_path / "build", status=1)
    assert "hides its list of layer types" in printed


def test_gradients_by_central_differences(plugin, their_caffe):
    done = run(
        their_caffe / "build/tools/check_gradients", "-plugin", plugin, status=None
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("largest error") == 12


class Example:
    """A net with weights and inputs, as files and in this project's engine."""

    def __init__(self, folder: Path) -> None:
        self.net_file = folder / "net.prototxt"
        self.net_file.write_text(NET)
        self.weights = folder / "net.caffemodel"
        self.inputs = folder / "inputs.bin"
        self.net = caffe.Net(str(self.net_file), caffe.TRAIN)
        draw = np.random.default_rng(20)
        for blobs in self.net.params.values():
            for i, blob in enumerate(blobs):
                values = draw.uniform(-1, 1, blob.data.shape)
                blob.data[...] = np.abs(values) + 0.5 if i in {0, 3} else values
        self.net.save(str(self.weights))
        values = [draw.normal(size=self.net.blobs[b].data.shape) for b in BLOBS[:3]]
        with self.inputs.open("wb") as out:
            for blob, value in zip(BLOBS[:3], values, strict=True):
                self.net.blobs[blob].data[...] = value
                out.write(value.astype(np.float32).tobytes())

    def ours(self, last_diff: np.ndarray) -> list[np.ndarray]:
        """Data and diff of all blobs and weights, in the order of the tool's file."""
        net = self.net
        net.forward()
        net.blobs["bn3"].diff[...] = last_diff.reshape(net.blobs["bn3"].diff.shape)
        net.backward()
        blobs = [net.blobs[name] for name in BLOBS]
        blobs += [blob for layer in net.params.values() for blob in layer]
        return [np.array(half) for blob in blobs for half in (blob.data, blob.diff)]

    def arguments(self, out: Path) -> list[Path | str]:
        return [self.net_file, out, "-weights", self.weights, "-inputs", self.inputs]


@pytest.fixture(scope="session")
def example(tmp_path_factory) -> Example:
    return Example(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def theirs(example, plugin, their_caffe, tmp_path_factory) -> np.ndarray:
    """What their Caffe computes with the plugin."""
    out = tmp_path_factory.mktemp("theirs") / "out.bin"
    tool = their_caffe / "build/tools/run_layers"
    run(tool, *example.arguments(out), "-plugin", plugin)
    return np.fromfile(out, np.float32)


def test_a_net_computes_the_bits_of_our_engine(example, theirs):
    sizes = [example.net.blobs[name].data.size for name in BLOBS]
    end = 2 * sum(sizes)
    ours = example.ours(theirs[end - sizes[-1] : end])
    at = 0
    for i, want in enumerate(ours):
        got = theirs[at : at + want.size].reshape(want.shape)
        at += want.size
        np.testing.assert_array_equal(got, want, err_msg=f"array {i}")
        # Not all the same nothing: only statistics have no gradient.
        assert np.abs(want).max() > 0 or (i > 2 * len(BLOBS) and i % 8 in {3, 5})
    assert at == theirs.size


def test_preloaded(example, theirs, plugin, their_caffe, tmp_path):
    out = tmp_path / "out.bin"
    tool = their_caffe / "build/tools/run_layers"
    done = run(tool, *example.arguments(out), status=None)
    assert done.returncode != 0
    assert "Unknown layer type: CuDNNBatchNorm" in done.stderr
    run(tool, *example.arguments(out), LD_PRELOAD=str(plugin))
    np.testing.assert_array_equal(np.fromfile(out, np.float32), theirs)


def test_linked(plugin, tmp_path):
    """As the page says, for linkers that leave out what no name is taken from."""
    source = tmp_path / "main.cpp"
    source.write_text(
        "#include <dlfcn.h>\n"
        "int main() {\n"
        '  void* function = dlsym(RTLD_DEFAULT, "sknet_layers_registered");\n'
        "  return function && reinterpret_cast<int (*)()>(function)() == 1 ? 0 : 1;\n"
        "}\n"
    )
    program = tmp_path / "program"
    build = ["c++", "-Wl,--as-needed", source, "-o", program]
    run(*build, "-Wl,--no-as-needed", plugin, f"-Wl,-rpath,{plugin.parent}")
    run(program)


@pytest.fixture(scope="session")
def in_their_python(their_caffe):
    """Runs lines in a Python where `import caffe` is their module."""
    other_caffe.build(their_caffe, "pycaffe")
    module = str(their_caffe / "python")

    def run_lines(*lines: str, status: int = 0, **environment: str):
        command = [sys.executable, "-c", "\n".join(lines)]
        return run(*command, status=status, PYTHONPATH=module, **environment)

    return run_lines


# What a user does next: the types by name, and a layer of each.
IMPORTED = [
    "import caffe",
    "print(*caffe.layer_type_list())",
    "for t in 'Axpy', 'CuDNNBatchNorm':",
    '    print(caffe.created_type(f\'name: "l" type: "{t}"\'))',
]
ALL_TYPES = "Axpy CuDNNBatchNorm ReLU\nAxpy\nCuDNNBatchNorm\n"


def test_loaded_with_ctypes_before_their_module(plugin, in_their_python):
    done = in_their_python(
        "import ctypes",
        f"plugin = ctypes.CDLL({str(plugin)!r}, ctypes.RTLD_GLOBAL)",
        "assert plugin.sknet_layers_registered() == 1",
        *IMPORTED,
    )
    assert done.stdout == ALL_TYPES


def test_preloaded_into_a_python_with_their_module(plugin, in_their_python):
    assert in_their_python(*IMPORTED, LD_PRELOAD=str(plugin)).stdout == ALL_TYPES


def test_their_module_alone(in_their_python):
    done = in_their_python(*IMPORTED, status=None)
    assert done.stdout == "ReLU\n"
    assert "Unknown layer type: Axpy" in done.stderr


def test_one_layer_alone(their_caffe, tmp_path):
    printed = configure_plugin(
        tmp_path, f"-DCAFFE_ROOT={their_caffe}", "-DSKNET_LAYERS=Axpy"
    )
    assert row(printed, "layers to build") == "Axpy"
    assert "batch_norm_param" not in printed
    run("cmake", "--build", tmp_path)
    tool = their_caffe / "build/tools/check_gradients"
    plugin = tmp_path / "libsknet_layers.so"
    done = run(tool, "-plugin", plugin, status=None)
    # It has Axpy, and of the other layer nothing.
    assert done.stdout.count("Axpy, ") == 4
    assert "Unknown layer type: CuDNNBatchNorm" in done.stderr


# --- Compiled in


@pytest.fixture(scope="session")
def patched(tmp_path_factory) -> Path:
    """A Caffe into which install.sh has put the layers, built."""
    tree = other_caffe.copy_sources(tmp_path_factory.mktemp("patched") / "caffe")
    done = run("bash", PLUGIN / "install.sh", tree)
    assert "caffe.proto has cudnn_batch_norm_param = 200" in done.stdout
    other_caffe.build(tree, "run_layers")
    return tree


def test_compiled_in_it_computes_the_same(example, theirs, patched, tmp_path):
    released = NET
    for bvlc, release in {
        "batch_norm_param": "cudnn_batch_norm_param",
        "moving_average_fraction": "momentum",
        "use_global_stats": "frozen",
    }.items():
        released = released.replace(bvlc, release)
    net = tmp_path / "net.prototxt"
    net.write_text(released)
    out = tmp_path / "out.bin"
    _, _, *files = example.arguments(out)
    run(patched / "build/tools/run_layers", net, out, *files)
    got = np.fromfile(out, np.float32)
    # Compiled as their Caffe is, for any processor: sums are in another order.
    assert_close(got, theirs, Op.REDUCTION, 3 * 9 * 37)


def test_a_caffe_with_the_types_is_refused_by_cmake(patched, tmp_path):
    printed = configure_plugin(tmp_path, f"-DCAFFE_ROOT={patched}", status=1)
    assert row(printed, "cudnn_batch_norm_param").startswith("field 200, ")
    assert "this Caffe has the layer type Axpy already; use that" in printed


def test_a_caffe_with_the_types_keeps_its_own(patched, plugin, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text("name: 'none'")
    run_layers = patched / "build/tools/run_layers"
    done = run(
        *(run_layers, net, tmp_path / "out"),
        LD_PRELOAD=str(plugin),
        LD_LIBRARY_PATH=str(patched / "build/lib"),
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "libsknet_layers.so: this Caffe already has Axpy and CuDNNBatchNorm; nothing "
    )
