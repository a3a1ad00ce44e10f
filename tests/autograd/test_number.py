"""NumberWithGrad: correct for every graph, with clear errors for bad input."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs.autograd import ArrayWithGrad, NumberWithGrad

EPS = np.finfo(np.float64).eps

# Each keeps its result smooth and of moderate size, so that differences are precise.
STEPS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (y * y + 1.0),
    "pow": lambda x, y: (x * x + 1.0) ** (y / (y * y + 1.0)),
    "rsub": lambda x, y: 1.5 - x,
    "rdiv": lambda x, y: 1.0 / (x * x + 2.0),
    "rpow": lambda x, y: 1.3 ** (x / (x * x + 1.0)),
    "tanh": lambda x, y: _function("tanh", x),
    "log": lambda x, y: _function("log", x * x + 1.0),
    "exp": lambda x, y: _function("exp", -(x * x)),
    "neg": lambda x, y: -x,
    "square": lambda x, y: 0.3 * x**2,
}


def _function(name: str, x):
    return getattr(x, name)() if isinstance(x, NumberWithGrad) else getattr(np, name)(x)


def evaluate(program: list[tuple[str, int, int]], inputs: list):
    """Run a program; every step may use any earlier value, also twice."""
    values = list(inputs)
    for name, i, j in program:
        value = STEPS[name](values[i % len(values)], values[j % len(values)])
        values.append(_function("tanh", value))
    return values[-1]


programs = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 20), st.integers(0, 20)),
    min_size=1,
    max_size=12,
)


EXACT = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (y * y + 1),
    "rsub": lambda x, y: 2 - x,
    "rdiv": lambda x, y: 3 / (x * x + 2),
    "neg": lambda x, y: -x,
    "square": lambda x, y: x**2,
}


class Dual:
    """A fraction and its derivative along one direction: forward differentiation, exactly."""

    def __init__(self, value, slope=0):
        self.value, self.slope = Fraction(value), Fraction(slope)

    def __add__(self, other):
        other = other if isinstance(other, Dual) else Dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):
        other = other if isinstance(other, Dual) else Dual(other)
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    def __truediv__(self, other):
        return self * Dual(1 / other.value, -other.slope / other.value**2)

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return Dual(other) / self

    def __pow__(self, power):
        assert power == 2
        return self * self


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(EXACT)), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=7,
    ),
    st.lists(st.fractions(-2, 2, max_denominator=4), min_size=1, max_size=3),
)
def test_a_rational_expression_has_exactly_its_derivative(program, points) -> None:
    def run(inputs):
        values = list(inputs)
        for name, i, j in program:
            values.append(EXACT[name](values[i % len(values)], values[j % len(values)]))
        return values[-1]

    variables = [NumberWithGrad(point) for point in points]
    result = run(variables)
    result.backward()
    for i, variable in enumerate(variables):
        expected = run([Dual(p, int(k == i)) for k, p in enumerate(points)])
        assert result.num == expected.value
        assert (variable.grad or 0) == expected.slope


@pytest.mark.parametrize("name", STEPS)
@given(x=st.floats(-2, 2), y=st.floats(-2, 2))
def test_the_derivative_of_a_complex_step(name, x, y) -> None:
    """A step of 1e-30 along the imaginary axis: no difference is taken, so nothing cancels."""
    points = [x, y]
    variables = [NumberWithGrad(point) for point in points]
    STEPS[name](*variables).backward()
    for i, variable in enumerate(variables):
        stepped = [complex(p, 1e-30 if k == i else 0) for k, p in enumerate(points)]
        result = STEPS[name](*stepped)
        expected = result.imag / 1e-30 if isinstance(result, complex | np.complexfloating) else 0
        # No expression takes more than 16 roundings, of numbers of at most 8.
        assert abs((variable.grad or 0) - expected) <= 16 * 8 * EPS


# --- the book ---


def test_the_books_example() -> None:
    a = NumberWithGrad(3)
    b = a * 4
    c = b + 3
    c.backward()
    assert (a.grad, b.grad, c.grad) == (4, 1, 1)
    a = NumberWithGrad(3)
    e = (a * 4 + 3) * (a + 2)
    e.backward()
    assert (e.num, a.grad) == (75, 35)
    assert type(a.grad) is int


def test_a_graph_made_by_hand_as_in_the_book() -> None:
    a, b = NumberWithGrad(3), NumberWithGrad(5)
    c = NumberWithGrad(15, depends_on=[a, b], creation_op="mul")
    c.backward()
    assert (a.grad, b.grad) == (5, 3)


# --- used twice ---


def recursive(node: NumberWithGrad, grad: float = 1) -> None:
    """Propagate the sum so far at every visit: the book's recursion."""
    node.collect(grad)
    for below, share in node.pull_back(node.grad):
        recursive(below, share)


def test_what_goes_wrong_without_the_order() -> None:
    a = NumberWithGrad(3)
    b = a * 1
    c = b + b
    recursive(c)
    assert a.grad == 3
    c.zero_grad()
    c.backward()
    assert a.grad == 2


def test_each_number_is_visited_once() -> None:
    """Following every path would take 2**200 steps."""
    a = NumberWithGrad(1)
    b = a
    for _ in range(200):
        b = b + b
    b.backward()
    assert a.grad == 2**200


