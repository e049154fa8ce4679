"""Counts and intervals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sknet.evaluation import Scores, wilson_interval


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 1 - 0.1611, 1.0000),
    ],
)
def test_intervals_are_wilsons(correct, count, low, high):
    got = wilson_interval(correct, count)
    assert np.round(got, 4) == pytest.approx((low, high), abs=1e-9)


def random_answers(random, images=200, classes=9):
    probabilities = random.random((images, classes)).astype(np.float32)
    return probabilities, random.integers(0, classes, images)


def test_counts_are_those_of_sorting(random):
    probabilities, labels = random_answers(random)
    scores = Scores(9)
    for part in np.array_split(np.arange(200), 7):
        scores.add(probabilities[part], labels[part])
    best = np.argsort(-probabilities, axis=1)
    assert scores.top1_correct == sum(best[:, 0] == labels)
    in_five = (best[:, :5] == labels[:, None]).any(axis=1)
    assert scores.top5_correct == in_five.sum()
    matrix = np.zeros((9, 9), int)
    np.add.at(matrix, (labels, best[:, 0]), 1)
    np.testing.assert_array_equal(scores.confusion_matrix(), matrix)
    for label, (images, top1, top5) in enumerate(scores.per_class()):
        own = labels == label
        assert images == own.sum()
        assert top1 == (best[own, 0] == label).sum()
        assert top5 == in_five[own].sum()


def test_ties_are_lost_as_in_the_accuracy_layer():
    scores = Scores(6)
    scores.add(np.full((1, 6), 1 / 6, np.float32), np.array([0]))
    assert scores.top5_correct == 0


def test_records_restore_the_counts(random):
    scores = Scores(9)
    scores.add(*random_answers(random))
    restored = Scores.from_record(json.loads(json.dumps(scores.to_record())))
    assert restored.confusions == scores.confusions
    assert restored.top5 == scores.top5
    record = scores.to_record()
    record["images"] += 1
    with pytest.raises(ValueError, match="do not add up"):
        Scores.from_record(record)


@pytest.mark.parametrize("label", [-1, 9])
def test_labels_have_to_be_classes(random, label):
    probabilities, labels = random_answers(random)
    labels[17] = label
    with pytest.raises(
        ValueError, match=f"image 17: label {label}, expected one below 9"
    ):
        Scores(9).add(probabilities, labels)


def test_no_numbers_are_no_answer(random):
    probabilities, labels = random_answers(random)
    probabilities[3, 2] = np.nan
    with pytest.raises(ValueError, match="are no numbers"):
        Scores(9).add(probabilities, labels)


def answered(labels, answers, classes):
    scores = Scores(classes)
    scores.add(np.eye(classes, dtype=np.float32)[answers], labels)
    return scores


def test_another_order_of_labels_is_noticed(random):
    classes = 20
    labels = np.arange(classes).repeat(10)
    mostly = np.where(random.random(200) < 0.8, labels, random.integers(0, 20, 200))
    order = np.roll(np.arange(classes), 3)
    assert answered(labels, order[mostly], classes).labels_look_permuted()
    # A good net, a guessing one and a constant one are other cases.
    assert not answered(labels, mostly, classes).labels_look_permuted()
    guesses = random.integers(0, classes, 200)
    assert not answered(labels, guesses, classes).labels_look_permuted()
    assert not answered(labels, np.zeros(200, int), classes).labels_look_permuted()
