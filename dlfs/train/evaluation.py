"""Evaluation: the loss and the metrics of a network on some data."""

import importlib.util
import inspect
import itertools
import re
from collections.abc import Container, Sequence
from typing import Any

from dlfs.checks import shortened
from dlfs.losses import (
    BinaryCrossEntropy,
    Loss,
    NegativeLogLikelihood,
    SoftmaxCrossEntropy,
    Weighted,
)
from dlfs.network import NeuralNetwork
from dlfs.ranks import Alone
from dlfs.train.history import COLUMNS
from dlfs.train.metrics import METRICS, Metric, needs_sklearn
from dlfs.types import Array


def evaluate(
    net: NeuralNetwork,
    X: Array,
    y: Array,
    measures: dict[str, Metric],
    batch_size: int | None = None,
    ranks: Alone | None = None,
    weights: Array | None = None,
) -> dict[str, float]:
    """Return the loss and the measures, in inference mode; y as the loss uses it.

    Several ranks share the predictions; what is measured are the predictions of all rows.
    """
    prediction = (ranks or Alone()).predict(net, X, batch_size)
    results = {"loss": net.loss.forward(prediction, y if weights is None else Weighted(y, weights))}
    y, prediction, weights = net.loss.measured(y, prediction, weights)
    options: dict[str, Any] = {
        "decision": net.loss.decision,
        "probabilities": net.loss.probabilities,
        **({} if weights is None else {"sample_weight": weights}),
    }
    for name, metric in measures.items():
        results[name] = _measured(metric, y, prediction, options)
    return results


def named_metrics(metrics: Sequence[str | Metric] | None, loss: Loss) -> dict[str, Metric]:
    """Return metrics by their names; None stands for what is usual for the loss.

    Raises
    ------
    TypeError, ValueError
        If metrics is not a list, or it has an unknown name, or one name twice.
    """
    if metrics is None:
        kinds = (SoftmaxCrossEntropy, BinaryCrossEntropy, NegativeLogLikelihood)
        classifies = isinstance(loss, kinds)
        metrics = ["accuracy"] if classifies else []
    if isinstance(metrics, str) or not isinstance(metrics, Sequence):
        raise TypeError(f"Trainer: metrics must be a list, got {metrics!r}")
    measures: dict[str, Metric] = {}
    for metric in metrics:
        if not callable(metric) and not (isinstance(metric, str) and metric in METRICS):
            known = ", ".join(repr(name) for name in METRICS)
            raise ValueError(f"Trainer: unknown metric {metric!r}; there are {known}")
        if isinstance(metric, str) and needs_sklearn(metric) and not _sklearn_is_there():
            raise ImportError(
                f"Trainer: the metric {metric!r} needs the extra sklearn: "
                "pip install 'dlfs[sklearn]'"
            )
        name = _metric_name(metric, measures) if callable(metric) else metric
        if name in measures or name in COLUMNS:
            raise ValueError(f"Trainer: the name {name!r} of a metric is taken already")
        measures[name] = metric if callable(metric) else METRICS[metric]
    return measures


def _metric_name(metric: Metric, taken: Container[str]) -> str:
    """Return a name that is the same in every process, for a checkpoint to be resumed."""
    name = getattr(metric, "__name__", None)
    if isinstance(name, str):
        return shortened(name)
    # An object, or a functools.partial: its repr, without addresses.
    name = shortened(without_addresses(repr(metric)))
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return next(found for found in itertools.chain([name], numbered) if found not in taken)


def _sklearn_is_there() -> bool:
    try:
        return importlib.util.find_spec("sklearn") is not None
    except ValueError:  # a program has put something else in its place
        return False


def without_addresses(text: str) -> str:
    """Return a repr that is the same in every process.

    Examples
    --------
    >>> without_addresses("<function f at 0x7f00>")
    '<function f>'
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _measured(metric: Metric, y: Array, prediction: Array, options: dict[str, Any]) -> float:
    try:
        parameters = inspect.signature(metric).parameters
    except ValueError:  # some functions written in C have no signature
        return float(metric(y, prediction))
    wanted = {name: value for name, value in options.items() if name in parameters}
    return float(metric(y, prediction, **wanted))
