"""Classification of images with one net."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe import _arguments, io
from caffe.proto.caffe_pb2 import TEST
from caffe.pycaffe import Net


class Classifier(Net):
    """A net with its preprocessing, from images to class scores."""

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        pretrained_file: str | os.PathLike[str],
        image_dims: Sequence[int] | None = None,
        mean: npt.NDArray[Any] | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        """Loads the net in the TEST phase.

        Args:
            model_file: Prototxt of the net.
            pretrained_file: Its weights.
            image_dims: Height and width to which images are resized before they are
                cropped to the net's input; by default that input's.
            mean: See `caffe.io.Transformer.set_mean`.
            input_scale: Factor after the mean.
            raw_scale: Factor before the mean.
            channel_swap: Order of the channels.
        """
        who = f"caffe.{type(self).__name__}"
        weights = _arguments.path(pretrained_file, who, "pretrained_file")
        super().__init__(model_file, TEST, weights=weights)
        in_ = self.inputs[0]
        shape = tuple(self.blobs[in_].shape)
        self.transformer = input_transformer(
            {in_: shape}, mean, input_scale, raw_scale, channel_swap
        )
        self.crop_dims = shape[2:]
        self.image_dims = tuple(image_dims) if image_dims is not None else shape[2:]

    def predict(
        self, inputs: Sequence[npt.NDArray[Any]], oversample: bool = True
    ) -> npt.NDArray[Any]:
        """Scores of images.

        Args:
            inputs: Images of (height, width, channels).
            oversample: Average the scores of ten crops (`caffe.io.oversample`);
                otherwise only the centre is scored.

        Returns:
            (images, classes) array; an output of (images, classes, height, width) is
            laid out in a row.
        """
        resized = [io.resize_image(image, self.image_dims) for image in inputs]
        if oversample:
            crops = io.oversample(resized, self.crop_dims)
        else:
            top, left = (np.array(self.image_dims) - np.array(self.crop_dims)) // 2
            height, width = self.crop_dims
            crops = np.stack(
                [image[top : top + height, left : left + width] for image in resized]
            )
        in_, out = self.inputs[0], self.outputs[0]
        batch = np.stack([self.transformer.preprocess(in_, crop) for crop in crops])
        scores = self._run_all((), {in_: batch})[out].reshape(len(batch), -1)
        if oversample:
            scores = scores.reshape(len(inputs), 10, -1).mean(1)
        return scores


def input_transformer(
    inputs: dict[str, tuple[int, ...]],
    mean: npt.NDArray[Any] | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> io.Transformer:
    """A transformer for the only input, with channels first and these settings."""
    transformer = io.Transformer(inputs)
    (in_,) = inputs
    transformer.set_transpose(in_, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(in_, mean)
    if input_scale is not None:
        transformer.set_input_scale(in_, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(in_, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(in_, channel_swap)
    return transformer
