"""What pixels become of files: grey, depth, alpha, orientation and damage.

The same for every format, whatever its decoder would do by itself.
"""

from __future__ import annotations

import io
import re
import struct
import zlib

import lmdb
import numpy as np
import pytest
from image_files import COLOUR_SPACES, chunk, encoded, png, tiff
from PIL import Image
from sklearn.datasets import load_sample_image
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.cli.convert_imageset import main as convert_imageset
from caffe.proto import caffe_pb2

SIZE = (24, 32)


def grey_of(colour):
    """The documented weights on (height, width, 3) levels, red first; rounded."""
    levels = colour.astype(np.int64) @ [299, 587, 114]
    return (levels + 500) // 1000


@pytest.fixture
def photograph():
    """Real colours, (24, 32, 3)."""
    image = Image.fromarray(load_sample_image("flower.jpg"))
    return np.asarray(image.resize(SIZE[::-1], Image.Resampling.LANCZOS))


def levels(data, color=True):
    """The levels that load_image reads."""
    image = caffe.io.load_image(data, color)
    return np.rint(image * 255).astype(np.int64)


def by_load_image(path, folder):
    return levels(path, color=False)[..., 0]


def forward(layer, folder, **parameters):
    spec = caffe.NetSpec()
    spec.data, spec.label = layer(ntop=2, **parameters)
    net = caffe.Net(spec.to_proto(), caffe.TEST)
    net.forward()
    assert net.blobs["data"].data.shape == (1, 1, *SIZE)
    return net.blobs["data"].data[0, 0].astype(np.int64)


def by_image_data(path, folder):
    (folder / "list.txt").write_text(f"{path} 0\n")
    return forward(
        L.ImageData,
        folder,
        source=str(folder / "list.txt"),
        batch_size=1,
        is_color=False,
    )


def database_of(path, folder, flags):
    (folder / "list.txt").write_text(f"{path.name} 0\n")
    words = [f"{path.parent}/", str(folder / "list.txt"), str(folder / "db")]
    assert convert_imageset([*flags, *words]) == 0
    return {
        "source": str(folder / "db"),
        "backend": P.Data.LMDB,
        "batch_size": 1,
    }


def by_raw_database(path, folder):
    return forward(L.Data, folder, **database_of(path, folder, ["-gray"]))


def by_encoded_database(path, folder):
    flags = ["-gray", "-encode_type=png"]
    return forward(L.Data, folder, **database_of(path, folder, flags))


def by_force_gray(path, folder):
    datum = caffe_pb2.Datum(data=path.read_bytes(), encoded=True)
    with lmdb.open(str(folder / "db")) as db, db.begin(write=True) as transaction:
        transaction.put(b"0", datum.SerializeToString())
    return forward(
        L.Data,
        folder,
        source=str(folder / "db"),
        backend=P.Data.LMDB,
        batch_size=1,
        transform_param={"force_gray": True},
    )


WAYS = [
    by_load_image,
    by_image_data,
    by_raw_database,
    by_encoded_database,
    by_force_gray,
]


def colour_files(rgb):
    """{name: (file, its levels)}, red first; None where the format rounds them."""
    height, width = rgb.shape[:2]
    alpha = np.arange(height * width, dtype=np.uint8).reshape(height, width, 1)
    rgba = np.concatenate([rgb, alpha], axis=2)
    # The low bytes would carry over if the levels were rounded.
    deep = rgb.astype(np.uint16) * 256 + 200
    palette = rgb[0]
    numbers = np.tile(np.arange(width, dtype=np.uint8), (height, 1))[..., np.newaxis]
    files = {}
    for name, chunks in COLOUR_SPACES.items():
        files[f"{name}.png"] = png(rgb, chunks), rgb
        files[f"{name} alpha.png"] = png(rgba, chunks), rgb
        files[f"{name} deep.png"] = png(deep, chunks), rgb
        files[f"{name} palette.png"] = (
            png(numbers, chunks, palette),
            palette[numbers[..., 0]],
        )
    files["plain.tif"] = tiff(rgb), rgb
    files["deep.tif"] = tiff(deep), rgb
    files["lzw.tif"] = encoded(rgb, "TIFF", compression="tiff_lzw"), rgb
    for kind in (0, 1, 2):  # unknown, multiplied and other alpha
        files[f"alpha {kind}.tif"] = tiff(rgba, {338: (kind,)}), rgb
        files[f"alpha {kind} big.tif"] = tiff(rgba, {338: (kind,)}, ">", True), rgb
        both = np.concatenate([deep, alpha * np.uint16(257)], axis=2)
        files[f"deep alpha {kind}.tif"] = tiff(both, {338: (kind,)}), rgb
    files["lossless.webp"] = encoded(rgb, "WEBP", lossless=True), rgb
    files["alpha.webp"] = encoded(rgba, "WEBP", lossless=True, exact=True), rgb
    files["plain.bmp"] = encoded(rgb, "BMP"), rgb
    files["plain.ppm"] = encoded(rgb, "PPM"), rgb
    head = b"P6\n%d %d\n65535\n" % (width, height)
    files["deep.ppm"] = head + deep.astype(">u2").tobytes(), rgb
    files["lossless.jp2"] = encoded(rgb, "JPEG2000"), rgb
    files["alpha.jp2"] = encoded(rgba, "JPEG2000"), rgb
    for name, options in {
        "plain": {},
        "halved": {"subsampling": 2},
        "progressive": {"progressive": True},
    }.items():
        files[f"{name}.jpg"] = encoded(rgb, "JPEG", **options), None
    files["lossy.webp"] = encoded(rgb, "WEBP"), None
    files["jpeg.tif"] = encoded(rgb, "TIFF", compression="jpeg"), None
    return files


