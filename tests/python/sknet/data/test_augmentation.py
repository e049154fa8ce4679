"""SENet's augmentation through the data layers, drawn and computed again in NumPy."""

from __future__ import annotations

import lmdb
import numpy as np
import pytest
from google.protobuf import text_format
from photographs import window
from PIL import Image
from sklearn.datasets import load_sample_image
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.data.augment_preview import sheet
from sknet.models import create_model, recipe_for, train_val

COUNT, CROP, BATCH, SEED = 5, 24, 4, 11
MEAN = np.array((104.0, 117.0, 123.0))
TRANSFORM = f"""
crop_size: {CROP} mirror: true random_resized_crop {{ }} max_rotation: 10 max_jitter: 20
mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 force_color: true
"""


def philox(counter, key):
    """Philox 4x32 with ten rounds (Salmon et al., SC 2011): four words of 32 bits."""
    a, b, c, d = ((counter >> 32 * word) & 0xFFFFFFFF for word in range(4))
    low, high = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b = (second >> 32) ^ b ^ low, second & 0xFFFFFFFF
        c, d = (first >> 32) ^ d ^ high, first & 0xFFFFFFFF
        low, high = (low + 0x9E3779B9) % 2**32, (high + 0xBB67AE85) % 2**32
    return a, b, c, d


def draws(seed, stream, sample):
    """The numbers of 32 bits that sample `sample` of a layer draws."""
    name = 0xCBF29CE484222325
    for byte in stream.encode():  # FNV-1a
        name = (name ^ byte) * 0x100000001B3 % 2**64
    for block in range(16 * sample, 16 * sample + 16):
        yield from philox(block | name << 64, seed)


def between(image, y, x):
    """Levels at places (y, x) of an image (H, W, 3), all inside."""
    low_y = np.minimum(y.astype(int), image.shape[0] - 2)
    low_x = np.minimum(x.astype(int), image.shape[1] - 2)
    fy, fx = (y - low_y)[..., None], (x - low_x)[..., None]
    top = image[low_y, low_x] * (1 - fx) + image[low_y, low_x + 1] * fx
    bottom = image[low_y + 1, low_x] * (1 - fx) + image[low_y + 1, low_x + 1] * fx
    return top * (1 - fy) + bottom * fy


