"""The three forms of a network definition: released, deploy, train_val."""

from __future__ import annotations

from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from caffe.net_spec import params as P
from caffe.proto import caffe_pb2
from sknet.models.recipe import Recipe
from sknet.models.registry import Model


def released(model: Model, batch_size: int = 32) -> caffe_pb2.NetParameter:
    """As the authors published: blobs `data` and `label` in, loss and accuracies out.

    The caller fills the two input blobs, in training too.
    """
    net = NetSpec()
    net.data, net.label = L.Input(
        name="input",
        ntop=2,
        shape=[_image_shape(model, batch_size), {"dim": [batch_size]}],
    )
    scores = model.add_to(net, net.data)
    net.loss = L.SoftmaxWithLoss(scores, net.label)
    _add_accuracies(net, scores)
    return _named(net.to_proto().layer, model)


def deploy(model: Model, batch_size: int = 1) -> caffe_pb2.NetParameter:
    """For inference: blob `data` in, class probabilities `prob` out."""
    net = NetSpec()
    net.data = L.Input(name="input", shape=[_image_shape(model, batch_size)])
    net.prob = L.Softmax(model.add_to(net, net.data))
    return _named(net.to_proto().layer, model)


def train_val(
    model: Model, recipe: Recipe, train_source: str, val_source: str
) -> caffe_pb2.NetParameter:
    """For `caffe train` and `caffe test`, reading two LMDBs.

    In training images are cropped and mirrored at random as the recipe says and labels
    are smoothed; validation takes the centre crop and reports the plain loss.
    """
    net = NetSpec()
    net.data, net.label = L.Data(
        name="train-data",
        ntop=2,
        source=train_source,
        batch_size=recipe.batch_size,
        backend=P.Data.LMDB,
        transform_param=_transform(model, recipe),
        include=[{"phase": caffe_pb2.TRAIN}],
    )
    scores = model.add_to(net, net.data)
    net.loss = L.SoftmaxWithLoss(
        scores,
        net.label,
        label_smoothing=recipe.label_smoothing,
        include=[{"phase": caffe_pb2.TRAIN}],
    )
    _add_accuracies(net, scores, include=[{"phase": caffe_pb2.TEST}])

    layers: list[caffe_pb2.LayerParameter] = []
    for layer in net.to_proto().layer:
        layers.append(layer)
        if layer.type not in ("Data", "SoftmaxWithLoss"):
            continue
        twin = caffe_pb2.LayerParameter()
        twin.CopyFrom(layer)
        twin.include[0].phase = caffe_pb2.TEST
        if layer.type == "Data":
            twin.name = "val-data"
            twin.data_param.source = val_source
            twin.data_param.batch_size = recipe.exact_val_batch
            twin.transform_param.ClearField("mirror")
        else:
            twin.ClearField("loss_param")
        layers.append(twin)
    return _named(layers, model)


def _add_accuracies(net: NetSpec, scores: Top, **rules: Any) -> None:
    net["top-1"] = L.Accuracy(scores, net.label, **rules)
    net["top-5"] = L.Accuracy(scores, net.label, top_k=5, **rules)


def _image_shape(model: Model, batch_size: int) -> dict[str, list[int]]:
    return {"dim": [batch_size, 3, model.image_size, model.image_size]}


def _transform(model: Model, recipe: Recipe) -> dict[str, Any]:
    transform: dict[str, Any] = {"mean_value": list(recipe.mean_value)}
    if recipe.scale != 1:
        transform["scale"] = recipe.scale
    if recipe.mirror:
        transform["mirror"] = True
    if recipe.crop:
        transform["crop_size"] = model.image_size
    return transform


def _named(layers: Any, model: Model) -> caffe_pb2.NetParameter:
    return caffe_pb2.NetParameter(name=model.name, layer=layers)