class TestGreyFromColour:
    def test_is_the_weighted_sum_of_the_decoded_colours(self, photograph, tmp_path):
        """Of every format and colour space, and colours are those that were stored."""
        for name, (file, want) in colour_files(photograph).items():
            path = tmp_path / name
            path.write_bytes(file)
            colour = levels(path)
            if want is not None:
                assert (colour == want).all(), name
            grey = levels(path, color=False)
            assert grey.shape == (*SIZE, 1)
            assert (grey[..., 0] == grey_of(colour)).all(), name

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("name", ["sRGB.png", "halved.jpg", "plain.tif"])
    def test_is_the_same_by_every_way(self, photograph, tmp_path, way, name):
        path = tmp_path / name
        path.write_bytes(colour_files(photograph)[name][0])
        assert (way(path, tmp_path) == grey_of(levels(path))).all()

    def test_of_pure_colours(self, tmp_path):
        for colour, want in (
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([255, 255, 255], 255),
        ):
            pixels = np.full((*SIZE, 3), colour, np.uint8)
            for name, (file, exact) in colour_files(pixels).items():
                if exact is None:
                    continue
                (tmp_path / name).write_bytes(file)
                got = levels(tmp_path / name, color=False)
                assert (got == want).all(), (name, colour)

    def test_grey_files_keep_their_levels(self, photograph, tmp_path):
        grey = photograph[..., :1]
        deep = grey.astype(np.uint16) * 256 + 200
        alpha = np.concatenate([grey, 255 - grey], axis=2)
        files = {
            f"{name} {kind}.png": png(pixels, chunks)
            for name, chunks in COLOUR_SPACES.items()
            for kind, pixels in (("grey", grey), ("deep", deep), ("alpha", alpha))
        }
        files["grey.tif"] = tiff(grey)
        files["deep.tif"] = tiff(deep)
        files["white is 0.tif"] = tiff(255 - grey, {262: (0,)})
        files["grey.pgm"] = encoded(grey[..., 0], "PPM")
        files["grey.bmp"] = encoded(grey[..., 0], "BMP")
        files["grey.jp2"] = encoded(grey[..., 0], "JPEG2000")
        for name, file in files.items():
            (tmp_path / name).write_bytes(file)
            assert (levels(tmp_path / name, color=False) == grey).all(), name
            assert (levels(tmp_path / name) == grey).all(), name


def test_fractions_are_no_levels(photograph, tmp_path):
    fractions = photograph.astype(np.float32) / 255
    files = {
        "colour.tif": tiff(fractions),
        "colour.pfm": b"PF\n32 24\n-1.0\n" + fractions.tobytes(),
        "colour.hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 24 +X 32\n"
        + bytes([100, 110, 120, 128]) * (24 * 32),
    }
    for name, file in files.items():
        (tmp_path / name).write_bytes(file)
        with pytest.raises(OSError, match=rf"{name}.*fractions.*expected bytes"):
            caffe.io.load_image(tmp_path / name)


def exif(orientation):
    tags = Image.Exif()
    tags[274] = orientation
    return tags


