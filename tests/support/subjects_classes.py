"""Classes and functions above the kernels as subjects of the tests of bad input."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs import (
    activations,
    attention,
    backend,
    base,
    callbacks,
    conv,
    dense,
    dropout,
    embedding,
    exercises,
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
from dlfs.commands import recipes as models
from dlfs.train.history import History
from tests.support import subjects_recurrent
from tests.support.junk import (
    Wanted,
    array,
    choice,
    dtype,
    flag,
    instance,
    integer,
    numbers,
    padding,
    pair,
    real,
    shape,
    weight_init,
)
from tests.support.subjects import Subject, ones
from tests.support.subjects_kernels import CONV_1D, CONV_2D, POSITIVE, TRANSPOSED, UNIT

KEPT = real(0.0, 1.0, low_open=True)
SEED = integer(0, optional=True)
POOLING = {
    "kernel_size": pair(1),
    "stride": pair(1, optional=True),
}


def _no_arguments() -> dict[str, Any]:
    return {}


def _made(
    name: str, kind: Callable[..., Any], valid: Callable[[], dict[str, Any]], **wanted: Wanted
) -> Subject:
    return Subject(name, kind, valid, wanted)


def _with(**arguments: Any) -> Callable[[], dict[str, Any]]:
    """Return a function that returns a constant object."""
    return lambda: dict(arguments)


# --- Operations: their constructors, forward and backward ---

ACTIVATIONS = (
    "Linear",
    "Sigmoid",
    "Tanh",
    "ReLU",
    "LeakyReLU",
    "ELU",
    "GELU",
    "SiLU",
    "Softplus",
    "Softmax",
    "SwiGLU",
    "SELU",
    "Mish",
    "HardSwish",
    "LogSoftmax",
)
OPERATIONS: dict[str, tuple[Callable[[], base.Operation], tuple[int, ...], str]] = {
    **{f"activations.{name}": (getattr(activations, name), (2, 4), name) for name in ACTIVATIONS},
    "activations.PReLU_Op": (lambda: activations.PReLU_Op(ones(1, 4)), (2, 4), "PReLU_Op"),
    "attention.Attention_Op": (lambda: attention.Attention_Op(1), (2, 3, 6), "Attention_Op"),
    "attention.RotaryPositions": (
        lambda: attention.RotaryPositions(1),
        (2, 3, 6),
        "RotaryPositions",
    ),
    "embedding.PositionAdd": (
        lambda: embedding.PositionAdd(ones(4, 2)),
        (2, 3, 2),
        "PositionAdd",
    ),
    "embedding.SinusoidAdd": (lambda: embedding.SinusoidAdd(4), (2, 3, 2), "SinusoidAdd"),
    "embedding.TableMultiply": (
        lambda: embedding.TableMultiply(ones(4, 3)),
        (2, 3),
        "TableMultiply",
    ),
    "normalization.GroupNorm_Op": (
        lambda: normalization.GroupNorm_Op(2),
        (3, 4),
        "GroupNorm_Op",
    ),
    "normalization.RMSNorm_Op": (normalization.RMSNorm_Op, (4, 3), "RMSNorm_Op"),
    "conv.Conv1D_Op": (lambda: conv.Conv1D_Op(ones(2, 3, 2)), (2, 2, 5), "Conv1D_Op"),
    "conv.Conv2D_Op": (lambda: conv.Conv2D_Op(ones(2, 3, 2, 3)), (2, 2, 4, 5), "Conv2D_Op"),
    "conv.ConvTranspose2D_Op": (
        lambda: conv.ConvTranspose2D_Op(ones(2, 3, 2, 3)),
        (2, 2, 4, 5),
        "ConvTranspose2D_Op",
    ),
    "dense.BiasAdd": (lambda: dense.BiasAdd(ones(1, 3)), (2, 3), "BiasAdd"),
    "dense.WeightMultiply": (lambda: dense.WeightMultiply(ones(3, 2)), (2, 3), "WeightMultiply"),
    "dropout.Dropout": (lambda: dropout.Dropout(0.5, seed=1), (2, 3), "Dropout"),
    "normalization.BatchNorm_Op": (normalization.BatchNorm_Op, (4, 3), "BatchNorm_Op"),
    "normalization.LayerNorm_Op": (normalization.LayerNorm_Op, (4, 3), "LayerNorm_Op"),
    "normalization.ScaleMultiply": (
        lambda: normalization.ScaleMultiply(ones(1, 3)),
        (2, 3),
        "ScaleMultiply",
    ),
    "pooling.AvgPool2D": (lambda: pooling.AvgPool2D(2), (2, 2, 4, 4), "AvgPool2D"),
    "pooling.GlobalAvgPool2D": (pooling.GlobalAvgPool2D, (2, 2, 4, 4), "GlobalAvgPool2D"),
    "pooling.GlobalMaxPool2D": (pooling.GlobalMaxPool2D, (2, 2, 4, 4), "GlobalMaxPool2D"),
    "reshape.LastStep": (reshape.LastStep, (2, 3, 4), "LastStep"),
    "reshape.Reverse": (reshape.Reverse, (2, 3, 4), "Reverse"),
    "reshape.Upsample2D": (reshape.Upsample2D, (2, 2, 4, 4), "Upsample2D"),
    "pooling.MaxPool1D": (lambda: pooling.MaxPool1D(2), (2, 2, 4), "MaxPool1D"),
    "pooling.AvgPool1D": (lambda: pooling.AvgPool1D(2), (2, 2, 4), "AvgPool1D"),
    "pooling.MaxPool2D": (lambda: pooling.MaxPool2D(2), (2, 2, 4, 4), "MaxPool2D"),
    "reshape.Flatten": (reshape.Flatten, (2, 3, 4), "Flatten"),
    "reshape.Reshape": (lambda: reshape.Reshape((4, -1)), (2, 3, 4), "Reshape"),
}


def _forward(make: Callable[[], base.Operation]) -> Callable[..., Any]:
    return lambda input_: make().forward(input_)


def _backward(make: Callable[[], base.Operation], size: tuple[int, ...]) -> Callable[..., Any]:
    def backward(output_grad: Any) -> Any:
        operation = make()
        operation.forward(np.random.default_rng(0).standard_normal(size))
        return operation.backward(output_grad)

    return backward


def _output_grad(make: Callable[[], base.Operation], size: tuple[int, ...]) -> Callable[[], Any]:
    return lambda: {"output_grad": np.ones_like(make().forward(ones(*size)))}


def _operations() -> list[Subject]:
    subjects = []
    for name, (make, size, owner) in OPERATIONS.items():
        wanted = {"input_": array("the input")}
        valid = _with(input_=ones(*size))
        subjects.append(Subject(f"{name} forward", _forward(make), valid, wanted, owner))
        wanted = {"output_grad": array(ndim=True)}
        grad = _output_grad(make, size)
        subjects.append(Subject(f"{name} backward", _backward(make, size), grad, wanted, owner))
    look_up = lambda input_: embedding.Embedding_Op(ones(3, 2)).forward(input_)  # noqa: E731
    integers = array("the input", dtypes=["float64", "bool", "complex128", "object", "str"])
    subjects.append(
        Subject(
            "embedding.Embedding_Op forward",
            look_up,
            _with(input_=np.array([[0, 2]])),
            {"input_": integers},
        )
    )
    param = {"param": array()}
    matrix = array(ndim=True)
    return [
        *subjects,
        _made("base.ParamOperation", base.ParamOperation, _with(param=ones(2, 2)), **param),
        _made("activations.LeakyReLU", activations.LeakyReLU, _no_arguments, slope=real(**UNIT)),
        _made("activations.ELU", activations.ELU, _no_arguments, alpha=POSITIVE),
        _made("dense.WeightMultiply", dense.WeightMultiply, _with(W=ones(3, 2)), W=matrix),
        _made("dense.BiasAdd", dense.BiasAdd, _with(B=ones(1, 2)), B=array()),
        _made(
            "normalization.ScaleMultiply",
            normalization.ScaleMultiply,
            _with(gamma=ones(1, 2)),
            gamma=array(),
        ),
        _made(
            "normalization.BatchNorm_Op",
            normalization.BatchNorm_Op,
            _no_arguments,
            momentum=KEPT,
            eps=POSITIVE,
        ),
        _made(
            "normalization.LayerNorm_Op", normalization.LayerNorm_Op, _no_arguments, eps=POSITIVE
        ),
        _made(
            "embedding.Embedding_Op", embedding.Embedding_Op, _with(table=ones(3, 2)), table=matrix
        ),
        _made(
            "attention.Attention_Op",
            attention.Attention_Op,
            _with(heads=2),
            heads=integer(1),
            causal=flag(),
            dropout=KEPT,
            seed=SEED,
        ),
        _made(
            "attention.RotaryPositions",
            attention.RotaryPositions,
            _with(heads=2),
            heads=integer(1),
        ),
        _made(
            "embedding.PositionAdd", embedding.PositionAdd, _with(table=ones(3, 2)), table=matrix
        ),
        _made("embedding.SinusoidAdd", embedding.SinusoidAdd, _with(length=3), length=integer(1)),
        _made(
            "embedding.TableMultiply",
            embedding.TableMultiply,
            _with(table=ones(3, 2)),
            table=matrix,
        ),
        _made(
            "normalization.GroupNorm_Op",
            normalization.GroupNorm_Op,
            _with(groups=2),
            groups=integer(1),
            eps=POSITIVE,
        ),
        _made("normalization.RMSNorm_Op", normalization.RMSNorm_Op, _no_arguments, eps=POSITIVE),
        _made("activations.PReLU_Op", activations.PReLU_Op, _with(param=ones(1, 4)), param=array()),
        _made("activations.GELU", activations.GELU, _no_arguments, tanh=flag()),
        _made("dropout.Dropout", dropout.Dropout, _no_arguments, keep_prob=KEPT, seed=SEED),
        _made("reshape.Reverse", reshape.Reverse, _no_arguments, integers=flag()),
        _made("reshape.Upsample2D", reshape.Upsample2D, _no_arguments, scale=pair(1)),
        _made("reshape.Reshape", reshape.Reshape, _with(shape=(2, 3)), shape=_reshape()),
        _made("conv.Conv1D_Op", conv.Conv1D_Op, _with(W=ones(2, 3, 2)), W=matrix, **CONV_1D),
        _made("conv.Conv2D_Op", conv.Conv2D_Op, _with(W=ones(2, 3, 2, 2)), W=matrix, **CONV_2D),
        _made(
            "conv.ConvTranspose2D_Op",
            conv.ConvTranspose2D_Op,
            _with(W=ones(2, 3, 2, 2)),
            W=matrix,
            **TRANSPOSED,
        ),
        _made(
            "pooling.MaxPool2D",
            pooling.MaxPool2D,
            _with(kernel_size=2),
            **POOLING,
            padding=padding(),
            dilation=pair(1),
            ceil_mode=flag(),
        ),
        *(
            _made(
                f"pooling.{kind.__name__}",
                kind,
                _with(kernel_size=2),
                kernel_size=integer(1),
                stride=integer(1, optional=True),
                ceil_mode=flag(),
                **more,
            )
            for kind, more in (
                (pooling.MaxPool1D, {"dilation": integer(1)}),
                (pooling.AvgPool1D, {"count_include_pad": flag()}),
            )
        ),
        _made(
            "pooling.AvgPool2D",
            pooling.AvgPool2D,
            _with(kernel_size=2),
            **POOLING,
            padding=padding(),
            count_include_pad=flag(),
            ceil_mode=flag(),
        ),
    ]


def _reshape() -> Wanted:
    """-1 is right once, and 0 never."""
    right = ((-1,), ())
    wrong = [v for v in shape().bad(None) if not (isinstance(v, tuple) and v in right)]
    return Wanted(lambda _: [*wrong, (-1, -1), (0, 3), (-2, 3)])


# --- layers ---

LAYER = {
    "dropout": KEPT,
    "weight_init": weight_init(),
    "activation": instance(optional=True),
    "flatten": flag(),
    "bias": flag(),
}


def _layers() -> list[Subject]:
    conv_layer = {"out_channels": integer(1), **LAYER}
    return [
        _made("layers.Layer", layers.Layer, _no_arguments, neurons=integer(1, optional=True)),
        _made(
            "layers.OperationLayer",
            layers.OperationLayer,
            lambda: {"operation": reshape.Flatten()},
            operation=instance(),
        ),
        _made(
            "layers.Dense",
            layers.Dense,
            _with(neurons=3),
            neurons=integer(1),
            activation=instance(optional=True),
            conv_in=flag(),
            dropout=KEPT,
            weight_init=weight_init(),
        ),
        _made(
            "layers.Conv2D",
            layers.Conv2D,
            _with(out_channels=3, param_size=2),
            param_size=pair(1),
            **conv_layer,
            **CONV_2D,
        ),
        _made(
            "layers.Conv1D",
            layers.Conv1D,
            _with(out_channels=3, param_size=2),
            param_size=integer(1),
            **conv_layer,
            **CONV_1D,
        ),
        _made(
            "layers.ConvTranspose2D",
            layers.ConvTranspose2D,
            _with(out_channels=3, param_size=2),
            param_size=pair(1),
            **conv_layer,
            **TRANSPOSED,
        ),
        _made(
            "layers.Embedding",
            layers.Embedding,
            _with(vocabulary_size=5, neurons=2),
            vocabulary_size=integer(1),
            neurons=integer(1),
            weight_init=weight_init(),
        ),
        _made(
            "layers.SelfAttention",
            layers.SelfAttention,
            _with(heads=2),
            heads=integer(1),
            causal=flag(),
            rotary=flag(),
            weight_init=weight_init(),
            dropout=KEPT,
        ),
        _made(
            "layers.FeedForward",
            layers.FeedForward,
            _no_arguments,
            expand=integer(1),
            activation=instance(optional=True),
            weight_init=weight_init(),
        ),
        _made(
            "layers.TransformerBlock",
            layers.TransformerBlock,
            _with(heads=2),
            heads=integer(1),
            expand=integer(1),
            dropout=KEPT,
            activation=instance(optional=True),
            causal=flag(),
            rotary=flag(),
        ),
        _made(
            "layers.PositionEmbedding",
            layers.PositionEmbedding,
            _with(length=5),
            length=integer(1),
            sinusoidal=flag(),
            weight_init=weight_init(),
        ),
        _made(
            "layers.TiedEmbedding",
            layers.TiedEmbedding,
            lambda: {"vocabulary_size": 5, "neurons": 2, "inside": [layers.Dense(2)]},
            vocabulary_size=integer(1),
            neurons=integer(1),
            weight_init=weight_init(),
        ),
        _made("layers.RMSNorm", layers.RMSNorm, _no_arguments, eps=POSITIVE),
        _made(
            "layers.GroupNorm",
            layers.GroupNorm,
            _with(groups=2),
            groups=integer(1),
            eps=POSITIVE,
        ),
        _made(
            "layers.Bidirectional",
            layers.Bidirectional,
            lambda: {"layer": layers.RNNLayer(2)},
            layer=instance(),
            last=flag(),
        ),
        _made("layers.PReLU", layers.PReLU, _no_arguments, slope=real(), shared=flag()),
        _made("layers.BatchNorm", layers.BatchNorm, _no_arguments, momentum=KEPT, eps=POSITIVE),
        _made("layers.LayerNorm", layers.LayerNorm, _no_arguments, eps=POSITIVE),
    ]


# --- losses and metrics ---

OF_CLASSES = {
    "class_weight": Wanted(lambda _: [1, "12", {}, [], [0, 0], [1, -1.0], [1, np.nan], [1, "2"]]),
    "ignore_index": integer(optional=True),
    "axis": Wanted(lambda _: [None, 0, 2, -2, "1", 1.0, True]),
    "reduction": choice(),
}


def _losses() -> list[Subject]:
    subjects = []
    makers: dict[str, tuple[Callable[[], losses.Loss], Any]] = {
        "MeanSquaredError": (losses.MeanSquaredError, ones(2, 3)),
        "MeanAbsoluteError": (losses.MeanAbsoluteError, ones(2, 3)),
        "Huber": (losses.Huber, ones(2, 3)),
        "NegativeLogLikelihood": (losses.NegativeLogLikelihood, np.array([0, 2])),
        "BinaryCrossEntropy": (losses.BinaryCrossEntropy, ones(2, 3)),
        "SoftmaxCrossEntropy": (losses.SoftmaxCrossEntropy, np.array([0, 2])),
    }
    for name, (make, target) in makers.items():

        def forward(prediction: Any, target: Any, sample_weight: Any, make: Any = make) -> float:
            return make().forward(prediction, target, sample_weight)

        wanted = {"prediction": array(), "target": numbers("labels")}
        wanted["sample_weight"] = Wanted(
            lambda _: [value for value in numbers().bad(None) if value is not None]
        )
        valid = _with(prediction=ones(2, 3), target=target, sample_weight=ones(2))
        subjects.append(Subject(f"losses.{name} forward", forward, valid, wanted, name))
    return [
        *subjects,
        _made("losses.MeanSquaredError", losses.MeanSquaredError, _no_arguments, normalize=flag()),
        _made("losses.Huber", losses.Huber, _no_arguments, delta=POSITIVE),
        _made(
            "losses.SoftmaxCrossEntropy",
            losses.SoftmaxCrossEntropy,
            _no_arguments,
            eps=real(**UNIT),
            label_smoothing=real(**UNIT),
            **OF_CLASSES,
        ),
        _made(
            "losses.NegativeLogLikelihood",
            losses.NegativeLogLikelihood,
            _no_arguments,
            **OF_CLASSES,
        ),
        _made(
            "losses.BinaryCrossEntropy",
            losses.BinaryCrossEntropy,
            _no_arguments,
            pos_weight=Wanted(lambda _: [0, -1.0, np.nan, "2", [], [1, "2"], [1.0, 0.0], {}]),
        ),
    ]


def _metrics() -> list[Subject]:
    tables = _with(y_true=[1.0, 2.0], y_pred=[2.0, 3.0])
    classes = _with(y_true=[0, 1], y_pred=[[0.0, 1.0], [2.0, 1.0]])
    both = {"y_true": numbers(), "y_pred": numbers()}
    decision = Wanted(lambda _: ["text", 1, 0.5, {}, np.ones(2), lambda p: p, lambda p: [1]])
    shares = Wanted(lambda _: ["text", 1, 0.5, {}, np.ones(2), lambda p: p[:, :1], lambda p: [1]])
    return [
        _made("metrics.mae", metrics.mae, tables, **both),
        _made("metrics.rmse", metrics.rmse, tables, **both),
        _made("metrics.accuracy", metrics.accuracy, classes, **both, decision=decision),
        _made(
            "metrics.confusion_matrix",
            metrics.confusion_matrix,
            classes,
            **both,
            classes=integer(1, optional=True),
            decision=decision,
        ),
        _made("metrics.r2_score", metrics.r2_score, tables, **both),
        *(
            _made(
                f"metrics.{score.__name__}",
                score,
                classes,
                **both,
                average=choice(),
                decision=decision,
            )
            for score in (metrics.f1_score, metrics.precision_score, metrics.recall_score)
        ),
        _made(
            "metrics.top_k_accuracy_score",
            metrics.top_k_accuracy_score,
            classes,
            **both,
            k=integer(1),
        ),
        *(
            _made(f"metrics.{score.__name__}", score, classes, **both, probabilities=shares)
            for score in (metrics.log_loss, metrics.roc_auc_score)
        ),
    ]


def _exercises() -> list[Subject]:
    texts = Wanted(lambda _: [None, b"bytes", {}, 1])
    return [
        Subject(
            "exercises.check",
            exercises.check,
            _with(name="double", attempt=2.0, test=2.0),
            {"name": texts, "hint": texts, "rtol": real(0.0), "raises": flag()},
        )
    ]


# --- networks ---


def _network() -> network.NeuralNetwork:
    return network.NeuralNetwork([layers.Dense(2)], seed=1)


def _networks() -> list[Subject]:
    def train_batch(X_batch: Any, y_batch: Any) -> float:
        return _network().train_batch(X_batch, y_batch)

    def predict(X: Any, batch_size: Any) -> Any:
        return _network().predict(X, batch_size)

    def build(input_shape: Any) -> None:
        _network().build(input_shape)

    one_layer = lambda: {"layers": [layers.Dense(2)]}  # noqa: E731
    name = "network.NeuralNetwork"
    several = Wanted(
        lambda _: [None, 3, layers.Dense(2), [], [None], [layers.Dense], "ab", {}],
        ("at least one layer",),
    )
    trained = _with(X_batch=ones(4, 3), y_batch=ones(4, 2))
    return [
        _made("layers.LayerBlock", layers.LayerBlock, one_layer, layers=several),
        _made("layers.Residual", layers.Residual, one_layer, layers=several),
        _made(
            name,
            network.NeuralNetwork,
            one_layer,
            layers=several,
            loss=instance(optional=True),
            seed=SEED,
            dtype=dtype(),
        ),
        Subject(f"{name} train_batch", train_batch, trained, {"X_batch": numbers("X")}),
        Subject(
            f"{name} train_batch target",
            train_batch,
            trained,
            {"y_batch": numbers("target")},
            "MeanSquaredError",
        ),
        _made(
            f"{name} predict",
            predict,
            _with(X=ones(4, 3), batch_size=2),
            X=numbers(),
            batch_size=integer(1, optional=True),
        ),
        _made(f"{name} build", build, _with(input_shape=(3,)), input_shape=shape()),
    ]


def _models() -> list[Subject]:
    """The message names the function that refuses a model's argument."""
    own = {"classes": integer(1)}
    to_network = {"seed": SEED, "dtype": dtype()}
    return [
        _made("recipes.mlp", models.mlp, _no_arguments, **own),
        _made("recipes.cnn", models.cnn, _no_arguments, **own),
        _made(
            "recipes.for_table",
            models.for_table,
            _no_arguments,
            outputs=integer(1),
            classify=flag(),
        ),
        Subject("recipes.mlp network", models.mlp, _no_arguments, to_network, "NeuralNetwork"),
        Subject("recipes.cnn network", models.cnn, _no_arguments, to_network, "NeuralNetwork"),
        Subject(
            "recipes.mlp layer",
            models.mlp,
            _no_arguments,
            {"hidden": integer(1, "neurons")},
            "Dense",
        ),
        Subject(
            "recipes.cnn layer",
            models.cnn,
            _no_arguments,
            {"channels": integer(1, "out_channels")},
            "Conv2D",
        ),
    ]


