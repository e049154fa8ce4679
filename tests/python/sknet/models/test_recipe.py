"""Solver definitions follow the published recipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe.proto import caffe_pb2
from sknet.models import recipe_for, solver
from sknet.models.recipe import shorter_side


def test_imagenet_solver_is_the_papers():
    definition = solver(recipe_for("imagenet"), "net.prototxt", "snapshots/sknet50")
    assert definition.iter_size * 32 == 256
    epoch = 5005  # 1,281,167 images in updates of 256
    assert definition.max_iter == 100 * epoch
    assert list(definition.stepvalue) == [30 * epoch, 60 * epoch, 90 * epoch]
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
    assert definition.solver_mode == caffe_pb2.SolverParameter.CPU


def test_augmentation_is_senets():
    recipe = recipe_for("imagenet")
    assert recipe.mirror
    assert recipe.random_resized_crop
    assert (recipe.max_rotation, recipe.max_jitter) == (10, 20)
    assert recipe.mean_value == (104, 117, 123)
    assert recipe.label_smoothing == 0.1


def test_senets_schedule_is_longer():
    definition = solver(recipe_for("imagenet", schedule="senet"), "n", "p")
    assert definition.max_iter == 270 * 5005
    assert list(definition.stepvalue) == [125 * 5005, 200 * 5005, 250 * 5005]


@pytest.mark.parametrize(
    ("gpus", "batch_size", "iter_size"),
    [(0, 32, 8), (1, 32, 8), (8, 32, 1), (4, 32, 2), (2, 128, 1), (0, 8, 32)],
)
def test_an_update_stays_at_256_images(gpus, batch_size, iter_size):
    recipe = recipe_for("imagenet", gpus=gpus, batch_size=batch_size)
    assert recipe.iter_size == iter_size
    definition = solver(recipe, "n", "p")
    assert max(definition.iter_size, 1) == iter_size
    assert definition.max_iter == 100 * 5005
    on_gpus = definition.solver_mode == caffe_pb2.SolverParameter.GPU
    assert on_gpus == (gpus > 0)


@pytest.mark.parametrize(("gpus", "batch_size"), [(3, 32), (0, 24), (8, 64)])
def test_batches_must_divide_an_update(gpus, batch_size):
    with pytest.raises(ValueError, match=f"{batch_size} images do not divide the 256"):
        recipe_for("imagenet", gpus=gpus, batch_size=batch_size)
    given = recipe_for("imagenet", gpus=gpus, batch_size=batch_size, iter_size=2)
    assert given.effective_batch == 2 * max(gpus, 1) * batch_size


@pytest.mark.parametrize(
    ("crop", "side"), [(224, 256), (320, 352), (299, 342), (448, 512)]
)
def test_images_are_resized_beyond_their_crop(crop, side):
    assert shorter_side(crop) == side


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recipe_for("coco"), "unknown recipe 'coco'"),
        (lambda: recipe_for("imagenet", schedule="x"), "unknown schedule 'x'"),
        (lambda: recipe_for("imagenet", speed=3), "unknown field 'speed'"),
        (lambda: recipe_for("imagenet", gpus=-1), "gpus is -1, expected 0 or more"),
    ],
)
def test_unknown_names_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


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
    assert epochs * train_images <= drawn < epochs * (train_images + batch_size)
    assert definition.test_interval > 0
    assert definition.snapshot > 0


@pytest.mark.parametrize("field", ["train_images", "batch_size", "epochs"])
def test_sizes_must_be_positive(field):
    with pytest.raises(ValueError, match=f"{field} is 0, expected above 0"):
        recipe_for("digits", **{field: 0})


def test_steps_move_with_the_epochs():
    recipe = recipe_for("imagenet", epochs=6.0)
    assert recipe.lr_drops == (1.8, 3.6, 5.4)
    definition = solver(recipe, "n", "p")
    # 5005 updates in an epoch of 1,281,167 images in batches of 256.
    assert list(definition.stepvalue) == [9009, 18018, 27027]
    assert definition.max_iter == 30030
    assert recipe_for("imagenet", schedule="senet", epochs=27.0).lr_drops == (
        12.5,
        20.0,
        25.0,
    )
    given = recipe_for("imagenet", epochs=6.0, lr_drops=(2.0, 7.0))
    assert given.lr_drops == (2.0, 7.0)
    assert given.warnings() == [
        "the rate would fall after epoch 7, but training ends after 6"
    ]
    assert recipe_for("imagenet").warnings() == []
    assert "never reaches base_lr" in recipe_for("digits", epochs=1.0).warnings()[0]


def test_small_sets_are_shown_and_tested_within_the_run():
    recipe = recipe_for(
        "imagenet", train_images=16, val_images=4, batch_size=8, iter_size=1, epochs=3.0
    )
    definition = solver(recipe, "n", "p")
    assert definition.max_iter == 6
    assert definition.display == 1
    assert definition.test_interval == 2
    assert definition.snapshot == 2
    assert solver(recipe_for("imagenet"), "n", "p").display == 20
