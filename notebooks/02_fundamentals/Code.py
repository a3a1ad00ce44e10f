# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 2: from linear regression to a neural network
#
# You train two models on house prices by hand: every forward step is one line of NumPy, and every
# backward step is one line too. You compare the first with scikit-learn, find out why the second
# is better, and catch a bug in the book's gradient.
#
# You need: NumPy, and the chain rule from chapter 1.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import dlfs
from dlfs.datasets import boston
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.metrics import mae, rmse
from dlfs.plots import BLUE, GREY, ORANGE, plot_chain

# %% [markdown]
# ## 1. The data
#
# 506 districts around Boston in 1970. Each has 13 features, for example the rooms of its houses
# (`RM`), its crime rate (`CRIM`) and the share of poor residents (`LSTAT`), and the median price of
# a house, in thousands of dollars. The data is old and famous, and it has a fault that you must
# know of: column `B` encodes the race of the residents. It is here to reproduce the book's figures,
# and for nothing else.
#
# Each feature is scaled to mean 0 and standard deviation 1, as in the book. (Strictly, the scale
# should come from the training rows alone; the book's figures were made this way.)

# %%
houses = boston()
X = StandardScaler().fit_transform(houses.X)
X_train, X_test, y_train, y_test = train_test_split(
    X, houses.y.reshape(-1, 1), test_size=0.3, random_state=80718
)
X_train.shape, X_test.shape, y_train.shape

# %% [markdown]
# A look before you start. Both features tell something about the price, and neither tells it along
# a straight line. (The row of points at the top: prices above 50 were cut off.)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3), dpi=80, layout="constrained", sharey=True)
for ax, name in zip(axes, ("RM", "LSTAT"), strict=True):
    ax.scatter(houses.X[:, houses.feature_names.index(name)], houses.y, s=8, color=BLUE, alpha=0.5)
    ax.set(xlabel=name)
    ax.grid(alpha=0.25)
axes[0].set_ylabel("price in $1000")
plt.show()

# %% [markdown]
# ## 2. What there is to beat
#
# Linear regression has a solution in closed form, and scikit-learn finds it. Two numbers say how
# far its predictions are from the truth, in thousands of dollars: the mean absolute error, and the
# root of the mean squared error, which punishes large errors more.

# %%
sklearn_model = LinearRegression().fit(X_train, y_train)
p_sklearn = sklearn_model.predict(X_test)
print(f"scikit-learn: MAE {mae(y_test, p_sklearn):.4f}, RMSE {rmse(y_test, p_sklearn):.4f}")
assert f"{mae(y_test, p_sklearn):.4f}" == "3.5671"
assert f"{rmse(y_test, p_sklearn):.4f}" == "5.0476"

# %% [markdown]
# ## 3. Linear regression, step by step
#
# Forward: multiply the features by weights, add a bias, compare with the truth.
#
# $$N = XW \qquad P = N + B \qquad L = \operatorname{mean}\,(y - P)^2$$
#
# Whatever the backward pass will need is kept.


# %%
def linear_forward(X, y, weights):
    N = X @ weights["W"]
    P = N + weights["B"]
    loss = np.mean((y - P) ** 2)
    return {"X": X, "N": N, "P": P, "y": y}, loss


# %% [markdown]
# As a graph, with the shapes for a batch of 23 rows. (The boxes are classes of `dlfs`, used here
# for the drawing alone; chapter 3 builds them.)

# %%
steps = [WeightMultiply(np.zeros((13, 1))), BiasAdd(np.zeros((1, 1)))]
P = steps[1].forward(steps[0].forward(X_train[:23]))
squared = dlfs.MeanSquaredError()
squared.forward(P, y_train[:23])
figure = plot_chain([*steps, squared])
figure.set_dpi(75)
figure

