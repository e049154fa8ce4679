"""Counts of right and wrong answers, and what can be concluded from them."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

# Quantile of the normal distribution for two-sided intervals of 95 %.
_Z95 = 1.959963984540054
# A wrong order of labels shows as classes that are nearly always taken for one other.
_MIN_IMAGES = 100
_SUSPICIOUS_TOP1 = 0.1
_SUSPICIOUS_AGREEMENT = 0.3


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson 1927), for `count` above 0.

    Unlike the normal one it stays within 0..1 and is right for few images too.
    """
    share = correct / count
    z2 = _Z95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = (
        _Z95
        * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
        / (1 + z2 / count)
    )
    # At the ends the formula gives them but for rounding.
    low = centre - half if correct else 0.0
    high = centre + half if correct < count else 1.0
    return low, high


class Scores:
    """Counts over the images so far.

    Attributes:
        classes: Number of classes.
        images: Images counted.
        confusions: Number of images by (label, answer).
        top5: Images by label whose class is among the five best.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.images = 0
        self.confusions: Counter[tuple[int, int]] = Counter()
        self.top5: Counter[int] = Counter()

    def add(self, scores: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> None:
        """Counts a batch.

        Args:
            scores: (images, classes), more for likelier classes.
            labels: (images,).

        Raises:
            ValueError: A label is no class, or a score no number.
        """
        outside = (labels < 0) | (labels >= self.classes)
        if outside.any():
            index = int(np.argmax(outside))
            raise ValueError(
                f"image {self.images + index}: label {labels[index]}, expected one "
                f"below {self.classes}, the net's number of classes; build the "
                "database with the classes of the net"
            )
        if not np.isfinite(scores).all():
            raise ValueError(
                "the net's scores are no numbers; check that the weights belong "
                "to the net, and mean and scale to the weights"
            )
        answers = scores.argmax(axis=1)
        own = scores[np.arange(len(labels)), labels]
        # As Caffe's Accuracy layer counts, ties are lost.
        rank = (scores >= own[:, np.newaxis]).sum(axis=1)
        self.confusions.update(zip(labels.tolist(), answers.tolist(), strict=True))
        self.top5.update(labels[rank <= 5].tolist())
        self.images += len(labels)

    @property
    def top1_correct(self) -> int:
        """Images whose class has the highest score."""
        return sum(
            n for (label, answer), n in self.confusions.items() if label == answer
        )

    @property
    def top5_correct(self) -> int:
        """Images whose class is among the five best."""
        return self.top5.total()

    def per_class(self) -> list[tuple[int, int, int]]:
        """For every label the images, and those right at first and among five."""
        images: Counter[int] = Counter()
        for (label, _), n in self.confusions.items():
            images[label] += n
        return [
            (images[label], self.confusions[label, label], self.top5[label])
            for label in range(self.classes)
        ]

    def confusion_matrix(self) -> npt.NDArray[np.int64]:
        """Images by label (rows) and answer (columns)."""
        matrix = np.zeros((self.classes, self.classes), np.int64)
        for place, n in self.confusions.items():
            matrix[place] = n
        return matrix

    def labels_look_permuted(self) -> bool:
        """Whether the answers fit the labels badly, but would fit others well."""
        most: Counter[int] = Counter()
        for (label, _), n in self.confusions.items():
            most[label] = max(most[label], n)
        return (
            self.images >= _MIN_IMAGES
            and self.images >= 4 * len(most)
            and self.top1_correct < _SUSPICIOUS_TOP1 * self.images
            and most.total() > _SUSPICIOUS_AGREEMENT * self.images
            # Always the same answer is another fault.
            and len({answer for _, answer in self.confusions}) > len(most) // 2
        )

    def to_record(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "classes": self.classes,
            "images": self.images,
            "confusions": [[*place, n] for place, n in sorted(self.confusions.items())],
            "top5": sorted(self.top5.items()),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Scores:
        """The inverse; ValueError, KeyError or TypeError for anything else."""
        scores = cls(int(record["classes"]))
        scores.images = int(record["images"])
        for label, answer, n in record["confusions"]:
            scores.confusions[int(label), int(answer)] = int(n)
        scores.top5 = Counter({int(label): int(n) for label, n in record["top5"]})
        if scores.confusions.total() != scores.images:
            raise ValueError("its counts do not add up")
        return scores
