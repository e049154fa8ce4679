"""Image files written byte by byte, with what the usual encoders cannot be told."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[Any]


def encoded(pixels: Pixels, kind: str, **options: Any) -> bytes:
    """A file as Pillow writes it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


# What a PNG may say about the colours of its levels.
COLOUR_SPACES = {
    "none": b"",
    "sRGB": chunk(b"sRGB", b"\0"),
    "gAMA": chunk(b"gAMA", struct.pack(">I", 45455)),
    "gAMA linear": chunk(b"gAMA", struct.pack(">I", 100000)),
    "cHRM": chunk(
        b"cHRM",
        struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000),
    ),
    "gAMA cHRM": chunk(b"gAMA", struct.pack(">I", 45455))
    + chunk(
        b"cHRM",
        struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000),
    ),
}
# By the number of channels.
_PNG_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}


def png(pixels: Pixels, chunks: bytes = b"", palette: Pixels | None = None) -> bytes:
    """A PNG of (height, width, channels) of uint8 or uint16, with `chunks` in it.

    With a palette of (colours, 3), pixels are numbers of colours.
    """
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    kind = _PNG_KINDS[channels] if palette is None else 3
    rows = pixels.astype(pixels.dtype.newbyteorder(">"))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunks,
            b"" if palette is None else chunk(b"PLTE", palette.tobytes()),
            chunk(
                b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
            ),
            chunk(b"IEND", b""),
        ]
    )


def tiff(
    pixels: Pixels,
    tags: dict[int, tuple[int, ...]] | None = None,
    order: str = "<",
    big: bool = False,
) -> bytes:
    """A TIFF of (height, width, channels), uncompressed.

    Args:
        pixels: One, three or four channels of uint8, uint16 or float32.
        tags: More tags, each of 16-bit values.
        order: Of bytes, as in `struct`.
        big: BigTIFF.
    """
    height, width, channels = pixels.shape
    values: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (8 * pixels.dtype.itemsize,) * channels,
        259: (1,),  # no compression
        262: (1 if channels == 1 else 2,),  # black is 0, or red-green-blue
        273: (0,),  # where the pixels are, known below
        277: (channels,),
        278: (height,),
        279: (pixels.nbytes,),
        339: (3 if pixels.dtype.kind == "f" else 1,) * channels,
        **(tags or {}),
    }
    word, entry = ("Q", 20) if big else ("I", 12)
    size = struct.calcsize(order + word)
    start = 16 if big else 8
    behind = start + (8 if big else 2) + entry * len(values) + size
    longer = {
        tag: struct.pack(f"{order}{len(numbers)}H", *numbers)
        for tag, numbers in values.items()
        if 2 * len(numbers) > size
    }
    values[273] = (behind + sum(map(len, longer.values())),)
    entries = b""
    for tag, numbers in sorted(values.items()):
        wide = tag in (273, 279)
        packed = struct.pack(f"{order}{len(numbers)}{'I' if wide else 'H'}", *numbers)
        if tag in longer:
            packed = struct.pack(order + word, behind)
            behind += len(longer[tag])
        entries += struct.pack(
            f"{order}HH{word}", tag, 4 if wide else 3, len(numbers)
        ) + packed.ljust(size, b"\0")
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = struct.pack(order + "HHHQQ", 43, 8, 0, start, len(values))
    else:
        head = struct.pack(order + "HIH", 42, start, len(values))
    return b"".join(
        [
            mark + head + entries + bytes(size),
            *(longer[tag] for tag in sorted(longer)),
            pixels.astype(pixels.dtype.newbyteorder(order)).tobytes(),
        ]
    )
