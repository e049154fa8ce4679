#!/usr/bin/env python3
"""Makes the images in tests/data/images: python tests/data/make_images.py.

Needs numpy, pillow and scikit-learn. The files are committed, since tests must not
depend on the encoders of the machine; run this only to change them.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

FOLDER = Path(__file__).parent / "images"
WIDTH, HEIGHT = 48, 36


def jpeg(image: Image.Image, **options: object) -> bytes:
    """The image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def png(image: Image.Image) -> bytes:
    """The image as PNG bytes."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def ppm(data: bytes) -> bytes:
    """The pixels of an image file as Pillow decodes them, EXIF ignored."""
    image = Image.open(io.BytesIO(data))
    out = io.BytesIO()
    image.save(out, "PPM")
    return out.getvalue()


def patches() -> Image.Image:
    """Six flat patches in CMYK: red, green, blue, white, black, yellow."""
    inks = [(0, 255, 255, 0), (255, 0, 255, 0), (255, 255, 0, 0)]
    inks += [(0, 0, 0, 0), (0, 0, 0, 255), (0, 0, 255, 0)]
    pixels = np.zeros((16, 16 * len(inks), 4), np.uint8)
    for i, ink in enumerate(inks):
        pixels[:, 16 * i : 16 * (i + 1)] = ink
    return Image.fromarray(pixels, "CMYK")


def announce(data: bytes, width: int, height: int) -> bytes:
    """The JPEG or PNG with another size in its header."""
    if data.startswith(b"\x89PNG"):
        header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def main() -> None:
    """Writes all files."""
    FOLDER.mkdir(exist_ok=True)
    photo = Image.fromarray(load_sample_image("china.jpg")).crop((150, 60, 510, 330))
    photo = photo.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    grey = photo.convert("L")
    alpha = photo.convert("RGBA")
    alpha.putalpha(grey)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    colour_jpeg = jpeg(photo)
    files = {
        "colour.jpg": colour_jpeg,
        "colour.ppm": ppm(colour_jpeg),
        "progressive.jpg": jpeg(photo, progressive=True),
        "grey.jpg": jpeg(grey),
        "grey.pgm": ppm(jpeg(grey)),
        "cmyk.jpg": jpeg(patches()),
        "rotated.jpg": jpeg(photo, exif=exif.tobytes()),
        "truncated.jpg": colour_jpeg[: len(colour_jpeg) * 6 // 10],
        "junk_behind.jpg": colour_jpeg + b"\x00\xff junk",
        "colour.png": png(photo),
        "grey.png": png(grey),
        "alpha.png": png(alpha),
        "deep.png": png(deep),
        "png_inside.jpg": png(photo),
        "truncated.png": png(photo)[: len(png(photo)) * 6 // 10],
        "huge.jpg": announce(colour_jpeg, 65500, 65500),
        "huge.png": announce(png(photo), 2**31 - 1, 2**31 - 1),
        "text.jpg": b"This is no image.\n",
        "empty.jpg": b"",
    }
    files["png_inside.ppm"] = ppm(files["colour.png"])
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
        print(f"{name:18} {len(data):6} bytes")


if __name__ == "__main__":
    main()
