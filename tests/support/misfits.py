"""Arguments that are valid alone, but do not fit together, or come at a bad time.

Each row is (the public name, the call, the error message).
"""

from typing import Any

import numpy as np

from dlfs import (
    activations,
    attention,
    base,
    conv,
    dense,
    embedding,
    initializers,
    layers,
    losses,
    metrics,
    network,
    normalization,
    optimizers,
    plots,
    pooling,
    reshape,
)
from dlfs import backend as threads
from dlfs.train import history
from tests.support import subjects_recurrent
from tests.support.misfits_kernels import IMAGES, KERNELS, LABELS, Row, f32
from tests.support.subjects import ones


def after(operation: Any, input_: Any, output_grad: Any) -> Any:
    operation.forward(input_)
    return operation.backward(output_grad)


OPERATIONS: list[Row] = [
    (
        "base.Operation",
        lambda: after(activations.ReLU(), ones(2, 3), ones(3, 2)),
        r"^ReLU: output_grad must have the shape of the output, \(2, 3\), got \(3, 2\)$",
    ),
    (
        "conv.Conv2D_Op",
        lambda: conv.Conv2D_Op(ones(2, 4, 3, 3)).forward(IMAGES),
        "conv2d: the input has 3 channels",
    ),
    (
        "conv.Conv1D_Op",
        lambda: conv.Conv1D_Op(ones(2, 4, 3)).forward(ones(2, 3, 5)),
        "conv1d: the input has 3 channels",
    ),
    (
        "conv.ConvTranspose2D_Op",
        lambda: conv.ConvTranspose2D_Op(ones(2, 4, 3, 3)).forward(IMAGES),
        "conv_transpose2d: the input has 3 channels",
    ),
    (
        "dense.WeightMultiply",
        lambda: dense.WeightMultiply(ones(4, 2)).forward(ones(2, 3)),
        "x must have shape \\(batch, ",
    ),
    (
        "dense.WeightMultiply",
        lambda: dense.WeightMultiply(f32(3, 2)).forward(ones(2, 3)),
        "same dtype",
    ),
    (
        "dense.WeightMultiply",
        lambda: dense.WeightMultiply(ones(3, 2)).forward(np.array(1.0)),
        "WeightMultiply|weight_multiply",
    ),
    ("dense.BiasAdd", lambda: dense.BiasAdd(ones(2, 3)), r"B must have shape \(1, features\)"),
    ("dense.BiasAdd", lambda: dense.BiasAdd(ones(3)), r"B must have shape \(1, features\)"),
    ("dense.BiasAdd", lambda: dense.BiasAdd(ones(1, 3)).forward(ones(2, 4)), "b must have shape"),
    (
        "dense.BiasAdd",
        lambda: dense.BiasAdd(ones(1, 3)).forward(np.array(1.0)),
        "BiasAdd|bias_add",
    ),
    (
        "normalization.ScaleMultiply",
        lambda: normalization.ScaleMultiply(ones(2, 3)),
        r"gamma must have shape \(1, features\)",
    ),
    (
        "normalization.ScaleMultiply",
        lambda: normalization.ScaleMultiply(ones(1, 3)).forward(np.array(1.0)),
        "ScaleMultiply|scale_multiply",
    ),
    (
        "normalization.BatchNorm_Op",
        lambda: normalization.BatchNorm_Op().forward(ones(3)),
        "BatchNorm_Op: the input needs at least 2 dimensions",
    ),
    (
        "normalization.BatchNorm_Op",
        lambda: normalization.BatchNorm_Op().forward(ones(3, 0)),
        "BatchNorm_Op: the input needs at least 2 dimensions .* and a feature",
    ),
    (
        "normalization.BatchNorm_Op",
        lambda: normalization.BatchNorm_Op().forward(ones(0, 3)),
        "nothing to average over",
    ),
    (
        "normalization.LayerNorm_Op",
        lambda: normalization.LayerNorm_Op().forward(ones(3)),
        "layer_norm: x must have at least 2 dimensions",
    ),
    (
        "embedding.Embedding_Op",
        lambda: embedding.Embedding_Op(ones(3, 2)).forward(np.array([3])),
        r"indices must lie in 0\.\.2",
    ),
    (
        "attention.Attention_Op",
        lambda: attention.Attention_Op(2).forward(ones(2, 3, 9)),
        r"attention: the last axis of qkv must be a multiple of 3 \* heads \(6\), got 9$",
    ),
    (
        "attention.RotaryPositions",
        lambda: attention.RotaryPositions(1).forward(ones(2, 3, 9)),
        r"features a multiple of 2 \* heads \(2\), got shape \(2, 3, 9\)$",
    ),
    (
        "embedding.PositionAdd",
        lambda: embedding.PositionAdd(ones(3, 2)).forward(ones(2, 4, 2)),
        "a sequence may have 3 positions, got 4$",
    ),
    (
        "embedding.PositionAdd",
        lambda: embedding.PositionAdd(ones(3, 2)).forward(ones(2, 3, 4)),
        r"must have shape \(batch, time, 2\), got \(2, 3, 4\)$",
    ),
    (
        "embedding.SinusoidAdd",
        lambda: embedding.SinusoidAdd(3).forward(ones(4, 2)),
        r"must have shape \(batch, time, features\), got \(4, 2\)$",
    ),
    (
        "embedding.TableMultiply",
        lambda: embedding.TableMultiply(ones(3, 2)).forward(ones(4, 3)),
        r"x must have shape \(batch, 2\), got \(4, 3\)$",
    ),
    (
        "normalization.GroupNorm_Op",
        lambda: normalization.GroupNorm_Op(2).forward(ones(4, 3)),
        r"a multiple of groups \(2\), got shape \(4, 3\)$",
    ),
    (
        "normalization.RMSNorm_Op",
        lambda: normalization.RMSNorm_Op().forward(ones(3)),
        "rms_norm: x must have at least 2 dimensions",
    ),
    (
        "activations.PReLU_Op",
        lambda: activations.PReLU_Op(ones(1, 2)).forward(ones(2, 3)),
        "must fit the input, got shape",
    ),
    (
        "activations.PReLU_Op",
        lambda: activations.PReLU_Op(ones(1, 2, 1, 1)).forward(ones(2, 2)),
        r"the slopes, of shape \(1, 2, 1, 1\), must fit the input",
    ),
    ("activations.LogSoftmax", lambda: activations.LogSoftmax().forward(ones(2, 0)), "last axis"),
    ("reshape.LastStep", lambda: reshape.LastStep().forward(ones(2, 0, 3)), "at least one step"),
    ("reshape.Reverse", lambda: reshape.Reverse().forward(ones(2)), "must be .batch, time"),
    ("reshape.Upsample2D", lambda: reshape.Upsample2D().forward(ones(2, 3)), "batch, channels"),
    (
        "layers.Bidirectional",
        lambda: layers.Bidirectional(layers.RNNLayer(2, carry=True)),
        "layer must not carry its state",
    ),
    (
        "layers.Bidirectional",
        lambda: layers.Bidirectional(layers.RNNLayer(2)).forward(ones(2, 3)),
        "must be .batch, time|at least one step",
    ),
    ("layers.PReLU", lambda: layers.PReLU().forward(ones(3)), "must be .batch, features"),
    ("activations.SwiGLU", lambda: activations.SwiGLU().forward(ones(2, 3)), "must be even"),
    ("pooling.MaxPool2D", lambda: pooling.MaxPool2D(6).forward(IMAGES), "the window covers 6"),
    ("pooling.AvgPool2D", lambda: pooling.AvgPool2D(6).forward(IMAGES), "the window covers 6"),
    ("pooling.MaxPool1D", lambda: pooling.MaxPool1D(2).forward(ones(2, 3)), "channels, time"),
    ("pooling.AvgPool1D", lambda: pooling.AvgPool1D(2).forward(ones(2, 3)), "channels, time"),
    (
        "pooling.GlobalMaxPool2D",
        lambda: pooling.GlobalMaxPool2D().forward(ones(2, 3, 0, 2)),
        "at least one pixel",
    ),
    ("pooling.GlobalAvgPool2D", lambda: pooling.GlobalAvgPool2D().forward(ones(2, 3)), "4 dim"),
    ("reshape.Flatten", lambda: reshape.Flatten().forward(np.array(1.0)), "no batch axis"),
    (
        "reshape.Reshape",
        lambda: reshape.Reshape((4,)).forward(ones(2, 3)),
        "3 numbers .* do not fit",
    ),
    ("reshape.Reshape", lambda: reshape.Reshape((2, -1)).forward(ones(2, 3)), "do not fit"),
    ("reshape.Reshape", lambda: reshape.Reshape((2,)).forward(np.array(1.0)), "no batch axis"),
    (
        "activations.Softmax",
        lambda: activations.Softmax().forward(ones(2, 0)),
        "at least one class",
    ),
]


