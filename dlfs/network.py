"""NeuralNetwork: layers, and a loss at their end."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlfs.advice import warn_of_doubled_probabilities
from dlfs.base import Operation
from dlfs.checks import (
    as_array,
    as_float_array,
    as_number_array,
    check_float_dtype,
    check_input_shape,
    check_instance,
    check_int,
    optional,
    retold,
)
from dlfs.initializers import seed_layers
from dlfs.labels import Labelled, names_of
from dlfs.layers import Layer
from dlfs.layers import LayerBlock as LayerBlock
from dlfs.losses import Loss, MeanSquaredError
from dlfs.memory import WORTH_RELEASING, release
from dlfs.owners import WeightsOwner, claim
from dlfs.recurrent import check_streams, reads_streams
from dlfs.summary import summary_html, summary_text
from dlfs.types import Array, Shape


class NeuralNetwork(LayerBlock, Labelled, WeightsOwner):
    """Layers with a loss: predicts, and learns from its mistakes.

    Book, chapter 3. Layers are set up when the first batch shows its shape, or by ``build``.

    Parameters
    ----------
    layers : sequence of Layer
        An Operation without parameters (MaxPool2D, Flatten, an activation) may stand for a layer.
    loss : Loss, optional
        MeanSquaredError() unless given.
    seed : int, default 1
        One seed gives one result; None gives another one every time. Equal layers do not start
        equal.
    dtype : {"float64", "float32"}, default "float64"
        Input is converted once, when it comes in; everything else follows.

    Attributes
    ----------
    epochs_trained : int
        For how many epochs a Trainer has trained the present weights.
    notes : dict
        What else is saved with the network: JSON values, such as units or the scaling of inputs.

    Examples
    --------
    >>> from dlfs.activations import Sigmoid
    >>> from dlfs.layers import Dense
    >>> net = NeuralNetwork([Dense(13, activation=Sigmoid()), Dense(1)], seed=20190501)
    >>> net.build((13,))
    >>> net.parameter_count()
    196
    >>> net.predict(np.zeros((4, 13))).shape
    (4, 1)
    """

    def __init__(
        self,
        layers: Sequence[Layer | Operation],
        loss: Loss | None = None,
        seed: int | None = 1,
        dtype: Any = "float64",
    ) -> None:
        super().__init__(layers)
        loss = MeanSquaredError() if loss is None else loss
        self.loss = check_instance(loss, Loss, "NeuralNetwork", "loss")
        warn_of_doubled_probabilities(self.layers, self.loss)
        self.seed = optional(check_int, seed, "NeuralNetwork", "seed", 0)
        self.dtype = check_float_dtype(dtype, "NeuralNetwork")
        self.input_shape: Shape | None = None
        self.epochs_trained = 0
        self.notes: dict[str, Any] = {}
        inner = [layer for _, layer in self.walk()][1:]
        claim(inner, self)
        seed_layers(self.layers, self.seed)
        for layer in inner:
            layer.dtype = self.dtype
        self._lock = Lock()

    def forward(self, X_batch: Array, inference: bool = False) -> Array:
        """Send a batch through the layers; the arguments are those of ``Operation.forward``.

        The batch is converted to the network's dtype, but for the integers that an Embedding takes.
        """
        # A batch of the right kind, as a Trainer's are, needs no conversion.
        known = type(X_batch) is np.ndarray and X_batch.dtype == self.dtype and self.input_shape
        if not known or X_batch.ndim != len(self.input_shape or ()) + 1:
            X_batch = self.as_input(X_batch)
        if X_batch.nbytes > WORTH_RELEASING:
            release(self.layers)
        if self.input_shape is not None:
            return super().forward(X_batch, inference)
        new = not self._any_set_up()
        try:
            output = super().forward(X_batch, inference)
        except BaseException:
            if new:
                # Layers set up for a batch that a later layer refuses would refuse the right one.
                self.reset()
            raise
        self.input_shape = X_batch.shape[1:]
        if new:
            self.mark_weights_as_own()
        return output

    def forward_loss(self, X_batch: Array, y_batch: Array, inference: bool = False) -> float:
        """Return the loss of a batch; the arguments are those of ``train_batch``."""
        return self.loss.forward(self.forward(X_batch, inference), y_batch)

    def train_batch(
        self, X_batch: Array, y_batch: Array, inference: bool = False, weight: float = 1.0
    ) -> float:
        """Return the loss of a batch, and compute the gradients of all parameters.

        Parameters
        ----------
        X_batch, y_batch : array_like, batch axis first
        inference : bool, default False
        weight : float, default 1.0
            The loss and its gradients are multiplied by it: for the rows of a part of a larger
            batch, their share of its rows.
        """
        with self._lock:
            batch_loss = self.loss.forward(self.forward(X_batch, inference), y_batch)
            grad = self.loss.backward()
            self.backward(grad if weight == 1.0 else weight * grad, input_grad=False)
        return batch_loss if weight == 1.0 else weight * batch_loss

    def predict(self, X: Array, batch_size: int | None = None) -> Array:
        """Return the predictions for any number of observations.

        Parameters
        ----------
        X : array_like, batch axis first
        batch_size : int, optional
            The number of observations in a pass, to save memory; 1000 unless given. The result
            depends on it only where layers carry state: if it is given, each row of a batch goes on
            where the same row of the batch before ended, and batches of different sizes raise
            ValueError; if not, each row is a separate sequence. Afterwards the layers' state is
            what it was before.

        Returns
        -------
        ndarray, one prediction for each observation
        """
        owner = "NeuralNetwork.predict"
        size = optional(check_int, batch_size, owner, "batch_size", 1) or 1000
        X = self.as_data(X)
        if batch_size is not None and reads_streams(self):
            cure = "leave batch_size out if each row is a sequence of its own"
            check_streams(owner, size, cure, X=X)
        new, parts = not self.built, []
        first = (min(size, len(X)), *X.shape[1:])
        with self._lock, self.fresh_start(), retold({f"{first}": f"{X.shape}"}):
            for start in range(0, max(len(X), 1), size):
                if batch_size is None:
                    self.reset_state()
                parts.append(self.forward(X[start : start + size], inference=True))
        if new:
            self.reset_state()
        return np.concatenate(parts)

    def predict_proba(self, X: Array, batch_size: int | None = None) -> Array:
        """Return the probability of each class, for any number of observations.

        The loss computes it; ValueError is raised if it is not a cross-entropy. A single output,
        the logit of "yes", gives two columns: no and yes.

        Parameters
        ----------
        X, batch_size
            As in ``predict``.

        Returns
        -------
        ndarray, shape (batch, ..., classes)

        Examples
        --------
        >>> from dlfs.layers import Dense
        >>> from dlfs.losses import SoftmaxCrossEntropy
        >>> net = NeuralNetwork([Dense(3)], SoftmaxCrossEntropy())
        >>> net.predict_proba(np.zeros((1, 2))).round(2)
        array([[0.33, 0.33, 0.33]])
        """
        return self.loss.probabilities(self.predict(X, batch_size))

    def predict_classes(self, X: Array, batch_size: int | None = None) -> Array:
        """Return the label of the most likely class, for any number of observations.

        Parameters
        ----------
        X, batch_size
            As in ``predict``.

        Returns
        -------
        ndarray, shape (batch, ...)
            Labels as they came into the training (``classes``); class numbers where those came in.
            For several yes-no questions, 0 or 1 for each.

        Examples
        --------
        >>> from dlfs import SGD, Dense, NeuralNetwork, SoftmaxCrossEntropy, Trainer
        >>> net = NeuralNetwork([Dense(2)], SoftmaxCrossEntropy())
        >>> _ = Trainer(net, SGD(lr=0.5)).fit([[-2.0], [2.0]], ["cold", "warm"], verbose=0)
        >>> net.predict_classes([[-1.5], [1.5]])
        array(['cold', 'warm'], dtype='<U4')
        """
        prediction = self.predict(X, batch_size)
        numbers = self.loss.decision(prediction)
        if prediction.shape[-1] == 1:
            # One yes-no question is one decision for each observation.
            numbers = numbers.reshape(prediction.shape[:-1])
        return names_of(numbers, self.classes, max(prediction.shape[-1], 2))

    def build(self, input_shape: Shape) -> None:
        """Set up all layers for observations of this shape.

        They get new parameters. Weights that were loaded, converted or assigned (see ``given``) are
        kept; ``reset()`` discards any weights.

        Parameters
        ----------
        input_shape : tuple
            The shape of one observation, without the batch axis.
        """
        owner = "NeuralNetwork.build"
        shape = check_input_shape(input_shape, owner)
        given, before = self.given, self.input_shape
        if given:
            self.input_shape = None
        else:
            self.reset()
        # A batch of no observations has all the shapes and costs nothing.
        dtype = np.dtype(np.int64) if self.takes_integers else self.dtype
        batch = np.zeros((0, *shape), dtype=dtype)
        try:
            self.forward(batch, inference=True)
        except (TypeError, ValueError) as error:
            if not given:
                raise
            self.input_shape = before
            raise type(error)(
                f"{owner}: the network's weights were loaded, converted or assigned, and do not "
                f"fit observations of shape {shape}; call reset() first for new ones ({error})"
            ) from error

    def reset(self) -> None:
        """Forget the parameters: the next batch sets all layers up again, from the same seed."""
        self.input_shape = None
        self.epochs_trained = 0
        self._own_weights = None
        self.forget_found_classes()
        for _, layer in self.walk():
            layer.first = True

    @property
    def built(self) -> bool:
        """Whether all layers are set up."""
        return not any(layer.first for _, layer in self.leaves())

    def as_input(self, X: object) -> Array:
        """Return a batch as the first layer takes it, with the axes of the batches before."""
        if self.takes_integers:
            return self._with_batch_axis(as_array(X, "NeuralNetwork", "X"))
        return self._with_batch_axis(as_float_array(X, "NeuralNetwork", "X", self.dtype))

    def as_data(self, X: object) -> Array:
        """Return any number of observations as the first layer takes them.

        A memory-mapped array stays in its file: each batch is converted when it is read.
        """
        if not isinstance(X, np.memmap):
            return self.as_input(X)
        return self._with_batch_axis(as_number_array(X, "NeuralNetwork", "X"))

    def _with_batch_axis(self, array: Array) -> Array:
        if array.ndim < 1:
            raise ValueError("NeuralNetwork: X needs a batch axis, got a single number")
        if self.input_shape is not None and array.ndim != len(self.input_shape) + 1:
            shape = ", ".join(map(str, ("batch", *self.input_shape)))
            raise ValueError(f"NeuralNetwork: X must be ({shape}), got shape {array.shape}")
        return array

    def summary(self, input_shape: Shape | None = None) -> str:
        """Return a table of the layers: name, output shape, number of parameters.

        Parameters
        ----------
        input_shape : tuple, optional
            The shape of one observation; sets up a network that has not seen data yet.
        """
        if input_shape is not None and not self.built:
            self.build(input_shape)
        return repr(self)

    def __repr__(self) -> str:
        return summary_text(self)

    def _repr_html_(self) -> str:
        return summary_html(self)

    def _any_set_up(self) -> bool:
        return not all(layer.first for _, layer in self.leaves())


class Lock(type(threading.RLock())):  # type: ignore[misc]
    """A lock for one network: a copy of the network gets another lock."""

    def __reduce__(self) -> tuple[type["Lock"], tuple[()]]:
        return Lock, ()
