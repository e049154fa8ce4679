"""The run over all images: resumable, with its result."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from caffe.files import read_text, write_atomically
from sknet.data.class_map import ClassMap
from sknet.evaluation.images import ImageSource
from sknet.evaluation.network import Network
from sknet.evaluation.protocol import Preprocessing, Protocol
from sknet.evaluation.reading import Rejected
from sknet.evaluation.scores import Scores
from sknet.evaluation.setting import Setting

_FORMAT = "sknet evaluation checkpoint 3"
# Seconds between checkpoints.
_INTERVAL = 30.0


@dataclass
class Evaluation:
    """What came out; `record_of` has it all.

    Attributes:
        setting: What was evaluated, and how.
        learned: The classes in the order of the net's outputs, if they were given.
        scores: The counts.
        images_per_s: Throughput of this run, without set-up; 0 if it did nothing.
        resumed: Images that an earlier run had done.
        warnings: Reasons to doubt the result, in sentences.
        rejected: Images that could not be decoded and were left out, (name, reason).
    """

    setting: Setting
    learned: ClassMap | None
    scores: Scores
    images_per_s: float
    resumed: int
    warnings: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)


def evaluate(
    network: Network,
    source: ImageSource,
    protocol: Protocol,
    preprocessing: Preprocessing,
    *,
    batch: int | None = None,
    limit: int | None = None,
    learned: ClassMap | None = None,
    checkpoint: Path | None = None,
    skip_bad: bool = False,
    report: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Classifies the images and counts.

    Args:
        network: From `load_network` or, with the next three, `set_up`.
        source: Labelled images.
        protocol: Crops of an image; the probabilities of several are averaged.
        preprocessing: Of the weights' training.
        batch: Images at a time, by default as many as the net's batch holds.
        limit: Number of images, by default all.
        learned: The classes in the order of the net's outputs, to translate labels.
        checkpoint: File that keeps the counts every half minute, and from which an
            interrupted run of the same evaluation goes on.
        skip_bad: Leave out images that cannot be decoded, instead of an error.
        report: Called with the numbers of images done and of all.

    Raises:
        ValueError: Labels that are no classes, a checkpoint of another evaluation, or
            no image could be decoded.
        OSError: An image cannot be read, or the checkpoint not be written.
    """
    translation, warnings = check(network, source, learned)
    total = source.count if limit is None else min(limit, source.count)
    if batch is None:
        batch = network.batch // protocol.crops
    net = network.definition.net.SerializeToString(deterministic=True)
    identity = {
        "format": _FORMAT,
        "net": hashlib.sha256(net).hexdigest(),
        "weights": network.weights_digest() if checkpoint else "",
        "source": source.identity,
        "precision": network.net.precision,
        "protocol": str(protocol),
        "preprocessing": [*preprocessing.mean, preprocessing.scale],
        "translation": translation,
    }
    scores, rejected = _restored(checkpoint, identity) or (Scores(network.classes), [])
    before = scores.images + len(rejected)
    if before > total:
        raise ValueError(
            f"checkpoint '{checkpoint}': {before} images are done, expected at most "
            f"{total}; remove it, or raise --limit"
        )
    if rejected and not skip_bad:
        name, reason = rejected[0]
        raise OSError(
            f"checkpoint '{checkpoint}': {len(rejected)} images were left out, the "
            f"first is '{name}' ({reason}); give --on-bad-image skip again, or repair "
            "them and remove it"
        )
    known = network.classes if translation is None else len(translation)
    settled = len(rejected)  # those before the last image that was counted
    began = saved = time.monotonic()
    try:
        for crops, labels in source.batches(
            protocol,
            preprocessing,
            batch,
            before,
            total,
            known,
            rejected if skip_bad else None,
        ):
            logs = network.forward(crops).reshape(len(labels), protocol.crops, -1)
            # Of the mean probability over the crops, but for a constant.
            with np.errstate(invalid="ignore"):
                mean = np.logaddexp.reduce(logs, axis=1)
            if translation is not None:
                labels = labels.copy()
                labels[:] = [translation[label] for label in labels]
            scores.add(mean, labels)
            settled = len(rejected)
            if report:
                report(scores.images + len(rejected), total)
            if checkpoint and time.monotonic() >= saved + _INTERVAL:
                _save(checkpoint, identity, scores, rejected)
                saved = time.monotonic()
    except BaseException:
        if checkpoint and scores.images + settled:
            # The first error counts.
            with contextlib.suppress(OSError):
                _save(checkpoint, identity, scores, rejected[:settled])
        raise
    seconds = time.monotonic() - began
    if not scores.images:
        name, reason = rejected[0]
        raise ValueError(
            f"source '{source.path}': none of its {total} images can be decoded; the "
            f"first, '{name}': {reason}"
        )
    if checkpoint:
        _save(checkpoint, identity, scores, rejected)
    done = scores.images + len(rejected) - before
    if scores.labels_look_permuted():
        warnings.append(
            "the answers fit other labels well, but not these: the labels of the "
            "images are probably in another order than those the net learned; give "
            "--classes, the classes in the order of the net's outputs"
        )
    speed = done / seconds if done else 0.0
    setting = Setting(network, source, protocol, preprocessing)
    return Evaluation(setting, learned, scores, speed, before, warnings, rejected)