class _Careless(base.Operation):
    """Returns a gradient of the wrong shape."""

    def _output(self) -> np.ndarray:
        return self.input_ * 2

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return output_grad[:1]


class _Listing(_Careless):
    """Does not return an array."""

    def _input_grad(self, output_grad: np.ndarray) -> Any:
        return output_grad.tolist()


class _CarelessParam(base.ParamOperation):
    def _output(self) -> np.ndarray:
        return self.input_ + self.param

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return output_grad

    def _param_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return output_grad


class _CarelessLoss(losses.Loss):
    def _output(self) -> float:
        return 0.0

    def _input_grad(self) -> np.ndarray:
        return np.zeros(3)


def _loss_gradient() -> None:
    loss = _CarelessLoss()
    loss.forward(ones(2, 3), ones(2, 3))
    loss.backward()


MISTAKES: list[Row] = [
    (
        "base.Operation",
        lambda: after(_Careless(), ones(2, 3), ones(2, 3)),
        r"_Careless: input_grad must have the shape of input_, \(2, 3\), got \(1, 3\)",
    ),
    (
        "base.Operation",
        lambda: after(_Listing(), ones(2, 3), ones(2, 3)),
        r"^_Listing: input_grad must have the shape of input_, \(2, 3\), got list$",
    ),
    (
        "base.ParamOperation",
        lambda: after(_CarelessParam(ones(1, 3)), ones(2, 3), ones(2, 3)),
        r"_CarelessParam: param_grad must have the shape of param, \(1, 3\), got \(2, 3\)",
    ),
    (
        "losses.Loss",
        _loss_gradient,
        r"^_CarelessLoss: the gradient must have the shape of the predict.*, got \(3,\)$",
    ),
]

