"""The `extract_features` command: blobs of a net as databases."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from caffe.cli.flags import UsageError, Values
from caffe.cli.program import Program
from caffe.cli.tool import log, require_file
from caffe.cli.waiting import finishing
from caffe.closest import suggestion
from caffe.proto.caffe_pb2 import TEST, Datum

if TYPE_CHECKING:
    from caffe import _caffe
    from caffe.net import Net

NAME = "extract_features"
# Entries that are stored together.
_COMMIT = 1000
_MAX_AXES = 4


def run(flags: Values, words: list[str]) -> int:
    """Runs the net and stores what its blobs hold for each image."""
    import caffe
    from caffe.database import check_absent, new_database

    weights, model, blobs, databases, batches, backend, *device = words
    names, folders = blobs.split(","), [Path(name) for name in databases.split(",")]
    if "" in names or "" in databases.split(","):
        raise UsageError(f"got '{blobs}' and '{databases}', which have an empty name")
    if len(names) != len(folders):
        raise UsageError(
            f"got {len(names)} blobs and {len(folders)} databases, expected as many "
            "of both"
        )
    if len(set(folders)) < len(folders):
        raise UsageError(f"got '{databases}', which names one database twice")
    if not batches.isdecimal() or int(batches) < 1:
        raise UsageError(f"got {batches} mini batches, expected 1 or more")
    if backend not in ("lmdb", "leveldb"):
        raise UsageError(f"got database type '{backend}', expected lmdb or leveldb")
    _use_device(device)
    for file in (weights, model):
        require_file(file, "file")
    for folder in folders:
        check_absent(folder)

    net = caffe.Net(model, TEST, weights=weights)
    if net.inputs:
        raise ValueError(
            f"'{model}' has the input '{net.inputs[0]}', which nothing fills; put a "
            "data layer in the place of it"
        )
    for name in names:
        _check_blob(net, name)
    log("Extracting Features")
    counts = [0] * len(names)
    with ExitStack() as databases_in_hand:
        writers = [
            databases_in_hand.enter_context(new_database(folder, backend))
            for folder in folders
        ]
        with finishing(NAME, "this batch, without a database"):
            for _ in range(int(batches)):
                net._forward(0, len(net.layers) - 1)
                for place, name in enumerate(names):
                    counts[place] = _store(net, name, writers[place], counts[place])
    for name, count in zip(names, counts, strict=True):
        if count % _COMMIT:
            _tell(name, count)
    log("Successfully extracted the features!")
    return 0


def _use_device(words: list[str]) -> None:
    import caffe

    if words[:1] == ["GPU"]:
        index = words[1].removeprefix("DEVICE_ID=") if len(words) > 1 else "0"
        if not index.isdecimal():
            raise UsageError(f"got device '{words[1]}', expected the index of a GPU")
        log("Using GPU")
        log(f"Using Device_id={index}")
        caffe.set_device(int(index))
        caffe.set_mode_gpu()
        return
    if words not in ([], ["CPU"]):
        raise UsageError(f"got '{' '.join(words)}', expected CPU or GPU [DEVICE_ID]")
    log("Using CPU")
    caffe.set_mode_cpu()


def _check_blob(net: Net, name: str) -> None:
    if name not in net.blobs:
        raise ValueError(
            f"unknown feature blob name '{name}' in the network '{net.name}'"
            f"{suggestion(name, net.blobs)}"
        )
    axes = len(net.blobs[name].shape)
    if axes > _MAX_AXES:
        raise ValueError(
            f"blob '{name}' has {axes} axes, expected up to {_MAX_AXES}: an image, and "
            "the channels, height and width of what is stored for it"
        )


def _store(net: Net, name: str, writer: _caffe.DatabaseWriter, count: int) -> int:
    """Stores what a blob holds for each image of a batch; the number stored so far."""
    blob = net.blobs[name]
    datum = Datum(channels=blob.channels, height=blob.height, width=blob.width)
    for values in blob.data.reshape(blob.num, -1):
        del datum.float_data[:]
        datum.float_data.extend(values.tolist())
        writer.put(f"{count:010d}", datum.SerializeToString())
        count += 1
        if count % _COMMIT == 0:
            writer.commit()
            _tell(name, count)
    return count


def _tell(name: str, count: int) -> None:
    log(f"Extracted features of {count} query images for feature blob {name}")


PROGRAM = Program(
    NAME,
    "store blobs of a net in databases",
    "PRETRAINED_NET FEATURE_NET_PROTO BLOB_NAMES DATABASES NUM_MINI_BATCHES DB_TYPE "
    "[CPU|GPU] [DEVICE_ID]",
    """\
Runs NUM_MINI_BATCHES batches of the net in FEATURE_NET_PROTO, which reads its own
images, in phase TEST with the weights of PRETRAINED_NET, and stores each blob of
BLOB_NAMES in the database of the same place in DATABASES (names with commas between):
for each image a Datum of floats, in the order of the batches. DB_TYPE is lmdb or
leveldb. The databases must not exist; they appear when they are complete.""",
    (),
    run,
)
main = PROGRAM.main
