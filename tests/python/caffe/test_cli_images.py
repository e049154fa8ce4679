"""`caffe classify`, `caffe detect` and `caffe resize_and_crop_images`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from log_lines import messages
from PIL import Image
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.cli import main
from caffe.proto import caffe_pb2

MEAN = np.array([104.0, 117.0, 123.0])
SIZE = 8


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_net(channels):
    """net.prototxt and net.caffemodel: scores are the means of the input's channels."""
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [3, channels, SIZE, SIZE]})
    net.mean = L.Pooling(net.data, pool=P.Pooling.AVE, global_pooling=True)
    net.scores = L.InnerProduct(net.mean, num_output=channels, bias_term=False)
    Path("net.prototxt").write_text(str(net.to_proto()))
    engine = caffe.Net("net.prototxt", caffe.TEST)
    engine.params["scores"][0].data[...] = np.eye(channels)
    engine.save("net.caffemodel")


@pytest.fixture
def images(here, random):
    """Images of 8 x 8 pixels in images/, by their names."""
    write_net(3)
    Path("images").mkdir()
    found = {}
    for name in ("b", "a", "c"):
        pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"images/{name}.png")
        found[name] = pixels
    return found


NET = ("--model_def", "net.prototxt", "--pretrained_model", "net.caffemodel")


def means(pixels):
    """Of blue, green and red, less the mean."""
    return pixels[..., ::-1].astype(np.float64).mean(axis=(0, 1)) - MEAN


class TestClassify:
    DIMS = "--images_dim=8,8"

    @pytest.mark.parametrize("center", [[], ["--center_only"]])
    def test_a_folder(self, images, center, capsys):
        np.save("mean.npy", MEAN)
        words = ("--mean_file", "mean.npy", "--ext=png", self.DIMS, *center)
        assert main(["classify", *NET, *words, "images", "scores"]) == 0
        out = capsys.readouterr().out.splitlines()
        assert out[:3] == [
            "CPU mode",
            "Loading folder: images",
            "Classifying 3 inputs.",
        ]
        assert out[-1] == "Saving results into scores.npy"
        want = [means(images[name]) for name in "abc"]
        assert_close(np.load("scores.npy"), want, Op.REDUCTION, terms=64)

    def test_an_image_and_a_binaryproto(self, images):
        mean = np.broadcast_to(MEAN[:, None, None], (1, 3, SIZE, SIZE))
        blob = caffe.io.array_to_blobproto(mean)
        Path("mean.binaryproto").write_bytes(blob.SerializeToString())
        words = ("-mean_file=mean.binaryproto", self.DIMS, "images/a.png", "a.npy")
        assert main(["classify", *NET, *words]) == 0
        want = means(images["a"])[np.newaxis]
        assert_close(np.load("a.npy"), want, Op.REDUCTION, terms=64)

    def test_arrays_and_scales(self, images):
        pixels = np.stack([images[name] for name in "ab"])
        np.save("in.npy", pixels.astype(np.float32))
        words = ("--raw_scale=0.5", "--input_scale=2", "--channel_swap=0,1,2")
        assert main(["classify", *NET, *words, self.DIMS, "in.npy", "o.npy"]) == 0
        want = pixels.astype(np.float64).mean(axis=(1, 2))
        assert_close(np.load("o.npy"), want, Op.REDUCTION, terms=64)

    def test_a_net_of_one_channel(self, here, random):
        write_net(1)
        pixels = random.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
        Image.fromarray(pixels).save("grey.png")
        assert main(["classify", *NET, self.DIMS, "grey.png", "o.npy"]) == 0
        want = [[pixels.astype(np.float64).mean()]]
        assert_close(np.load("o.npy"), want, Op.REDUCTION, terms=64)

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            ([*NET, "none.jpg", "o"], 1, "input file 'none.jpg' does not exist"),
            ([*NET, "images", "o"], 1, "'images' has no image that ends in .jpg"),
            ([*NET, "lie.npy", "o"], 1, "'lie.npy' is no array of NumPy's"),
            ([*NET, "text.npy", "o"], 1, "'text.npy' is no array of numbers"),
            ([*NET, "flat.npy", "o"], 1, "expected an array of (images, height,"),
            ([*NET, "images/a.png", "none/o"], 1, "create the folder 'none' first"),
            ([*NET, "-mean_file=lie.npy", "images/a.png", "o"], 1, "'lie.npy' is no"),
            ([*NET, "-mean_file=a.txt", "images/a.png", "o"], 1, "is no binaryproto"),
            ([*NET, "-images_dim=256", "a", "o"], 2, "expected 'height,width'"),
            ([*NET, "-channel_swap=a", "lie.npy", "o"], 2, "got 'a', expected whole"),
            ([*NET[:2], "a", "o"], 2, "flag -pretrained_model is missing"),
        ],
    )
    def test_errors(self, images, words, status, message, capsys):
        np.save("flat.npy", np.zeros((2, 3)))
        np.save("text.npy", np.array(["a"]))
        # A header that announces 10^12 numbers, and one of them.
        np.save("lie.npy", np.zeros(1))
        lie = Path("lie.npy").read_bytes()
        shape = b"(1,), }" + 12 * b" "
        assert shape in lie
        Path("lie.npy").write_bytes(lie.replace(shape, b"(1000000000000,), }"))
        Path("a.txt").write_text("no proto")
        assert main(["classify", *words]) == status
        error = capsys.readouterr().err.splitlines()
        (line,) = (one for one in error if one.startswith("caffe classify: error: "))
        assert message in line
        assert not Path("o.npy").exists()