LAYERS: list[Row] = [
    ("layers.Dense", lambda: layers.Dense(2).forward(IMAGES), "conv_in=True or a Flatten"),
    ("layers.Dense", lambda: layers.Dense(2).forward(ones(3)), "Dense: the input must be"),
    ("layers.Dense", lambda: layers.Dense(2).forward(ones(3, 0)), "the input has no features"),
    (
        "layers.Dense",
        lambda: layers.Dense(2, activation=activations.ReLU),
        r"activation must be an instance.*write ReLU\(\)",
    ),
    (
        "layers.Dense",
        lambda: layers.Dense(2, activation=dense.BiasAdd(ones(1, 2))),
        "activation must have no parameter",
    ),
    ("layers.Conv2D", lambda: layers.Conv2D(2, 3).forward(ones(2, 9)), "Conv2D: the input must be"),
    ("layers.Conv2D", lambda: layers.Conv2D(4, 2, groups=2).forward(IMAGES), "must divide"),
    (
        "layers.Conv2D",
        lambda: layers.Conv2D(4, 2).forward(ones(2, 0, 4, 4)),
        "at least one channel",
    ),
    (
        "layers.Conv2D",
        lambda: layers.Conv2D(4, 6, padding=0).forward(IMAGES),
        "the window covers 6",
    ),
    ("layers.Conv1D", lambda: layers.Conv1D(2, 3).forward(ones(2, 9)), "Conv1D: the input must be"),
    (
        "layers.ConvTranspose2D",
        lambda: layers.ConvTranspose2D(2, 3).forward(ones(2, 9)),
        "ConvTranspose2D: the input must be",
    ),
    (
        "layers.ConvTranspose2D",
        lambda: layers.ConvTranspose2D(2, 3, output_padding=1).forward(IMAGES),
        "output_padding must be smaller than the stride",
    ),
    ("layers.Embedding", lambda: layers.Embedding(3, 2).forward(ones(2, 2)), "must be integers"),
    ("layers.Embedding", lambda: layers.Embedding(3, 2).forward(np.array([[3]])), r"0\.\.2"),
    (
        "layers.SelfAttention",
        lambda: layers.SelfAttention(2).forward(ones(3, 4)),
        r"SelfAttention: the input must be \(batch, time, features\), got shape \(3, 4\)$",
    ),
    (
        "layers.SelfAttention",
        lambda: layers.SelfAttention(2).forward(ones(3, 4, 5)),
        r"SelfAttention: the features must be a multiple of heads \(2\), got 5$",
    ),
    (
        "layers.SelfAttention",
        lambda: layers.SelfAttention(2, rotary=True).forward(ones(3, 4, 6)),
        r"must be a multiple of 2 \* heads \(4\), got 6$",
    ),
    (
        "layers.FeedForward",
        lambda: layers.FeedForward().forward(ones(3)),
        "FeedForward: the input must be",
    ),
    (
        "layers.TransformerBlock",
        lambda: layers.TransformerBlock(2).forward(ones(3, 4, 5)),
        r"SelfAttention: the features must be a multiple of heads \(2\), got 5$",
    ),
    (
        "layers.PositionEmbedding",
        lambda: layers.PositionEmbedding(3).forward(ones(2, 4, 2)),
        "PositionEmbedding: a sequence may have 3 positions, got 4",
    ),
    (
        "layers.TiedEmbedding",
        lambda: layers.TiedEmbedding(5, 2, [layers.Dense(3)]).forward(np.array([[1]])),
        r"x must have shape \(batch, 2\), got \(1, 3\)$",
    ),
    (
        "layers.TiedEmbedding",
        lambda: layers.TiedEmbedding(5, 2, layers.Dense(2)),
        "must be a list of layers",
    ),
    ("layers.RMSNorm", lambda: layers.RMSNorm().forward(ones(3)), "RMSNorm: the input must be"),
    (
        "layers.GroupNorm",
        lambda: layers.GroupNorm(2).forward(ones(4, 3)),
        r"GroupNorm: .* a multiple of groups \(2\), got shape \(4, 3\)$",
    ),
    (
        "layers.BatchNorm",
        lambda: layers.BatchNorm().forward(ones(3)),
        "BatchNorm: the input must be",
    ),
    (
        "layers.LayerNorm",
        lambda: layers.LayerNorm().forward(ones(3)),
        "LayerNorm: the input must be",
    ),
    (
        "layers.OperationLayer",
        lambda: layers.OperationLayer(dense.BiasAdd(ones(1, 2))),
        "BiasAdd has a parameter",
    ),
    (
        "layers.Layer",
        lambda: after(layers.Dense(2), ones(4, 3), ones(4, 3)),
        r"^Dense: output_grad must have the shape of the output, \(4, 2\), got \(4, 3\)$",
    ),
    (
        "layers.Layer",
        lambda: after(layers.Dense(2), ones(4, 3), [[1.0, 1.0]]),
        "^Dense: output_grad must be a NumPy array, got list$",
    ),
]


