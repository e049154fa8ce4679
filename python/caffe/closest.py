"""Which known name an unknown one was most likely meant to be.

The rule is the engine's (`caffe/util/closest.hpp`), for what runs without it.
"""

from __future__ import annotations

from collections.abc import Iterable

# Names come from files that may be hostile; the work is quadratic in this.
_MAX_LENGTH = 100
# Of the shorter name: Exp for Crop takes three edits, ReLU for Relu none.
_LETTERS_PER_EDIT = 3
# As many candidates as a sentence can list.
_FEW = 12


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate with the fewest edits, or None if none is close.

    An edit inserts, deletes or replaces a character or swaps two neighbours; case
    counts only among equals. Close is at most one edit for every three characters of the
    shorter name.
    """
    wanted = name[:_MAX_LENGTH]
    best: tuple[int, int] | None = None
    found = None
    for candidate in candidates:
        other = candidate[:_MAX_LENGTH]
        edits = _distance(wanted.lower(), other.lower())
        if _LETTERS_PER_EDIT * edits > min(len(wanted), len(other)):
            continue
        score = (edits, _distance(wanted, other))
        if best is None or score < best:
            best, found = score, candidate
    return found


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: "; the closest is 'x'".

    If none is close, the candidates where they are few, and nothing where they are
    many.
    """
    known = list(candidates)
    close = closest(name, known)
    if close is not None:
        return f"; the closest is '{close}'"
    if not known or len(known) > _FEW:
        return ""
    listed = ", ".join(f"'{candidate}'" for candidate in known)
    return f"; there {'is only' if len(known) == 1 else 'are'} {listed}"


def _distance(a: str, b: str) -> int:
    """Edit distance in which each pair of neighbours is swapped at most once."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        row = [i]
        for j, other in enumerate(b, start=1):
            edits = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                edits = min(edits, before[j - 2] + 1)
            row.append(edits)
        before, last = last, row
    return last[-1]
