"""Packages that only parts of this one need: the extras of pyproject.toml."""

from __future__ import annotations

import shlex


def missing(package: str, purpose: str, extra: str) -> str:
    """The sentence for an ImportError: what needs which package, and how to get it.

    It names the packages of the extra themselves, so that it helps in a checkout and
    after the installation of a wheel: no index has this package and its extras.
    """
    from importlib import metadata  # slow, and not needed where nothing is missing

    try:
        lines = metadata.requires("sknet-caffe") or []
    except metadata.PackageNotFoundError:
        lines = []
    # Such as: onnx>=1.16; extra == "onnx"
    parts = [line.replace("'", '"').partition(";") for line in lines]
    wanted = [
        requirement.strip()
        for requirement, _, marker in parts
        if f'extra == "{extra}"' in marker
    ]
    command = shlex.join(["pip", "install", *(wanted or [package])])
    return f"{purpose} needs the package {package}; install it with `{command}`"
