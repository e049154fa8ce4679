"""Training recipes, and the solver definitions that carry them out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from caffe.proto import caffe_pb2

# Channel means (blue, green, red) of ImageNet that the releases subtract.
IMAGENET_MEAN = (104.0, 117.0, 123.0)


@dataclass(frozen=True)
class Recipe:
    """How to train on one data set.

    Attributes:
        train_images: Images in the training set.
        val_images: Images in the validation set.
        batch_size: Images per forward and backward pass.
        iter_size: Passes per update; the effective batch is their product.
        val_batch_size: Images per validation pass, at most; see `exact_val_batch`.
        epochs: Passes over the training set.
        base_lr: Learning rate after the warm-up.
        lr_drops: Epochs after which the rate is divided by ten; without any it falls
            linearly to zero.
        warmup_epochs: Epochs of linear rise of the learning rate from zero.
        momentum: Momentum of SGD.
        weight_decay: L2 penalty; batch norm and biases are exempt by their decay_mult.
        label_smoothing: Share of the target spread evenly over all classes.
        mean_value: Subtracted per channel (blue, green, red).
        scale: Multiplies the difference.
        mirror: Flip images left to right at random.
        crop: Cut windows of the net's input size out of the stored images.
        display: Iterations between log lines.
        seed: Seed of every random draw.
    """

    train_images: int
    val_images: int
    batch_size: int
    val_batch_size: int
    epochs: float
    base_lr: float
    iter_size: int = 1
    lr_drops: tuple[float, ...] = ()
    warmup_epochs: float = 0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    mean_value: tuple[float, ...] = IMAGENET_MEAN
    scale: float = 1.0
    mirror: bool = True
    crop: bool = True
    display: int = 20
    seed: int = 1

    def __post_init__(self) -> None:
        """Rejects sizes without which nothing can be trained."""
        sizes = ("train_images", "val_images", "batch_size", "val_batch_size")
        for field in (*sizes, "iter_size", "epochs"):
            value = getattr(self, field)
            if value <= 0:
                raise ValueError(f"recipe: {field} is {value}, expected above 0")

    def iterations(self, epochs: float) -> int:
        """Updates in this many passes over the training set."""
        return math.ceil(
            epochs * self.train_images / (self.batch_size * self.iter_size)
        )

    @property
    def exact_val_batch(self) -> int:
        """The largest allowed batch that divides the validation set.

        The data layer starts over at the end of the set, so any other batch would
        count some images twice.
        """
        limit = min(self.val_batch_size, self.val_images)
        return next(n for n in range(limit, 0, -1) if self.val_images % n == 0)


# The paper: batch 256 over 8 devices, 100 epochs, rate 0.1 divided by ten every 30. It
# smooths labels without saying how much; 0.1 is the usual share (Szegedy et al. 2016).
_IMAGENET = Recipe(
    train_images=1_281_167,
    val_images=50_000,
    batch_size=32,
    iter_size=8,
    val_batch_size=50,
    epochs=100,
    base_lr=0.1,
    lr_drops=(30, 60, 90),
    label_smoothing=0.1,
)
# scikit-learn's scanned digits, a fifth of them for validation. A mirrored digit is
# another sign, and the images are no larger than the net's input.
_DIGITS = Recipe(
    train_images=1437,
    val_images=360,
    batch_size=32,
    val_batch_size=60,
    epochs=20,
    base_lr=0.1,
    warmup_epochs=1,
    weight_decay=5e-4,
    label_smoothing=0.1,
    mean_value=(78.0, 78.0, 78.0),
    scale=1 / 96,
    mirror=False,
    crop=False,
)
_RECIPES = {"imagenet": _IMAGENET, "digits": _DIGITS}


def recipe_for(name: str, **changes: Any) -> Recipe:
    """The recipe of that name with the fields in `changes` replaced.

    Raises:
        ValueError: No such recipe or field, or a value out of its range.
    """
    if name not in _RECIPES:
        raise ValueError(f"unknown recipe '{name}' (known: {', '.join(_RECIPES)})")
    unknown = sorted(set(changes) - set(Recipe.__dataclass_fields__))
    if unknown:
        raise ValueError(
            f"recipe: unknown field '{unknown[0]}' "
            f"(known: {', '.join(Recipe.__dataclass_fields__)})"
        )
    return replace(_RECIPES[name], **changes)


def solver(recipe: Recipe, net: str, snapshot_prefix: str) -> caffe_pb2.SolverParameter:
    """SGD on the CPU, with at most 100 tests and 10 snapshots in a run."""
    definition = caffe_pb2.SolverParameter(
        net=net,
        test_iter=[recipe.val_images // recipe.exact_val_batch],
        test_interval=recipe.iterations(max(1, recipe.epochs / 100)),
        test_initialization=False,
        base_lr=recipe.base_lr,
        display=recipe.display,
        max_iter=recipe.iterations(recipe.epochs),
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        snapshot=recipe.iterations(max(1, recipe.epochs / 10)),
        snapshot_prefix=snapshot_prefix,
        random_seed=recipe.seed,
        solver_mode=caffe_pb2.SolverParameter.CPU,
    )
    if recipe.iter_size > 1:
        definition.iter_size = recipe.iter_size
    if recipe.warmup_epochs:
        definition.warmup_iter = recipe.iterations(recipe.warmup_epochs)
    if recipe.lr_drops:
        definition.lr_policy = "multistep"
        definition.gamma = 0.1
        definition.stepvalue.extend(map(recipe.iterations, recipe.lr_drops))
    else:
        definition.lr_policy = "poly"
        definition.power = 1.0
    return definition
