"""The folder `models`: definitions and a card of every network of the paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caffe.files import make_folder, write_atomically
from sknet.complexity import activation_memory, analyse
from sknet.models import (
    create_model,
    deploy,
    deploy_text,
    list_models,
    recipe_for,
    solver,
    train_val,
)
from sknet.models.recipe import shorter_side
from sknet.paper.tables import TABLE_2, Row, counted, paper_row
from sknet.prototxt import to_text

# Besides those of Table 2: SKNet-26 is in the paper's Figure 2, and Attention-56 is the
# network that a row of the table has the numbers of.
_FURTHER = ("attention56", "sknet26")
MODELS = tuple(sorted({row.model for row in TABLE_2} | set(_FURTHER)))

_PAPERS = {
    "attention": (
        "Residual Attention Network for Image Classification",
        "https://arxiv.org/abs/1704.06904",
    ),
    "dpn": ("Dual Path Networks", "https://arxiv.org/abs/1707.01629"),
    "inception_v3": (
        "Rethinking the Inception Architecture for Computer Vision",
        "https://arxiv.org/abs/1512.00567",
    ),
    "inception": (
        "Inception-v4, Inception-ResNet and the Impact of Residual Connections on "
        "Learning",
        "https://arxiv.org/abs/1602.07261",
    ),
    "resnext50_bam": (
        "BAM: Bottleneck Attention Module",
        "https://arxiv.org/abs/1807.06514",
    ),
    "resnext101_bam": (
        "BAM: Bottleneck Attention Module",
        "https://arxiv.org/abs/1807.06514",
    ),
    "resnext50_cbam": (
        "CBAM: Convolutional Block Attention Module",
        "https://arxiv.org/abs/1807.06521",
    ),
    "resnext101_cbam": (
        "CBAM: Convolutional Block Attention Module",
        "https://arxiv.org/abs/1807.06521",
    ),
    "resnext": (
        "Aggregated Residual Transformations for Deep Neural Networks",
        "https://arxiv.org/abs/1611.05431",
    ),
    "senet": ("Squeeze-and-Excitation Networks", "https://arxiv.org/abs/1709.01507"),
    "sknet": ("Selective Kernel Networks", "https://arxiv.org/abs/1903.06586"),
}
_CAVEATS = {
    "attention": "Needs the layer `Interp`, a bilinear resize.",
    "inception": "Poolings beside convolutions round their size down (`round_mode: "
    "FLOOR`), so other image sizes fit too. Average pooling with padding counts the "
    "padded pixels, as Caffe does; the authors' does not.",
    "resnext50_cbam": "A definition serves one image size: generate another with "
    "`--crop`.",
    "resnext101_cbam": "A definition serves one image size: generate another with "
    "`--crop`.",
    "resnext50_bam": "The module multiplies its two maps, as the authors' code does; "
    "their paper adds them.",
    "resnext101_bam": "The module multiplies its two maps, as the authors' code does; "
    "their paper adds them.",
    "senet": "The authors' deploy file has a BatchNorm and a Scale for every "
    "CuDNNBatchNorm here: `--style released` writes it. The last pooling is 7x7 and "
    "takes 224x224 images; `--crop 320` makes it global.",
    "sknet50": "`--style released` writes the authors' file. The last pooling is 7x7 "
    "and takes 224x224 images; `--crop 320` makes it global.",
    "sknet101": "`--style released` writes the authors' file. Below the paper's floor "
    "of 32 in conv3, its attention has other weights there than that of "
    "`sknet101_rule`. The last pooling is 7x7 and takes 224x224 images; `--crop 320` "
    "makes it global.",
}


def write_models(folder: Path) -> Iterator[Path]:
    """Writes `<folder>/<model>/` with four files for every network; yields their paths.

    Raises:
        OSError: A file cannot be written.
    """
    for name in MODELS:
        for path, text in model_files(name).items():
            make_folder((folder / path).parent)
            write_atomically(folder / path, text)
            yield folder / path


def model_files(name: str) -> dict[str, str]:
    """Contents of a model's files, by their path in the folder `models`.

    The solver names its net as seen from the folder above.
    """
    model = create_model(name)
    recipe = recipe_for(model.recipe)
    training = train_val(model, recipe, "train_lmdb", "val_lmdb")
    path = f"{name}/train_val.prototxt"
    definitions = {
        path: training,
        f"{name}/solver.prototxt": solver(
            recipe, f"models/{path}", f"snapshots/{name}"
        ),
    }
    files = {path: to_text(definition) for path, definition in definitions.items()}
    files[f"{name}/deploy.prototxt"] = deploy_text(model)
    return {**files, f"{name}/README.md": card(name)}


def card(name: str) -> str:
    """What to know about a model, in Markdown."""
    model = create_model(name)
    recipe = recipe_for(model.recipe)
    row = paper_row(name) or Row(name, name, 0, None, "macs", {})
    counts = counted(row)
    memory = activation_memory(analyse(deploy(model)))
    title, link = _longest_prefix(_PAPERS, name)
    side = model.image_size
    lines = [
        f"# {name}",
        "",
        f"{list_models()[name]}",
        "",
        f"Paper: [{title}]({link}).",
        "",
        "| | |",
        "|---|---|",
        f"| input | `data`, N x 3 x {side} x {side}: blue, green, red, levels 0 to 255 "
        f"minus {', '.join(f'{value:g}' for value in recipe.mean_value)} |",
        f"| evaluation | shorter side {shorter_side(side)}, centre crop {side} |",
        f"| output | `prob`, N x {model.classes} |",
        f"| learned parameters | {counts['learned_params']:,} |",
        f"| stored values | {counts['stored_params']:,} |",
        f"| multiply-adds of an image | {counts['macs']:,} |",
    ]
    if row.gflops is not None:
        lines += [
            f"| GFLOPs, counted as `{row.convention}` | {counts['gflops']:.4f} |",
            f"| in SKNet's Table 2 | {row.params_m:.1f} M, {row.gflops:.2f} GFLOPs |",
        ]
        for crop, error in row.errors.items():
            if error is not None:
                what = f"expected top-1 error at {crop} (SKNet's Table 2)"
                lines.append(f"| {what} | {error:.2f} % |")
    lines += [
        f"| memory of blobs, training, each image | {memory.training / 1e6:,.0f} MB |",
        f"| memory of blobs, inference | {memory.inference / 1e6:,.0f} MB, "
        f"{memory.inference_peak / 1e6:,.0f} MB if used again |",
    ]
    notes = [text for text in (row.note, _longest_prefix(_CAVEATS, name)) if text]
    if notes:
        lines += [
            "",
            "Notes:",
            "",
            *(f"* {note[0].upper()}{note[1:]}" for note in notes),
        ]
    lines += [
        "",
        "`deploy.prototxt` is for inference; `train_val.prototxt` and",
        "`solver.prototxt` train on `train_lmdb` and `val_lmdb`:",
        f"`caffe train -solver models/{name}/solver.prototxt`. The errors are those of",
        "the authors' weights; nothing was trained here. Written by",
        "`sknet generate --all -o models`.",
    ]
    return "\n".join(lines) + "\n"


def _longest_prefix(entries: dict[str, Any], name: str) -> Any:
    """The entry whose key is the longest that `name` begins with, or None."""
    keys = [key for key in entries if name.startswith(key)]
    return entries[max(keys, key=len)] if keys else None
