"""Networks as scikit-learn's estimators: its own checks, and what they do not see."""

import pickle
from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", reason="dlfs.estimators needs the extra sklearn")

from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import load_diabetes, load_digits, load_iris  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from dlfs.activations import Tanh  # noqa: E402
from dlfs.estimators import NetworkClassifier, NetworkRegressor  # noqa: E402
from dlfs.layers import Conv2D, Dense  # noqa: E402
from dlfs.optimizers import SGDMomentum  # noqa: E402
from dlfs.reshape import Reshape  # noqa: E402

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
    parts = NetworkClassifier(random_state=0, early_stopping=True)
    with pytest.raises(ValueError, match="needs classes"):
        parts.partial_fit(X, y)
    for number in range(1, 4):
        parts.partial_fit(X, y, classes=np.unique(y))
        assert parts.n_iter_ == number
    with pytest.raises(ValueError, match=r"known classes, got .*rose"):
        parts.partial_fit(X, np.full(len(X), "rose"))


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


def test_one_target_and_several() -> None:
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    one = NetworkRegressor(epochs=30, random_state=0).fit(X, y)
    assert one.predict(X).shape == (442,)
    assert one.score(X, y) > 0.4
    two = NetworkRegressor(epochs=5, random_state=0).fit(X, np.column_stack([y, -y]))
    assert two.predict(X).shape == (442, 2)


def test_frames_keep_their_feature_names() -> None:
    X, y = iris()
    frames = []
    for name in ("pandas", "polars"):
        try:
            frames.append(__import__(name))
        except ImportError:
            continue
    if not frames:
        pytest.skip("neither pandas nor polars is installed")
    for library in frames:
        frame = library.DataFrame({f"x{k}": X[:, k] for k in range(4)})
        model = NetworkClassifier(epochs=2, random_state=0).fit(frame, y)
        assert model.feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
        np.testing.assert_array_equal(
            model.predict(frame), NetworkClassifier(epochs=2, random_state=0).fit(X, y).predict(X)
        )


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
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        NetworkClassifier(epochs=0, random_state=0).fit(X, y)
