"""Writes the seeds of the fuzz targets: small files of each kind, in corpus/<target>.

pip install h5py && python tests/fuzz/make_corpus.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python" / "sknet"))
from test_layer_types import CASES, SOURCES  # noqa: E402

CORPUS = HERE / "corpus"
DATA = HERE.parent / "data"


def main() -> None:
    """Writes all of them anew."""
    for target in CORPUS.iterdir():
        if not target.is_symlink():  # to the images that other tests read
            shutil.rmtree(target)
    nets()
    weights_and_states()
    data()
    print(sum(1 for path in CORPUS.glob("*/*") if path.is_file()), "seeds")


def seed(target: str, name: str, content: bytes | str) -> None:
    """One file."""
    path = CORPUS / f"{target}_fuzzer" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def nets() -> None:
    """A net for each line of the table of layer types, and the old formats."""
    for index, (kind, bottoms, tops, parameters) in enumerate(CASES):
        if kind in SOURCES and "source" in parameters:
            continue
        net = caffe_pb2.NetParameter()
        for number, shape in enumerate(bottoms):
            source = net.layer.add(name=f"in{number}", type="DummyData")
            source.top.append(f"in{number}")
            source.dummy_data_param.shape.add(dim=shape)
            filler = source.dummy_data_param.data_filler.add(type="uniform")
            filler.max = 1
        layer = net.layer.add(name="layer", type=kind)
        text_format.Merge(parameters, layer)
        layer.bottom.extend(f"in{number}" for number in range(len(bottoms)))
        layer.top.extend(f"top{number}" for number in range(tops))
        net.force_backward = True
        seed("net_prototxt", f"{index:02}_{kind}", text_format.MessageToString(net))
    for path in DATA.glob("proto/v?_net.prototxt"):
        seed("net_prototxt", path.stem, path.read_bytes())


def weights_and_states() -> None:
    """What a solver of the small net writes, in both formats."""
    header = (HERE / "small_net.hpp").read_text()
    small = header.split('R"(')[1].split(')"')[0]
    caffe.set_mode_cpu()
    for format_, ending in (("BINARYPROTO", ""), ("HDF5", ".h5")):
        with tempfile.TemporaryDirectory() as folder:
            solver_file = Path(folder) / "solver.prototxt"
            solver_file.write_text(
                'type: "Adam" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" '
                f'random_seed: 1 solver_mode: CPU snapshot_prefix: "{folder}/small" '
                f"snapshot_format: {format_} net_param {{ {small} }}"
            )
            solver = caffe.AdamSolver(str(solver_file))
            solver.step(2)
            solver.snapshot()
            model = Path(folder) / f"small_iter_2.caffemodel{ending}"
            state = Path(folder) / f"small_iter_2.solverstate{ending}"
            if ending:
                seed("hdf5_weights", "small", model.read_bytes())
                seed("hdf5_state", "small", state.read_bytes())
            else:
                seed("caffemodel", "small", model.read_bytes())
                # The file that it names is gone by then.
                stored = caffe_pb2.SolverState.FromString(state.read_bytes())
                stored.learned_net = ""
                seed("solverstate", "small", stored.SerializeToString())
    old = caffe_pb2.NetParameter(name="old")
    layer = old.layers.add(name="conv", type=caffe_pb2.V1LayerParameter.CONVOLUTION)
    layer.blobs.add(num=4, channels=1, height=3, width=3, data=[0.5] * 36)
    seed("caffemodel", "v1", old.SerializeToString())
    nvidia = caffe_pb2.NetParameter(name="raw")
    blob = nvidia.layer.add(name="fc", type="InnerProduct").blobs.add()
    blob.shape.dim.extend((3, 64))
    blob.raw_data_type = caffe_pb2.BlobProto.FLOAT16
    blob.raw_data = np.ones(192, np.float16).tobytes()
    seed("caffemodel", "raw", nvidia.SerializeToString())


def data() -> None:
    """Entries of databases, means, and HDF5 files of data."""
    pixels = bytes(range(75))
    raw = caffe_pb2.Datum(channels=3, height=5, width=5, data=pixels, label=1)
    seed("datum", "raw", raw.SerializeToString())
    real = caffe_pb2.Datum(channels=1, height=4, width=4, float_data=[0.5] * 16)
    seed("datum", "float", real.SerializeToString())
    for name in ("colour.png", "grey.jpg"):
        encoded = caffe_pb2.Datum(
            encoded=True, data=(DATA / "images" / name).read_bytes()
        )
        seed("datum", Path(name).stem, encoded.SerializeToString())
    mean = caffe_pb2.BlobProto(num=1, channels=3, height=4, width=5, data=[1.0] * 60)
    seed("mean_file", "old_shape", mean.SerializeToString())
    mean = caffe_pb2.BlobProto(data=[1.0] * 60)
    mean.shape.dim.extend((3, 4, 5))
    seed("mean_file", "shape", mean.SerializeToString())
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in (("float", "f4"), ("double", "f8"), ("int", "i4")):
            path = Path(folder) / name
            with h5py.File(path, "w") as file:
                file["data"] = np.ones((3, 2, 2, 2), kind)
                file.create_dataset(
                    "label", data=np.ones((3,), kind), chunks=(2,), compression="gzip"
                )
            seed("hdf5_data", name, path.read_bytes())


if __name__ == "__main__":
    main()
