"""What is cut out of an image before a net sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sknet.models.recipe import IMAGENET_MEAN, shorter_side

# Sides of the crops; None is the side of the net's own input.
PROTOCOLS: dict[str, int | None] = {"224": 224, "320": 320, "10crop": None}


# Where a value comes from that nothing tells.
DEFAULT = "a default"


@dataclass(frozen=True)
class Preprocessing:
    """From pixel levels to the values of the net's input: (level - mean) * scale.

    Attributes:
        mean: One value for each channel (blue, green, red), or one for all.
        scale: Factor.
        mean_from: What says so, in words.
        scale_from: Likewise.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    scale: float = 1.0
    mean_from: str = field(default=DEFAULT, compare=False)
    scale_from: str = field(default=DEFAULT, compare=False)

    @classmethod
    def of(cls, transform: Any, origin: str) -> Preprocessing:
        """What a TransformationParameter says.

        Raises:
            ValueError: It has a mean for each pixel.
        """
        if transform.HasField("mean_file"):
            raise ValueError(
                f"{origin} has a mean_file, which fits images of one size only; "
                "evaluate the deploy form and give --mean"
            )
        mean = tuple(transform.mean_value) or (0.0,)
        return cls(mean, transform.scale, origin, origin)

    def replaced(
        self, mean: Sequence[float] | None, scale: float | None
    ) -> Preprocessing:
        """This with another mean (one value or three) and scale, where given."""
        changed = self
        if mean is not None:
            if len(mean) not in (1, 3):
                raise ValueError(f"--mean has {len(mean)} values, expected 1 or 3")
            changed = replace(changed, mean=tuple(mean), mean_from="--mean")
        if scale is not None:
            changed = replace(changed, scale=scale, scale_from="--scale")
        return changed

    def doubts(self, net: str) -> list[str]:
        """What nothing but a default says of how `net` was trained, in a sentence."""
        mean = " ".join(f"{value:g}" for value in self.mean)
        values = [
            (f"mean {mean}", "--mean", self.mean_from),
            (f"scale {self.scale:g}", "--scale", self.scale_from),
        ]
        guessed = [
            (text, option) for text, option, origin in values if origin == DEFAULT
        ]
        if not guessed:
            return []
        texts, options = (" and ".join(words) for words in zip(*guessed, strict=True))
        return [
            f"nothing tells the preprocessing of net '{net}'; {texts} are taken, which "
            f"is usual for ImageNet, so give {options} of its training"
        ]


@dataclass(frozen=True)
class Protocol:
    """Crops of an image.

    Attributes:
        crop: Side of a crop in pixels.
        resize: Side to which the shorter side of the image is resized before, the other
            following (bilinear, without smoothing); 0 takes images as they are stored.
        crops: 1, the centre, or 10, corners and centre and their mirror images.
        resize_from: What says so of `resize`, in words.
    """

    crop: int
    resize: int
    crops: int = 1
    resize_from: str = field(default=DEFAULT, compare=False)

    def __post_init__(self) -> None:
        """Rejects crops that no image has."""
        if self.crop < 1 or self.resize < 0:
            raise ValueError(
                f"protocol: crop {self.crop} from a shorter side of {self.resize}, "
                "expected positive numbers"
            )
        if 0 < self.resize < self.crop:
            advice = (
                " (SKNet's README says 256 for crops of 320 too, which cannot be)"
                if (self.crop, self.resize) == (320, 256)
                else ""
            )
            raise ValueError(
                f"protocol: a crop of {self.crop} does not fit into images whose "
                f"shorter side is {self.resize}{advice}; resize to {self.crop} or "
                f"more, usually {shorter_side(self.crop)}"
            )

    def __str__(self) -> str:
        """In words."""
        kind = "centre crop" if self.crops == 1 else f"{self.crops} crops"
        images = (
            f"images with a shorter side of {self.resize}"
            if self.resize
            else "images as they are stored"
        )
        return f"{kind} of {self.crop}x{self.crop} from {images}"


def protocol_for(
    name: str | None,
    net_side: int,
    resize: int | None = None,
    own: int | None = None,
    own_from: str = DEFAULT,
) -> Protocol:
    """A named protocol.

    Args:
        name: One of `PROTOCOLS`, or None for a centre crop of the net's own size.
        net_side: Side of the input that the net was made for.
        resize: Side to resize the shorter side to; by default `shorter_side`'s.
        own: What takes the place of that default for crops of the net's own size, 0
            for a net that takes images as they are.
        own_from: What says so of the net, in words.

    Raises:
        ValueError: No such protocol, or a crop that does not fit.
    """
    if name is not None and name not in PROTOCOLS:
        raise ValueError(
            f"unknown protocol '{name}' (known: {', '.join(PROTOCOLS)}); without one "
            "the centre crop has the size of the net's input"
        )
    given = PROTOCOLS[name] if name else None
    crop = given or net_side
    origin = f"--protocol {name}" if given else own_from
    if resize is not None:
        origin = "--resize"
    else:
        resize = shorter_side(crop) if given or own is None else own
    return Protocol(crop, resize, 10 if name == "10crop" else 1, origin)