def check(
    network: Network, source: ImageSource, learned: ClassMap | None = None
) -> tuple[list[int] | None, list[str]]:
    """Finds out whether the images can be evaluated with the net.

    Args:
        network: A net.
        source: Images.
        learned: The classes in the order of the net's outputs.

    Returns:
        For each label of the source the net's output, None if they are the same; and
        reasons to doubt, in sentences.

    Raises:
        ValueError: The images have no labels, or other classes than the net.
    """
    if not source.labelled:
        raise ValueError(
            f"source '{source.path}': its images have no labels; put them into a "
            "folder for each class, or give --labels, a file of lines `name label`"
        )
    if learned is not None and len(learned.names) != network.classes:
        raise ValueError(
            f"net '{network.definition.name}' has {network.classes} outputs, expected "
            f"{len(learned.names)} from the list of classes"
        )
    if source.classes is None:
        if learned is not None:
            raise ValueError(
                f"source '{source.path}' does not tell the classes of its labels, "
                "which a list of classes needs; build it with `sknet prepare`, or "
                "name a folder of class folders"
            )
        return None, [
            f"source '{source.path}' has no class map, so that nothing tells whether "
            "its labels are those the net learned; `sknet prepare` records one"
        ]
    if learned is not None:
        return source.classes.translation(learned, f"source '{source.path}'"), []
    if len(source.classes.names) != network.classes:
        raise ValueError(
            f"source '{source.path}' has {len(source.classes.names)} classes, expected "
            f"{network.classes}, the outputs of net '{network.definition.name}'; if "
            "they are some of the net's, give --classes, a file that lists all of them "
            "in the order of the outputs"
        )
    return None, []


def _restored(
    checkpoint: Path | None, identity: dict[str, Any]
) -> tuple[Scores, Rejected] | None:
    if checkpoint is None or not checkpoint.exists():
        return None
    try:
        record = json.loads(read_text(checkpoint))
        known = {key: record[key] for key in identity}
        scores = Scores.from_record(record["scores"])
        rejected = [(str(name), str(why)) for name, why in record.get("rejected", [])]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"checkpoint '{checkpoint}': damaged, or none of ours ({error}); remove it"
        ) from None
    for key, value in identity.items():
        if known[key] != value:
            raise ValueError(
                f"checkpoint '{checkpoint}': of another evaluation, its {key} differs; "
                "name another file, or remove it"
            )
    return scores, rejected


def _save(
    checkpoint: Path, identity: dict[str, Any], scores: Scores, rejected: Rejected
) -> None:
    record = {**identity, "scores": scores.to_record(), "rejected": rejected}
    write_atomically(checkpoint, json.dumps(record))