def expected(image, numbers):
    """The values of an image (H, W, BGR) in TRAIN, (3, CROP, CROP)."""
    image = image.astype(float)
    height, width = image.shape[:2]

    def uniform():
        return next(numbers) / 2**32

    mirror = next(numbers) % 2
    area_from, aspect_from, aspect_to = map(
        float, np.array([0.08, 0.75, 1.333333333], np.float32)
    )
    for _ in range(10):
        area = (area_from + (1 - area_from) * uniform()) * height * width
        log = np.log(aspect_from) + np.log(aspect_to / aspect_from) * uniform()
        w, h = round(np.sqrt(area * np.exp(log))), round(np.sqrt(area / np.exp(log)))
        if w <= width and h <= height:
            break
    else:
        pytest.fail("an image that ten crops do not fit")
    top, left = next(numbers) % (height - h + 1), next(numbers) % (width - w + 1)
    angle = np.radians(10 * (2 * uniform() - 1))
    jitter = np.array([20 * (2 * uniform() - 1) for _ in range(3)])

    middle = (CROP - 1) / 2
    row, column = np.indices((CROP, CROP)) - middle
    u = np.cos(angle) * column - np.sin(angle) * row + middle
    v = np.sin(angle) * column + np.cos(angle) * row + middle
    covered = (np.abs(u - middle) <= CROP / 2) & (np.abs(v - middle) <= CROP / 2)
    u = CROP - 1 - u if mirror else u
    x = np.clip(left + (u + 0.5) * w / CROP - 0.5, left, left + w - 1)
    y = np.clip(top + (v + 0.5) * h / CROP - 0.5, top, top + h - 1)
    levels = np.where(covered[..., None], between(image, y, x), MEAN)
    return ((levels + jitter - MEAN) * 0.5).transpose(2, 0, 1)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder with a list, an LMDB of it, and the levels (H, W, BGR)."""
    folder = tmp_path_factory.mktemp("images")
    china = load_sample_image("china.jpg")
    levels, lines = [], []
    (folder / "png").mkdir()
    with lmdb.open(str(folder / "lmdb"), map_size=1 << 24) as database:
        for number in range(COUNT):
            image = window(china, number, 40)
            path = folder / "png" / f"{number}.png"
            image.save(path)
            levels.append(np.asarray(image)[:, :, ::-1])
            lines.append(f"{path.name} {number}\n")
            datum = caffe_pb2.Datum(
                encoded=True, data=path.read_bytes(), label=number
            ).SerializeToString()
            with database.begin(write=True) as transaction:
                transaction.put(f"{number}".encode(), datum)
    (folder / "list.txt").write_text("".join(lines))
    return folder, levels


def data_layer(kind, folder):
    layer = caffe_pb2.LayerParameter(name="images", type=kind, top=["data", "label"])
    text_format.Parse(TRANSFORM, layer.transform_param)
    if kind == "Data":
        layer.data_param.source = str(folder / "lmdb")
        layer.data_param.backend = caffe_pb2.DataParameter.LMDB
        layer.data_param.batch_size = BATCH
    else:
        layer.image_data_param.source = str(folder / "list.txt")
        layer.image_data_param.root_folder = f"{folder}/png/"
        layer.image_data_param.batch_size = BATCH
    return layer


@pytest.mark.parametrize("kind", ["Data", "ImageData"])
def test_every_sample_is_a_function_of_seed_epoch_and_index(images, kind):
    folder, levels = images
    caffe.set_random_seed(SEED)
    net = caffe.Net(
        caffe_pb2.NetParameter(layer=[data_layer(kind, folder)]), caffe.TRAIN
    )
    for batch in range(4):  # more than three epochs
        net.forward()
        for place in range(BATCH):
            sample = BATCH * batch + place
            numbers = draws(SEED, "TRAIN/images/transform", sample)
            want = expected(levels[sample % COUNT], numbers)
            assert net.blobs["label"].data[place] == sample % COUNT
            assert_close(net.blobs["data"].data[place], want, Op.REDUCTION, terms=4)


def test_a_resumed_run_goes_on_with_the_same_draws(images, tmp_path, write_proto):
    folder, levels = images
    net = caffe_pb2.NetParameter(layer=[data_layer("Data", folder)])
    text_format.Parse(
        """layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
                   inner_product_param { num_output: 5 } }
           layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label"
                   top: "loss" }""",
        rest := caffe_pb2.NetParameter(),
    )
    net.layer.extend(rest.layer)
    path = write_proto(net, "net.prototxt")
    solver = write_proto(
        f'net: "{path}" base_lr: 0 lr_policy: "fixed" max_iter: 9 display: 0 '
        f'random_seed: {SEED} snapshot_prefix: "{tmp_path / "s"}" solver_mode: CPU',
        "solver.prototxt",
    )
    first = caffe.get_solver(str(solver))
    first.step(2)
    first.snapshot()
    resumed = caffe.get_solver(str(solver))
    resumed.restore(str(tmp_path / "s_iter_2.solverstate"))
    resumed.step(1)
    for place in range(BATCH):
        sample = 2 * BATCH + place
        numbers = draws(SEED, "TRAIN/images/transform", sample)
        want = expected(levels[sample % COUNT], numbers)
        assert_close(resumed.net.blobs["data"].data[place], want, Op.REDUCTION, terms=4)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


def preview(source, out, *options, net="sknet50"):
    return main(
        ["augment-preview", str(net), "--source", str(source), "-o", str(out), *options]
    )


def test_preview_shows_the_engines_draws(images, tmp_path, capsys):
    folder, levels = images
    definition = train_val(
        create_model("sknet50"), recipe_for("imagenet"), "train_lmdb", "val_lmdb"
    )
    net = tmp_path / "train_val.prototxt"
    net.write_text(text_format.MessageToString(definition))
    sheets = []
    for source in (folder / "png", folder / "lmdb"):
        out = tmp_path / "sheet.png"
        options = ["--images", "3", "--draws", "2", "--crop", "24", "--seed", str(SEED)]
        assert preview(source, out, *options, net=net) == 0
        assert f"3 images with 2 draws each in {out}" in capsys.readouterr().out
        sheets.append(pixels(out))
    np.testing.assert_array_equal(*sheets)
    # Draw 2 of image 1 is sample 4 of the layer 'data'.
    numbers = draws(SEED, "TRAIN/data/transform", 3 + 1)
    want = expected(levels[1], numbers).transpose(1, 2, 0) / 0.5 + MEAN  # BGR
    zoom = 7  # to 168 pixels, so that three columns fill the least width
    cell = zoom * CROP + 4
    top, left = 4 + 14 + cell, 4 + 2 * cell
    got = sheets[0][top : top + zoom * CROP, left : left + zoom * CROP, ::-1]
    want = want.repeat(zoom, axis=0).repeat(zoom, axis=1)
    assert np.abs(got - np.clip(want, 0, 255)).max() <= 0.501  # whole levels


def test_a_preview_of_one_image_can_be_read(images, tmp_path, capsys):
    folder, _ = images
    out = tmp_path / "sheet.png"
    (file, *_) = sorted((folder / "png").rglob("*.png"))
    options = ["--images", "3", "--draws", "1", "--crop", "24"]
    assert preview(file, out, *options) == 0
    assert "1 images with 1 draws each" in capsys.readouterr().out
    sheet = pixels(out)
    assert sheet.shape[1] >= 480
    # The same as the folder's first.
    assert preview(folder / "png", out, *options[2:], "--images", "1") == 0
    np.testing.assert_array_equal(sheet, pixels(out))
    # Both captions are whole: no ink at the edges of their cells.
    ink = (sheet[:14] < 128).any(axis=(0, 2))
    middle = sheet.shape[1] // 2
    assert ink[:middle].any()
    assert ink[middle:].any()
    assert not ink[[middle - 2, middle - 1, middle, -2, -1]].any()
    (tmp_path / "no.png").write_bytes(b"nothing")
    assert preview(tmp_path / "no.png", out) == 1
    assert "no.png" in capsys.readouterr().err


@pytest.mark.parametrize("sides", [(1, 1), (10, 24), (64, 64), (3000, 4000)])
@pytest.mark.parametrize("draws", [1, 7])
def test_a_sheet_is_neither_tiny_nor_huge(sides, draws):
    images = [np.zeros((*sides, 3), np.uint8), np.zeros((10, 10, 3), np.uint8)]
    page = sheet(images, [[image] * draws for image in images])
    assert 480 <= page.shape[1] <= 5000


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        ("sknet51", [], "'sknet51'; the closest is 'sknet50'; `sknet list`"),
        ("absent.prototxt", [], "absent.prototxt"),
        ("sknet50", ["--draws", "0"], "--draws is 0, expected at least 1"),
        ("sknet50", ["--seed", "-1"], "--seed is -1"),
    ],
)
def test_preview_of_bad_input_is_one_sentence(
    images, tmp_path, capsys, net, options, message
):
    source = images[0] / "png"
    assert preview(source, tmp_path / "x.png", *options, net=net) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    empty = tmp_path / "empty"
    empty.mkdir()
    assert preview(empty, tmp_path / "x.png") == 1
    assert "no images" in capsys.readouterr().err