# --- optimizers ---


def _optimizers() -> list[Subject]:
    common = {
        "lr": POSITIVE,
        "final_lr": real(0.0),
        "decay_type": choice(optional=True),
        "decay_each": choice(),
        "warmup": integer(0),
        "clip_value": _or_none(POSITIVE),
        "clip_norm": _or_none(POSITIVE),
    }
    own: dict[str, dict[str, Wanted]] = {
        "Optimizer": {},
        "SGD": {},
        "SGDMomentum": {"momentum": real(**UNIT), "nesterov": flag()},
        "AdaGrad": {
            "eps": POSITIVE,
            "final_lr_exp": real(0.0),
            "final_lr_linear": real(0.0),
        },
        "RMSProp": {"decay": real(**UNIT), "eps": POSITIVE},
        "Adam": {"beta1": real(**UNIT), "beta2": real(**UNIT), "eps": POSITIVE},
        "AdamW": {},
        "NAdam": {"momentum_decay": real(0.0)},
        "RegularizedSGD": {"alpha": real(0.0)},
    }
    for name in set(own) - {"RegularizedSGD"}:
        own[name]["weight_decay"] = real(0.0)
    made = [
        _made(f"optimizers.{name}", getattr(optimizers, name), _no_arguments, **common, **wanted)
        for name, wanted in own.items()
    ]
    plateau = _made(
        "callbacks.ReduceLROnPlateau",
        callbacks.ReduceLROnPlateau,
        _no_arguments,
        factor=real(0.0, 1.0, low_open=True, high_open=True),
        patience=integer(1),
        mode=choice(),
        min_delta=real(0.0),
        min_lr=real(0.0),
    )
    monitors = {"mode": choice(), "min_delta": real(0.0)}
    watching = [
        _made("callbacks.Monitor", callbacks.Monitor, _no_arguments, **monitors),
        _made(
            "callbacks.EarlyStopping",
            callbacks.EarlyStopping,
            _no_arguments,
            **monitors,
            patience=integer(1),
            restore=flag(),
        ),
        _made(
            "callbacks.ModelCheckpoint",
            callbacks.ModelCheckpoint,
            _with(path="net"),
            **monitors,
            best_only=flag(),
        ),
    ]
    return [*made, plateau, *watching]