# %% [markdown]
# Backward, along the orange arrows, from the loss to the parameters. Squaring gives a factor
# $2(P - y)$. The bias is added, so it passes on what it receives. The product multiplies by its
# other factor, transposed, as in chapter 1:
#
# $$\frac{\partial L}{\partial P} = -2\,(y - P) \qquad
# \frac{\partial L}{\partial N} = \frac{\partial L}{\partial P} \qquad
# \frac{\partial L}{\partial W} = X^T \frac{\partial L}{\partial N} \qquad
# \frac{\partial L}{\partial B} = \sum_\text{rows} \frac{\partial L}{\partial P}$$


# %%
def linear_gradients(info, weights):
    dLdP = -2 * (info["y"] - info["P"])
    dLdN = dLdP * 1  # P = N + B: the bias shifts, it does not scale
    dLdW = info["X"].T @ dLdN
    dLdB = dLdP.sum(axis=0)  # one bias meets every row
    return {"W": dLdW, "B": dLdB}


# %% [markdown]
# One thing in there does not fit: the loss is a *mean* over the rows, this is the gradient of the
# *sum*. The book does it so, and so do we here, to get its figures. All it changes is the scale: a
# batch of 23 rows takes steps 23 times as large. The checker fails it, and one slope shows the
# ratio:

# %%
rng = np.random.default_rng(0)
small_X, small_y = rng.standard_normal((4, 3)), rng.standard_normal((4, 1))
W, B = rng.standard_normal((3, 1)), rng.standard_normal((1, 1))


def forward(W, B):
    return np.array(linear_forward(small_X, small_y, {"W": W, "B": B})[1])


def backward(output_grad, W, B):
    weights = {"W": W, "B": B}
    grads = linear_gradients(linear_forward(small_X, small_y, weights)[0], weights)
    return output_grad * grads["W"], output_grad * grads["B"].reshape(1, 1)


report = check_gradients((forward, backward), (W, B))
assert not report
W_grad = backward(1.0, W, B)[0]
step = np.array([[1e-6], [0], [0]])
slope = (forward(W + step, B) - forward(W - step, B)) / 2e-6
print(
    f"backward says {W_grad[0, 0]:.4f}, the slope is {slope:.4f}: ratio {W_grad[0, 0] / slope:.4f}"
)
assert abs(W_grad[0, 0] / slope - 4) < 1e-6  # four rows

# %% [markdown]
# ## 4. Training
#
# Shuffle the rows, walk through them in batches, take a small step against the gradient after each
# batch, start again. The legacy generator `np.random.RandomState` draws the very numbers that the
# book's code drew.


# %%
def train(forward, gradients, weights, random, n_iter, learning_rate=0.001, batch_size=23):
    losses, start = [], 0
    order = random.permutation(len(X_train))
    X, y = X_train[order], y_train[order]
    for _ in range(n_iter):
        if start >= len(X):
            order = random.permutation(len(X))
            X, y, start = X[order], y[order], 0
        info, loss = forward(X[start : start + batch_size], y[start : start + batch_size], weights)
        start += batch_size
        losses.append(loss)
        grads = gradients(info, weights)
        weights = {name: weights[name] - learning_rate * grads[name] for name in weights}
    return weights, losses


# %%
random = np.random.RandomState(180708)
start = {"W": random.randn(13, 1), "B": random.randn(1, 1)}
linear, linear_losses = train(linear_forward, linear_gradients, start, random, n_iter=1000)

p_linear = X_test @ linear["W"] + linear["B"]
print(f"by hand: MAE {mae(y_test, p_linear):.4f}, RMSE {rmse(y_test, p_linear):.4f}")
assert f"{mae(y_test, p_linear):.4f}" == "3.5644"
assert f"{rmse(y_test, p_linear):.4f}" == "5.0497"

# %% [markdown]
# These are the book's figures to the last digit. And the coefficients are scikit-learn's, nearly:
# gradient descent with small batches never stands quite still.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), dpi=80, layout="constrained")
left.plot(linear_losses, color=BLUE, linewidth=0.7)
left.set(xlabel="batch", ylabel="loss", yscale="log", title="the loss of each batch")
at = np.arange(13)
right.bar(at - 0.2, sklearn_model.coef_[0], 0.4, color=GREY, label="scikit-learn")
right.bar(at + 0.2, linear["W"][:, 0], 0.4, color=ORANGE, label="by hand")
right.set_xticks(at, houses.feature_names, rotation=60)
right.set(ylabel="weight", title="what each feature counts")
right.legend(frameon=False)
plt.show()
assert np.abs(sklearn_model.coef_[0] - linear["W"][:, 0]).max() < 0.5

