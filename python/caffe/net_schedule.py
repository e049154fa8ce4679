"""How a net runs: the steps of the schedule in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """Layers that run as one, and what is done to the memory of blobs around them."""

    layers: tuple[str, ...]
    frees_after_forward: tuple[str, ...]
    recomputes_before_backward: tuple[str, ...]
    frees_after_backward: tuple[str, ...]
    frees_gradients: tuple[str, ...]


@dataclass(frozen=True)
class Schedule:
    """The steps of a net in the order of forward, as `net.schedule()` gives them.

    `policy` is "plain" (layer by layer, every blob to be seen), "training" (the same
    results to the bit) or "inference". `print` shows all in words.
    """

    policy: str
    steps: tuple[Step, ...]
    _text: str = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self._text


def schedule_of(
    described: tuple[str, str, Sequence[tuple[Sequence[str], ...]]],
) -> Schedule:
    """From what the engine says."""
    policy, text, steps = described
    return Schedule(policy, tuple(Step(*map(tuple, step)) for step in steps), text)
