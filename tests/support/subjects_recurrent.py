"""Recurrent kernels, Operations, layers, and what works on text, as subjects of bad input."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs import layers, network, optimizers, recurrent, reference, text
from dlfs.commands import recipes as models
from dlfs.recurrent import cells as nodes
from dlfs.text import book as rnn
from tests.support.files import scratch_file
from tests.support.junk import (
    NEVER,
    Wanted,
    array,
    choice,
    dtype,
    flag,
    instance,
    integer,
    real,
)
from tests.support.subjects import Subject, ones

Row = tuple[str, Callable[[], Any], str]

BATCH, TIME, HIDDEN = 2, 3, 4
RESET = choice()
COLUMNS = {"rnn": 1, "lstm": 4, "gru": 3}
STATES = {"rnn": ("h0",), "lstm": ("h0", "c0"), "gru": ("h0",)}
LASTS = {"rnn": ("last_grad",), "lstm": ("h_last_grad", "c_last_grad"), "gru": ("last_grad",)}
GATES = {"rnn": (), "lstm": ("c", "gates"), "gru": ("gates",)}


def _arguments(kind: str, backward: bool = False, **changed: Any) -> dict[str, Any]:
    """Return valid arguments of a kernel, in its order, except for some that are changed."""
    state = ones(BATCH, HIDDEN)
    arguments: dict[str, Any] = {}
    if backward:
        arguments["h_grad"] = ones(BATCH, TIME, HIDDEN)
        arguments |= dict.fromkeys(LASTS[kind], state)
        arguments["h"] = ones(BATCH, TIME, HIDDEN)
        kept = {"c": ones(BATCH, TIME, HIDDEN), "gates": ones(TIME, BATCH, 4 * HIDDEN)}
        arguments |= {name: kept[name] for name in GATES[kind]}
    else:
        arguments["z"] = ones(BATCH, TIME, COLUMNS[kind] * HIDDEN)
    arguments |= dict.fromkeys(STATES[kind], state)
    arguments["W_h"] = ones(HIDDEN, COLUMNS[kind] * HIDDEN)
    if kind == "gru":
        arguments["reset"] = "before"
    return arguments | changed


def _kernels() -> list[Subject]:
    subjects = []
    for kind in COLUMNS:
        for backward in (False, True):
            name = f"{kind}_grad" if backward else kind
            wanted = {
                argument: RESET if argument == "reset" else array(ndim=True)
                for argument in _arguments(kind, backward)
            }

            def valid(kind: str = kind, backward: bool = backward) -> dict[str, Any]:
                return _arguments(kind, backward)

            call = getattr(reference, name)
            subjects.append(Subject(f"reference.{name}", call, valid, wanted))
    return subjects


def _misfitting_kernels() -> list[Row]:
    rows: list[Row] = []
    for kind in COLUMNS:
        for backward in (False, True):
            name = f"{kind}_grad" if backward else kind
            arguments = _arguments(kind, backward)
            for argument, value in arguments.items():
                if argument == "reset":
                    continue
                more, single = np.concatenate([value, value]), value.astype(np.float32)
                # If the first array is longer, the message names the next of the others.
                next_to_h = {"rnn": "last_grad", "lstm": "c", "gru": "gates"}[kind]
                measure = {"z": "h0", "h": next_to_h}.get(argument, argument)
                flat = f"{value.ndim} dimensions" if argument in ("z", "h", "W_h") else "shape"
                wide = np.concatenate([value, value], axis=-1)
                for changed, words in (
                    (more, f"{measure} must have shape"),
                    (wide, f"{argument} must have shape"),
                    (single, f".*same dtype, got .*{argument} float32"),
                    (value[0], rf"{argument} must have {flat} \(.*\), got"),
                ):

                    def call(
                        name: str = name,
                        arguments: dict[str, Any] = arguments,
                        argument: str = argument,
                        changed: Any = changed,
                    ) -> Any:
                        return getattr(reference, name)(**{**arguments, argument: changed})

                    rows.append((f"reference.{name}", call, f"^{name}: {words}"))
    return rows + _wrong_weights()


def _wrong_weights() -> list[Row]:
    """Return calls with one row of weights too many, and the required shape."""
    rows: list[Row] = []
    for kind, options, wanted in (
        ("rnn", {}, r"\(hidden, hidden\), got \(5, 4\)"),
        ("lstm", {}, r"\(hidden, 4 \* hidden\), got \(5, 16\)"),
        ("gru", {"reset": "before"}, r"\(hidden, 3 \* hidden\), got \(5, 12\)"),
        ("gru", {"reset": "after"}, r"\(hidden \+ 1, 3 \* hidden\), got \(4, 12\)"),
    ):
        for backward in (False, True):
            name = f"{kind}_grad" if backward else kind
            more = 0 if options.get("reset") == "after" else 1
            W_h = ones(HIDDEN + more, COLUMNS[kind] * HIDDEN)
            arguments = _arguments(kind, backward, W_h=W_h, **options)

            def call(name: str = name, arguments: dict[str, Any] = arguments) -> Any:
                return getattr(reference, name)(**arguments)

            rows.append((f"reference.{name}", call, f"^{name}: W_h must have shape {wanted}$"))
    return rows


# --- Operations, layers, nodes ---

CARRY = Wanted(lambda _: [None, 2, 1.5, "yes", "Mean", b"mean", [], {}, [True]])
STATE = array(ndim=True)


def _without_none(wanted: Wanted) -> Wanted:
    return Wanted(lambda valid: [v for v in wanted.bad(valid) if v is not None], wanted.names)


def _operations() -> list[Subject]:
    subjects = []
    for kind, made in (
        ("rnn", recurrent.RNN_Op),
        ("lstm", recurrent.LSTM_Op),
        ("gru", recurrent.GRU_Op),
    ):
        width, name = COLUMNS[kind] * HIDDEN, f"recurrent.{made.__name__}"
        states = {state: _without_none(STATE) for state in STATES[kind]}
        wanted = {"W_h": array(ndim=True), "carry": CARRY, **states}
        if kind == "gru":
            wanted["reset"] = RESET

        def valid(kind: str = kind, width: int = width) -> dict[str, Any]:
            return {"W_h": ones(HIDDEN, width)} | {s: ones(1, HIDDEN) for s in STATES[kind]}

        def forward(input_: Any, made: Any = made, width: int = width) -> Any:
            return made(ones(HIDDEN, width)).forward(input_)

        def backward(output_grad: Any, made: Any = made, width: int = width) -> Any:
            operation = made(ones(HIDDEN, width))
            operation.forward(ones(BATCH, TIME, width))
            return operation.backward(output_grad)

        subjects += [
            Subject(name, made, valid, wanted),
            Subject(
                f"{name} forward",
                forward,
                lambda width=width: {"input_": ones(BATCH, TIME, width)},
                {"input_": array("the input", ndim=True)},
                made.__name__,
            ),
            Subject(
                f"{name} backward",
                backward,
                lambda: {"output_grad": ones(BATCH, TIME, HIDDEN)},
                {"output_grad": array(ndim=True)},
                made.__name__,
            ),
        ]
    return subjects


def _layers() -> list[Subject]:
    wanted = {
        "hidden_size": integer(1),
        "output_size": integer(1, optional=True),
        "weight_scale": _without_none(real(0.0, low_open=True)),
        "carry": CARRY,
        "vocabulary_size": integer(1, optional=True),
    }
    subjects = []
    for made in (layers.RNNLayer, layers.LSTMLayer, layers.GRULayer):
        more = {"reset": RESET} if made is layers.GRULayer else {}
        name = f"layers.{made.__name__}"
        subjects.append(Subject(name, made, lambda: {"hidden_size": HIDDEN}, {**wanted, **more}))
    return subjects


def _node(made: Any, layer: Any, states: tuple[str, ...]) -> list[Subject]:
    layer.set_up(ones(BATCH, TIME, 3))

    def valid() -> dict[str, Any]:
        given = {state: ones(BATCH, HIDDEN) for state in states}
        return {"X_in": ones(BATCH, 3), **given, "params_dict": layer.params_dict()}

    def forward(**arguments: Any) -> Any:
        return made().forward(**arguments)

    def backward(**arguments: Any) -> Any:
        node = made()
        node.forward(**valid())
        return node.backward(**arguments, params_dict=layer.params_dict())

    def grads() -> dict[str, Any]:
        names = ("X_out_grad", *(state.replace("_in", "_out_grad") for state in states))
        return {name: ones(BATCH, HIDDEN) for name in names}

    name = made.__name__
    wanted = {name: array(ndim=True) for name in ("X_in", *states)}
    return [
        Subject(
            f"recurrent.{name} forward", forward, valid, {**wanted, "params_dict": instance()}, name
        ),
        Subject(
            f"recurrent.{name} backward",
            backward,
            grads,
            dict.fromkeys(grads(), array(ndim=True)),
            name,
        ),
    ]


def _nodes() -> list[Subject]:
    return [
        *_node(nodes.RNNNode, layers.RNNLayer(HIDDEN), ("H_in",)),
        *_node(nodes.LSTMNode, layers.LSTMLayer(HIDDEN), ("H_in", "C_in")),
        *_node(nodes.GRUNode, layers.GRULayer(HIDDEN), ("H_in",)),
        Subject("recurrent.GRUNode", nodes.GRUNode, lambda: {"reset": "after"}, {"reset": RESET}),
    ]


# --- text ---

NOT_TEXT = Wanted(lambda _: [None, 3, b"bytes", {}, [], ["a"], np.array(["a"])])
NOT_PATHS = Wanted(lambda _: [3, 1.5, b"bytes", {}, [], ["a"]])
NOT_INDICES = Wanted(lambda _: [*NEVER, 1, 1.5, [1.5], [[1]], [[1], [1, 2]], np.ones(3), [True]])
SEED = integer(0, optional=True)


def _model_arguments() -> dict[str, Any]:
    return {"layers": [layers.RNNLayer(2)], "sequence_length": 3, "vocab_size": 2}


def _network() -> network.NeuralNetwork:
    net = network.NeuralNetwork([layers.RNNLayer(2, output_size=2, vocabulary_size=2)])
    net.build((3,))
    return net


def _text() -> list[Subject]:
    vocabulary = text.Vocabulary("ab")
    return [
        Subject(
            "text.Vocabulary",
            text.Vocabulary,
            lambda: {"characters": "a"},
            {"characters": NOT_TEXT},
        ),
        Subject(
            "text.Vocabulary of",
            text.Vocabulary.of,
            lambda: {"text": "aba"},
            {"text": NOT_TEXT},
        ),
        Subject(
            "text.Vocabulary encode", vocabulary.encode, lambda: {"text": "b"}, {"text": NOT_TEXT}
        ),
        Subject(
            "text.Vocabulary decode",
            vocabulary.decode,
            lambda: {"indices": [0, 1]},
            {"indices": NOT_INDICES},
        ),
        Subject(
            "text.streams",
            text.streams,
            lambda: {"indices": [0, 1, 0, 1, 0], "streams": 2, "length": 2},
            {"indices": NOT_INDICES, "streams": integer(1), "length": integer(1)},
        ),
        Subject(
            "text.windows",
            text.windows,
            lambda: {"indices": [0, 1, 0], "length": 2},
            {"indices": NOT_INDICES, "length": integer(1)},
        ),
        Subject(
            "text.sample",
            text.sample,
            lambda: {"net": _network(), "vocabulary": vocabulary, "length": 1, "prompt": "a"},
            {
                "net": instance(),
                "vocabulary": instance(),
                "length": integer(0),
                "prompt": NOT_TEXT,
                "temperature": real(0.0),
                "seed": SEED,
                "cache": flag(),
                "top_k": integer(1, optional=True),
                "top_p": real(0.0, 1.0, low_open=True),
            },
        ),
        Subject(
            "text.save_writer",
            text.save_writer,
            lambda: {"net": _network(), "vocabulary": vocabulary, "path": scratch_file()},
            {"net": instance(), "vocabulary": instance()},
        ),
    ]


def _models() -> list[Subject]:
    def model() -> rnn.RNNModel:
        return rnn.RNNModel([layers.RNNLayer(2, output_size=62)], 3, 62)

    trainer = rnn.RNNTrainer(None, model(), optimizers.SGD())
    return [
        Subject(
            "recipes.writer", models.writer, dict, {"kind": choice(), "characters": integer(1)}
        ),
        Subject(
            "recipes.writer layer",
            models.writer,
            dict,
            {"hidden": integer(1, "hidden_size")},
            "LSTMLayer",
        ),
        Subject(
            "recipes.writer network",
            models.writer,
            dict,
            {"seed": SEED, "dtype": dtype()},
            "NeuralNetwork",
        ),
        Subject("recipes.gpt", models.gpt, dict, {"characters": integer(1), "blocks": integer(1)}),
        Subject(
            "text.RNNModel",
            rnn.RNNModel,
            _model_arguments,
            {
                "layers": Wanted(lambda _: [None, "text", 3, [], [None], {}], ("layer",)),
                "sequence_length": integer(1),
                "vocab_size": integer(1),
                "hidden_size": integer(1, optional=True),
                "carry": CARRY,
            },
        ),
        Subject(
            "text.RNNModel network",
            rnn.RNNModel,
            _model_arguments,
            {"loss": instance(optional=True), "seed": SEED, "dtype": dtype()},
            "NeuralNetwork",
        ),
        Subject(
            "text.RNNTrainer",
            rnn.RNNTrainer,
            lambda: {"text_file": None, "model": model(), "optim": optimizers.SGD()},
            {
                "text_file": NOT_PATHS,
                "model": instance(),
                "optim": instance(),
                "batch_size": integer(1),
            },
        ),
        Subject(
            "text.RNNTrainer train",
            trainer.train,
            lambda: {"num_iterations": 1},
            {
                "num_iterations": integer(1),
                "sample_every": integer(1),
                "verbose": integer(0),
            },
        ),
        Subject(
            "text.RNNTrainer sample_output",
            trainer.sample_output,
            lambda: {"input_char": 3, "sample_length": 2},
            {
                "input_char": Wanted(lambda _: [1.5, None, b"a", [1], -1, {}]),
                "sample_length": integer(0),
            },
        ),
        Subject(
            "optimizers.Optimizer gradient_clipping",
            optimizers.SGD,
            dict,
            {"gradient_clipping": flag()},
            "SGD",
        ),
    ]


def _fit(layer: layers.Layer, X: Any, **options: Any) -> Any:
    from dlfs.train import Trainer

    net = network.NeuralNetwork([layer])
    return Trainer(net, optimizers.SGD()).fit(X, X, epochs=1, verbose=0, **options)


def _carried() -> Any:
    operation = recurrent.GRU_Op(ones(2, 6), carry=True)
    operation.forward(ones(3, 1, 6))
    return operation.forward(ones(2, 1, 6))


MISFITS: list[Row] = [
    (
        "recurrent.GRU_Op",
        _carried,
        "^GRU_Op: the state carried from the last batch is for 3 sequences, but the batch has 2; ",
    ),
    (
        "recurrent.RNN_Op",
        lambda: recurrent.RNN_Op(ones(3, 4)),
        r"RNN_Op: W_h must have hidden rows and 1 \* hidden columns, got shape \(3, 4\)",
    ),
    (
        "recurrent.GRU_Op",
        lambda: recurrent.GRU_Op(ones(2, 6), reset="after"),
        r"GRU_Op: W_h must have hidden \+ 1 \(reset='after'\) rows",
    ),
    (
        "recurrent.LSTM_Op",
        lambda: recurrent.LSTM_Op(ones(2, 8), c0=ones(1, 3)),
        r"LSTM_Op: c0 must have shape \(batch, 2\) or \(1, 2\), got \(1, 3\)",
    ),
    (
        "recurrent.LSTM_Op",
        lambda: recurrent.LSTM_Op(ones(2, 8), h0=ones(3, 2)).forward(ones(2, 1, 8)),
        r"LSTM_Op: h0 is for 3 sequences, but the batch has 2",
    ),
    (
        "recurrent.LSTM_Op",
        lambda: recurrent.LSTM_Op(ones(2, 8)).forward(ones(2, 1, 7)),
        r"LSTM_Op: the input must be \(batch, time, 8\), got shape \(2, 1, 7\)",
    ),
    (
        "layers.Layer",
        lambda: layers.Dense(1).fresh_start(carry="yes").__enter__(),
        "fresh_start: carry must be one of",
    ),
    (
        "layers.GRULayer",
        lambda: layers.GRULayer(2).forward(ones(2, 3)),
        r"GRULayer: the input must be \(batch, time, features\), got shape \(2, 3\)",
    ),
    (
        "layers.LSTMLayer",
        lambda: layers.LSTMLayer(2, vocabulary_size=3).forward(ones(2, 3)),
        r"LSTMLayer: with vocabulary_size the input must be integers \(batch, time\)",
    ),
    (
        "layers.RNNLayer",
        lambda: layers.RNNLayer(2, vocabulary_size=3).forward(np.array([[3]])),
        "3",
    ),
    (
        "recurrent.RNNNode",
        lambda: nodes.RNNNode().forward(ones(2, 3), ones(2, 4), {}),
        "RNNNode: params_dict needs 'W_x', got ",
    ),
    ("text.Vocabulary", lambda: text.Vocabulary(""), "characters must hold at least one"),
    ("text.Vocabulary", lambda: text.Vocabulary("aba"), "characters must differ, got 'a' more"),
    ("text.Vocabulary", lambda: text.Vocabulary.of(""), "Vocabulary.of: text must hold at least"),
    (
        "text.Vocabulary",
        lambda: text.Vocabulary("ab").decode([2]),
        r"Vocabulary.decode: indices must lie in 0..1, got 2..2",
    ),
    (
        "text.Vocabulary",
        lambda: text.Vocabulary("ab").encode("bac"),
        "the character 'c' at index 2, which is not among the 2 known ones: 'ab'",
    ),
    (
        "text.streams",
        lambda: text.streams(range(8), 2, 4),
        "2 streams of length 4 need a text of at least 9 characters, got 8",
    ),
    (
        "text.windows",
        lambda: text.windows(range(4), 4),
        "pieces of length 4 need a text of at least 5 characters, got 4",
    ),
    (
        "text.sample",
        lambda: text.sample(_network(), text.Vocabulary("abc"), 1, "a"),
        r"sample: net must give logits \(batch, time, 3\).* got shape \(1, 1, 2\)",
    ),
    (
        "text.load_writer",
        lambda: text.load_writer(__file__),
        "is not a file that dlfs saved",
    ),
    (
        "text.RNNTrainer",
        lambda: rnn.RNNTrainer(None, rnn.RNNModel([layers.RNNLayer(2)], 3, 5), optimizers.SGD()),
        "RNNTrainer: the text has 62 different characters, but the model vocab_size=5",
    ),
    (
        "text.RNNTrainer",
        lambda: rnn.RNNTrainer(
            None, rnn.RNNModel([layers.RNNLayer(2)], 95_700, 62), optimizers.SGD()
        ),
        "RNNTrainer: sequences of 95700 characters, 32 a batch, need a text of at least 95732",
    ),
    (
        "train.Trainer",
        lambda: _fit(layers.LSTMLayer(2, carry=True), ones(4, 3, 2)),
        r"Trainer.fit: LSTMLayer\(2, carry=True\) carries its state .* pass shuffle=False",
    ),
    (
        "train.Trainer",
        lambda: _fit(layers.GRULayer(2, carry=True), ones(5, 3, 2), batch_size=2, shuffle=False),
        "the rows of X_train must be a multiple of batch_size=2, got 5",
    ),
]

KERNELS = _kernels()
KERNEL_MISFITS = _misfitting_kernels()
CLASSES = [*_operations(), *_layers(), *_nodes(), *_text(), *_models()]
