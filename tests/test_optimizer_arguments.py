"""Arguments of the optimizers: what each does, and what is refused."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from dlfs import optimizers
from tests.test_optimizers import give_gradients, network


@pytest.mark.parametrize(
    ("options", "decay", "final"),
    [
        ({"final_lr_exp": 0.02}, "exponential", 0.02),
        ({"final_lr_linear": 0.03}, "linear", 0.03),
        ({"final_lr": 0.04, "decay_type": "cosine"}, "cosine", 0.04),
        ({}, None, 0.0),
    ],
)
def test_each_way_to_ask_adagrad_for_a_decay(options, decay, final):
    optim = optimizers.AdaGrad(lr=0.1, **options)
    assert (optim.decay_type, optim.final_lr) == (decay, final)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"final_lr_exp": 0.1, "final_lr_linear": 0.1},
            "AdaGrad: give one of final_lr_exp, final_lr_linear and final_lr",
        ),
        ({"final_lr_exp": 0.1, "decay_type": "linear"}, "AdaGrad: decay_type goes with final_lr"),
    ],
)
def test_two_ways_at_once_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        optimizers.AdaGrad(lr=0.1, **options)


def test_an_optimizer_without_a_rule_says_so():
    optim = Unfinished()
    optim.net = network()
    give_gradients(optim.net, np.random.default_rng(0))
    message = "^Unfinished must define _update_rule or step$"
    with pytest.raises(NotImplementedError, match=message):
        optim.step()


class Unfinished(optimizers.Optimizer):
    pass


@pytest.mark.parametrize(
    ("optim", "step"),
    [
        (optimizers.AdaGrad(0.1, eps=0.5), lambda g: g / np.sqrt(0.5 + g**2)),
        (optimizers.RMSProp(0.1, decay=0.7, eps=0.5), lambda g: g / (np.sqrt(0.3) * abs(g) + 0.5)),
        (optimizers.Adam(0.1, eps=0.5), lambda g: g / (abs(g) + 0.5)),
    ],
)
def test_eps_reaches_the_kernel(optim, step):
    optim.net = network()
    (grad, *_) = give_gradients(optim.net, np.random.default_rng(0))
    (before, *_) = [param.copy() for param in optim.net.params()]
    optim.step()
    (after, *_) = optim.net.params()
    np.testing.assert_allclose(before - after, 0.1 * step(grad), rtol=1e-8)


def test_the_arguments_of_a_global_norm_are_named():
    with pytest.raises(TypeError, match=r"^global_norm: arrays must"):
        optimizers.global_norm(["a"])


@dataclass(eq=False, repr=False)
class Own(optimizers.SGDMomentum):
    """A user's optimizer: other defaults, and metadata for something else."""

    lr: float = 0.5
    clip_value: float | None = 4.0
    share: float = field(default=0.25, metadata={"help": "not for dlfs"})


def test_a_subclass_with_another_default_keeps_the_range():
    assert (Own().lr, Own().clip_value, Own(clip_value=None).clip_value) == (0.5, 4.0, None)
    assert isinstance(Own(lr=1).lr, float)
    with pytest.raises(ValueError, match=r"^Own: lr must be a finite number in \(0, inf\), got -1"):
        Own(lr=-1)
    with pytest.raises(TypeError, match=r"^Own: clip_value must be a number, got 'much'$"):
        Own(clip_value="much")


def test_a_field_may_have_metadata_of_its_own():
    assert Own(share=0.75).share == 0.75
