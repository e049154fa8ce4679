"""The tables of the SKNet paper: what it prints, and what the generated nets have.

Errors and counts are those of Li, Wang, Hu, Yang: Selective Kernel Networks, CVPR 2019,
https://arxiv.org/abs/1903.06586, and of the README of its release (Table 2).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe.files import read_text
from sknet.complexity import analyse
from sknet.models import create_model, deploy, recipe_for, train_val


@dataclass(frozen=True)
class Row:
    """One network of a table, as printed.

    Attributes:
        name: As the table calls it.
        model: Its name in `sknet list`.
        params_m: Parameters in millions.
        gflops: 10^9 operations per image; None where the table has no such column.
        convention: What they count, see `sknet.complexity.CONVENTIONS`.
        errors: Errors in percent, by the names of the table's columns; None where the
            paper has none.
        note: Why our counts differ, or what the numbers stand for.
    """

    name: str
    model: str
    params_m: float
    gflops: float | None
    convention: str
    errors: dict[str, float | None]
    note: str = ""


_SE_NOTE = (
    "#P: {} with the SE units of the paper and its release; the paper's number "
    "would fit batch norms in them"
)
_CBAM_NOTE = "#P: {} by counting; the paper prints SENet's numbers in both columns"
_INTEGER_NOTE = "#P: the paper prints the count cut to an integer"


def _imagenet(
    name: str,
    model: str,
    params_m: float,
    gflops: float,
    convention: str,
    at_224: float | None,
    at_320: float | None,
    note: str = "",
) -> Row:
    errors = {"224": at_224, "320": at_320}
    return Row(name, model, params_m, gflops, convention, errors, note)


TABLE_2 = (
    _imagenet("ResNeXt-50", "resnext50", 25.0, 4.24, "macs+bn", 22.23, 21.05),
    _imagenet(
        "AttentionNeXt-56",
        "attentionnext56",
        31.9,
        6.32,
        "macs",
        21.76,
        None,
        "the row's numbers are those of Attention-56 (31.8-31.9 M, 6.32 GFLOPs with "
        "batch norms and ReLUs, error 21.76); AttentionNeXt-56 has ResNeXt units",
    ),
    _imagenet(
        "InceptionV3",
        "inception_v3_aux",
        27.1,
        5.73,
        "macs+2bn",
        None,
        21.20,
        "299x299; #P with the auxiliary head of training, GFLOPs without",
    ),
    _imagenet("ResNeXt-50 + BAM", "resnext50_bam", 25.4, 4.31, "macs", 21.70, 20.15),
    _imagenet(
        "ResNeXt-50 + CBAM",
        "resnext50_cbam",
        27.7,
        4.25,
        "macs+bn",
        21.40,
        20.38,
        _CBAM_NOTE.format("27.6 M"),
    ),
    _imagenet(
        "SENet-50",
        "senet50",
        27.7,
        4.25,
        "macs+bn",
        21.12,
        19.71,
        _SE_NOTE.format("27.6 M"),
    ),
    _imagenet("SKNet-50", "sknet50", 27.5, 4.47, "macs+select", 20.79, 19.32),
    _imagenet("ResNeXt-101", "resnext101", 44.3, 7.99, "macs+bn", 21.11, 19.86),
    _imagenet(
        "Attention-92",
        "attention92",
        51.3,
        10.43,
        "macs",
        None,
        19.50,
        "the authors' prototxt has 52.5 M and 10.53 GFLOPs, not the 51.3 M and 10.4 of "
        "their paper; no other number of modules fits either",
    ),
    _imagenet("DPN-92", "dpn92", 37.7, 6.50, "macs", 20.70, 19.30),
    _imagenet("DPN-98", "dpn98", 61.6, 11.70, "macs+bn", 20.20, 18.90),
    _imagenet(
        "InceptionV4",
        "inception_v4",
        42.0,
        12.31,
        "all",
        None,
        20.00,
        f"299x299; {_INTEGER_NOTE}",
    ),
    _imagenet(
        "Inception-ResNetV2",
        "inception_resnet_v2",
        55.0,
        13.22,
        "all",
        None,
        19.90,
        f"299x299; {_INTEGER_NOTE}",
    ),
    _imagenet("ResNeXt-101 + BAM", "resnext101_bam", 44.6, 8.05, "macs", 20.67, 19.15),
    _imagenet(
        "ResNeXt-101 + CBAM",
        "resnext101_cbam",
        49.2,
        8.00,
        "macs+bn",
        20.60,
        19.42,
        _CBAM_NOTE.format("49.0 M (49.1 M stored)"),
    ),
    _imagenet(
        "SENet-101",
        "senet101",
        49.2,
        8.00,
        "macs+bn",
        20.58,
        18.61,
        _SE_NOTE.format("49.0 M (49.1 M stored)"),
    ),
    _imagenet(
        "SKNet-101",
        "sknet101",
        48.9,
        8.46,
        "macs+select",
        20.19,
        18.40,
        "the released file, with attention width 16 in conv3; sknet101_rule has 32",
    ),
)


def _ablation(
    name: str,
    model: str,
    error: float,
    params_m: float,
    gflops: float,
    convention: str = "macs+select",
    note: str = "",
) -> Row:
    return Row(name, model, params_m, gflops, convention, {"224": error}, note)


# Deeper, wider, or with more groups, for as much as SK units cost.
TABLE_3 = (
    _ablation("ResNeXt-50 (32x4d)", "resnext50", 22.23, 25.0, 4.24, "macs+bn"),
    _ablation("SKNet-50", "sknet50", 20.79, 27.5, 4.47),
    _ablation(
        "ResNeXt-50, wider",
        "resnext50_wider",
        22.13,
        28.1,
        4.74,
        "macs",
        "all widths times 17/16",
    ),
    _ablation("ResNeXt-56, deeper", "resnext56", 22.04, 27.3, 4.67, "macs"),
    _ablation("ResNeXt-50 (36x4d)", "resnext50_36x4d", 22.00, 27.6, 4.70, "macs"),
)


def _cifar(
    name: str, model: str, params_m: float, error_10: float, error_100: float, note: str
) -> Row:
    errors: dict[str, float | None] = {"cifar10": error_10, "cifar100": error_100}
    return Row(name, model, params_m, None, "macs+select", errors, note)


# CIFAR-10 and -100. Parameters are counted with ten classes.
TABLE_5 = (
    _cifar("ResNeXt-29, 16x32d", "resnext29_16x32d", 25.2, 3.87, 18.56, ""),
    _cifar("ResNeXt-29, 8x64d", "resnext29_8x64d", 34.4, 3.65, 17.77, ""),
    _cifar("ResNeXt-29, 16x64d", "resnext29_16x64d", 68.1, 3.58, 17.31, ""),
    _cifar(
        "SENet-29",
        "senet29",
        35.0,
        3.68,
        17.78,
        "SE units on 8x64d; on 16x32d they would make 25.7 M",
    ),
    _cifar(
        "SKNet-29",
        "sknet29",
        27.7,
        3.47,
        17.33,
        "3x3 and 1x1 branches on 16x32d and d = C/32: what fits the size",
    ),
)

# The second branch of SKNet-50; the first is 3x3, dilation 1, 32 groups.
TABLE_6 = (
    _ablation("3x3, D=3, G=32 (7x7)", "sknet50_k3k7", 20.97, 27.5, 4.47),
    _ablation("3x3, D=2, G=32 (5x5)", "sknet50", 20.79, 27.5, 4.47),
    _ablation("3x3, D=1, G=32 (3x3)", "sknet50_3x3d1", 20.91, 27.5, 4.47),
    _ablation("5x5, D=1, G=64 (5x5)", "sknet50_5x5g64", 20.80, 28.1, 4.56),
    _ablation("7x7, D=1, G=128 (7x7)", "sknet50_7x7g128", 21.18, 28.1, 4.55),
)

# Kernels of SKNet-50: 3x3 with dilation 1 (K3), 2 (K5) and 3 (K7); without SK they are
# added. One kernel is ResNeXt-50, and counted as in its row.
TABLE_7 = (
    _ablation("K3", "resnext50", 22.23, 25.0, 4.24, "macs+bn"),
    _ablation("K5", "sknet50_k5", 25.14, 25.0, 4.24, "macs+bn"),
    _ablation("K7", "sknet50_k7", 25.51, 25.0, 4.24, "macs+bn"),
    _ablation("K3 + K5", "sknet50_k3k5_sum", 21.76, 26.5, 4.46),
    _ablation("K3 + K5, SK", "sknet50", 20.79, 27.5, 4.47),
    _ablation("K3 + K7", "sknet50_k3k7_sum", 21.82, 26.5, 4.46),
    _ablation("K3 + K7, SK", "sknet50_k3k7", 20.97, 27.5, 4.47),
    _ablation("K5 + K7", "sknet50_k5k7_sum", 23.64, 26.5, 4.46),
    _ablation("K5 + K7, SK", "sknet50_k5k7", 23.09, 27.5, 4.47),
    _ablation("K3 + K5 + K7", "sknet50_k3k5k7_sum", 21.47, 28.0, 4.69),
    _ablation("K3 + K5 + K7, SK", "sknet50_k3k5k7", 20.76, 29.3, 4.70),
)

TABLES = {2: TABLE_2, 3: TABLE_3, 5: TABLE_5, 6: TABLE_6, 7: TABLE_7}


def paper_row(net: str) -> Row | None:
    """The row of Table 2 of a model (`sknet50`) or of its net (`sknet50_basic`)."""
    for row in TABLE_2:
        if net in (row.model, create_model(row.model).name):
            return row
    return None


def counted(row: Row) -> dict[str, Any]:
    """The row beside our counts of the generated net.

    Returns:
        model, paper_params_m, learned_params, stored_params, paper_gflops, macs,
        gflops (in the convention), convention, params_reproduced, gflops_reproduced
        (None without a number in the paper), paper_top1_error_X for every column X of
        errors, in percent, and note.
    """
    model = create_model(row.model)
    counts = analyse(deploy(model))
    # With the heads that only training has; the paper's parameters include them.
    side, labels = model.image_size, (1,)
    training = analyse(
        train_val(model, recipe_for(model.recipe), "train", "val"),
        {"data": (1, 3, side, side), "label": labels},
        phase="TRAIN",
    ).total
    gflops = counts.gflops(row.convention)
    return {
        "model": row.name,
        "paper_params_m": row.params_m,
        "learned_params": training.learned,
        "stored_params": training.stored,
        "paper_gflops": row.gflops,
        "macs": counts.total.macs,
        "gflops": gflops,
        "convention": row.convention,
        "params_reproduced": row.params_m
        in _in_millions(training.learned) | _in_millions(training.stored),
        "gflops_reproduced": None
        if row.gflops is None
        else round(gflops, 2) == row.gflops,
        **{f"paper_top1_error_{key}": error for key, error in row.errors.items()},
        "note": row.note,
    }


def _in_millions(count: int) -> set[float]:
    """As papers print it, with one decimal: rounded, or the rest cut off."""
    return {round(count / 1e6, 1), math.floor(count / 1e5) / 10}


@dataclass(frozen=True)
class Measured:
    """One record of `sknet evaluate --json`.

    Attributes:
        net: Name of the net.
        crop: Side of the crop in pixels, as the columns of errors are called.
        error: Top-1 error in percent.
        learned_params: Parameters of the net, if the record tells.
        row: The net's row in Table 2, if it has one.
    """

    net: str
    crop: str
    error: float
    learned_params: int | None
    row: Row | None


def read_measured(files: Sequence[Path]) -> list[Measured]:
    """Reads single-crop results; those of ten crops are left out.

    Args:
        files: What `sknet evaluate --json` has written: one record each, or a list.

    Raises:
        ValueError: A file holds something else.
        OSError: A file cannot be read.
    """
    found = []
    for path in files:
        text = read_text(path)
        try:
            content = json.loads(text)
            for record in content if isinstance(content, list) else [content]:
                net, protocol = str(record["net"]), record["protocol"]
                crop, crops = int(protocol["crop"]), int(protocol["crops"])
                error = float(record["top1"]["error_percent"])
                params = record.get("learned_params")
                if not 0 <= error <= 100:
                    raise ValueError(f"error {error} %")
                if params is not None and (type(params) is not int or params < 0):
                    raise ValueError(f"learned_params {params!r}")
                if crops == 1:
                    row = paper_row(net)
                    found.append(Measured(net, str(crop), error, params, row))
        except KeyError as error:
            raise ValueError(
                f"{path}: a record has no {error}; expected results of `sknet evaluate "
                "--json`"
            ) from None
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path}: {error}; expected results of `sknet evaluate --json`"
            ) from None
    return found


def measured_errors(measured: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Errors by the name of the row in Table 2, then by crop size ("224", "320").

    Of several records for one place the last counts; nets in no row are left out.
    """
    errors: dict[str, dict[str, float]] = {}
    for record in measured:
        if record.row is not None and record.crop in record.row.errors:
            errors.setdefault(record.row.name, {})[record.crop] = record.error
    return errors


def table_2(
    measured: dict[str, dict[str, float]] | None = None,
) -> list[dict[str, Any]]:
    """Table 2 with our counts, and our errors in percent where they were measured.

    Args:
        measured: See `measured_errors`.

    Returns:
        `counted` of all 17 rows, each with measured_top1_error_224 and _320, None where
        nothing was measured.
    """
    rows = []
    for row in TABLE_2:
        ours = (measured or {}).get(row.name, {})
        errors = {f"measured_top1_error_{key}": ours.get(key) for key in row.errors}
        rows.append({**counted(row), **errors})
    return rows


def table_rows(number: int) -> list[dict[str, Any]]:
    """Table 3, 5, 6 or 7 with our counts, see `counted`."""
    return [counted(row) for row in TABLES[number]]