def _twice() -> Any:
    net = network.NeuralNetwork([layers.Dense(2)])
    net.forward(ones(4, 3))
    return net.forward(ones(4, 5))


NETWORKS: list[Row] = [
    (
        "layers.Residual",
        lambda: layers.Residual([layers.Dense(3)]).forward(ones(2, 2)),
        r"Residual: the block must keep the shape and dtype of its input, \(2, 2\)",
    ),
    (
        "layers.Parallel",
        lambda: layers.Parallel([[layers.Dense(3)], []]).forward(ones(2, 2)),
        r"Parallel: with merge='add' the branches' outputs must have one shape, got \(2, 3\)",
    ),
    (
        "layers.Parallel",
        lambda: layers.Parallel([[layers.Dense(3)]], merge="mean"),
        "Parallel: merge must be one of",
    ),
    (
        "layers.LayerBlock",
        lambda: network.LayerBlock([dense.BiasAdd(ones(1, 2))]),
        "BiasAdd has a parameter",
    ),
    (
        "network.NeuralNetwork",
        lambda: network.NeuralNetwork([layers.Dense(2)], losses.MeanSquaredError),
        r"loss must be an instance.*MeanSquaredError\(\)",
    ),
    ("network.NeuralNetwork", _twice, r"x must have shape \(batch, 3\)"),
    (
        "network.NeuralNetwork",
        lambda: network.NeuralNetwork([layers.Dense(2)]).forward(3.0),
        "X needs a batch axis",
    ),
    (
        "network.NeuralNetwork",
        lambda: network.NeuralNetwork([layers.Dense(2)]).train_batch(ones(4, 3), ones(4, 3)),
        r"target must have the shape of the prediction, \(4, 2\), got \(4, 3\)",
    ),
    (
        "network.NeuralNetwork",
        lambda: network.NeuralNetwork([layers.Dense(2)]).train_batch(ones(4, 3), ones(8)),
        r"np\.asarray\(target\)\.reshape\(-1, 2\) makes it fit",
    ),
    (
        "network.NeuralNetwork",
        lambda: network.NeuralNetwork([layers.Embedding(3, 2)]).forward([[0.5]]),
        "the input must be integers",
    ),
]

