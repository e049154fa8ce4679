"""A net whose last layer is learned anew, from the weights of another."""

from __future__ import annotations

from caffe.proto import caffe_pb2

_LEARNED = ("InnerProduct", "Convolution")


def rename_classifier(
    net: caffe_pb2.NetParameter, name: str, rate: float = 10.0
) -> None:
    """Gives the layers that score the classes another name, in place.

    Weights are loaded by the names of layers, so these keep what their fillers gave.
    The blob of the scores gets the same name. Heads that only training has become
    NAME/aux1 and so on.

    Args:
        net: Any form of a classifier; all forms of a net get the same names.
        name: The new name.
        rate: Factor of the layers' lr_mult, since all other layers are learned already.

    Raises:
        ValueError: No such layer, or the name is taken.
    """
    taken = {layer.name for layer in net.layer}
    makers = {top: layer for layer in net.layer for top in layer.top}
    read = {blob for layer in net.layer for blob in layer.bottom}
    scores: list[str] = []
    for layer in net.layer:
        # SK units have a Softmax as well, over their branches.
        is_head = layer.type == "SoftmaxWithLoss" or (
            layer.type == "Softmax" and layer.top[0] not in read
        )
        if is_head and layer.bottom[0] not in scores:
            scores.append(layer.bottom[0])
    if not scores:
        raise ValueError(f"net '{net.name}': no Softmax, expected a classifier")
    for index, blob in enumerate(scores):
        new = name if index == 0 else f"{name}/aux{index}"
        layer = makers[blob]
        if layer.type not in _LEARNED:
            raise ValueError(
                f"net '{net.name}': the scores '{blob}' come from layer '{layer.name}' "
                f"({layer.type}), expected one of {' and '.join(_LEARNED)}"
            )
        if new in taken or new in makers:
            raise ValueError(
                f"net '{net.name}': the name '{new}' is taken; choose another"
            )
        layer.name = new
        for param in layer.param:
            param.lr_mult *= rate
        while len(layer.param) < 2:
            # By Caffe's custom a bias learns twice as fast and does not decay; the nets
            # here say so themselves.
            layer.param.add(lr_mult=rate)
        for other in net.layer:
            for names in (other.top, other.bottom):
                names[:] = [new if entry == blob else entry for entry in names]
