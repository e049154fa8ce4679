"""A classifier of another name, in all forms of a net."""

from __future__ import annotations

import numpy as np
import pytest

import caffe
from sknet.cli import main
from sknet.models import (
    create_model,
    deploy,
    list_models,
    recipe_for,
    rename_classifier,
    train_val,
)


def rates(layer):
    return [(param.lr_mult, param.decay_mult) for param in layer.param]


@pytest.mark.parametrize("name", sorted(list_models()))
def test_every_model_has_one(name):
    model = create_model(name)
    recipe = recipe_for(model.recipe)
    nets = [deploy(model), train_val(model, recipe, "train", "val")]
    for net in nets:
        before = {layer.name: rates(layer) for layer in net.layer}
        bottoms = {b for layer in net.layer for b in layer.bottom}
        rename_classifier(net, "animals")
        after = {layer.name: rates(layer) for layer in net.layer}
        (new,) = {n for n in after if n == "animals"}
        (old,) = {n for n in before if n not in after and "aux" not in n} or {None}
        assert old is not None
        assert len(before[old]) == 2
        assert after[new] == [(10 * rate, decay) for rate, decay in before[old]]
        # Every blob that is read is still made.
        tops = {t for layer in net.layer for t in layer.top}
        assert {b for layer in net.layer for b in layer.bottom} <= tops
        assert "animals" in {b for layer in net.layer for b in layer.bottom}
        assert len(bottoms) == len({b for layer in net.layer for b in layer.bottom})


def test_weights_of_other_classes_load_but_for_the_classifier(tmp_path):
    pretrained = caffe.Net(deploy(create_model("sknet_digits")), caffe.TEST)
    pretrained.save(str(tmp_path / "ten.caffemodel"))
    deployed, trained = tmp_path / "deploy.prototxt", tmp_path / "train_val.prototxt"
    command = ["generate", "sknet_digits", "--classes", "3", "--classifier", "letters"]
    assert main([*command, "-o", str(deployed)]) == 0
    assert main([*command, "--style", "train_val", "-o", str(trained)]) == 0
    net = caffe.Net(str(deployed), caffe.TEST)
    fresh = net.params["letters"][0].data.copy()
    assert fresh.shape[0] == 3
    net.copy_from(str(tmp_path / "ten.caffemodel"))
    np.testing.assert_array_equal(net.params["letters"][0].data, fresh)
    for layer in pretrained.params:
        if layer in net.params:
            np.testing.assert_array_equal(
                net.params[layer][0].data, pretrained.params[layer][0].data
            )
    assert len(set(pretrained.params) - set(net.params)) == 1


def test_what_cannot_be_renamed_is_told():
    net = deploy(create_model("sknet_digits"))
    with pytest.raises(ValueError, match="name 'conv1/3x3_s2' is taken"):
        rename_classifier(net, "conv1/3x3_s2")
    del net.layer[-1]
    with pytest.raises(ValueError, match="no Softmax, expected a classifier"):
        rename_classifier(net, "new")


def test_the_released_form_has_no_other_classifier(capsys):
    command = ["generate", "sknet50", "--style", "released", "--classifier", "x"]
    assert main(command) == 1
    assert "--classifier makes another net" in capsys.readouterr().err
