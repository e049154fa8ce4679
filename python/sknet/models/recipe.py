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
        batch_size: Images per forward and backward pass of one device.
        iter_size: Passes per update.
        gpus: GPUs that share the work; 0 is the processor alone.
        fixed_batch: Images per update (devices x batch_size x iter_size) that the rate
            was chosen for, so that other devices or batches change iter_size; None if
            any will do.
        val_batch_size: Images per validation pass, at most; see `exact_val_batch`.
        epochs: Passes over the training set.
        base_lr: Learning rate after the warm-up.
        lr_drops: Epochs after which the rate is divided by ten; without any it falls
            linearly to zero. An epoch is a whole number of updates. They move with
            `epochs` unless they are given as well.
        warmup_epochs: Epochs of linear rise of the learning rate from zero.
        momentum: Momentum of SGD.
        weight_decay: L2 penalty; batch norm and biases are exempt by their decay_mult.
        label_smoothing: Share of the target spread evenly over all classes.
        mean_value: Subtracted per channel (blue, green, red).
        scale: Multiplies the difference.
        mirror: Flip images left to right at random.
        random_resized_crop: Cut windows of random area and aspect ratio and resize them
            (by default 8 to 100 % and 3/4 to 4/3), instead of windows of the input's
            size.
        min_area: Least share of the image that such a window covers, if not 8 %.
        resize_val: Whether validation images are resized by `shorter_side` before their
            centre crop is taken, which is for objects of any size.
        max_rotation: Largest random rotation in degrees, either way.
        max_jitter: Largest random offset of the pixel levels, either way.
        display: Iterations between log lines, at most; short runs have 40 lines.
        seed: Seed of every random draw.
    """

    train_images: int
    val_images: int
    batch_size: int
    val_batch_size: int
    epochs: float
    base_lr: float
    iter_size: int = 1
    gpus: int = 0
    fixed_batch: int | None = None
    lr_drops: tuple[float, ...] = ()
    warmup_epochs: float = 0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    mean_value: tuple[float, ...] = IMAGENET_MEAN
    scale: float = 1.0
    mirror: bool = True
    random_resized_crop: bool = False
    min_area: float | None = None
    resize_val: bool = False
    max_rotation: float = 0.0
    max_jitter: float = 0.0
    display: int = 20
    seed: int = 1

    def __post_init__(self) -> None:
        """Rejects sizes without which nothing can be trained."""
        sizes = ("train_images", "val_images", "batch_size", "val_batch_size")
        for field in (*sizes, "iter_size", "epochs"):
            value = getattr(self, field)
            if value <= 0:
                raise ValueError(f"recipe: {field} is {value}, expected above 0")
        if self.gpus < 0:
            raise ValueError(f"recipe: gpus is {self.gpus}, expected 0 or more")

    @property
    def effective_batch(self) -> int:
        """Images per update, over all devices."""
        return max(self.gpus, 1) * self.batch_size * self.iter_size

    def iterations(self, epochs: float) -> int:
        """Updates in this many epochs, each rounded up to a whole number of them."""
        return math.ceil(epochs * math.ceil(self.train_images / self.effective_batch))

    def warnings(self) -> list[str]:
        """What in the recipe has no effect, in sentences."""
        late = [drop for drop in self.lr_drops if drop >= self.epochs]
        found = [
            f"the rate would fall after epoch {drop:g}, but training ends after "
            f"{self.epochs:g}"
            for drop in late
        ]
        if self.warmup_epochs >= self.epochs:
            found.append(
                f"the rate rises over {self.warmup_epochs:g} epoch(s), and training "
                f"ends after {self.epochs:g}: it never reaches base_lr"
            )
        return found

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
# The augmentation is that of SENet's release, as the paper's authors say of theirs.
_IMAGENET = Recipe(
    train_images=1_281_167,
    val_images=50_000,
    batch_size=32,
    iter_size=8,
    val_batch_size=50,
    epochs=100,
    base_lr=0.1,
    fixed_batch=256,
    lr_drops=(30, 60, 90),
    label_smoothing=0.1,
    random_resized_crop=True,
    resize_val=True,
    max_rotation=10.0,
    max_jitter=20.0,
)
# scikit-learn's scanned digits, a fifth of them for validation. A mirrored digit is
# another sign, as is the small part of one; and the images are as large as the input.
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
    random_resized_crop=True,
    min_area=0.6,
    max_rotation=10.0,
    max_jitter=20.0,
)
# CIFAR-10 and -100 as in ResNeXt's paper (Xie et al. 2017): crops of 32 from images
# that are stored with four black pixels around them, 40x40. Validation takes their
# centres.
_CIFAR = Recipe(
    train_images=50_000,
    val_images=10_000,
    batch_size=128,
    val_batch_size=100,
    epochs=300,
    base_lr=0.1,
    fixed_batch=128,
    lr_drops=(150, 225),
    weight_decay=5e-4,
    mean_value=(113.9, 123.0, 125.3),
    scale=1 / 64,
)
_RECIPES = {"imagenet": _IMAGENET, "cifar": _CIFAR, "digits": _DIGITS}

# What other schedules change. SENet's authors retrained for 270 epochs and divided the
# rate after 125, 200 and 250 (hujie-frank/SENet, issue 62).
SCHEDULES: dict[str, dict[str, Any]] = {
    "paper": {},
    "senet": {"epochs": 270.0, "lr_drops": (125.0, 200.0, 250.0)},
}


def recipe_for(name: str, *, schedule: str = "paper", **changes: Any) -> Recipe:
    """The recipe of that name on a schedule, with the fields in `changes` replaced.

    If the recipe fixes the images per update, another `batch_size` or `gpus` rescales
    `iter_size`; a given `iter_size` is taken as it is.

    Raises:
        ValueError: No such recipe, schedule or field, a value out of its range, or a
            batch of which no whole number makes an update.
    """
    for what, key, known in (
        ("recipe", name, tuple(_RECIPES)),
        ("schedule", schedule, tuple(SCHEDULES)),
        *(("field", field, tuple(Recipe.__dataclass_fields__)) for field in changes),
    ):
        if key not in known:
            raise ValueError(
                f"recipe: unknown {what} '{key}' (known: {', '.join(known)})"
            )
    recipe = replace(_RECIPES[name], **SCHEDULES[schedule])
    if "epochs" in changes and "lr_drops" not in changes:
        share = changes["epochs"] / recipe.epochs
        drops = tuple(round(share * drop, 6) for drop in recipe.lr_drops)
        recipe = replace(recipe, lr_drops=drops)
    recipe = replace(recipe, **changes)
    if recipe.fixed_batch is None or "iter_size" in changes:
        return recipe
    images = max(recipe.gpus, 1) * recipe.batch_size
    if recipe.fixed_batch % images:
        raise ValueError(
            f"recipe: {max(recipe.gpus, 1)} device(s) x {recipe.batch_size} images do "
            f"not divide the {recipe.fixed_batch} images of an update; choose "
            "another batch, or set iter_size and scale base_lr"
        )
    return replace(recipe, iter_size=recipe.fixed_batch // images)


def shorter_side(crop: int) -> int:
    """Pixels to resize an image's shorter side to before its centre crop is taken.

    256 for 224, as everywhere, and 352 for 320, as SENet's authors do; other crops take
    the share of the image that 224 has of 256.
    """
    return {320: 352}.get(crop, round(crop * 256 / 224))


def solver(recipe: Recipe, net: str, snapshot_prefix: str) -> caffe_pb2.SolverParameter:
    """SGD with at most 100 tests and 10 snapshots in a run."""
    iterations = recipe.iterations(recipe.epochs)
    definition = caffe_pb2.SolverParameter(
        net=net,
        test_iter=[recipe.val_images // recipe.exact_val_batch],
        test_interval=min(iterations, recipe.iterations(max(1, recipe.epochs / 100))),
        test_initialization=False,
        base_lr=recipe.base_lr,
        display=min(recipe.display, max(1, iterations // 40)),
        max_iter=iterations,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        snapshot=min(iterations, recipe.iterations(max(1, recipe.epochs / 10))),
        snapshot_prefix=snapshot_prefix,
        random_seed=recipe.seed,
        solver_mode=caffe_pb2.SolverParameter.GPU
        if recipe.gpus
        else caffe_pb2.SolverParameter.CPU,
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
