"""Networks as scikit-learn's estimators: its own checks, and what they do not see."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", reason="dlfs.estimators needs the extra sklearn")

import joblib  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import load_diabetes, load_digits, load_iris  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from dlfs.activations import Softmax, Tanh  # noqa: E402
from dlfs.estimators import NetworkClassifier, NetworkRegressor  # noqa: E402
from dlfs.layers import Conv2D, Dense, Embedding  # noqa: E402
from dlfs.optimizers import AdamW, SGDMomentum  # noqa: E402
from dlfs.reshape import Flatten, Reshape  # noqa: E402

ROOT = Path(__file__).parents[1]

CHECKS = [
    (estimator, check)
    for kind in (NetworkClassifier, NetworkRegressor)
    for estimator, check in estimator_checks_generator(kind())
]


@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[f"{type(e).__name__}-{c.func.__name__}" for e, c in CHECKS]
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks_pass(estimator: Any, check: Any) -> None:
    # With random_state=None scikit-learn's convention is NumPy's global generator.
    before = np.random.get_state()
    try:
        check(estimator)
    finally:
        np.random.set_state(before)


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), np.array(["setosa", "versicolor", "virginica"])[y]


def test_strings_come_back_as_they_went_in() -> None:
    X, y = iris()
    model = NetworkClassifier(hidden=(20,), epochs=60, batch_size=8, random_state=1).fit(X, y)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, y) > 0.95
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))
    assert len(model.loss_curve_) == model.n_iter_ == 60


def test_a_search_over_a_pipeline_with_two_processes(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    X, y = iris()
    pipeline = make_pipeline(StandardScaler(), NetworkClassifier(epochs=20, random_state=0))
    grid = {"networkclassifier__hidden": [(2,), (8, 8)]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.6
    assert search.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert (search.predict(X) == y).mean() > 0.6
    assert cross_val_score(search.best_estimator_, X, y, cv=2).shape == (2,)


def test_calibration() -> None:
    X, y = iris()
    model = CalibratedClassifierCV(NetworkClassifier(epochs=20, random_state=0), cv=2).fit(X, y)
    assert model.predict_proba(X).shape == (150, 3)


def test_pickle_keeps_the_predictions() -> None:
    X, y = iris()
    model = NetworkClassifier(epochs=3, random_state=0).fit(X, y)
    other = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


READER = """
import pickle, sys
import joblib, numpy as np
read = joblib.load if sys.argv[1].endswith("joblib") else lambda path: pickle.load(open(path, "rb"))
X = np.load(sys.argv[2])
np.savez(sys.argv[3], labels=(model := read(sys.argv[1])).predict(X), rows=model.predict_proba(X))
"""


@pytest.mark.parametrize("ending", ["pickle", "joblib"])
def test_another_process_reads_the_file_and_predicts_the_same(tmp_path: Path, ending: str) -> None:
    X, y = iris()
    model = make_pipeline(StandardScaler(), NetworkClassifier(epochs=5, random_state=0)).fit(X, y)
    file, rows, found = (str(tmp_path / name) for name in (f"m.{ending}", "X.npy", "found.npz"))
    if ending == "joblib":
        joblib.dump(model, file)
    else:
        Path(file).write_bytes(pickle.dumps(model))
    np.save(rows, X)
    subprocess.run([sys.executable, "-c", READER, file, rows, found], check=True, cwd=ROOT)
    with np.load(found) as results:
        np.testing.assert_array_equal(results["labels"], model.predict(X))
        np.testing.assert_array_equal(results["rows"], model.predict_proba(X))


def test_layers_as_a_list_are_copied_and_as_a_function_made() -> None:
    X, y = load_digits(return_X_y=True)
    X, y = X[:300] / 16, y[:300]
    layers: list[Any] = [
        Reshape((1, 8, 8)),
        Conv2D(4, 3, activation=Tanh(), flatten=True),
        Dense(10),
    ]
    listed = NetworkClassifier(layers=layers, epochs=15, batch_size=10, random_state=0).fit(X, y)
    assert listed.score(X, y) > 0.85
    assert layers[2].first
    assert not listed.network_.layers[2].first
    made = NetworkClassifier(
        layers=lambda features, classes: [Dense(features, Tanh()), Dense(classes)],
        epochs=2,
        optimizer=SGDMomentum(lr=0.1),
        random_state=0,
    ).fit(X, y)
    assert [layer.neurons for layer in made.network_.layers] == [64, 10]


def test_layers_that_are_trained_keep_their_weights() -> None:
    X, y = iris()
    first = NetworkClassifier(epochs=40, random_state=0).fit(X, y)
    layers = first.network_.layers
    again = NetworkClassifier(layers=layers, epochs=1, random_state=1).fit(X, y)
    assert again.loss_curve_[0] < first.loss_curve_[-2]


def test_numbers_of_categories_can_be_embedded() -> None:
    # As OrdinalEncoder gives them: whole numbers, in float64.
    X = np.random.default_rng(0).integers(0, 5, (60, 2)).astype(np.float64)
    y = np.where(X[:, 0] == 3, "three", "other")
    layers: list[Any] = [Embedding(5, 4), Flatten(), Dense(2)]
    model = NetworkClassifier(layers=layers, optimizer=AdamW(lr=0.05), random_state=0).fit(X, y)
    assert model.score(X, y) == 1
    with pytest.raises(ValueError, match="X must hold whole numbers"):
        model.predict(X + 0.5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("neurons", [1, 2, 7])
def test_layers_with_too_few_or_many_outputs_are_refused(neurons: int, weighted: bool) -> None:
    X, y = iris()
    weights = np.ones(150) if weighted else None
    for model, target, each in (
        (NetworkClassifier(layers=[Dense(neurons)], random_state=0), y, "class"),
        (NetworkRegressor(layers=[Dense(neurons)], random_state=0), X[:, :3], "target"),
    ):
        words = rf"one output for each {each}, shape \(3,\), got \({neurons},\)"
        with pytest.raises(ValueError, match=words):
            model.fit(X, target, weights)
        with pytest.raises(NotFittedError):
            model.predict(X)


def test_probabilities_as_outputs_are_advised_against() -> None:
    X, y = iris()
    with pytest.warns(UserWarning, match="takes logits"):
        NetworkClassifier(layers=[Dense(3, Softmax())], epochs=1, random_state=0).fit(X, y)


def test_few_features_start_with_small_weights() -> None:
    # Those of He, the layers' own default for ReLU, are four times as large here.
    X, y = iris()
    model = NetworkClassifier(epochs=1, optimizer=SGDMomentum(lr=1e-30), random_state=0).fit(X, y)
    assert np.std(model.network_.layers[0].params[0]) < 0.3


def test_early_stopping_keeps_the_best_network() -> None:
    X, _ = iris()
    y = np.random.default_rng(0).integers(0, 2, len(X))  # nothing to learn
    model = NetworkClassifier(
        early_stopping=True, validation_fraction=0.3, patience=3, batch_size=8, random_state=0
    ).fit(X, y)
    losses = model.validation_losses_
    assert len(losses) == model.n_iter_ < 200
    assert losses.index(min(losses)) == len(losses) - 4


def test_training_ends_where_the_loss_no_longer_falls() -> None:
    X, y = iris()
    model = NetworkClassifier(epochs=50, tol=1e9, patience=7, random_state=0).fit(X, y)
    assert model.n_iter_ == 8


def test_warm_start_goes_on_and_partial_fit_is_an_epoch() -> None:
    X, y = iris()
    once = NetworkClassifier(epochs=5, warm_start=True, random_state=0).fit(X, y)
    first = once.loss_curve_[-1]
    once.fit(X, y)
    assert once.n_iter_ == 10
    assert once.loss_curve_[5] < first
    with pytest.raises(ValueError, match="same classes"):
        once.fit(X[:100], y[:100])
    once.set_params(optimizer=SGDMomentum(lr=1e-30)).fit(X, y)
    assert once.loss_curve_[10:] == pytest.approx([once.loss_curve_[10]] * 5)
    with pytest.raises(ValueError, match="3 features"):
        once.fit(X[:, :3], y)
    parts = NetworkClassifier(random_state=0, early_stopping=True)
    with pytest.raises(ValueError, match="needs classes"):
        parts.partial_fit(X, y)
    for number in range(1, 4):
        parts.partial_fit(X, y, classes=np.unique(y))
        assert parts.n_iter_ == number
        # The optimizer goes on, also in a copy.
        parts = pickle.loads(pickle.dumps(parts))  # noqa: S301
        assert parts._optimizer.t == number
    with pytest.raises(ValueError, match=r"known classes, got .*rose"):
        parts.partial_fit(X, np.full(len(X), "rose"))
    with pytest.raises(ValueError, match=r"classes must be .*'setosa'.*, as before"):
        parts.partial_fit(X, y, classes=["setosa", "rose"])


def test_weights_of_observations_count_as_repetitions() -> None:
    X, y = iris()
    counts = np.arange(150) % 4
    settings: dict[str, Any] = {"hidden": (5,), "epochs": 30, "batch_size": 1000, "random_state": 0}
    weighted = NetworkClassifier(**settings).fit(X, y, sample_weight=counts)
    repeated = NetworkClassifier(**settings).fit(np.repeat(X, counts, 0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)
    target = np.column_stack([X[:, 0], X[:, 1]])
    model = NetworkRegressor(**settings).fit(X, target, sample_weight=counts)
    other = NetworkRegressor(**settings).fit(np.repeat(X, counts, 0), np.repeat(target, counts, 0))
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=1e-9)


def test_class_weights_multiply_those_of_observations() -> None:
    X, y = iris()
    settings: dict[str, Any] = {"hidden": (5,), "epochs": 10, "random_state": 0}
    by_class = NetworkClassifier(
        class_weight={"setosa": 3, "versicolor": 1, "virginica": 1}, **settings
    )
    weights = np.where(y == "setosa", 3.0, 1.0)
    by_row = NetworkClassifier(**settings).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(by_class.fit(X, y).predict_proba(X), by_row.predict_proba(X))


def test_weights_of_classes_and_of_observations_are_multiplied() -> None:
    X, y = iris()
    settings: dict[str, Any] = {"hidden": (5,), "epochs": 10, "random_state": 0}
    of_class = {"setosa": 3, "versicolor": 1, "virginica": 1}
    counts = 1.0 + np.arange(150) % 4
    both = NetworkClassifier(class_weight=of_class, **settings).fit(X, y, sample_weight=counts)
    weights = np.where(y == "setosa", 3 * counts, counts)
    by_row = NetworkClassifier(**settings).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(both.predict_proba(X), by_row.predict_proba(X))


def test_one_target_and_several() -> None:
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    one = NetworkRegressor(epochs=30, random_state=0).fit(X, y)
    assert one.predict(X).shape == (442,)
    assert one.score(X, y) > 0.4
    two = NetworkRegressor(epochs=5, random_state=0).fit(X, np.column_stack([y, -y]))
    assert two.predict(X).shape == (442, 2)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_keep_their_feature_names_and_their_labels(library: str) -> None:
    frames = pytest.importorskip(library, reason="the extra test installs it")
    X, y = iris()
    frame = frames.DataFrame({f"x{k}": X[:, k] for k in range(4)})
    model = NetworkClassifier(epochs=2, random_state=0).fit(frame, frames.Series(y.tolist()))
    assert model.feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
    arrays = NetworkClassifier(epochs=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict(frame), arrays.predict(X))
    assert set(model.predict(frame)) <= set(y)
    other_order = frame[["x1", "x0", "x2", "x3"]]
    with pytest.raises(ValueError, match="same order"):
        model.predict(other_order)


def test_wrong_use_is_told() -> None:
    X, y = iris()
    with pytest.raises(NotFittedError):
        NetworkClassifier().predict(X)
    with pytest.raises(ValueError, match="at least two classes"):
        NetworkClassifier(random_state=0).fit(X, np.zeros(150, int))
    with pytest.raises(ValueError, match="zero"):
        NetworkRegressor(random_state=0).fit(X, X[:, 0], sample_weight=np.zeros(150))
    with pytest.raises(ValueError, match="negative"):
        NetworkRegressor(random_state=0).fit(X, X[:, 0], sample_weight=-np.ones(150))
    with pytest.raises(TypeError, match="optimizer must be an instance"):
        NetworkRegressor(optimizer=SGDMomentum, random_state=0).fit(X, X[:, 0])
    for settings, error, words in (
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"hidden": 5.0}, TypeError, "hidden must be an integer"),
        ({"hidden": (4, 0)}, ValueError, "hidden must be at least 1"),
        ({"early_stopping": "yes"}, TypeError, "early_stopping must be True or False"),
        ({"warm_start": "yes"}, TypeError, "warm_start must be True or False"),
        ({"class_weight": {"setosa": -1}}, ValueError, "class_weight must not be negative"),
        ({"class_weight": dict.fromkeys(set(y), 0)}, ValueError, "class_weight must not be zero"),
    ):
        with pytest.raises(error, match=f"^NetworkClassifier: {words}"):
            NetworkClassifier(random_state=0, **settings).fit(X, y)


def test_what_other_estimators_take_is_taken(capsys: Any) -> None:
    X, y = iris()
    model = NetworkClassifier(hidden=5, epochs=2, verbose=True, random_state=0).fit(X, y)
    assert model.network_.layers[0].neurons == 5
    assert "epoch 2/2" in capsys.readouterr().err
    assert "NetworkClassifier" in model._repr_html_()