class TestDetect:
    WINDOWS = (
        "filename,ymin,xmin,ymax,xmax\n"
        "images/a.png,0,0,8,8\nimages/b.png,0,0,8,8\nimages/a.png,0,0.0,8,8\n"
    )

    def want(self, images):
        return [means(images[name]) + MEAN for name in "aab"]

    def test_windows_of_a_table(self, images, capsys):
        Path("in.csv").write_text(self.WINDOWS)
        words = ("--context_pad=0", "in.csv", "out.csv")
        assert main(["detect", *NET, *words]) == 0
        out = capsys.readouterr().out.splitlines()
        assert out[0] == "Loading input..."
        assert out[-1] == "Saved to out.csv"
        with Path("out.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == [
            *("filename", "ymin", "xmin", "ymax", "xmax"),
            *("class0", "class1", "class2"),
        ]
        # Image by image, as Caffe groups them.
        assert [row[0] for row in rows] == [f"images/{name}.png" for name in "aab"]
        assert {tuple(row[1:5]) for row in rows} == {("0", "0", "8", "8")}
        got = [[float(cell) for cell in row[5:]] for row in rows]
        assert_close(got, self.want(images), Op.REDUCTION, terms=64)

    def test_a_table_of_pandas(self, images):
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("tables")
        Path("in.csv").write_text(self.WINDOWS)
        words = ("--context_pad=0", "in.csv", "out.h5")
        assert main(["detect", *NET, *words]) == 0
        frame = pandas.read_hdf("out.h5", "df")
        assert list(frame.index) == [f"images/{name}.png" for name in "aab"]
        assert (
            frame[["ymin", "xmin", "ymax", "xmax"]].to_numpy().tolist()
            == [[0, 0, 8, 8]] * 3
        )
        got = np.stack(list(frame["prediction"]))
        assert_close(got, self.want(images), Op.REDUCTION, terms=64)

    def test_without_pandas_h5_is_refused_before_the_work(
        self, images, monkeypatch, capsys
    ):
        monkeypatch.setitem(sys.modules, "pandas", None)
        Path("in.csv").write_text(self.WINDOWS)
        assert main(["detect", *NET, "in.csv", "out.h5"]) == 1
        error = capsys.readouterr().err
        assert "writing tables as .h5 needs the package pandas; install" in error
        assert "Initializing net" not in error

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("filename,ymin,xmin,ymax\n", "'in.csv' has no column 'xmax'"),
            ("", "'in.csv' has no column 'filename'"),
            ("filename,ymin,xmin,ymax,xmax\na,1,2,1,4\n", "line 2: got the window"),
            ("filename,ymin,xmin,ymax,xmax\na,1,2,1e300,4\n", "line 2: got the"),
            ("filename,ymin,xmin,ymax,xmax\na,1\n", "line 2: got the window"),
            ("filename,ymin,xmin,ymax,xmax\nno.png,0,0,1,1\n", "'no.png'"),
            ("filename,ymin,xmin,ymax,xmax\n", "'in.csv' lists no window"),
        ],
    )
    def test_wrong_windows(self, images, text, message, capsys):
        Path("in.csv").write_text(text)
        assert main(["detect", *NET, "-context_pad=0", "in.csv", "out.csv"]) == 1
        assert message in capsys.readouterr().err
        assert not Path("out.csv").exists()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["in.csv", "out.txt"], "expected a file that ends in .csv or .h5"),
            (["in.h5", "out.csv"], "expected a .csv of windows or a .txt of images"),
            (["in.txt", "o.csv", "-crop_mode=list"], "expected selective_search for"),
            (["in.csv", "o.csv", "-crop_mode=selective_search"], "expected list for"),
        ],
    )
    def test_wrong_command_lines(self, here, words, message, capsys):
        assert main(["detect", *NET, *words]) == 2
        assert message in capsys.readouterr().err

    def test_selective_search_finds_the_windows(self, images, monkeypatch):
        class Search:
            """In the place of the package that Caffe's detect.py needs."""

            @staticmethod
            def get_windows(files, cmd):
                return [np.array([[0, 0, 8, 8]]) for _ in files]

        monkeypatch.setitem(sys.modules, "selective_search_ijcv_with_python", Search)
        Path("in.txt").write_text("images/a.png\nimages/b.png\n")
        assert main(["detect", *NET, "-context_pad=0", "in.txt", "out.csv"]) == 0
        with Path("out.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [Path(row["filename"]).name for row in rows] == ["a.png", "b.png"]


class TestResizeAndCrop:
    FLAGS = ("-input=list.txt", "-input_folder=in", "-output_folder=out")

    @pytest.fixture
    def wide(self, here):
        """A picture of 40 x 20 pixels: black, then white, and stripes in its middle."""
        pixels = np.zeros((20, 40, 3), dtype=np.uint8)
        pixels[:, 10:20] = (255, 0, 0)
        pixels[:, 20:30] = (0, 0, 255)
        pixels[:, 30:] = 255
        Path("in/a b").mkdir(parents=True)
        Image.fromarray(pixels).save("in/a b/wide.png")
        Image.fromarray(pixels.transpose(1, 0, 2)).save("in/tall.png")
        Path("list.txt").write_text("a b/wide.png 3\n\nin/tall.png\n")

    def test_the_middle_is_cut_out(self, wide, run_tool, here):
        run = run_tool(
            *("caffe", "resize_and_crop_images", *self.FLAGS),
            "-output_side_length=10",
        )
        assert run.returncode == 0, run.stderr
        assert messages(run.stderr)[-1] == "Wrote 2 of 2 images"
        with Image.open(here / "out/a b/wide.png") as image:
            square = np.array(image)
        assert square.shape == (10, 10, 3)
        assert (square[:, :5] == (255, 0, 0)).all()
        assert (square[:, 5:] == (0, 0, 255)).all()
        with Image.open(here / "out/tall.png") as image:
            assert (np.array(image) == square.transpose(1, 0, 2)).all()

    def test_the_default_is_256(self, wide, here):
        assert main(["resize_and_crop_images", *self.FLAGS]) == 0
        with Image.open("out/tall.png") as image:
            assert image.size == (256, 256)

    def test_what_is_no_image_is_left_out(self, wide, here, capfd):
        Path("in/bad.png").write_text("no image")
        Path("list.txt").write_text("bad.png 1\ntall.png 2\nnone.png 3\n")
        assert main(["resize_and_crop_images", *self.FLAGS]) == 1
        error = capfd.readouterr().err
        assert "Left out 'bad.png': " in error
        assert "Left out 'none.png': cannot read 'in/none.png'" in error
        assert "2 of 3 images were left out" in error
        assert [path.name for path in Path("out").iterdir()] == ["tall.png"]
        assert main(["resize_and_crop_images", *self.FLAGS, "-skip_bad"]) == 0

    def test_a_strip_takes_no_endless_memory(self, here, capfd):
        Path("in").mkdir()
        Image.fromarray(np.zeros((1, 30000), dtype=np.uint8)).save("in/strip.png")
        Path("list.txt").write_text("strip.png\n")
        assert main(["resize_and_crop_images", *self.FLAGS]) == 1
        assert (
            "it becomes 7680000x256 before its centre is cut" in capfd.readouterr().err
        )

    @pytest.mark.parametrize(
        ("words", "text", "status", "message"),
        [
            (["-output_side_length=0"], "a", 2, "got 0, expected 1 to"),
            (["-output_folder="], "a", 2, "flag -output_folder is missing"),
            (["-threads=-1"], "a", 2, "flag -threads: got -1"),
            (["x"], "a", 2, "got 1 argument, expected none"),
            ([], "../a.png", 1, "line 1: got '../a.png', expected the path of an"),
            ([], "\n", 1, "'list.txt' lists no image"),
            (["-input=none"], "a", 1, "cannot read 'none'"),
        ],
    )
    def test_errors(self, here, words, text, status, message, capsys):
        Path("list.txt").write_text(text)
        command = ["resize_and_crop_images", *self.FLAGS, *words]
        assert main(command) == status
        assert message in capsys.readouterr().err
        assert not Path("out").exists()


def test_a_mean_of_compute_image_mean_is_read(images, run_tool):
    Path("list.txt").write_text("".join(f"{name}.png 0\n" for name in images))
    run_tool("convert_imageset", "images/", "list.txt", "db")
    run_tool("compute_image_mean", "db", "mean.binaryproto")
    blob = caffe_pb2.BlobProto.FromString(Path("mean.binaryproto").read_bytes())
    mean = caffe.io.blobproto_to_array(blob)
    assert mean.shape == (1, 3, SIZE, SIZE)
    words = ("-mean_file=mean.binaryproto", "-ext=png", TestClassify.DIMS)
    assert main(["classify", *NET, *words, "-center_only", "images", "o"]) == 0
    # The images' scores are around their own mean.
    scores = np.load("o.npy").astype(np.float64)
    largest = float(np.abs(scores).max())
    assert_close(scores.sum(axis=0) + largest, [largest] * 3, Op.REDUCTION, terms=192)
