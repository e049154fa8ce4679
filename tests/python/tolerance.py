"""The one table of allowed differences in Python tests.

It follows tests/cpp/tolerance.hpp: a test names the kind of arithmetic and the number
of terms behind one result, and never writes a tolerance itself.
"""

from __future__ import annotations

import enum
import math

import numpy as np


class Op(enum.Enum):
    """What was done to the numbers, hence how far rounding can carry them."""

    # Values are moved, selected, or multiplied by 0 or 1: equal bits.
    COPY = enum.auto()
    # A few multiplications and additions per result.
    ELEMENTWISE = enum.auto()
    # exp, log and what is made of them: vector libraries are good to 4 ulp, and an
    # argument's rounding error e becomes |x| e in exp(x).
    TRANSCENDENTAL = enum.auto()
    # A sum of products over `terms` terms, in any order.
    REDUCTION = enum.auto()
    # Sums of products of operands rounded to bfloat16: each product is off by twice
    # half an ulp of 2^-8, and so is the sum, as random as its terms and their errors.
    BFLOAT16 = enum.auto()
    # A text of six significant digits, as the log prints numbers.
    PRINTED = enum.auto()


def tolerance(op: Op, terms: int = 1, dtype: type = np.float32) -> tuple[float, float]:
    """Factors on |want|, and on the largest |want| of the array."""
    ulp = float(np.finfo(dtype).eps)
    # Rounding errors of n additions behave like a random walk of n steps; five
    # deviations cover its tail.
    walk = 5 * math.sqrt(terms)
    return {
        Op.COPY: (0.0, 0.0),
        Op.ELEMENTWISE: (8 * ulp, ulp),
        Op.TRANSCENDENTAL: (64 * ulp, 4 * ulp),
        Op.REDUCTION: (8 * ulp, walk * ulp),
        Op.BFLOAT16: (0.0, 5 * 2**-8),
        Op.PRINTED: (5e-6, 8 * ulp),
    }[op]


def assert_close(got, want, op: Op, terms: int = 1, dtype: type = np.float32) -> None:
    """Fails unless every element of `got` is as close to `want` as `op` allows."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    relative, absolute = tolerance(op, terms, dtype)
    largest = float(np.abs(want).max(initial=0.0))
    np.testing.assert_allclose(
        got.astype(np.float64),
        want.astype(np.float64),
        rtol=relative,
        atol=absolute * largest,
    )