def _or_none(wanted: Wanted) -> Wanted:
    return Wanted(lambda valid: [v for v in wanted.bad(valid) if v is not None], wanted.names)


# --- the rest ---


def _backend() -> list[Subject]:
    def use(name: Any) -> None:
        # Left immediately, so that no other test runs on this backend.
        with backend.use_backend(name):
            pass

    names = Wanted(lambda _: [None, 3, "gpu", "", "Fast", b"fast", ["fast"], {}], ("backend",))
    return [
        Subject("backend.use_backend", use, _with(name="reference"), {"name": names}, "backend")
    ]


def _initializers() -> list[Subject]:
    def with_callable(result: Any) -> Any:
        rng = np.random.default_rng(0)
        return initializers.draw_weights(lambda *_: result, rng, (2, 3), 2, 3, np.float64)

    wrong = [None, "text", ones(3, 2), ones(2, 3) * np.nan, ones(2, 3) * np.inf, 1j * ones(2, 3)]
    wanted = {"result": Wanted(lambda _: [*wrong, 1.0, [[1.0], [1.0, 2.0]], []])}
    return [
        Subject(
            "initializers.draw_weights callable",
            with_callable,
            _with(result=ones(2, 3)),
            wanted,
            "weight_init",
        )
    ]


def _plots() -> list[Subject]:
    W, matrix = ones(1, 2, 3, 3), np.eye(2, dtype=int)
    run = activations.Sigmoid()
    run.forward(ones(2, 3))
    history = History()
    history.append({"epoch": 1, "lr": 0.1, "train_loss": 2.0, "seconds": 0.1})
    return [
        _made(
            "plots.plot_filters", plots.plot_filters, _with(W=W), W=numbers(), columns=integer(1)
        ),
        _made("plots.plot_confusion", plots.plot_confusion, _with(matrix=matrix), matrix=numbers()),
        _made("plots.plot_chain", plots.plot_chain, _with(parts=[run])),
        _made("plots.plot_history", plots.plot_history, _with(history=history)),
        _made(
            "plots.plot_rates",
            plots.plot_rates,
            _with(lrs=[0.1, 1.0], losses=[2.0, 1.0], smoothed=[2.0, 1.5], suggestion=0.5),
            lrs=Wanted(lambda _: [[], [1.0], None, 3]),
        ),
    ]


CLASSES = [
    *_operations(),
    *_layers(),
    *_losses(),
    *_metrics(),
    *_exercises(),
    *_networks(),
    *_models(),
    *_optimizers(),
    *_backend(),
    *_initializers(),
    *_plots(),
    *subjects_recurrent.CLASSES,
]
