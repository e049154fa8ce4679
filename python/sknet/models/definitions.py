"""The three forms of a network definition: released, deploy, train_val."""

from __future__ import annotations

from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from caffe.net_spec import params as P
from caffe.proto import caffe_pb2
from sknet.models.recipe import Recipe, recipe_for, shorter_side
from sknet.models.registry import Model, create_model, list_models
from sknet.models.transform_comment import to_comment
from sknet.prototxt import to_text


def released(model: Model, batch_size: int | None = None) -> caffe_pb2.NetParameter:
    """The authors' file, but for the batch if `batch_size` is given.

    SKNet and GENet: blobs `data` and `label` in (by default 32 images, and the caller
    fills them, in training too), loss and accuracies out. SENet: a deploy file (one
    image) with a BatchNorm and a Scale for every batch norm, which cannot be trained.

    Raises:
        ValueError: The authors published no file of this network.
    """
    if model.release is None:
        known = (name for name in list_models() if create_model(name).release)
        raise ValueError(
            f"{model.name}: the authors released no file of this network (they did of "
            f"{', '.join(known)}, as they are); use deploy or train_val"
        )
    if model.release.form == "deploy":
        net = _with_stock_batch_norms(deploy(model, batch_size or 1))
    else:
        net = _to_be_trained(model, batch_size or 32)
    for layer in net.layer:
        model.release.respell(layer)
    return net


def _to_be_trained(model: Model, batch_size: int) -> caffe_pb2.NetParameter:
    """Images and labels are inputs, in training too."""
    net = NetSpec()
    net.data, net.label = L.Input(
        name="input",
        ntop=2,
        shape=[_image_shape(model, batch_size), {"dim": [batch_size]}],
    )
    scores = model.add_to(net, net.data)
    net.loss = L.SoftmaxWithLoss(scores, net.label)
    _add_accuracies(model, net, scores)
    return _named(net.to_proto().layer, model)


