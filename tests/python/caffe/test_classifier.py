"""caffe.Classifier and caffe.Detector: preprocessing around a net."""

from __future__ import annotations

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
    model = write_proto(net.to_proto())
    weights = tmp_path / "w.caffemodel"
    engine = caffe.Net(model, caffe.TEST)
    engine.params["scores"][0].data[...] = np.eye(3)
    engine.save(weights)
    return model, weights


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