# %% [markdown]
# ### What training walks through
#
# The loss is a function of 14 numbers. Hold twelve of them where they ended, vary the weights of
# `RM` and `LSTAT`, and you can draw it: a bowl. The orange line is the way that these two weights
# took, seen after 0, 1, 2, 4, ... batches. It goes down fast where the bowl is steep. At the end it
# takes a turn: the other twelve weights are on their way, too, and move the bottom of this bowl.


# %%
def after(n_iter):
    random = np.random.RandomState(180708)
    start = {"W": random.randn(13, 1), "B": random.randn(1, 1)}
    weights, _ = train(linear_forward, linear_gradients, start, random, n_iter)
    return weights["W"][[5, 12], 0]


way = np.array([after(n) for n in (0, *2 ** np.arange(10), 1000)])
rm, lstat = np.meshgrid(np.linspace(-3, 6, 61), np.linspace(-8, 3, 61))
rest = X_train @ linear["W"] + linear["B"] - y_train
rest = rest - X_train[:, [5, 12]] @ linear["W"][[5, 12]]  # the error without these two
height = np.mean((rest[:, :, None] + X_train[:, 5, None, None] * rm
                  + X_train[:, 12, None, None] * lstat) ** 2, axis=0)  # fmt: skip

figure, ax = plt.subplots(figsize=(7, 4), dpi=80, layout="constrained")
filled = ax.contourf(rm, lstat, height, levels=np.geomspace(height.min(), height.max(), 16),
                     cmap="viridis", norm="log")  # fmt: skip
ax.plot(*way.T, "o-", color=ORANGE, markersize=4)
ax.annotate("start", way[0], way[0] + [0.2, 0.3], color="white")
ax.set(xlabel="weight of RM", ylabel="weight of LSTAT", title="loss on the training rows")
figure.colorbar(filled, ax=ax, format="%.0f")
plt.show()
assert height.min() < 1.01 * np.mean((X_train @ linear["W"] + linear["B"] - y_train) ** 2)

# %% [markdown]
# ## 5. What a straight line cannot do
#
# The feature that counts most is the last one, `LSTAT`. Vary it alone, hold all others at their
# mean, and see what the model says. It can only say a straight line; the houses do not lie on one.


# %%
def vary_last_feature(predict, n=40):
    rows = np.repeat(X_test.mean(axis=0, keepdims=True), n, axis=0)
    rows[:, -1] = np.linspace(-1.5, 3.5, n)
    return rows[:, -1], predict(rows)[:, 0]


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), dpi=80, layout="constrained")
left.scatter(p_linear, y_test, s=12, color=BLUE, alpha=0.6)
left.plot([0, 50], [0, 50], color=GREY)
left.set(xlabel="predicted price", ylabel="actual price", title="a perfect model is on the line")
right.scatter(X_test[:, -1], y_test, s=12, color=BLUE, alpha=0.6, label="houses")
line = vary_last_feature(lambda rows: rows @ linear["W"] + linear["B"])
right.plot(*line, color=ORANGE, label="linear model")
right.set(xlabel="LSTAT (standardized)", ylabel="price", title="the most important feature")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 6. A neural network, step by step
#
# Three steps, where there was one: learn 13 combinations of the features, bend each with a sigmoid,
# and do linear regression on the result.
#
# $$M_1 = XW_1 \qquad N_1 = M_1 + B_1 \qquad O_1 = \sigma(N_1)$$
#
# $$M_2 = O_1W_2 \qquad P = M_2 + B_2 \qquad L = \operatorname{mean}\,(y - P)^2$$
#
# Without the sigmoid the second product would only mix the first one's columns once more: two
# straight lines after each other are a straight line. With it, each of the 13 hidden **neurons** is
# a soft switch, and the last step adds up switches.


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def network_forward(X, y, weights):
    N1 = X @ weights["W1"] + weights["B1"]
    O1 = sigmoid(N1)
    P = O1 @ weights["W2"] + weights["B2"]
    return {"X": X, "N1": N1, "O1": O1, "P": P, "y": y}, np.mean((y - P) ** 2)


