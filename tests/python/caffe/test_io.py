"""caffe.io against values worked out by hand or in NumPy."""

from __future__ import annotations

import io as bytes_io
import urllib.request
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2


def test_blobproto_round_trip(random):
    data = random.standard_normal((2, 3, 4), dtype=np.float32)
    diff = random.standard_normal((2, 3, 4), dtype=np.float32)
    blob = caffe.io.array_to_blobproto(data, diff)
    assert list(blob.shape.dim) == [2, 3, 4]
    assert_close(caffe.io.blobproto_to_array(blob), data, Op.COPY)
    assert_close(caffe.io.blobproto_to_array(blob, return_diff=True), diff, Op.COPY)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float64).reshape(2, 3, 4).transpose(2, 0, 1),
        np.array([[np.inf, -0.0, np.nan, 1e39, 1e-46, 0.1]]),
        np.arange(-3, 3, dtype=np.int64),
        np.array([True, False]),
        np.array([1.5, -2.5], ">f4"),
        np.zeros((2, 0)),
        np.float32(7).reshape(()),
    ],
    ids=repr,
)
def test_blobs_of_arrays_are_those_of_their_numbers_one_by_one(array):
    wanted = caffe_pb2.BlobProto(data=[float(x) for x in array.flat])
    wanted.shape.dim.extend(array.shape)
    got = caffe.io.array_to_blobproto(array)
    assert got.SerializeToString() == wanted.SerializeToString()
    wanted.diff.extend(wanted.data)
    got = caffe.io.array_to_blobproto(array, array)
    assert got.SerializeToString() == wanted.SerializeToString()


def test_old_and_double_blobs():
    old = caffe_pb2.BlobProto(num=1, channels=2, height=1, width=3, data=range(6))
    assert caffe.io.blobproto_to_array(old).shape == (1, 2, 1, 3)
    double = caffe_pb2.BlobProto(double_data=[0.1, 0.2])
    double.shape.dim.append(2)
    assert caffe.io.blobproto_to_array(double).tolist() == [0.1, 0.2]


def test_blobs_of_the_wrong_size_are_refused():
    blob = caffe_pb2.BlobProto(data=range(5))
    blob.shape.dim.extend([2, 3])
    with pytest.raises(
        ValueError, match=r"5 data values, expected 6 for shape \(2, 3\)"
    ):
        caffe.io.blobproto_to_array(blob)
    with pytest.raises(ValueError, match="diff has shape"):
        caffe.io.array_to_blobproto(np.zeros(3), np.zeros(4))


def test_vectors_of_arrays_round_trip(random):
    vectors = [random.random((2, 2), np.float32), random.random(5, np.float32)]
    text = caffe.io.arraylist_to_blobprotovector_str(vectors)
    for got, want in zip(
        caffe.io.blobprotovector_str_to_arraylist(text), vectors, strict=True
    ):
        assert_close(got, want, Op.COPY)


def test_datum_round_trips(random):
    pixels = random.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    datum = caffe.io.array_to_datum(pixels, label=7)
    assert (datum.channels, datum.height, datum.width, datum.label) == (3, 4, 5, 7)
    assert datum.data == pixels.tobytes()
    back = caffe.io.datum_to_array(datum)
    assert back.dtype == np.uint8
    assert (back == pixels).all()
    back[0, 0, 0] = 1  # an array of its own

    floats = random.random((1, 2, 2), np.float32)
    datum = caffe.io.array_to_datum(floats)
    assert not datum.HasField("label")
    assert_close(caffe.io.datum_to_array(datum), floats, Op.COPY)


SHAPES = st.tuples(*[st.integers(1, 5)] * 3)
FINITE = st.floats(width=32, allow_nan=False)


@given(arrays(np.uint8, SHAPES), st.integers(-(2**31), 2**31 - 1))
def test_any_pixels_survive_a_datum(pixels, label):
    datum = caffe.io.array_to_datum(pixels, label)
    parsed = caffe_pb2.Datum.FromString(datum.SerializeToString())
    assert parsed.label == label
    assert np.array_equal(caffe.io.datum_to_array(parsed), pixels)


@given(arrays(np.float32, SHAPES, elements=FINITE))
def test_any_floats_survive_datums_and_blobs(values):
    datum = caffe.io.array_to_datum(values)
    parsed = caffe_pb2.Datum.FromString(datum.SerializeToString())
    assert np.array_equal(caffe.io.datum_to_array(parsed), values)
    blob = caffe.io.array_to_blobproto(values, -values)
    parsed = caffe_pb2.BlobProto.FromString(blob.SerializeToString())
    assert np.array_equal(caffe.io.blobproto_to_array(parsed), values)
    assert np.array_equal(caffe.io.blobproto_to_array(parsed, True), -values)


