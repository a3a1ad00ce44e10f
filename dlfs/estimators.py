"""Estimators for scikit-learn: networks as classifiers and regressors (extra ``sklearn``).

They stand in pipelines, searches and cross-validations like scikit-learn's own. The network itself
is ``estimator.network_``, with everything that dlfs does with networks.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeAlias

import numpy as np
from scipy.special import log_softmax, softmax

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.class_weight import compute_sample_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "dlfs.estimators needs the extra sklearn: pip install 'dlfs[sklearn]'"
    ) from error

from dlfs.activations import ReLU
from dlfs.base import Operation
from dlfs.checks import check_flag, check_instance, check_int, check_real
from dlfs.layers import Dense, Layer
from dlfs.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import AdamW, Optimizer
from dlfs.train import Trainer
from dlfs.train.callbacks import Callback, Training
from dlfs.types import Array, Shape

__all__ = ["NetworkClassifier", "NetworkRegressor"]

Layers: TypeAlias = Sequence[Layer | Operation]


class _NetworkEstimator(BaseEstimator):
    """What the classifier and the regressor share."""

    def __init__(
        self,
        hidden: int | Sequence[int] = (100,),
        layers: Layers | Callable[[int, int], Layers] | None = None,
        activation: Operation | None = None,
        optimizer: Optimizer | None = None,
        epochs: int = 150,
        batch_size: int | str = "auto",
        tol: float = 1e-4,
        patience: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden = hidden
        self.layers = layers
        self.activation = activation
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.tol = tol
        self.patience = patience
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _loss(self, weighted: bool) -> Loss:
        """Return the loss; a weighted one takes the weights as the targets' last column."""

    def _train(
        self, X: Array, y: Array, outputs: int, weights: Array | None, more: bool, part: bool
    ) -> None:
        """Train the network, a new one unless ``more``; on a ``part`` of the data for an epoch."""
        owner, random = type(self).__name__, check_random_state(self.random_state)
        early_stopping = check_flag(self.early_stopping, owner, "early_stopping") and not part
        patience = check_int(self.patience, owner, "patience", 1)
        tol = check_real(self.tol, owner, "tol", 0.0)
        targets = y
        if weights is not None:
            # An observation without weight must not fill a place in a batch.
            used = weights > 0
            X, y, weights = X[used], y[used], weights[used]
            targets = np.column_stack([y, weights])
        if not more:
            layers, seed = self._layers(X.shape[1], outputs), int(random.randint(2**31 - 1))
            network = NeuralNetwork(layers, self._loss(False), seed=seed)
            self._check_outputs(network, X, outputs)
            self.network_ = network
            self.loss_curve_: list[float] = []
            self.validation_losses_: list[float] = []
        X = self._input(self.network_, X)
        if not (more and part):
            self._optimizer = self._new_optimizer()
        X_test, y_test = None, None
        if early_stopping:
            seed, groups = int(random.randint(2**31 - 1)), y if hasattr(self, "classes_") else None
            X, X_test, targets, y_test = train_test_split(
                X, targets, test_size=self.validation_fraction, random_state=seed, stratify=groups
            )
        size: Any = self.batch_size
        if isinstance(size, str) and size == "auto":
            size = min(200, len(X))
        self.network_.loss = self._loss(weights is not None)
        history = Trainer(self.network_, self._optimizer).fit(
            X,
            targets,
            X_test,
            y_test,
            epochs=1 if part else check_int(self.epochs, owner, "epochs", 1),
            eval_every=1,
            batch_size=size,
            seed=int(random.randint(2**31 - 1)),
            restart=False if more else None,
            early_stopping=patience if early_stopping else False,
            metrics=(),
            callbacks=() if early_stopping else (_Plateau(tol, patience),),
            verbose=int(self.verbose) if isinstance(self.verbose, bool) else self.verbose,
        )
        self.network_.loss = self._loss(False)
        self.loss_curve_ += history["train_loss"]
        self.validation_losses_ += history["test_loss"] if early_stopping else []
        self.n_iter_ = len(self.loss_curve_)

    def _goes_on(self) -> bool:
        warm = check_flag(self.warm_start, type(self).__name__, "warm_start")
        return warm and hasattr(self, "network_")

    def _layers(self, features: int, outputs: int) -> Layers:
        if self.layers is None:
            activation = ReLU() if self.activation is None else self.activation
            owner = type(self).__name__
            hidden = self.hidden if np.iterable(self.hidden) else [self.hidden]
            hidden = [check_int(neurons, owner, "hidden", 1) for neurons in hidden]
            # He's weights, the default for ReLU, are large where there are few features: the
            # network starts with a rough function, and predicts small tables worse.
            dense = [Dense(neurons, activation, weight_init="glorot") for neurons in hidden]
            return [*dense, Dense(outputs, weight_init="glorot")]
        if callable(self.layers):
            return self.layers(features, outputs)
        return copy.deepcopy(self.layers)

    def _check_outputs(self, network: NeuralNetwork, X: Array, outputs: int) -> None:
        network.build(X.shape[1:])
        shape = network.predict(self._input(network, X[:0])).shape[1:]
        if shape != (outputs,):
            owner, each = type(self).__name__, "class" if hasattr(self, "classes_") else "target"
            raise ValueError(
                f"{owner}: layers must give one output for each {each}, shape ({outputs},), "
                f"got {shape}"
            )

    def _new_optimizer(self) -> Optimizer:
        if self.optimizer is None:
            return AdamW(lr=0.002, weight_decay=1e-4)
        check_instance(self.optimizer, Optimizer, type(self).__name__, "optimizer")
        return copy.deepcopy(self.optimizer)

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self, "network_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self.network_.predict(self._input(self.network_, X))

    def _input(self, network: NeuralNetwork, X: Array) -> Array:
        """Return integers, for a network that starts with an embedding."""
        if not network.takes_integers:
            return X
        whole = X.astype(np.int64)
        if (whole != X).any():
            raise ValueError(
                f"{type(self).__name__}: X must hold whole numbers, because the first of the "
                "layers takes integers"
            )
        return whole

    def _weights(self, sample_weight: Any, X: Array) -> Array | None:
        if sample_weight is None:
            return None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        return self._checked_weights(weights, "sample_weight")

    def _checked_weights(self, weights: Array, name: str) -> Array:
        if (weights < 0).any():
            raise ValueError(f"{type(self).__name__}: {name} must not be negative")
        if not weights.any():
            raise ValueError(f"{type(self).__name__}: {name} must not be zero everywhere")
        return weights


