"""Network definitions: one file per family, and a registry of entry points."""

from sknet.models import (  # noqa: F401  (each registers its models)
    attention_modules,
    dpn,
    genet,
    inception,
    residual_attention,
    resnext,
    se_inception,
    senet,
    sknet,
)
from sknet.models.definitions import deploy, deploy_text, released, train_val
from sknet.models.fine_tuning import rename_classifier
from sknet.models.recipe import Recipe, recipe_for, solver
from sknet.models.registry import Model, create_model, list_models, register_model

__all__ = [
    "Model",
    "Recipe",
    "create_model",
    "deploy",
    "deploy_text",
    "list_models",
    "recipe_for",
    "register_model",
    "released",
    "rename_classifier",
    "solver",
    "train_val",
]
