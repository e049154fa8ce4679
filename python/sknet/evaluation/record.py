"""An evaluation as `sknet evaluate --json` writes it."""

from __future__ import annotations

from typing import Any

from sknet.data.class_map import names_of
from sknet.evaluation.evaluate import Evaluation
from sknet.evaluation.scores import wilson_interval
from sknet.paper.tables import paper_row


def record_of(result: Evaluation) -> dict[str, Any]:
    """All that is known of an evaluation, of types that JSON has.

    Returns:
        net, learned_params, weights, source: What was evaluated; parameters are None
            if not countable.
        images, rejected: How many were counted; name and reason of those left out.
        protocol: Crops, preprocessing, and what says so of each.
        top1, top5: Images right, error and its 95 % interval in percent.
        paper: The paper's error and how ours differs; None where it has none.
        images_per_s, resumed_images: See `Evaluation`.
        notices, warnings: What was changed in the net, and reasons to doubt.
        weights_report: Layers that got weights, and names of those without partner.
        per_class: For every label its class, images and those right.
        confusions: Labels with answers and how often, the most frequent first.
    """
    network, source, protocol, preprocessing = result.setting
    scores, report = result.scores, network.weights
    names = names_of(result.learned or source.classes, scores.classes)
    confusions = sorted(scores.confusions.items(), key=lambda item: (-item[1], item[0]))
    return {
        "net": network.definition.name,
        "learned_params": network.learned_params,
        "weights": str(network.weights_file),
        "source": str(source.path),
        "images": scores.images,
        "rejected": [{"name": name, "reason": why} for name, why in result.rejected],
        "protocol": {
            "text": str(protocol),
            "crop": protocol.crop,
            "resize": protocol.resize,
            "crops": protocol.crops,
            "resize_from": protocol.resize_from,
            "mean": list(preprocessing.mean),
            "mean_from": preprocessing.mean_from,
            "scale": preprocessing.scale,
            "scale_from": preprocessing.scale_from,
        },
        "top1": _summary(result, scores.top1_correct),
        "top5": _summary(result, scores.top5_correct),
        "paper": _paper(result),
        "images_per_s": result.images_per_s,
        "resumed_images": result.resumed,
        "notices": network.notices,
        "warnings": [*result.setting.doubts(), *result.warnings],
        "weights_report": {
            "matched": len(report.matched),
            "layers_without_weights": report.without_weights,
            "weights_without_layer": report.without_layer,
        },
        "per_class": [
            {
                "label": label,
                "class": names[label],
                "images": images,
                "top1_correct": top1,
                "top5_correct": top5,
            }
            for label, (images, top1, top5) in enumerate(scores.per_class())
        ],
        "confusions": [
            {"label": label, "answer": answer, "images": n}
            for (label, answer), n in confusions
        ],
    }


def _summary(result: Evaluation, correct: int) -> dict[str, Any]:
    images = result.scores.images
    low, high = wilson_interval(correct, images)
    return {
        "correct": correct,
        "error_percent": 100 * (1 - correct / images),
        "interval_percent": [100 * (1 - high), 100 * (1 - low)],
    }


def _paper(result: Evaluation) -> dict[str, Any] | None:
    """The paper's top-1 error for this net and crop; None if it has none."""
    protocol = result.setting.protocol
    row = paper_row(result.setting.network.definition.name)
    error = row.errors.get(str(protocol.crop)) if row else None
    if row is None or error is None or protocol.crops != 1:
        return None
    ours = _summary(result, result.scores.top1_correct)
    low, high = ours["interval_percent"]
    return {
        "model": row.name,
        "top1_error_percent": error,
        "difference_percent": ours["error_percent"] - error,
        "inside_interval": low <= error <= high,
    }