def network_predict(X, weights):
    return sigmoid(X @ weights["W1"] + weights["B1"]) @ weights["W2"] + weights["B2"]


# %% [markdown]
# The graph is longer, and so is the way back. First the hidden layer, then the output layer and the
# loss; what leaves the first row on the right enters the second one on the left:

# %%
steps = [WeightMultiply(np.zeros((13, 13))), BiasAdd(np.zeros((1, 13))), dlfs.Sigmoid(),
         WeightMultiply(np.zeros((13, 1))), BiasAdd(np.zeros((1, 1)))]  # fmt: skip
P = X_train[:23]
for step in steps:
    P = step.forward(P)
squared.forward(P, y_train[:23])
for part in (steps[:3], [*steps[3:], squared]):
    figure = plot_chain(part)
    figure.set_dpi(70)
    display(figure)

# %% [markdown]
# Each line of it is as simple as before; only the sigmoid is new, with its slope $O_1(1 - O_1)$:
#
# $$\frac{\partial L}{\partial O_1} = \frac{\partial L}{\partial P}\, W_2^T \qquad
# \frac{\partial L}{\partial N_1} = \frac{\partial L}{\partial O_1} \odot O_1 \odot (1 - O_1)$$
#
# ($\odot$ multiplies entry by entry. The book leaves out the factor 2 now. It is swallowed by the
# learning rate.)


# %%
def network_gradients(info, weights):
    dLdP = -(info["y"] - info["P"])
    dLdW2 = info["O1"].T @ dLdP
    dLdB2 = dLdP.sum(axis=0)
    dLdO1 = dLdP @ weights["W2"].T
    dLdN1 = dLdO1 * info["O1"] * (1 - info["O1"])
    dLdW1 = info["X"].T @ dLdN1
    dLdB1 = dLdN1.sum(axis=0)
    return {"W1": dLdW1, "B1": dLdB1, "W2": dLdW2, "B2": dLdB2}


# %% [markdown]
# Before you train with a gradient, ask whether it is one. Half the sum of squares has exactly this
# gradient:


# %%
def check_network(gradients):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 1))

    def half_squares(W1, B1, W2, B2):
        info, _ = network_forward(X, y, {"W1": W1, "B1": B1, "W2": W2, "B2": B2})
        return 0.5 * np.sum((info["y"] - info["P"]) ** 2)

    def backward(output_grad, W1, B1, W2, B2):
        weights = {"W1": W1, "B1": B1, "W2": W2, "B2": B2}
        grads = gradients(network_forward(X, y, weights)[0], weights)
        return [output_grad * np.broadcast_to(grads[name], weights[name].shape) for name in weights]

    shapes = ((3, 4), (1, 4), (4, 1), (1, 1))
    return check_gradients((half_squares, backward), tuple(map(rng.standard_normal, shapes)))


report = check_network(network_gradients)
assert report
print(report)

# %% [markdown]
# ## 7. The book's figure, and the book's bug
#
# The book's listing sums the gradient of the first bias twice: once over the rows, which is right,
# and then over the 13 hidden neurons. What is left is one number, and all 13 biases move together.


# %%
def book_gradients(info, weights):
    grads = network_gradients(info, weights)
    grads["B1"] = grads["B1"].sum(axis=0)
    return grads


report = check_network(book_gradients)
print(report)
assert [name for name, result in report.results.items() if not result.passed] == ["B1"]


# %%
def trained_network(gradients):
    random = np.random.RandomState(180807)
    shapes = {"W1": (13, 13), "B1": (1, 13), "W2": (13, 1), "B2": (1, 1)}
    start = {name: random.randn(*shape) for name, shape in shapes.items()}
    return train(network_forward, gradients, start, random, n_iter=10_000)