def test_a_graph_deeper_than_the_stack() -> None:
    a = NumberWithGrad(1)
    b = a
    for _ in range(30_000):
        b = b + a
    b.backward()
    assert a.grad == 30_001
    b.zero_grad()
    assert a.grad is None


def test_a_second_call_adds_the_same_again() -> None:
    a = NumberWithGrad(3)
    c = (a * 2) * a
    c.backward()
    c.backward()
    assert a.grad == 24
    c.zero_grad()
    c.backward(10)
    assert a.grad == 120


# --- at the edges ---


@pytest.mark.parametrize(
    ("function", "x", "slope"),
    [
        (lambda a: a.relu(), 0, 0),
        (abs, 0, 0),
        (abs, -2, -1),
        (lambda a: a**2, -3, -6),
        (lambda a: a**0, 0, 0),
        (lambda a: a**1, 0, 1),
        (lambda a: a**0.5, 0, math.inf),
        (lambda a: 0**a, 2, 0),
        (lambda a: a.sigmoid(), -800.0, 0),
        (lambda a: a.sigmoid(), 800.0, 0),
        (lambda a: +a, 2, 1),
    ],
)
def test_derivatives_at_the_edges(function, x, slope) -> None:
    a = NumberWithGrad(x)
    function(a).backward()
    assert a.grad == slope


@pytest.mark.parametrize("x", [-3.0, -0.5, 0.0, 0.5, 1.0, 4.0])
def test_sigmoid_and_relu_are_what_their_names_say(x: float) -> None:
    number = NumberWithGrad(x)
    out = number.sigmoid()
    out.backward()
    assert out.num == pytest.approx(0.5 * (1 + math.tanh(x / 2)), rel=4 * EPS)
    assert number.grad == pytest.approx(0.25 / math.cosh(x / 2) ** 2, rel=16 * EPS)
    assert NumberWithGrad(x).relu().num == (max(0, x))


@pytest.mark.parametrize(
    ("x", "y", "slope"),
    [(2.0, 0.0, math.log(2)), (0.0, 2.0, 0), (0.0, 0.5, 0), (0.0, 0.0, None), (-2.0, 2.0, None)],
)
def test_the_slope_of_a_power_in_its_exponent(x: float, y: float, slope: float | None) -> None:
    exponent = NumberWithGrad(y)
    (NumberWithGrad(x) ** exponent).backward()
    if slope is None:  # not a function of y near there
        assert math.isnan(exponent.grad)
    else:
        assert exponent.grad == pytest.approx(slope, rel=4 * EPS)


def test_relu_keeps_nan_and_kind() -> None:
    assert math.isnan(NumberWithGrad(math.nan).relu().num)
    assert repr(NumberWithGrad(-3).relu().num) == "0"
    assert repr(NumberWithGrad(-3.0).relu().num) == "0.0"


def test_numpy_numbers_and_fractions() -> None:
    a = NumberWithGrad(2.0)
    for b in (np.float64(3) * a, np.float32(3) * a, np.int64(3) * a, Fraction(3) * a):
        assert isinstance(b, NumberWithGrad)
        assert b.num == 6


def test_comparison() -> None:
    a, b = NumberWithGrad(2), NumberWithGrad(3)
    assert a < b <= 3
    assert 3 > a >= 2
    assert a == 2 != b
    assert a != "2"
    assert not NumberWithGrad(0)
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


# --- bad input ---


@pytest.mark.parametrize(
    "function",
    [
        lambda a: a / 0,
        lambda a: (a - a).log(),
        lambda a: (-a).log(),
        lambda a: (-a) ** 0.5,
        lambda a: (a - a) ** -1,
        lambda a: (a * 1000.0).exp(),
        lambda a: np.float64(1) / (a - a),
        lambda a: NumberWithGrad(1, creation_op="sin"),
        lambda a: NumberWithGrad(1, creation_op=[]),
        lambda a: NumberWithGrad(1, depends_on=[a], creation_op="add"),
        lambda a: NumberWithGrad(1, depends_on=[a]),
    ],
)
def test_where_it_is_not_defined(function) -> None:
    with pytest.raises(ValueError, match=r"^NumberWithGrad: "):
        function(NumberWithGrad(2.0))


@pytest.mark.parametrize("junk", ["1", None, True, 1j, [1], np.ones(2), ArrayWithGrad([1.0])])
def test_what_is_no_number(junk) -> None:
    a = NumberWithGrad(2.0)
    for call in (
        lambda: NumberWithGrad(junk),
        lambda: a + junk,
        lambda: a**junk,
        lambda: a < junk,
        lambda: NumberWithGrad(1, [a, junk], "add"),
    ):
        with pytest.raises(TypeError, match=r"(NumberWithGrad|operand)"):
            call()
    with pytest.raises(TypeError, match="backward_grad"):
        a.backward(junk if junk is not None else "1")


def test_no_silent_conversion() -> None:
    with pytest.raises(TypeError):
        math.exp(NumberWithGrad(1.0))
    with pytest.raises(TypeError):
        np.exp(NumberWithGrad(1.0))
