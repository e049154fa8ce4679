"""Solver definitions follow the published recipe."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknet.models import recipe_for, solver


def test_imagenet_solver_is_the_papers():
    definition = solver(recipe_for("imagenet"), "net.prototxt", "snapshots/sknet50")
    images, batch = 1_281_167, 256
    assert definition.iter_size * 32 == batch
    assert definition.max_iter == math.ceil(100 * images / batch)
    assert list(definition.stepvalue) == [
        math.ceil(epochs * images / batch) for epochs in (30, 60, 90)
    ]
    assert definition.lr_policy == "multistep"
    fields = ("base_lr", "gamma", "momentum", "weight_decay")
    assert [f"{getattr(definition, name):g}" for name in fields] == [
        "0.1",
        "0.1",
        "0.9",
        "0.0001",
    ]
    assert definition.net == "net.prototxt"
    assert definition.snapshot_prefix == "snapshots/sknet50"


@given(
    train_images=st.integers(1, 10**6),
    val_images=st.integers(1, 10**5),
    batch_size=st.integers(1, 512),
    val_batch_size=st.integers(1, 512),
    epochs=st.integers(1, 300),
)
def test_every_image_is_validated_once_and_trained_every_epoch(
    train_images, val_images, batch_size, val_batch_size, epochs
):
    recipe = recipe_for(
        "digits",
        train_images=train_images,
        val_images=val_images,
        batch_size=batch_size,
        val_batch_size=val_batch_size,
        epochs=epochs,
    )
    definition = solver(recipe, "net.prototxt", "model")
    assert definition.test_iter[0] * recipe.exact_val_batch == val_images
    assert recipe.exact_val_batch <= val_batch_size
    drawn = definition.max_iter * batch_size
    assert epochs * train_images <= drawn < epochs * train_images + batch_size
    assert definition.test_interval > 0
    assert definition.snapshot > 0


@pytest.mark.parametrize("field", ["train_images", "batch_size", "epochs"])
def test_sizes_must_be_positive(field):
    with pytest.raises(ValueError, match=f"{field} is 0, expected above 0"):
        recipe_for("digits", **{field: 0})
