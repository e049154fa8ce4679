"""A small SSD, written with NetSpec, trained on drawn images, asked what it sees."""

from __future__ import annotations

import lmdb
import numpy as np
import pytest

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2

SIDE = 48
CLASSES = 3  # with the background: red and blue rectangles are 1 and 2
# Sizes of the boxes about every place of two maps, in pixels.
SIZES = ((12, 18), (22, 30))


def picture(random):
    """Noise with one or two rectangles; and class and corners of each."""
    image = random.integers(0, 60, (3, SIDE, SIDE), dtype=np.uint8)
    objects = []
    for half in random.permutation(2)[: random.integers(1, 3)]:
        width, height = random.integers(11, 23, 2)
        left = half * 24 + random.integers(0, 24 - width + 1)
        top = random.integers(0, SIDE - height + 1)
        label = int(random.integers(1, CLASSES))
        area = (slice(top, top + height), slice(left, left + width))
        image[2 if label == 1 else 0][area] = 220
        corners = np.array([left, top, left + width, top + height]) / SIDE
        objects.append((label, corners))
    return image, objects


def entry(image, objects):
    """An AnnotatedDatum of them."""
    whole = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
    whole.datum.CopyFrom(caffe.io.array_to_datum(image))
    for label, corners in objects:
        group = whole.annotation_group.add(group_label=label)
        box = group.annotation.add().bbox
        box.xmin, box.ymin, box.xmax, box.ymax = corners
    return whole


@pytest.fixture
def database(tmp_path):
    """The path of an LMDB of 160 pictures."""
    random = np.random.default_rng(1)
    path = tmp_path / "train_lmdb"
    with (
        lmdb.open(str(path), map_size=1 << 28) as store,
        store.begin(write=True) as put,
    ):
        for index in range(160):
            value = entry(*picture(random)).SerializeToString()
            put.put(f"{index:08d}".encode(), value)
    return path


def head(net, source, name, sizes):
    """Offsets, scores and prior boxes of one map."""
    priors = L.PriorBox(
        net[source],
        net.data,
        min_size=[sizes[0]],
        max_size=[sizes[1]],
        aspect_ratio=[2],
        variance=[0.1, 0.1, 0.2, 0.2],
    )
    boxes = 4  # of both sizes, and of both aspects
    rows = []
    for values in (4, CLASSES):
        scores = L.Convolution(
            net[source],
            num_output=boxes * values,
            kernel_size=3,
            pad=1,
            weight_filler={"type": "xavier"},
        )
        rows.append(L.Flatten(L.Permute(scores, order=[0, 2, 3, 1])))
    net[f"{name}_loc"], net[f"{name}_conf"] = rows
    net[f"{name}_priorbox"] = priors


def detector(database=None):
    """The net that trains on a database, or the one that detects in its input."""
    net = caffe.NetSpec()
    if database:
        net.data, net.label = L.AnnotatedData(
            ntop=2,
            data_param={
                "source": str(database),
                "batch_size": 16,
                "backend": P.Data.LMDB,
            },
            annotated_data_param={
                "batch_sampler": [
                    {"max_sample": 1, "max_trials": 1},
                    {
                        "sampler": {"min_scale": 0.8, "max_scale": 1.0},
                        "sample_constraint": {"min_object_coverage": 0.9},
                        "max_sample": 1,
                        "max_trials": 20,
                    },
                ]
            },
            transform_param={
                "scale": 1 / 128,
                "mirror": True,
                "mean_value": [40],
                "resize_param": {"height": SIDE, "width": SIDE},
                "distort_param": {"brightness_prob": 0.5, "brightness_delta": 16},
            },
        )
    else:
        net.data = L.Input(shape={"dim": [1, 3, SIDE, SIDE]})
    bottom = net.data
    for index, channels in enumerate((16, 24, 32, 32)):
        net[f"conv{index}"] = L.Convolution(
            bottom,
            num_output=channels,
            kernel_size=3,
            stride=2,
            pad=1,
            weight_filler={"type": "msra"},
        )
        bottom = net[f"relu{index}"] = L.ReLU(net[f"conv{index}"], in_place=True)
    net.norm = L.Normalize(
        net.relu2,
        across_spatial=False,
        channel_shared=False,
        scale_filler={"value": 5},
    )
    head(net, "norm", "near", SIZES[0])
    head(net, "relu3", "far", SIZES[1])
    net.loc = L.Concat(net.near_loc, net.far_loc)
    net.conf = L.Concat(net.near_conf, net.far_conf)
    net.priorbox = L.Concat(net.near_priorbox, net.far_priorbox, axis=2)
    if database:
        net.loss = L.MultiBoxLoss(
            net.loc,
            net.conf,
            net.priorbox,
            net.label,
            num_classes=CLASSES,
            code_type=P.PriorBox.CENTER_SIZE,
            propagate_down=[True, True, False, False],
        )
        return net.to_proto()
    net.rows = L.Reshape(net.conf, shape={"dim": [0, -1, CLASSES]})
    net.probabilities = L.Softmax(net.rows, axis=2)
    net.scores = L.Flatten(net.probabilities)
    net.detections = L.DetectionOutput(
        net.loc,
        net.scores,
        net.priorbox,
        detection_output_param={
            "num_classes": CLASSES,
            "code_type": P.PriorBox.CENTER_SIZE,
            "nms_param": {"nms_threshold": 0.45, "top_k": 100},
            "keep_top_k": 20,
            "confidence_threshold": 0.5,
        },
    )
    return net.to_proto()


def overlap(a, b):
    """Intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = np.prod(np.maximum(sides, 0))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def test_a_small_ssd_learns_to_detect(database, tmp_path):
    (tmp_path / "train.prototxt").write_text(str(detector(database)))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/train.prototxt" type: "Adam" base_lr: 0.003 '
        'lr_policy: "fixed" max_iter: 300 display: 0 snapshot_after_train: false '
        "random_seed: 3"
    )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    losses = []
    for _ in range(300):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    first, last = np.mean(losses[:10]), np.mean(losses[-10:])
    assert last < first / 3, (first, last)

    (tmp_path / "deploy.prototxt").write_text(str(detector()))
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.share_with(solver.net)
    random = np.random.default_rng(2)  # pictures that it has not seen
    objects = found = wrong = 0
    for _ in range(40):
        image, wanted = picture(random)
        net.blobs["data"].data[...] = (image - 40.0) / 128
        rows = net.forward()["detections"][0, 0]
        rows = rows[rows[:, 0] >= 0]
        hit = [
            any(row[1] == label and overlap(row[3:], box) > 0.5 for row in rows)
            for label, box in wanted
        ]
        objects += len(hit)
        found += sum(hit)
        wrong += sum(
            not any(overlap(row[3:], box) > 0.3 for _, box in wanted) for row in rows
        )
    assert found > 0.6 * objects
    assert wrong < 0.2 * objects