def test_wrong_datums_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 2\), expected \(channels"):
        caffe.io.array_to_datum(np.zeros((2, 2)))
    datum = caffe_pb2.Datum(channels=3, height=2, width=2, data=b"12345")
    with pytest.raises(ValueError, match="5 values, expected 12"):
        caffe.io.datum_to_array(datum)


def encoded(pixels, kind="PNG"):
    buffer = bytes_io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_encoded_datums_are_decoded_blue_first(random):
    pixels = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    datum = caffe_pb2.Datum(encoded=True, data=encoded(pixels))
    got = caffe.io.datum_to_array(datum)
    assert (got == pixels[:, :, ::-1].transpose(2, 0, 1)).all()


def test_load_image_in_colour_and_grey(tmp_path, random):
    pixels = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    (tmp_path / "colour.png").write_bytes(encoded(pixels))
    (tmp_path / "grey.png").write_bytes(encoded(pixels[:, :, 0]))
    colour = caffe.io.load_image(tmp_path / "colour.png")
    assert colour.dtype == np.float32
    assert_close(colour, pixels / np.float32(255), Op.ELEMENTWISE)
    grey = caffe.io.load_image(str(tmp_path / "grey.png"), color=False)
    assert_close(grey, pixels[:, :, :1] / np.float32(255), Op.ELEMENTWISE)
    tripled = caffe.io.load_image(tmp_path / "grey.png")
    assert_close(tripled, np.repeat(grey, 3, axis=2), Op.COPY)
    # One channel of a colour image is its luminance, rounded to 8 bits.
    luminance = pixels @ np.array([0.299, 0.587, 0.114])
    got = caffe.io.load_image(tmp_path / "colour.png", color=False)[:, :, 0] * 255
    assert np.abs(got - luminance).max() <= 1


def test_what_is_no_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        caffe.io.load_image(tmp_path / "missing.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(OSError, match=r"image '.*text.png'"):
        caffe.io.load_image(tmp_path / "text.png")


def sampled(image, height, width, weight):
    """Resizing by its definition: each output pixel is a weighted sum of inputs."""
    rows, columns, channels = image.shape
    out = np.zeros((height, width, channels))
    for y in range(height):
        for x in range(width):
            source_y = (y + 0.5) * rows / height - 0.5
            source_x = (x + 0.5) * columns / width - 0.5
            for dy in range(int(np.floor(source_y)) - 2, int(source_y) + 4):
                for dx in range(int(np.floor(source_x)) - 2, int(source_x) + 4):
                    pixel = image[np.clip(dy, 0, rows - 1), np.clip(dx, 0, columns - 1)]
                    out[y, x] += weight(dy - source_y) * weight(dx - source_x) * pixel
    return out


def triangle(distance):
    return max(0.0, 1 - abs(distance))


def catmull_rom(distance):
    d = abs(distance)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


@pytest.mark.parametrize(("order", "weight"), [(1, triangle), (3, catmull_rom)])
@pytest.mark.parametrize("size", [(3, 4), (7, 5), (10, 13), (1, 1)])
def test_resize_image(order, weight, size, random):
    image = random.random((7, 5, 2)).astype(np.float32) * 200 - 50
    got = caffe.io.resize_image(image, size, interp_order=order)
    assert got.dtype == np.float32
    assert_close(got, sampled(image, *size, weight), Op.REDUCTION, terms=16)


def test_resize_to_the_nearest_pixel():
    image = np.arange(4, dtype=np.float32).reshape(2, 2, 1)
    got = caffe.io.resize_image(image, (4, 4), interp_order=0)[:, :, 0]
    assert got.tolist() == np.kron([[0, 1], [2, 3]], np.ones((2, 2))).tolist()


def test_resize_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="interp_order is 2"):
        caffe.io.resize_image(np.zeros((2, 2, 1)), (1, 1), interp_order=2)
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        caffe.io.resize_image(np.zeros((2, 2)), (1, 1))


def test_oversample_takes_corners_centre_and_mirrors():
    image = np.arange(30, dtype=np.float32).reshape(5, 6, 1)
    crops = caffe.io.oversample([image, image + 100], (3, 2))
    assert crops.shape == (20, 3, 2, 1)
    first = [(0, 0), (0, 4), (2, 0), (2, 4), (1, 2)]
    for index, (y, x) in enumerate(first):
        crop = image[y : y + 3, x : x + 2]
        assert_close(crops[index], crop, Op.COPY)
        assert_close(crops[5 + index], crop[:, ::-1], Op.COPY)
        assert_close(crops[10 + index], crop + 100, Op.COPY)
    with pytest.raises(ValueError, match="do not fit"):
        caffe.io.oversample([image], (6, 6))


class TestTransformer:
    shape = (1, 3, 4, 5)

    def transformer(self):
        transformer = caffe.io.Transformer({"data": self.shape})
        transformer.set_transpose("data", (2, 0, 1))
        transformer.set_channel_swap("data", (2, 1, 0))
        transformer.set_raw_scale("data", 255)
        transformer.set_mean("data", np.array([104.0, 117.0, 123.0]))
        transformer.set_input_scale("data", 0.017)
        return transformer

    def test_preprocess(self, random):
        image = random.random((4, 5, 3)).astype(np.float32)
        kept = image.copy()
        got = self.transformer().preprocess("data", image)
        want = np.empty((3, 4, 5))
        for channel, (source, mean) in enumerate([(2, 104), (1, 117), (0, 123)]):
            want[channel] = (image[:, :, source] * 255.0 - mean) * 0.017
        assert got.dtype == np.float32
        assert_close(got, want, Op.ELEMENTWISE)
        assert_close(image, kept, Op.COPY)

    def test_preprocess_resizes(self, random):
        image = random.random((9, 7, 3)).astype(np.float32)
        transformer = caffe.io.Transformer({"data": self.shape})
        want = caffe.io.resize_image(image, (4, 5))
        assert_close(transformer.preprocess("data", image), want, Op.COPY)

    def test_deprocess_undoes_it(self, random):
        image = random.random((4, 5, 3)).astype(np.float32)
        transformer = self.transformer()
        net_input = transformer.preprocess("data", image)[np.newaxis]
        # Values around 1 went through differences of values around 255.
        assert_close(
            255 * transformer.deprocess("data", net_input),
            255 * image,
            Op.REDUCTION,
            terms=4,
        )

    def test_images_as_mean(self, random):
        mean = random.random((3, 4, 5))
        transformer = caffe.io.Transformer({"data": self.shape})
        transformer.set_transpose("data", (2, 0, 1))
        transformer.set_mean("data", mean)
        image = random.random((4, 5, 3)).astype(np.float32)
        want = image.transpose(2, 0, 1) - mean
        assert_close(transformer.preprocess("data", image), want, Op.ELEMENTWISE)
        transformer.set_mean("data", mean[0])
        assert transformer.mean["data"].shape == (1, 4, 5)
        transformer.set_mean("data", np.full((3, 8, 10), 7.0))
        assert_close(transformer.mean["data"], np.full((3, 4, 5), 7.0), Op.ELEMENTWISE)

    @pytest.mark.parametrize(
        ("method", "value", "message"),
        [
            ("set_transpose", (1, 0), "2 axes, expected 3"),
            ("set_channel_swap", (1, 0), "2 channels, expected 3"),
            ("set_mean", np.zeros(2), "2 channels, expected 3"),
            (
                "set_mean",
                np.zeros((2, 4, 5)),
                r"shape \(2, 4, 5\), expected \(3, 4, 5\)",
            ),
        ],
    )
    def test_wrong_settings(self, method, value, message):
        transformer = caffe.io.Transformer({"data": self.shape})
        with pytest.raises(ValueError, match=message):
            getattr(transformer, method)("data", value)
        with pytest.raises(
            ValueError, match="unknown input 'date', expected one of data"
        ):
            getattr(transformer, method)("date", value)


def test_load_image_reads_open_files(tmp_path, random):
    pixels = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    want = pixels.astype(np.float32) / np.float32(255)
    encoded = path.read_bytes()
    behind = bytes_io.BytesIO(b"header" + encoded)
    behind.seek(6)
    with path.open("rb") as opened, zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(path, "image.png")
        url = urllib.request.urlopen(path.as_uri())
        member = packed.open("image.png")
        for source in (
            *(path, str(path), opened, bytes_io.BytesIO(encoded), behind),
            *(url, member),
        ):
            assert_close(caffe.io.load_image(source), want, Op.COPY)
        url.close()
        member.close()


def test_what_load_image_does_not_read(tmp_path):
    for url in ("https://example.org/a.jpg", "HTTP://example.org", "file:///a.jpg"):
        with pytest.raises(ValueError, match=f"'{url}' is a URL.*urlopen"):
            caffe.io.load_image(url)
    (tmp_path / "image.png").write_text("no image")
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "true.png")
    for name in ("image", "true"):
        with (
            (tmp_path / f"{name}.png").open(encoding="utf-8") as opened,
            pytest.raises(TypeError, match=rf"{name}\.png' gives str.*mode 'rb'"),
        ):
            caffe.io.load_image(opened)
    with (
        (tmp_path / "image.png").open("rb") as opened,
        pytest.raises(OSError, match=r"^image '.*image\.png': "),
    ):
        caffe.io.load_image(opened)
    with pytest.raises(OSError, match=r"^image 'BytesIO': "):
        caffe.io.load_image(bytes_io.BytesIO(b"no image"))
