"""What `classify` and `detect` share: their nets' flags and preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe.cli.command import required
from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.tool import require_file
from caffe.files import read_bytes, reading

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MODEL_DEF = Flag("model_def", "", "Model definition file.")
PRETRAINED_MODEL = Flag("pretrained_model", "", "Trained model weights file.")
GPU = Flag("gpu", False, "Compute on the GPU.")
MEAN_FILE = Flag(
    "mean_file",
    "",
    "Mean to subtract, of (channels, height, width) or of channels: a NumPy array, or "
    "a binaryproto of compute_image_mean.",
)
INPUT_SCALE = Flag(
    "input_scale",
    1.0,
    "Multiply input features by this scale to finish preprocessing.",
)
RAW_SCALE = Flag(
    "raw_scale", 255.0, "Multiply raw input by this scale before preprocessing."
)
CHANNEL_SWAP = Flag(
    "channel_swap",
    "2,1,0",
    "Order to permute input channels. The default converts RGB to BGR.",
)


def net_files(flags: Values) -> tuple[str, str]:
    """The definition and the weights of the net, which must be given."""
    # Differs from BVLC, whose defaults are the files of CaffeNet in its own tree.
    model = required(flags, "model_def", "the prototxt of the net")
    weights = required(flags, "pretrained_model", "the weights of the net")
    for file in (model, weights):
        require_file(file, "file")
    return model, weights


def use_processor(flags: Values) -> None:
    """Selects the processor, or with -gpu the first GPU."""
    import caffe

    if flags.gpu:
        caffe.set_mode_gpu()
        print("GPU mode")
    else:
        caffe.set_mode_cpu()
        print("CPU mode")


def preprocessing(flags: Values, model: str) -> dict[str, Any]:
    """The arguments of Classifier and Detector that these flags stand for.

    Where a net takes one channel, the default of -channel_swap does not count.
    """
    swap = integers(flags, "channel_swap")
    if "channel_swap" not in flags.given and channels_of(model) == 1:
        swap = []
    return {
        "mean": read_mean(flags.mean_file) if flags.mean_file else None,
        "input_scale": flags.input_scale,
        "raw_scale": flags.raw_scale,
        "channel_swap": swap or None,
    }


def channels_of(model: str) -> int:
    """The channels of the first input that a prototxt declares; 0 if it has none."""
    import caffe

    for layer in caffe.read_net(model).layer:
        if layer.type == "Input" and layer.input_param.shape:
            dims = layer.input_param.shape[0].dim
            return int(dims[1]) if len(dims) > 1 else 0
    return 0


def integers(flags: Values, name: str) -> list[int]:
    """The numbers in a flag's text, with commas between."""
    text: str = getattr(flags, name)
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UsageError(
            f"flag -{name}: got '{text}', expected whole numbers with commas between"
        ) from None


def load_array(path: str) -> npt.NDArray[np.generic]:
    """The array in a NumPy file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged, or holds something other than numbers.
    """
    import numpy as np

    try:
        # Mapped, so that a header that lies about the size takes no memory.
        with reading(path):
            found = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(f"'{path}' is no array of NumPy's: {error}") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub":
        raise ValueError(f"'{path}' is no array of numbers in a .npy file")
    return np.array(found)


def read_mean(path: str) -> npt.NDArray[np.generic]:
    """The mean in a file of NumPy's, or in a binaryproto."""
    import caffe
    from caffe.proto.caffe_pb2 import BlobProto

    require_file(path, "mean file")
    if Path(path).suffix == ".npy":
        return load_array(path)
    try:
        blob = BlobProto.FromString(read_bytes(path))
        mean = caffe.io.blobproto_to_array(blob)
    except Exception as error:  # protobuf's are of no common class
        if isinstance(error, OSError):
            raise
        raise ValueError(
            f"mean file '{path}' is no binaryproto ({error}); expected one, or a .npy"
        ) from None
    return mean[0] if mean.ndim == 4 else mean