def _with_stock_batch_norms(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Only what inference needs: no fillers and rates, statistics that are given."""
    layers: list[caffe_pb2.LayerParameter] = []
    for layer in net.layer:
        plain = caffe_pb2.LayerParameter()
        plain.CopyFrom(layer)
        plain.ClearField("param")
        layers.append(plain)
        if layer.type == "Input":
            plain.name = "data"
        for field in ("convolution_param", "inner_product_param"):
            if plain.HasField(field):
                param = getattr(plain, field)
                param.ClearField("weight_filler")
                param.ClearField("bias_filler")
        if layer.type == "CuDNNBatchNorm":
            plain.type = "BatchNorm"
            plain.ClearField("batch_norm_param")
            plain.batch_norm_param.use_global_stats = True
            layers.append(
                caffe_pb2.LayerParameter(
                    name=f"{layer.name}/scale",
                    type="Scale",
                    bottom=layer.top,
                    top=layer.top,
                    scale_param={"bias_term": True},
                )
            )
    return caffe_pb2.NetParameter(name=net.name, layer=layers)


def deploy(model: Model, batch_size: int = 1) -> caffe_pb2.NetParameter:
    """For inference: blob `data` in, class probabilities `prob` out."""
    net = NetSpec()
    net.data = L.Input(name="input", shape=[_image_shape(model, batch_size)])
    net.prob = L.Softmax(model.add_to(net, net.data))
    return _named(net.to_proto().layer, model)


def deploy_text(model: Model, net: caffe_pb2.NetParameter | None = None) -> str:
    """A deploy file, with the preprocessing of the model's recipe in a comment.

    Args:
        model: The network.
        net: Its deploy form, by default that for one image.
    """
    return to_comment(validation_transform(model)) + to_text(net or deploy(model))


def validation_transform(model: Model) -> caffe_pb2.TransformationParameter:
    """What the data layer of testing does with an image, by the model's recipe."""
    return transform(recipe_for(model.recipe), model.image_size, caffe_pb2.TEST)


def train_val(
    model: Model, recipe: Recipe, train_source: str, val_source: str
) -> caffe_pb2.NetParameter:
    """For `caffe train` and `caffe test`, reading two LMDBs.

    In training images are changed at random as the recipe says and labels are smoothed;
    validation takes the centre crop and reports the plain loss.
    """
    net = NetSpec()
    net.data, net.label = L.Data(
        name="train-data",
        ntop=2,
        source=train_source,
        batch_size=recipe.batch_size,
        backend=P.Data.LMDB,
        transform_param=transform(recipe, model.image_size, caffe_pb2.TRAIN),
        include=[{"phase": caffe_pb2.TRAIN}],
    )
    scores = model.add_to(net, net.data)
    net.loss = L.SoftmaxWithLoss(
        scores,
        net.label,
        label_smoothing=recipe.label_smoothing,
        include=[{"phase": caffe_pb2.TRAIN}],
    )
    _add_accuracies(model, net, scores, include=[{"phase": caffe_pb2.TEST}])
    auxiliary = _add_auxiliary_losses(model, net, recipe)

    layers: list[caffe_pb2.LayerParameter] = []
    for layer in net.to_proto().layer:
        layers.append(layer)
        if layer.name in auxiliary and not layer.include:
            layer.include.add().phase = caffe_pb2.TRAIN
        if layer.type not in ("Data", "SoftmaxWithLoss") or layer.name in auxiliary:
            continue
        twin = caffe_pb2.LayerParameter()
        twin.CopyFrom(layer)
        twin.include[0].phase = caffe_pb2.TEST
        if layer.type == "Data":
            twin.name = "val-data"
            twin.data_param.source = val_source
            twin.data_param.batch_size = recipe.exact_val_batch
            twin.transform_param.CopyFrom(
                transform(recipe, model.image_size, caffe_pb2.TEST)
            )
        else:
            twin.ClearField("loss_param")
        layers.append(twin)
    return _named(layers, model)


def _add_auxiliary_losses(model: Model, net: NetSpec, recipe: Recipe) -> set[str]:
    """Heads of training with their losses; the names of all of their layers."""
    before = set(net.tops)
    for index, (scores, weight) in enumerate(model.add_auxiliary_to(net)):
        net[f"loss/aux{index + 1}"] = L.SoftmaxWithLoss(
            scores,
            net.label,
            label_smoothing=recipe.label_smoothing,
            loss_weight=[weight],
        )
    return set(net.tops) - before


def _add_accuracies(model: Model, net: NetSpec, scores: Top, **rules: Any) -> None:
    net["top-1"] = L.Accuracy(scores, net.label, **rules)
    if model.classes >= 5:
        net["top-5"] = L.Accuracy(scores, net.label, top_k=5, **rules)


def _image_shape(model: Model, batch_size: int) -> dict[str, list[int]]:
    return {"dim": [batch_size, 3, model.image_size, model.image_size]}


def transform(
    recipe: Recipe, crop: int, phase: int
) -> caffe_pb2.TransformationParameter:
    """What the recipe's data layers do with an image.

    Args:
        recipe: How to train.
        crop: Input size of the net in pixels.
        phase: `caffe_pb2.TRAIN` or `caffe_pb2.TEST`.

    Returns:
        For training what is drawn at random. For validation the centre crop, of images
        resized by `shorter_side` if the recipe says so.
    """
    # Some of ImageNet's files are grey, and databases keep them so.
    param = caffe_pb2.TransformationParameter(
        mean_value=recipe.mean_value, force_color=True
    )
    if recipe.scale != 1:
        param.scale = recipe.scale
    param.crop_size = crop
    if phase == caffe_pb2.TEST:
        if recipe.resize_val:
            param.resize_short = shorter_side(crop)
        return param
    if recipe.random_resized_crop:
        param.random_resized_crop.SetInParent()
        if recipe.min_area is not None:
            param.random_resized_crop.min_area = recipe.min_area
    if recipe.mirror:
        param.mirror = True
    if recipe.max_rotation:
        param.max_rotation = recipe.max_rotation
    if recipe.max_jitter:
        param.max_jitter = recipe.max_jitter
    return param


def _named(layers: Any, model: Model) -> caffe_pb2.NetParameter:
    return caffe_pb2.NetParameter(name=model.name, layer=layers)
