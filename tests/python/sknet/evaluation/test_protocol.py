"""Protocols say what is cut out of an image."""

from __future__ import annotations

import pytest

from sknet.evaluation import Protocol, protocol_for


@pytest.mark.parametrize(
    ("name", "net_side", "resize", "want"),
    [
        ("224", 224, None, Protocol(224, 256)),
        ("320", 224, None, Protocol(320, 352)),
        ("320", 224, 320, Protocol(320, 320)),
        ("10crop", 224, None, Protocol(224, 256, 10)),
        (None, 224, None, Protocol(224, 256)),
        (None, 299, None, Protocol(299, 342)),
        (None, 224, 0, Protocol(224, 0)),
    ],
)
def test_names(name, net_side, resize, want):
    assert protocol_for(name, net_side, resize) == want


def test_a_net_for_whole_images_takes_them():
    assert protocol_for(None, 32, own=0) == Protocol(32, 0)
    assert protocol_for("224", 32, own=0) == Protocol(224, 256)


def test_a_net_has_a_resize_of_its_own():
    assert protocol_for(None, 224, own=300) == Protocol(224, 300)
    assert protocol_for("10crop", 224, own=300) == Protocol(224, 300, 10)
    assert protocol_for(None, 224, 288, own=300) == Protocol(224, 288)
    # By name the protocol is the paper's.
    assert protocol_for("224", 224, own=300) == Protocol(224, 256)


def test_words():
    assert str(Protocol(224, 256)) == (
        "centre crop of 224x224 from images with a shorter side of 256"
    )
    assert (
        str(Protocol(32, 0, 10)) == "10 crops of 32x32 from images as they are stored"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: protocol_for("320", 224, 256), "SKNet's README says 256 for crops of"),
        (lambda: protocol_for(None, 224, 200), "crop of 224 does not fit into images"),
        (lambda: protocol_for("400", 224), "unknown protocol '400'"),
        (lambda: protocol_for(None, 224, -1), "expected positive numbers"),
    ],
)
def test_impossible_crops(make, message):
    with pytest.raises(ValueError, match=message):
        make()