SMX = losses.SoftmaxCrossEntropy

LOSSES: list[Row] = [
    *(
        (
            f"losses.{name}",
            lambda name=name, args=args: getattr(losses, name)().forward(*args),
            words,
        )
        for name in ("MeanSquaredError", "MeanAbsoluteError", "Huber", "BinaryCrossEntropy")
        for args, words in (
            ((ones(2, 3), ones(3, 2)), f"{name}: target must have the shape of the prediction"),
            ((ones(0, 3), ones(0, 3)), f"{name}: the batch must not be empty"),
        )
    ),
    (
        "losses.MeanSquaredError",
        lambda: losses.MeanSquaredError(normalize=True).forward(ones(2, 3) * 0, ones(2, 3)),
        "^MeanSquaredError: a row of the prediction sums to 0 and cannot be normalized$",
    ),
    (
        "losses.MeanSquaredError",
        lambda: losses.MeanSquaredError(normalize=True).forward(ones(2), ones(2)),
        r"^MeanSquaredError: with normalize the prediction must be \(batch, classes\), got shape",
    ),
    *(
        (
            f"losses.{name}",
            lambda make=make: make().forward(ones(2, 3), np.array([0, 1]), ones(3)),
            "sample_weight must have the first axes of",
        )
        for name, make in (
            ("SoftmaxCrossEntropy", losses.SoftmaxCrossEntropy),
            ("NegativeLogLikelihood", losses.NegativeLogLikelihood),
        )
    ),
    (
        "losses.MeanSquaredError",
        lambda: losses.MeanSquaredError().forward(ones(2, 3), ones(2, 3), ones(3)),
        r"sample_weight must have the first axes of \(2, 3\), or all",
    ),
    (
        "losses.SoftmaxCrossEntropy",
        lambda: SMX(class_weight=[1, 2]).forward(ones(2, 3), LABELS),
        "class_weight must have a number for each of the 3 columns",
    ),
    (
        "losses.SoftmaxCrossEntropy",
        lambda: SMX(class_weight=[1, 2, 3]).forward(ones(2, 3), [0, 3]),
        r"labels must lie in 0\.\.2",
    ),
    (
        "losses.SoftmaxCrossEntropy",
        lambda: SMX(axis=1).forward(ones(2, 3, 4), np.zeros((2, 3), int)),
        r"integer labels of shape \(2, 4\)",
    ),
    (
        "losses.NegativeLogLikelihood",
        lambda: losses.NegativeLogLikelihood().forward(ones(2, 1), [0, 1]),
        "of at least 2 classes",
    ),
    (
        "losses.NegativeLogLikelihood",
        lambda: losses.NegativeLogLikelihood().forward(ones(2, 3), [0, 3]),
        r"labels must lie in 0\.\.2",
    ),
    (
        "losses.BinaryCrossEntropy",
        lambda: losses.BinaryCrossEntropy([1, 2]).forward(ones(2, 3), ones(2, 3)),
        "pos_weight must be a number, or 3 numbers",
    ),
    (
        "losses.BinaryCrossEntropy",
        lambda: losses.BinaryCrossEntropy().forward(ones(2, 1), np.array([[0], [2]])),
        r"target must lie in \[0, 1\]",
    ),
    ("losses.SoftmaxCrossEntropy", lambda: SMX().forward(ones(3), LABELS), "must be .batch, class"),
    ("losses.SoftmaxCrossEntropy", lambda: SMX().forward(ones(2, 2), LABELS), r"lie in 0\.\.1"),
    ("losses.SoftmaxCrossEntropy", lambda: SMX().forward(ones(2, 3), [0.0, 1.0]), "be integers"),
    ("losses.SoftmaxCrossEntropy", lambda: SMX().forward(ones(2, 3), [0, 1, 2]), "integer labels"),
    ("losses.SoftmaxCrossEntropy", lambda: SMX().forward(ones(2, 3), ones(2, 3)), "sum to 1"),
    (
        "losses.SoftmaxCrossEntropy",
        lambda: SMX().forward(f32(2, 3), ones(2, 3)),
        "SoftmaxCrossEntropy: each row of target",
    ),
    (
        "losses.SoftmaxCrossEntropy",
        lambda: SMX().forward(ones(2, 2), f32(2, 2) * np.float32(0.50001)),
        "^SoftmaxCrossEntropy: each row of target must hold probabilities that sum to 1 ",
    ),
    ("losses.SoftmaxCrossEntropy", lambda: SMX().forward(ones(2, 1), [0, 2]), r"in \[0, 1\]"),
    (
        "losses.SoftmaxCrossEntropy",
        lambda: SMX().forward(ones(2, 0), LABELS),
        "SoftmaxCross|softmax_",
    ),
]