@pytest.mark.parametrize(
    "write",
    [
        lambda rgb, o: tiff(rgb, {274: (o,)}),
        lambda rgb, o: tiff(rgb, {274: (o,)}, ">"),
        lambda rgb, o: tiff(rgb, {274: (o,)}, "<", True),
        lambda rgb, o: tiff(rgb, {274: (o,)}, ">", True),
        lambda rgb, o: tiff(rgb[..., :1], {274: (o,)}),
        lambda rgb, o: tiff(rgb.astype(np.uint16) * 257, {274: (o,)}),
        lambda rgb, o: encoded(rgb, "TIFF", compression="tiff_lzw", tiffinfo={274: o}),
        lambda rgb, o: encoded(rgb, "PNG", exif=exif(o)),
        lambda rgb, o: encoded(rgb, "WEBP", lossless=True, exif=exif(o)),
        lambda rgb, o: encoded(rgb, "JPEG", exif=exif(o)),
    ],
    ids=[
        *("tiff", "tiff-mm", "bigtiff", "bigtiff-mm", "tiff-grey", "tiff-deep"),
        *("tiff-lzw", "png", "webp", "jpeg"),
    ],
)
def test_orientation_is_ignored_in_every_format(photograph, tmp_path, write):
    path = tmp_path / "image"
    path.write_bytes(write(photograph, 1))
    (tmp_path / "list.txt").write_text("image 0\n")
    for color in (True, False):
        path.write_bytes(write(photograph, 1))
        want = levels(path, color)
        for orientation in range(2, 9):
            path.write_bytes(write(photograph, orientation))
            assert path.read_bytes() != write(photograph, 1)
            got = levels(path, color)
            assert got.shape == want.shape
            assert (got == want).all(), orientation


END = b"\xff\xd9"


def segments(jpeg):
    """(marker, position, length with the marker) of the segments with a length."""
    at = 2
    while at < len(jpeg) - 2:
        marker = jpeg[at + 1]
        (length,) = struct.unpack(">H", jpeg[at + 2 : at + 4])
        yield marker, at, length + 2
        at += length + 2
        if marker == 0xDA:
            while not (
                jpeg[at] == 0xFF and jpeg[at + 1] not in (0, *range(0xD0, 0xD8))
            ):
                at += 1


def incomplete_files(rgb):
    """{name: (file, part of what is said about it)}."""
    plain = encoded(rgb, "JPEG", quality=95)
    progressive = encoded(rgb, "JPEG", quality=95, progressive=True)
    grey = encoded(rgb[..., 0], "JPEG", quality=95)
    files = {}
    for name, whole in (("plain", plain), ("progressive", progressive), ("grey", grey)):
        data = next(at + n for marker, at, n in segments(whole) if marker == 0xDA)
        for part in (0.1, 0.5, 0.97):
            cut = data + int((len(whole) - data) * part)
            files[f"{name} {part}.jpg"] = (
                whole[:cut].removesuffix(b"\xff") + END,
                "premature end|channel|truncated",
            )
    # Restart marks let a decoder go on behind a gap.
    marked = encoded(rgb, "JPEG", subsampling=0, restart_marker_blocks=2)
    first, third = marked.index(b"\xff\xd0"), marked.index(b"\xff\xd2")
    files["gap.jpg"] = marked[:first] + marked[third:], "damaged"
    # The first scan of a progressive JPEG has the means of all three channels.
    scans = [at for marker, at, _ in segments(progressive) if marker == 0xDA]
    header = bytearray(progressive[: scans[1]])
    header[header.index(b"\xff\xc2") + 10] = 9  # the first channel gets another number
    files["channel.jpg"] = bytes(header) + END, "3 channel|damaged"
    return files


