"""caffe.Classifier and caffe.Detector: preprocessing around a net."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe import params as P

MEAN = np.array([104.0, 117.0, 123.0])


@pytest.fixture
def files(write_proto, tmp_path):
    """A net whose scores are the means of its input channels."""
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [3, 3, 4, 4]})
    net.mean = L.Pooling(net.data, pool=P.Pooling.AVE, global_pooling=True)
    net.scores = L.InnerProduct(net.mean, num_output=3, bias_term=False)
    return stored(net, np.eye(3), write_proto, tmp_path)


@pytest.fixture
def files_4d(write_proto, tmp_path):
    """The same with scores of (images, classes, 1, 1)."""
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [3, 3, 4, 4]})
    net.scores = L.Convolution(net.data, kernel_size=1, num_output=3, bias_term=False)
    net.mean = L.Pooling(net.scores, pool=P.Pooling.AVE, global_pooling=True)
    eye = np.eye(3).reshape(3, 3, 1, 1)
    return stored(net, eye, write_proto, tmp_path)


def stored(net, weights, write_proto, folder):
    model = write_proto(net.to_proto())
    engine = caffe.Net(model, caffe.TEST)
    engine.params["scores"][0].data[...] = weights
    engine.save(folder / "w.caffemodel")
    return model, folder / "w.caffemodel"


@pytest.fixture
def images(random):
    return [random.random((8, 6, 3)).astype(np.float32) for _ in range(4)]


def channel_means(crop):
    """What the net makes of a crop: blue, green, red, in 0..255 without the mean."""
    return crop[:, :, ::-1].astype(np.float64).mean(axis=(0, 1)) * 255 - MEAN


class TestClassifier:
    @pytest.fixture
    def classifier(self, files):
        return caffe.Classifier(
            *files,
            image_dims=(8, 6),
            mean=MEAN,
            raw_scale=255,
            channel_swap=(2, 1, 0),
        )

    def test_centre_crops(self, classifier, images):
        got = classifier.predict(images, oversample=False)
        want = [channel_means(image[2:6, 1:5]) for image in images]
        assert_close(got, want, Op.REDUCTION, terms=16)

    def test_ten_crops(self, classifier, images):
        got = classifier.predict(images)
        corners = [(0, 0), (0, 2), (4, 0), (4, 2), (2, 1)]
        # Mirroring changes no mean.
        want = [
            np.mean(
                [channel_means(image[y : y + 4, x : x + 4]) for y, x in corners], axis=0
            )
            for image in images
        ]
        assert_close(got, want, Op.REDUCTION, terms=5 * 16)

    def test_images_are_resized_to_the_input_by_default(self, files, images):
        classifier = caffe.Classifier(*files, input_scale=2)
        got = classifier.predict(images[:1], oversample=False)
        resized = caffe.io.resize_image(images[0], (4, 4))
        assert_close(got[0], 2 * resized.mean(axis=(0, 1)), Op.REDUCTION, terms=16)

    @pytest.mark.parametrize("oversample", [True, False])
    def test_outputs_with_four_axes(self, files, files_4d, images, oversample):
        options = {"image_dims": (8, 6), "raw_scale": 255}
        plain = caffe.Classifier(*files, **options)
        got = caffe.Classifier(*files_4d, **options).predict(images, oversample)
        assert got.shape == (4, 3)
        want = plain.predict(images, oversample)
        assert_close(got, want, Op.REDUCTION, terms=5 * 16)

    def test_outputs_with_positions_are_laid_out_in_a_row(
        self, write_proto, tmp_path, images
    ):
        net = caffe.NetSpec()
        net.data = L.Input(shape={"dim": [2, 3, 4, 4]})
        net.scores = L.Convolution(
            net.data, kernel_size=1, num_output=3, bias_term=False
        )
        eye = np.eye(3).reshape(3, 3, 1, 1)
        classifier = caffe.Classifier(*stored(net, eye, write_proto, tmp_path))
        got = classifier.predict(images, oversample=False)
        want = [
            caffe.io.resize_image(image, (4, 4)).transpose(2, 0, 1) for image in images
        ]
        assert_close(got, np.reshape(want, (4, 48)), Op.ELEMENTWISE)

    def test_threads_get_the_scores_of_their_images(self, classifier, random):
        images = random.random((60, 8, 6, 3)).astype(np.float32)
        want = [classifier.predict([image]) for image in images]
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda image: classifier.predict([image]), images))
        assert_close(np.stack(got), np.stack(want), Op.COPY)

    def test_it_is_a_net(self, classifier):
        assert isinstance(classifier, caffe.Net)
        assert classifier.phase == caffe.TEST


class TestDetector:
    @pytest.fixture
    def image(self, tmp_path, random):
        pixels = random.integers(0, 256, (10, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "image.png")
        return tmp_path / "image.png", pixels.astype(np.float32) / 255

    def detector(self, files, **options):
        return caffe.Detector(
            *files, mean=MEAN, raw_scale=255, channel_swap=(2, 1, 0), **options
        )

    def test_windows(self, files, image):
        path, pixels = image
        windows = [(1, 2, 5, 6), (0, 0, 10, 12), (3, 4, 7, 8), (2, 2, 6, 6)]
        found = self.detector(files).detect_windows([(path, windows)])
        assert [entry["window"] for entry in found] == windows
        assert {entry["filename"] for entry in found} == {path}
        for entry in found:
            top, left, bottom, right = entry["window"]
            crop = caffe.io.resize_image(pixels[top:bottom, left:right], (4, 4))
            want = channel_means(crop)
            assert_close(entry["prediction"], want, Op.REDUCTION, terms=16)

    def test_outputs_with_four_axes(self, files, files_4d, image):
        windows = [(image[0], [(1, 2, 5, 6), (0, 0, 10, 12)])]
        got = self.detector(files_4d).detect_windows(windows)
        want = self.detector(files).detect_windows(windows)
        for one, other in zip(got, want, strict=True):
            assert one["prediction"].shape == (3,)
            assert_close(one["prediction"], other["prediction"], Op.REDUCTION, terms=16)

    def test_no_windows(self, files):
        assert self.detector(files).detect_windows([]) == []

    def test_context_inside_of_the_image(self, files, image):
        _, pixels = image
        detector = self.detector(files, context_pad=1)
        # A window of 2x2 pixels fills the inner 2x2 of the 4x4 input: 1:1, so that
        # the crop is what surrounds it. The window's last pixel is its own, (4, 5).
        crop = detector.crop(pixels, (3, 4, 4, 5))
        assert_close(crop, pixels[2:6, 3:7], Op.COPY)

    def test_context_outside_of_the_image_is_the_mean(self, files, image):
        _, pixels = image
        detector = self.detector(files, context_pad=1)
        crop = detector.crop(pixels, (0, 0, 1, 1))
        mean = MEAN[::-1] / 255
        assert_close(crop[1:, 1:], pixels[:3, :3], Op.COPY)
        assert_close(crop[0], np.tile(mean, (4, 1)), Op.ELEMENTWISE)
        assert_close(crop[:, 0], np.tile(mean, (4, 1)), Op.ELEMENTWISE)

    def test_too_much_context(self, files):
        with pytest.raises(ValueError, match="context_pad is 2"):
            self.detector(files, context_pad=2)