TABLES = ([0, 1], [[0.0, 1.0], [2.0, 1.0]])

OTHERS: list[Row] = [
    *(
        ("backend.set_num_threads", lambda n=n: threads.set_num_threads(n), "set_num_threads: n ")
        for n in (0, -1, None, 1.5, "2", True)
    ),
    ("metrics.mae", lambda: metrics.mae(ones(3), ones(3, 1)), "must have the same shape"),
    ("metrics.rmse", lambda: metrics.rmse(ones(3), ones(3, 1)), "must have the same shape"),
    ("metrics.mae", lambda: metrics.mae([], []), "mae: there are no observations"),
    ("metrics.rmse", lambda: metrics.rmse([], []), "rmse: there are no observations"),
    ("metrics.accuracy", lambda: metrics.accuracy([0], TABLES[1]), "integer labels of shape"),
    (
        "metrics.accuracy",
        lambda: metrics.accuracy([0.0, 1.0], TABLES[1]),
        "integer labels of shape",
    ),
    ("metrics.accuracy", lambda: metrics.accuracy([], ones(0, 2)), "there are no observations"),
    ("metrics.accuracy", lambda: metrics.accuracy([0, 1], [0, 1]), r"must be \(batch, classes\)"),
    (
        "metrics.confusion_matrix",
        lambda: metrics.confusion_matrix([0, 2], TABLES[1]),
        r"labels must lie in 0\.\.1, got 0\.\.2",
    ),
    (
        "metrics.confusion_matrix",
        lambda: metrics.confusion_matrix([0, -1], TABLES[1]),
        r"labels must lie in 0\.\.1, got -1\.\.1",
    ),
    (
        "initializers.draw_weights",
        lambda: layers.Dense(2, weight_init=lambda *_: ones(2, 2)).forward(ones(4, 3)),
        r"weight_init: result must have shape \(3, 2\)",
    ),
    (
        "initializers.check_weight_init",
        lambda: initializers.check_weight_init("Xavier", "Dense"),
        "Dense: weight_init .* must be one of 'standard'",
    ),
    ("history.Row", lambda: history.Row({"note": [1]}), "'note' must be a number"),
    ("history.Row", lambda: history.Row({"lr": "0.1"}), "'lr' must be a number"),
    ("history.Row", lambda: history.Row({"lr": 10**5000}), "at most 64 bits"),
    ("history.History.of", lambda: history.History.of([], "x"), "stopped must be one of"),
    ("history.History.of", lambda: history.History.of({}, None), "rows must be a list"),
    ("history.History.of", lambda: history.History.of([{"epoch": 1}], None), "row 1 must be"),
    ("plots.with_handles", lambda: plots.with_handles(3), "draw must be callable, got int"),
    (
        "plots.with_handles",
        lambda: plots.with_handles(plots.plot_filters, b=[1]),
        "b must be an argument of draw",
    ),
    (
        "plots.with_handles",
        lambda: plots.with_handles(plots.plot_filters, columns=[2, 3]),
        "default is one of the handle's 2 values",
    ),
    ("plots.plot_history", lambda: plots.plot_history(history.History()), "at least one epoch"),
    ("plots.plot_chain", lambda: plots.plot_chain([]), "at least one part"),
    (
        "plots.plot_chain",
        lambda: plots.plot_chain([activations.Sigmoid()]),
        "Sigmoid must have an output",
    ),
    ("plots.plot_filters", lambda: plots.plot_filters(ones(3, 3)), "W must be"),
    ("plots.plot_confusion", lambda: plots.plot_confusion(ones(2, 3)), "matrix must be square"),
    (
        "plots.plot_confusion",
        lambda: plots.plot_confusion(np.full((2, 2), np.inf)),
        "plot_confusion: matrix must be finite",
    ),
    (
        "plots.plot_filters",
        lambda: plots.plot_filters(ones(1, 1, 2, 2) * np.nan),
        "plot_filters: W must be finite",
    ),
    (
        "plots.plot_confusion",
        lambda: plots.plot_confusion(np.eye(2), names=["one"]),
        "names must hold 2 names, got 1",
    ),
    (
        "optimizers.Optimizer",
        lambda: optimizers.SGD(lr=0.1, decay_each="step"),
        "SGD: decay_each must be one of",
    ),
    (
        "optimizers.AdaGrad",
        lambda: optimizers.AdaGrad(0.1, final_lr_exp=0.01, final_lr=0.01),
        "AdaGrad: give one of",
    ),
    (
        "optimizers.AdaGrad",
        lambda: optimizers.AdaGrad(0.1, final_lr_exp=0.01, decay_type="linear"),
        "AdaGrad: decay_type goes with final_lr",
    ),
    (
        "optimizers.SGD",
        lambda: optimizers.SGD().start_schedule(0),
        "SGD: epochs must be at least 1",
    ),
    ("clipping.global_norm", lambda: optimizers.global_norm(["text"]), "global_norm"),
]

MISFITS = [
    *KERNELS,
    *OPERATIONS,
    *MISTAKES,
    *LAYERS,
    *NETWORKS,
    *LOSSES,
    *OTHERS,
    *subjects_recurrent.KERNEL_MISFITS,
    *subjects_recurrent.MISFITS,
]
