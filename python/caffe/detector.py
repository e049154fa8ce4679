"""Classification of windows of images, as in R-CNN.

Girshick, Donahue, Darrell, Malik: Rich feature hierarchies for accurate object
detection and semantic segmentation, CVPR 2014.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe import _arguments, io
from caffe.classifier import input_transformer
from caffe.proto.caffe_pb2 import TEST
from caffe.pycaffe import Net

Window = Sequence[int]
Array = npt.NDArray[Any]


class Detector(Net):
    """A net with its preprocessing, from image windows to class scores."""

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        pretrained_file: str | os.PathLike[str],
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        """Loads the net in the TEST phase.

        Args:
            model_file: Prototxt of the net.
            pretrained_file: Its weights.
            mean: See `caffe.io.Transformer.set_mean`.
            input_scale: Factor after the mean.
            raw_scale: Factor before the mean.
            channel_swap: Order of the channels.
            context_pad: Pixels of surroundings to show on each side of the window,
                counted in the net's input.
        """
        who = f"caffe.{type(self).__name__}"
        weights = _arguments.path(pretrained_file, who, "pretrained_file")
        super().__init__(model_file, TEST, weights=weights)
        in_ = self.inputs[0]
        self.transformer = input_transformer(
            {in_: tuple(self.blobs[in_].shape)},
            mean,
            input_scale,
            raw_scale,
            channel_swap,
        )
        self.configure_crop(context_pad or 0)

    def detect_windows(
        self,
        images_windows: Iterable[tuple[str | os.PathLike[str], Iterable[Window]]],
    ) -> list[dict[str, Any]]:
        """Scores windows of image files.

        Args:
            images_windows: Files, each with windows (ymin, xmin, ymax, xmax).

        Returns:
            For each window a dict with `window`, `prediction` and `filename`.
        """
        in_ = self.inputs[0]
        found: list[dict[str, Any]] = []
        inputs = []
        for filename, windows in images_windows:
            image = io.load_image(filename)
            for window in windows:
                crop = self.crop(image, window)
                inputs.append(self.transformer.preprocess(in_, crop))
                found.append({"window": window, "filename": filename})
        if not found:
            return []
        scores = self._run_all((), {in_: np.stack(inputs)})[self.outputs[0]]
        for detection, prediction in zip(
            found, scores.reshape(len(found), -1), strict=True
        ):
            detection["prediction"] = prediction
        return found

    def detect_selective_search(
        self, image_fnames: Iterable[str | os.PathLike[str]]
    ) -> list[dict[str, Any]]:
        """Scores the windows that selective search proposes.

        Needs the package `selective_search_ijcv_with_python`, as in Caffe.
        """
        import selective_search_ijcv_with_python as selective_search  # type: ignore

        files = [os.path.abspath(name) for name in image_fnames]  # noqa: PTH100
        windows = selective_search.get_windows(files, cmd="selective_search_rcnn")
        return self.detect_windows(zip(files, windows, strict=True))

    def configure_crop(self, context_pad: int) -> None:
        """Sets the surroundings shown, and what fills them outside of the image."""
        in_ = self.inputs[0]
        self.crop_dims = tuple(self.blobs[in_].shape[2:])
        self.context_pad = context_pad
        if context_pad and self.crop_dims[0] != self.crop_dims[1]:
            raise ValueError(
                f"Detector: context_pad needs a square input, got {self.crop_dims}"
            )
        if 2 * context_pad >= self.crop_dims[0]:
            raise ValueError(
                f"Detector: context_pad is {context_pad}, expected less than half of "
                f"the input's {self.crop_dims[0]} pixels"
            )
        # What becomes zero in the net: the mean, turned back into an image.
        zero = np.zeros(self.blobs[in_].shape[1:], dtype=np.float32)
        transformer = io.Transformer(self.transformer.inputs)
        transformer.__dict__.update(self.transformer.__dict__)
        if in_ not in transformer.mean:
            transformer.mean = {in_: np.zeros((1, 1, 1), dtype=np.float32)}
        self.crop_mean = transformer.deprocess(in_, zero[np.newaxis])

    def crop(self, im: Array, window: Window) -> Array:
        """Cuts a window (ymin, xmin, ymax, xmax) out, with context if configured."""
        if not self.context_pad:
            return im[window[0] : window[2], window[1] : window[3]]
        size = self.crop_dims[0]
        corners = np.array(window, dtype=np.float64).reshape(2, 2)
        # The window fills the inner part of the input; the box all of it.
        half = (corners[1] - corners[0] + 1) / 2
        centre = corners[0] + half
        half *= size / (size - 2 * self.context_pad)
        box = np.round(np.stack([centre - half, centre + half])).astype(int)
        scale = size / np.maximum(box[1] - box[0], 1)
        inside = np.clip(box, 0, im.shape[:2])
        first = np.round((inside[0] - box[0]) * scale).astype(int)
        extent = np.round((inside[1] - inside[0]) * scale).astype(int)
        extent = np.minimum(extent, size - first)
        out = np.array(self.crop_mean)
        if (extent > 0).all():
            part = im[inside[0, 0] : inside[1, 0], inside[0, 1] : inside[1, 1]]
            last = first + extent
            out[first[0] : last[0], first[1] : last[1]] = io.resize_image(part, extent)
        return out
