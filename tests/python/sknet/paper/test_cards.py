"""The folder `models`: what lies there is what the generator writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sknet.paper.cards import MODELS, model_files, write_models
from sknet.paper.tables import TABLE_2

FOLDER = Path(__file__).parents[4] / "models"
CURE = "write it again by `sknet generate --all -o models`"


@pytest.mark.parametrize("model", MODELS)
def test_files_are_what_the_generator_writes(model):
    for path, text in model_files(model).items():
        assert (FOLDER / path).read_text() == text, f"{path} is out of date; {CURE}"


def test_the_folder_has_every_network_of_table_2_and_nothing_else():
    assert {row.model for row in TABLE_2} | {"sknet26", "attention56"} == set(MODELS)
    present = {str(p.relative_to(FOLDER)) for p in FOLDER.rglob("*") if p.is_file()}
    expected = {
        f"{model}/{name}"
        for model in MODELS
        for name in (
            "README.md",
            "deploy.prototxt",
            "solver.prototxt",
            "train_val.prototxt",
        )
    }
    assert present == expected
    assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) < 12e6


def test_a_card_names_paper_input_and_expected_errors():
    card = model_files("senet101")["senet101/README.md"]
    for fact in (
        "https://arxiv.org/abs/1709.01507",
        "N x 3 x 224 x 224",
        "104, 117, 123",
        "48,955,416",
        "7.9960",
        "20.58 %",
        "18.61 %",
    ):
        assert fact in card


def test_writing_makes_folders(tmp_path):
    first = next(iter(write_models(tmp_path / "new")))
    assert first.parent == tmp_path / "new" / MODELS[0]
    assert first.read_text() == model_files(MODELS[0])[f"{MODELS[0]}/{first.name}"]