results = {}
for name, gradients in (("book", book_gradients), ("right", network_gradients)):
    weights, losses = trained_network(gradients)
    p = network_predict(X_test, weights)
    results[name] = weights, losses, p
    print(f"{name + ' gradient:':<16} MAE {mae(y_test, p):.4f}, RMSE {rmse(y_test, p):.4f}")
assert f"{mae(y_test, results['book'][2]):.4f}" == "2.5951"
assert f"{rmse(y_test, results['book'][2]):.4f}" == "3.8851"
assert abs(mae(y_test, results["right"][2]) - 2.541) < 0.01
assert abs(rmse(y_test, results["right"][2]) - 3.952) < 0.01

# %% [markdown]
# The first line is what the book prints, to the last digit. A wrong gradient that trains well: that
# is why you check gradients, and do not trust a loss that goes down. On these 152 test rows the
# right gradient is a little better by one measure and a little worse by the other; that is chance.
# Either way the network is far ahead of linear regression:

# %%
weights, losses, p_network = results["right"]
models = {
    "scikit-learn": p_sklearn,
    "linear regression by hand": p_linear,
    "neural network, book's gradient": results["book"][2],
    "neural network, right gradient": p_network,
}
print(f"{'error in $1000 on the test rows':<34}{'MAE':>8}{'RMSE':>8}")
for name, p in models.items():
    print(f"{name:<34}{mae(y_test, p):>8.2f}{rmse(y_test, p):>8.2f}")


# %%
def smooth(losses, width=50):
    return np.convolve(losses, np.full(width, 1 / width), mode="valid")


figure, ax = plt.subplots(figsize=(7, 3.2), dpi=80, layout="constrained")
ax.plot(smooth(linear_losses), color=GREY, label="linear regression")
ax.plot(smooth(losses), color=ORANGE, label="neural network")
ax.set(xlabel="batch", ylabel="loss, mean of 50 batches", xscale="log", yscale="log")
ax.grid(alpha=0.25)
ax.legend(frameon=False)
plt.show()
assert smooth(losses)[-1] < 0.5 * smooth(linear_losses)[-1]

# %% [markdown]
# Both fall fast at first. The linear model has nothing more to learn after a hundred batches; the
# network goes on. Its predictions are closer to the truth, and follow the bend of the houses:

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), dpi=80, layout="constrained")
left.scatter(p_network, y_test, s=12, color=BLUE, alpha=0.6)
left.plot([0, 50], [0, 50], color=GREY)
left.set(xlabel="predicted price", ylabel="actual price", title="closer to the line")
right.scatter(X_test[:, -1], y_test, s=12, color=BLUE, alpha=0.6, label="houses")
line = vary_last_feature(lambda rows: network_predict(rows, weights))
right.plot(*line, color=ORANGE, label="neural network")
right.set(xlabel="LSTAT (standardized)", ylabel="price", title="the most important feature")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 8. How large a step?
#
# Too small a learning rate, and training has not arrived after 2000 batches; too large, and it
# jumps about, or away for good (then there is no point in the picture). Between them lies a wide
# valley. You find it by trying powers of ten, and the roots between them. The right picture shows
# three of these trainings from the inside: too slow, right, and too restless.

# %%
rates = np.geomspace(1e-6, 1e-1, 11)
scores, courses = [], []
for rate in rates:
    random = np.random.RandomState(180807)
    shapes = {"W1": (13, 13), "B1": (1, 13), "W2": (13, 1), "B2": (1, 1)}
    begin = {name: random.randn(*shape) for name, shape in shapes.items()}
    with np.errstate(all="ignore"):  # too large a rate, and the weights overflow
        found, course = train(network_forward, network_gradients, begin, random, 2000, rate)
        courses.append(course)
        scores.append(rmse(y_test, network_predict(X_test, found)))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), dpi=80, layout="constrained")