class NetworkClassifier(ClassifierMixin, _NetworkEstimator):
    """A network that classifies, for scikit-learn.

    Trained on softmax and cross-entropy. Without early stopping, training ends when the loss of an
    epoch has not fallen by ``tol`` for ``patience`` epochs in a row. Inputs should be scaled, by a
    StandardScaler for example.

    Parameters
    ----------
    hidden : int or sequence of int, default (100,)
        The neurons of each hidden layer. Their weights start as weight_init="glorot" draws them.
    layers : sequence of Layer, or callable, default None
        All layers, instead of ``hidden``: a list, of which copies are used, or a function of the
        numbers of features and of classes that returns a list. The last layer gives a logit for
        each class. Layers that have weights already, of another network, start with those.
    activation : Operation, default None
        Of the hidden layers; ReLU() if None.
    optimizer : Optimizer, default None
        A copy is used; AdamW(lr=0.002, weight_decay=0.0001) if None.
    epochs : int, default 150
        The largest number of epochs.
    batch_size : int or "auto", default "auto"
        "auto" is 200, or all observations where there are fewer.
    tol : float, default 0.0001
    patience : int, default 10
    early_stopping : bool, default False
        Whether to keep a part of the data aside, and to stop when its loss has not fallen for
        ``patience`` epochs. The best network is kept.
    validation_fraction : float or int, default 0.1
        The share, or the number, of observations kept aside for early stopping.
    warm_start : bool, default False
        Whether ``fit`` goes on from the weights of the last ``fit``, with a new optimizer.
    random_state : int, RandomState or None, default None
        For the first weights, the shuffling and the part kept aside.
    verbose : {0, 1, 2}, default 0
        As in ``Trainer.fit``; True is 1.
    class_weight : dict, "balanced" or None, default None
        Weights of classes, multiplied by those of observations.

    Attributes
    ----------
    classes_ : ndarray
        The labels.
    network_ : NeuralNetwork
    loss_curve_, validation_losses_ : list of float
        One for each epoch.
    n_iter_ : int
        The number of epochs so far.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NetworkClassifier(hidden=(20,), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9, model.predict_proba(X[:2]).shape
    (True, (2, 3))
    """

    classes_: Array

    def __init__(
        self,
        hidden: int | Sequence[int] = (100,),
        layers: Layers | Callable[[int, int], Layers] | None = None,
        activation: Operation | None = None,
        optimizer: Optimizer | None = None,
        epochs: int = 150,
        batch_size: int | str = "auto",
        tol: float = 1e-4,
        patience: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        class_weight: Any = None,
    ) -> None:
        ends = (tol, patience, early_stopping, validation_fraction)
        super().__init__(
            hidden,
            layers,
            activation,
            optimizer,
            epochs,
            batch_size,
            *ends,
            warm_start,
            random_state,
            verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on observations and their labels.

        Parameters
        ----------
        X : array_like, shape (observations, features)
        y : array_like, shape (observations,)
            Labels of any kind: strings, integers, booleans.
        sample_weight : array_like, shape (observations,), optional
            How much each observation counts.
        """
        more = self._goes_on()
        X, y = validate_data(self, X, y, reset=not more, dtype=np.float64)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError("NetworkClassifier: y must have at least two classes, got one class")
        if more and not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"NetworkClassifier: with warm_start y must have the same classes as before, "
                f"{self.classes_}, got {classes}"
            )
        self.classes_ = classes
        weights = self._class_weights(y, self._weights(sample_weight, X))
        self._train(X, labels, len(classes), weights, more, False)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch more, on a part of the data.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        classes : array_like, optional
            All labels that will occur; needed in the first call.
        """
        more = hasattr(self, "network_")
        if not more:
            if classes is None:
                raise ValueError("NetworkClassifier: the first partial_fit needs classes")
            self.classes_ = np.unique(classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"NetworkClassifier: classes must be {self.classes_}, as before")
        X, y = validate_data(self, X, y, reset=not more, dtype=np.float64)
        check_classification_targets(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"NetworkClassifier: y must hold known classes, got {unknown}")
        weights = self._class_weights(y, self._weights(sample_weight, X))
        labels = np.searchsorted(self.classes_, y)
        self._train(X, labels, len(self.classes_), weights, more, True)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return logits, (observations, classes); of two classes the difference of theirs."""
        logits = self._outputs(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> Array:
        """Return probabilities, (observations, classes), in the order of ``classes_``."""
        return softmax(self._outputs(X), axis=1)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of probabilities, exact where these round to 0."""
        return log_softmax(self._outputs(X), axis=1)

    def predict(self, X: Any) -> Array:
        """Return the most likely label of each observation."""
        places = self._outputs(X).argmax(axis=1)
        return self.classes_[places]

    def _loss(self, weighted: bool) -> Loss:
        return _WeightedCrossEntropy() if weighted else SoftmaxCrossEntropy()

    def _class_weights(self, y: Array, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        of_rows = compute_sample_weight(self.class_weight, y)
        if weights is not None:
            of_rows = of_rows * weights
        return self._checked_weights(of_rows, "class_weight")


class NetworkRegressor(RegressorMixin, _NetworkEstimator):
    """A network that predicts numbers, for scikit-learn.

    Trained on the squared error, of one target or of several. Inputs should be scaled, by a
    StandardScaler for example, and targets far from the range -10 to 10 too, by a
    TransformedTargetRegressor.

    Parameters
    ----------
    hidden, layers, activation, optimizer, epochs, batch_size, tol, patience, early_stopping
    validation_fraction, warm_start, random_state, verbose
        As in NetworkClassifier; ``layers`` may be a function of the numbers of features and of
        targets.

    Attributes
    ----------
    network_, loss_curve_, validation_losses_, n_iter_
        As in NetworkClassifier.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> model = NetworkRegressor(hidden=(20,), batch_size=20, random_state=0).fit(X, X[:, 0] ** 2)
    >>> model.score(X, X[:, 0] ** 2) > 0.9
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on observations and their targets.

        Parameters
        ----------
        X : array_like, shape (observations, features)
        y : array_like, shape (observations,) or (observations, targets)
        sample_weight : array_like, shape (observations,), optional
            How much each observation counts.
        """
        return self._fit(X, y, sample_weight, self._goes_on(), False)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch more, on a part of the data; arguments as in ``fit``."""
        return self._fit(X, y, sample_weight, hasattr(self, "network_"), True)

    def predict(self, X: Any) -> Array:
        """Return predictions of the form of ``fit``'s targets."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one_target else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _fit(self, X: Any, y: Any, sample_weight: Any, more: bool, part: bool) -> Self:
        X, y = validate_data(
            self, X, y, reset=not more, dtype=np.float64, multi_output=True, y_numeric=True
        )
        self._one_target = y.ndim == 1
        targets = y.astype(np.float64).reshape(len(y), -1)
        weights = self._weights(sample_weight, X)
        self._train(X, targets, targets.shape[1], weights, more, part)
        return self

    def _loss(self, weighted: bool) -> Loss:
        return _WeightedSquaredError() if weighted else MeanSquaredError()


class _Plateau(Callback):
    """Ends a training whose loss no longer falls, as scikit-learn's networks do."""

    def __init__(self, tol: float, patience: int) -> None:
        self.tol = tol
        self.patience = patience
        self.best = np.inf
        self.waited = 0

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        loss = row["train_loss"]
        self.waited = 0 if loss < self.best - self.tol else self.waited + 1
        self.best = min(self.best, loss)
        trainer.stop = self.waited >= self.patience


class _WeightedLoss(Loss):
    """A loss whose targets have one column more: the weights of the observations."""

    _grad: Array

    def as_target(self, target: object, shape: Shape, dtype: "np.dtype[Any]") -> Array:
        return np.asarray(target, dtype)

    def _input_grad(self) -> Array:
        return self._grad

    def _shares(self) -> Array:
        weights = self.target[:, -1:]
        return weights / weights.sum()


class _WeightedCrossEntropy(_WeightedLoss):
    takes_logits = True

    def _output(self) -> float:
        rows, labels = np.arange(len(self.target)), self.target[:, 0].astype(np.intp)
        shares, logs = self._shares(), log_softmax(self.prediction, axis=1)
        self._grad = np.exp(logs)
        self._grad[rows, labels] -= 1
        self._grad *= shares
        return float(-(shares[:, 0] * logs[rows, labels]).sum())


class _WeightedSquaredError(_WeightedLoss):
    def _output(self) -> float:
        error, shares = self.prediction - self.target[:, :-1], self._shares()
        self._grad = 2 * shares * error
        return float((shares * error * error).sum())