class TestIncompleteFiles:
    """A decoder that makes up what is missing has to be asked, or it says nothing."""

    def test_are_refused_with_what_the_decoder_says(self, photograph, tmp_path):
        for name, (file, reason) in incomplete_files(photograph).items():
            (tmp_path / name).write_bytes(file)
            # Pillow finds nothing amiss about most.
            with pytest.raises(OSError, match=f"JPEG.*({reason})"):
                caffe.io.load_image(tmp_path / name)

    def test_a_png_without_all_its_rows(self, photograph, tmp_path):
        whole = png(photograph)
        start = whole.index(b"IDAT") - 4
        rows = b"".join(b"\0" + row.tobytes() for row in photograph)
        for data in (
            zlib.compress(rows)[: len(rows) // 4],
            zlib.compress(rows[: len(rows) // 2]),
            zlib.compress(rows[: -len(rows) // SIZE[0]]),
        ):
            file = whole[:start] + chunk(b"IDAT", data) + chunk(b"IEND", b"")
            (tmp_path / "image.png").write_bytes(file)
            with pytest.raises(OSError, match="the PNG is damaged"):
                caffe.io.load_image(tmp_path / "image.png")

    def test_are_rejected_by_name_and_counted(self, photograph, tmp_path, run_tool):
        files = incomplete_files(photograph)
        names = [name.replace(" ", "_") for name in files]
        for name, (file, _) in zip(names, files.values(), strict=True):
            (tmp_path / name).write_bytes(file)
        (tmp_path / "good.jpg").write_bytes(encoded(photograph, "JPEG"))
        lines = [f"{name} 0\n" for name in [*names, "good.jpg"]]
        (tmp_path / "list.txt").write_text("".join(lines))
        for flags in ([], ["-encoded"], ["-gray"]):
            database = "db" + "".join(flags)
            run = run_tool("convert_imageset", *flags, "./", "list.txt", database)
            assert run.returncode == 1
            assert f"Wrote 1 of {len(lines)} images" in run.stderr
            for number, name in enumerate(names, 1):
                assert re.search(
                    rf"Rejected line {number}, '{name}': .*JPEG", run.stderr
                ), name
            assert f"{len(names)} of {len(lines)} images were rejected" in run.stderr

    def test_on_bad_image_decides(self, photograph, tmp_path):
        good = encoded(photograph, "JPEG")
        bad = incomplete_files(photograph)["plain 0.5.jpg"][0]
        with lmdb.open(str(tmp_path / "db")) as db, db.begin(write=True) as transaction:
            for key, file, label in ((b"a", good, 1), (b"half", bad, 2)):
                datum = caffe_pb2.Datum(data=file, label=label, encoded=True)
                transaction.put(key, datum.SerializeToString())

        def batch(policy):
            spec = caffe.NetSpec()
            spec.data, spec.label = L.Data(
                source=str(tmp_path / "db"),
                backend=P.Data.LMDB,
                batch_size=2,
                on_bad_image=policy,
                ntop=2,
            )
            net = caffe.Net(spec.to_proto(), caffe.TEST)
            net.forward()
            return net.blobs["data"].data.copy(), net.blobs["label"].data.tolist()

        with pytest.raises(OSError, match=r"key 'half': the JPEG is damaged"):
            batch(P.Data.FAIL)
        values, labels = batch(P.Data.ZERO)
        assert labels == [1, 2]
        assert not values[1].any()
        values, labels = batch(P.Data.SKIP)
        assert labels == [1, 1]
        assert_close(values[1], values[0], Op.COPY)

    def test_bytes_too_many_are_no_damage(self, photograph, tmp_path):
        whole = encoded(photograph, "JPEG")
        marked = encoded(photograph, "JPEG", restart_marker_blocks=2)
        mark = marked.index(b"\xff\xd0")
        files = {
            "behind.jpg": (whole + b"junk", whole),
            "before the end.jpg": (whole[:-2] + b"junk" + END, whole),
            "between.jpg": (whole[:2] + b"\xff\xfe\0\6junkjunk" + whole[2:], whole),
            "before a mark.jpg": (marked[:mark] + b"junk" + marked[mark:], marked),
        }
        for name, (file, want) in files.items():
            (tmp_path / name).write_bytes(file)
            (tmp_path / "want.jpg").write_bytes(want)
            assert (levels(tmp_path / name) == levels(tmp_path / "want.jpg")).all()


def cmyk_jpeg(inks):
    file = io.BytesIO()
    Image.fromarray(inks, "CMYK").save(file, "JPEG", quality=100)
    return file.getvalue()


def test_inks_of_a_jpeg_with_and_without_adobes_marker(tmp_path):
    """Adobe stores inks inverted; other files have them as they are."""
    inks = np.zeros((16, 64, 4), np.uint8)
    inks[:, :16] = 0, 255, 255, 0  # red
    inks[:, 16:32] = 255, 0, 0, 0  # cyan
    inks[:, 32:48] = 0, 0, 0, 0  # white
    inks[:, 48:] = 0, 0, 0, 255  # black
    want = [[255, 0, 0], [0, 255, 255], [255, 255, 255], [0, 0, 0]]
    adobes = cmyk_jpeg(inks)
    # What Pillow inverts is inverted already, so that the file has the inks themselves.
    plain = cmyk_jpeg(255 - inks)
    (at,) = [at for marker, at, _ in segments(plain) if marker == 0xEE]
    length = struct.unpack(">H", plain[at + 2 : at + 4])[0] + 2
    for name, file in (
        ("adobe.jpg", adobes),
        ("plain.jpg", plain[:at] + plain[at + length :]),
    ):
        (tmp_path / name).write_bytes(file)
        got = levels(tmp_path / name)[8, 8::16]
        assert np.abs(got - want).max() <= 2, name
