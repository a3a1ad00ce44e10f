"""The life of a network, in any order of events, against a plain model of it in NumPy."""

import copy
import importlib.util
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import dlfs
from dlfs import SGD, Dense, NeuralNetwork, Tanh
from dlfs.layers import LayerBlock, Parallel, Residual

FEATURES = 3  # everywhere, so that everything fits together
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 5, FEATURES))
LR = 0.05


class Node:
    """A layer: dense with tanh, or a chain, a residual block, or a sum of two branches."""

    def __init__(self, kind: str, children: list["Node"]) -> None:
        self.kind, self.children = kind, children
        self.trainable = True
        self.params: list[np.ndarray] = []

    def layer(self):
        """Return a new layer of this kind."""
        inner = [child.layer() for child in self.children]
        if self.kind == "dense":
            return Dense(FEATURES, Tanh())
        if self.kind == "sum":
            return Parallel([list(branch.layers) for branch in inner])
        return {"chain": LayerBlock, "residual": Residual}[self.kind](inner)

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x, y = x, x
        if self.kind == "dense":
            self.y = np.tanh(x @ self.params[0] + self.params[1])
            return self.y
        if self.kind == "sum":
            return self.children[0].forward(x) + self.children[1].forward(x)
        for child in self.children:
            y = child.forward(y)
        return y + x if self.kind == "residual" else y

    def backward(self, grad: np.ndarray) -> np.ndarray:
        if self.kind == "dense":
            inner = grad * (1 - self.y**2)
            self.grads = [self.x.T @ inner, inner.sum(axis=0, keepdims=True)]
            return inner @ self.params[0].T
        if self.kind == "sum":
            return self.children[0].backward(grad) + self.children[1].backward(grad)
        through = grad
        for child in reversed(self.children):
            through = child.backward(through)
        return through + grad if self.kind == "residual" else through

    def step(self, frozen: bool = False) -> None:
        frozen = frozen or not self.trainable
        if self.kind == "dense" and not frozen:
            steps = zip(self.params, self.grads, strict=True)
            self.params = [param - LR * grad for param, grad in steps]
        for child in self.children:
            child.step(frozen)


DENSE = st.builds(Node, st.just("dense"), st.just([])).map(copy.deepcopy)


def blocks(inner):
    lists = st.lists(inner, min_size=1, max_size=2)
    chains = st.builds(Node, st.just("chain"), lists)
    residuals = st.builds(Node, st.just("residual"), lists)
    sums = st.builds(Node, st.just("sum"), st.lists(chains, min_size=2, max_size=2))
    return chains | residuals | sums


NODES = st.recursive(DENSE, blocks, max_leaves=4)


def pickled(net):
    return pickle.loads(pickle.dumps(net))  # noqa: S301 - of these tests


class NetworkLife(RuleBasedStateMachine):
    @initialize(nodes=st.lists(NODES, min_size=1, max_size=2), seed=st.integers(0, 9))
    def build(self, nodes, seed) -> None:
        self.model = Node("chain", copy.deepcopy(nodes))
        self.net = NeuralNetwork([node.layer() for node in self.model.children], seed=seed)
        self.net.build((FEATURES,))
        for node, layer in self.places():
            if node.kind == "dense":
                node.params = [param.copy() for param in layer.params]

    def places(self):
        """Go through the model's nodes, each with the network's layer."""
        return zip(self.model.walk(), (layer for _, layer in self.net.walk()), strict=True)

    def place(self, number):
        places = list(self.places())
        return places[number % len(places)]

    def leaf(self, number):
        leaves = [(node, layer) for node, layer in self.places() if node.kind == "dense"]
        return leaves[number % len(leaves)]

    @rule(steps=st.integers(1, 3))
    def train(self, steps) -> None:
        optim = SGD(LR)
        optim.net = self.net
        for _ in range(steps):
            error = self.model.forward(X) - Y
            self.model.backward(2 * error / len(X))
            self.model.step()
            loss = self.net.train_batch(X, Y)
            optim.step()
            np.testing.assert_allclose(loss, (error**2).sum() / len(X), rtol=1e-9)

    @rule(number=st.integers(0, 20), which=st.integers(0, 1), value=st.floats(-1, 1))
    def assign(self, number, which, value) -> None:
        node, layer = self.leaf(number)
        node.params[which] = np.full_like(node.params[which], value)
        layer.params[which] = node.params[which].copy()

    @rule(number=st.integers(0, 20), which=st.integers(0, 1), value=st.floats(-1, 1))
    def write_into(self, number, which, value) -> None:
        node, layer = self.leaf(number)
        node.params[which] = node.params[which].copy()
        node.params[which][0, 0] = value
        layer.params[which][0, 0] = value

    @rule(number=st.integers(0, 20), trainable=st.booleans())
    def freeze(self, number, trainable) -> None:
        node, layer = self.place(number)
        node.trainable = layer.trainable = trainable

    @rule(kind=st.sampled_from(["chain", "residual"]))
    def nest(self, kind) -> None:
        """Put copies of all layers into a block, and that into a new network."""
        if len(list(self.model.walk())) > 12:
            return
        block = {"chain": LayerBlock, "residual": Residual}[kind](
            copy.deepcopy(list(self.net.layers))
        )
        inner = Node(kind, self.model.children)
        trainable = self.net.trainable
        self.net = NeuralNetwork([block], seed=self.net.seed)
        self.net.build((FEATURES,))
        self.model.children = [inner]
        self.net.trainable = trainable

    @rule()
    def save_and_load(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net"
            dlfs.save(self.net, path)
            self.net = dlfs.load(path)

    @rule(how=st.sampled_from([copy.deepcopy, pickled]))
    def copy(self, how) -> None:
        """The copy goes on; what happens to the original does not matter to it."""
        before, self.net = self.net, how(self.net)
        for param in before.params():
            param[...] = 7.0

    @rule()
    def convert(self) -> None:
        """There and back: blocks become one chain, but predicts and learns the same."""
        if importlib.util.find_spec("torch") is None or not self.net.trainable:
            return
        from dlfs.pytorch import from_torch, to_torch

        back = from_torch(to_torch(self.net), input_shape=(FEATURES,))
        np.testing.assert_allclose(back.predict(X), self.net.predict(X), rtol=1e-9, atol=1e-12)
        learns = [holder.trains for holder in self.net.param_holders()]
        assert [holder.trains for holder in back.param_holders()] == learns

    @invariant()
    def all_is_as_in_the_model(self) -> None:
        if not hasattr(self, "net"):
            return
        expected = [param for node in self.model.walk() for param in node.params]
        found = list(self.net.params())
        assert len(found) == len(expected)
        for param, value in zip(found, expected, strict=True):
            np.testing.assert_allclose(param, value, rtol=1e-9, atol=1e-12)
        for node, layer in self.places():
            assert layer.trainable == node.trainable
        np.testing.assert_allclose(
            self.net.predict(X), self.model.forward(X), rtol=1e-9, atol=1e-12
        )


TestNetworkLife = NetworkLife.TestCase
TestNetworkLife.settings = settings(stateful_step_count=15)