left.plot(rates, scores, "o-", color=BLUE)
left.set(xscale="log", xlabel="learning rate", ylabel="RMSE on the test rows")
for at, color in ((2, GREY), (6, BLUE), (9, ORANGE)):
    right.plot(smooth(courses[at]), color=color, label=f"learning rate {rates[at]:.0e}")
right.set(yscale="log", xlabel="batch", ylabel="loss, mean of 50 batches")
right.legend(frameon=False, fontsize=8)
for ax in (left, right):
    ax.grid(alpha=0.25)
plt.show()
best = np.nanmin(scores)
print(f"best at {rates[np.nanargmin(scores)]:.0e}: RMSE {best:.2f}")
print("diverged at", ", ".join(f"{rate:.0e}" for rate in rates[np.isnan(scores)]))
assert scores[0] > 2 * best
assert np.isnan(scores[-1])

# %% [markdown]
# ## Exercises
#
# Replace the `...`, run the cell, then the check below it.
#
# ### 1. The gradient that belongs to the loss
#
# Write the gradient of the *mean* squared error of the linear model, so that the check of section 3
# passes.


# %% tags=["exercise:mean"]
def mean_gradients(info, weights): ...


# %%
def gradients_pass(gradients):
    def backward(output_grad, W, B):
        weights = {"W": W, "B": B}
        grads = gradients(linear_forward(small_X, small_y, weights)[0], weights)
        return output_grad * grads["W"], output_grad * np.reshape(grads["B"], (1, 1))

    return check_gradients((forward, backward), (W, B))


check(
    "mean",
    mean_gradients,
    gradients_pass,
    hint="A mean is a sum divided by the number of rows, and so is its gradient: len(info['y']).",
)

# %% [markdown] tags=["solution:mean"]
# <details><summary>Solution</summary>
#
# ```python
# def mean_gradients(info, weights):
#     dLdP = -2 * (info["y"] - info["P"]) / len(info["y"])
#     return {"W": info["X"].T @ dLdP, "B": dLdP.sum(axis=0)}
# ```
# </details>

# %% [markdown]
# ### 2. Another bend
#
# Replace the sigmoid by tanh. Its derivative at $N_1$ is $1 - \tanh^2 N_1$. You are given $O_1 =
# \tanh N_1$ and the gradient of the loss with respect to $O_1$.


# %% tags=["exercise:tanh"]
def tanh_backward(dLdO1, O1): ...


# %%
def tanh_passes(f):
    x = np.random.default_rng(2).standard_normal((3, 4))
    return check_gradients((np.tanh, lambda grad, x: (f(grad, np.tanh(x)),)), (x,))


check(
    "tanh",
    tanh_backward,
    tanh_passes,
    hint="Multiply dLdO1 by the derivative, entry by entry (*, not @): it is 1 - O1 squared.",
)

# %% [markdown] tags=["solution:tanh"]
# <details><summary>Solution</summary>
#
# ```python
# def tanh_backward(dLdO1, O1):
#     return dLdO1 * (1 - O1**2)
# ```
# </details>

# %% [markdown]
# ### 3. Without gradient descent
#
# The least squares solution of $XW + B = y$ can be had at once: append a column of ones to
# `X_train`, and let `np.linalg.lstsq` solve for all 14 numbers. Return the 13 weights.


# %% tags=["exercise:closed form"]
def least_squares(X, y): ...


# %%
check(
    "closed form",
    least_squares,
    lambda f: np.allclose(np.ravel(f(X_train, y_train)), sklearn_model.coef_[0]),
    hint="np.linalg.lstsq(A, y)[0] solves A @ solution = y; the last entry is the bias.",
)

# %% [markdown] tags=["solution:closed form"]
# <details><summary>Solution</summary>
#
# ```python
# def least_squares(X, y):
#     A = np.hstack([X, np.ones((len(X), 1))])
#     return np.linalg.lstsq(A, y)[0][:-1]
# ```
# </details>

# %% [markdown]
# ## What comes next
#
# [Math](Math.ipynb) derives the gradients of both models. The two layers of the network look alike:
# chapter 3 makes a class of them.
