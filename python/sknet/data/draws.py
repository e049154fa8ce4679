"""The random numbers of the engine's data layers, in Python."""

from __future__ import annotations

# Those of one sample in its layer's stream; see parallel_data_layer.cpp.
_DRAWS_PER_SAMPLE = 64


class Draws:
    """The random numbers of one sample, as the engine's data layers draw them.

    They are a function of the arguments alone, whatever was drawn before and in which
    thread or process. A sample has 64; `augment` takes 56 at most.
    """

    def __init__(self, seed: int, layer: str, sample: int) -> None:
        """Begins with the first number.

        Args:
            seed: `random_seed` of the solver, 0 to 2^64 - 1.
            layer: Name of the data layer. Layers of other names draw other numbers.
            sample: epoch x images + index, counted from the start of the training.

        Raises:
            ValueError: A number out of range.
        """
        for name, value, bits in (("seed", seed, 64), ("sample", sample, 58)):
            if not 0 <= value < 2**bits:
                raise ValueError(
                    f"Draws: {name} is {value}, expected 0 to 2^{bits} - 1"
                )
        self._key = int(seed)
        self._stream = _fnv1a(f"TRAIN/{layer}/transform")
        self._first = int(sample) * _DRAWS_PER_SAMPLE
        self._count = 0
        self._block: tuple[int, ...] = ()

    def below(self, n: int) -> int:
        """An integer of 0, …, n - 1."""
        return self._next() % n

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return self._next() / 2**32

    def _next(self) -> int:
        if self._count == _DRAWS_PER_SAMPLE:
            raise ValueError(
                f"Draws: a sample has {_DRAWS_PER_SAMPLE} numbers, and all are drawn; "
                "those of another layer name are independent of them"
            )
        place = self._count % 4
        if place == 0:
            counter = (self._first + self._count) // 4
            self._block = _philox(counter | self._stream << 64, self._key)
        self._count += 1
        return self._block[place]


def _fnv1a(text: str) -> int:
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def _philox(counter: int, key: int) -> tuple[int, int, int, int]:
    """Philox 4x32-10 (Salmon et al., SC 2011): four numbers of 32 bits."""
    mask = 2**32 - 1
    x0, x1, x2, x3 = (counter >> shift & mask for shift in (0, 32, 64, 96))
    key0, key1 = key & mask, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x0, 0xCD9E8D57 * x2
        x0, x1 = p1 >> 32 ^ x1 ^ key0, p1 & mask
        x2, x3 = p0 >> 32 ^ x3 ^ key1, p0 & mask
        key0, key1 = key0 + 0x9E3779B9 & mask, key1 + 0xBB67AE85 & mask
    return x0, x1, x2, x3
