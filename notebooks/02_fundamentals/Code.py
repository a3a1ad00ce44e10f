# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 2: from linear regression to a neural network
#
# You train two models of house prices by hand: each step of the forward pass is one line of NumPy,
# and so is each step of the backward pass. You compare the first model with scikit-learn, see why
# the second one is better, find a mistake in the book's gradient, and see a model learn too much.
#
# You need NumPy, and the chain rule from chapter 1.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import dlfs
from dlfs.classroom.cells import plot_style
from dlfs.datasets import boston
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.exercises import check
from dlfs.gradcheck import check_gradients
from dlfs.metrics import mae, rmse
from dlfs.plots import BLUE, GREY, ORANGE, plot_chain, with_handles

plot_style()

# %% [markdown]
# ## 1. The data
#
# The data has a row for each of 506 districts around Boston in 1970. A row has 13 **features**, for
# example the number of rooms of its houses (`RM`), its crime rate (`CRIM`) and the share of poor
# residents (`LSTAT`). The **target** is the median price of a house, in thousands of dollars. The
# data is old and famous, and it has a fault: the column `B` encodes the race of the residents. We
# use it to reproduce the book's figures, and for nothing else.
#
# Each feature is **standardized**: we subtract its mean and divide by its standard deviation, so
# that all features have mean 0 and standard deviation 1. (Strictly, both should be computed from
# the training rows alone. We do as the book did.)
#
# A model is useful if it is right about districts that it has not seen. This is called
# **generalization**. To measure it, we train on 70 % of the rows, the *training rows*, and compare
# with the truth on the others, the *test rows*.

# %%
houses = boston()
X = StandardScaler().fit_transform(houses.X)
y = houses.y.reshape(-1, 1)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=80718)
X_train.shape, X_test.shape, y_train.shape

# %% [markdown]
# Look at the data before you start. Both features tell something about the price, but not along a
# straight line. (The row of points at the top: prices above 50 were cut off.)

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, name in zip(axes, ("RM", "LSTAT")):
    ax.scatter(houses.X[:, houses.feature_names.index(name)], houses.y, s=8, color=BLUE, alpha=0.5)
    ax.set(xlabel=name)
axes[0].set_ylabel("price in $1000")
plt.show()

# %% [markdown]
# ## 2. A model to compare with
#
# **Linear regression** predicts the price as a sum: each feature times a weight, plus one number
# that does not depend on the features, the **intercept** (or bias). The weights with the smallest
# squared error can be computed directly, and scikit-learn does so.

# %%
sklearn_model = LinearRegression().fit(X_train, y_train)
p_sklearn = sklearn_model.predict(X_test)
print(f"intercept {sklearn_model.intercept_[0]:.2f}, mean price {y_train.mean():.2f}")
for i in np.argsort(-np.abs(sklearn_model.coef_[0]))[:4]:
    print(f"weight of {houses.feature_names[i]:<8}{sklearn_model.coef_[0][i]:>6.2f}")

# %% [markdown]
# The intercept is the prediction for a district whose features are all 0. After standardizing, this
# is an average district, so the intercept is close to the mean price. The weights can be compared,
# because all features have the same standard deviation: `LSTAT` counts most.
#
# How good are the predictions? Four numbers measure it:
#
# - **MAE**, the mean absolute error, in thousands of dollars;
# - **RMSE**, the root of the mean squared error, also in thousands of dollars. Squaring gives large
#   errors more weight;
# - the RMSE as a share of the mean price;
# - **R²**, which compares with the simplest model: always predict the mean. It is 1 minus the
#   model's squared error divided by the squared error of the mean. So 1 is perfect, and 0 is no
#   better than the mean.


# %%
def r_squared(y, p):
    return 1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2)


def report_errors(name, p):
    error = rmse(y_test, p)
    share = error / y_test.mean()
    print(f"{name:<33} MAE {mae(y_test, p):.4f}", end="  ")
    print(f"RMSE {error:.4f} = {share:.1%} of the mean price  R² {r_squared(y_test, p):.3f}")


report_errors("scikit-learn", p_sklearn)

# %% tags=["remove-cell"]
assert f"{mae(y_test, p_sklearn):.4f}" == "3.5671"
assert f"{rmse(y_test, p_sklearn):.4f}" == "5.0476"
assert np.isclose(r_squared(y_test, p_sklearn), sklearn_model.score(X_test, y_test))
assert abs(sklearn_model.intercept_[0] - y_train.mean()) < 0.3
assert houses.feature_names[np.argmax(np.abs(sklearn_model.coef_[0]))] == "LSTAT"

# %% [markdown]
# In a plot of predicted against actual prices, a perfect model would have all points on the line:


# %% tags=["hide-input"]
def scatter(ax, p, title):
    ax.scatter(p, y_test, s=12, color=BLUE, alpha=0.6)
    ax.plot([0, 50], [0, 50], color=GREY)
    ax.set(xlabel="predicted price", ylabel="actual price", title=title)


figure, ax = plt.subplots(figsize=(4.5, 3.5))
scatter(ax, p_sklearn, "scikit-learn, test rows")
plt.show()

# %% [markdown]
# ## 3. Linear regression, step by step
#
# Now we find the weights without scikit-learn, by taking many small steps downhill. Each step uses
# a **batch**, a few rows of the data. For a batch of three rows and $k$ features, the forward pass
# multiplies the features by the weights, adds the bias, and computes the loss. Written out:
#
# $$X = \begin{bmatrix} x_{11} & x_{12} & \cdots & x_{1k} \\ x_{21} & x_{22} & \cdots & x_{2k} \\
# x_{31} & x_{32} & \cdots & x_{3k} \end{bmatrix} \qquad
# W = \begin{bmatrix} w_1 \\ w_2 \\ \vdots \\ w_k \end{bmatrix} \qquad
# N = XW = \begin{bmatrix} x_{11} w_1 + x_{12} w_2 + \dots + x_{1k} w_k \\
# x_{21} w_1 + x_{22} w_2 + \dots + x_{2k} w_k \\
# x_{31} w_1 + x_{32} w_2 + \dots + x_{3k} w_k \end{bmatrix}$$
#
# $$P = N + b = \begin{bmatrix} n_1 + b \\ n_2 + b \\ n_3 + b \end{bmatrix}
# = \begin{bmatrix} p_1 \\ p_2 \\ p_3 \end{bmatrix} \qquad
# L = \frac{(y_1 - p_1)^2 + (y_2 - p_2)^2 + (y_3 - p_3)^2}{3}$$
#
# The code does the same for any number of rows. It keeps the values that the backward pass needs.


# %%
def linear_forward(X, y, weights):
    N = X @ weights["W"]
    P = N + weights["B"]
    loss = np.mean((y - P) ** 2)
    return {"X": X, "N": N, "P": P, "y": y}, loss


# %% [markdown]
# As a graph, with the shapes for a batch of 23 rows. (The boxes are classes of `dlfs`, used here
# only for the drawing; chapter 3 builds them.)

# %% tags=["hide-input"]
steps = [WeightMultiply(np.zeros((13, 1))), BiasAdd(np.zeros((1, 1)))]
P = steps[1].forward(steps[0].forward(X_train[:23]))
squared = dlfs.MeanSquaredError()
squared.forward(P, y_train[:23])
figure = plot_chain([*steps, squared])
figure.set_dpi(75)
figure

# %% [markdown]
# The backward pass follows the orange arrows, from the loss to the parameters. The square gives the
# factor $2(P - y)$. The bias is only added, so the gradient passes it unchanged. The product
# multiplies by its other factor, transposed, as in chapter 1:
#
# $$\frac{\partial L}{\partial P} = -2\,(y - P) \qquad
# \frac{\partial L}{\partial N} = \frac{\partial L}{\partial P} \qquad
# \frac{\partial L}{\partial W} = X^T \frac{\partial L}{\partial N} \qquad
# \frac{\partial L}{\partial B} = \sum_\text{rows} \frac{\partial L}{\partial P}$$


# %%
def linear_gradients(info, weights):
    dLdP = -2 * (info["y"] - info["P"])
    dLdN = dLdP * 1  # P = N + B: the slope is 1
    dLdW = info["X"].T @ dLdN
    dLdB = dLdP.sum(axis=0)  # the same bias is added to every row
    return {"W": dLdW, "B": dLdB}


# %% [markdown]
# One thing does not match: the loss is a *mean* over the rows, but this is the gradient of the
# *sum*. The book does it in this way, and so do we, to get its figures. Only the scale changes: for
# a batch of 23 rows, the steps are 23 times as large. `check_gradients` notices, and the slope in
# one weight shows the ratio, for four rows:

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
W_grad = backward(1.0, W, B)[0]
step = np.array([[1e-6], [0], [0]])
slope = (forward(W + step, B) - forward(W - step, B)) / 2e-6
print("check_gradients:", "passed" if report else "failed")
print(f"gradient {W_grad[0, 0]:.4f}, slope {slope:.4f}: ratio {W_grad[0, 0] / slope:.4f}")

# %% tags=["remove-cell"]
assert not report
assert abs(W_grad[0, 0] / slope - 4) < 1e-6  # four rows

# %% [markdown]
# ## 4. Training
#
# Shuffle the rows, go through them in batches, and after each batch take a small step against the
# gradient. The **learning rate** says how small. When all rows have been used once, an **epoch** is
# over; shuffle and start again. The old generator `np.random.RandomState` draws the same numbers as
# the book's code.


# %%
def train(forward, gradients, weights, random, n_iter, X, y, learning_rate=0.001, batch_size=23):
    losses, start = [], 0
    order = random.permutation(len(X))
    X, y = X[order], y[order]
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
linear, linear_losses = train(
    linear_forward, linear_gradients, start, random, 1000, X_train, y_train
)
p_linear = X_test @ linear["W"] + linear["B"]
report_errors("linear regression by hand", p_linear)
print(f"intercept by hand {linear['B'].item():.2f}, scikit-learn {sklearn_model.intercept_[0]:.2f}")

# %% tags=["remove-cell"]
assert f"{mae(y_test, p_linear):.4f}" == "3.5644"
assert f"{rmse(y_test, p_linear):.4f}" == "5.0497"
assert abs(linear["B"].item() - sklearn_model.intercept_[0]) < 0.5

# %% [markdown]
# These are the book's figures to the last digit. Weights and intercept are nearly those of
# scikit-learn. Not quite: each batch has a slightly different gradient, so training with batches
# never stands still.

# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
left.plot(linear_losses, color=BLUE, linewidth=0.7)
left.set(xlabel="batch", ylabel="loss", yscale="log", title="the loss of each batch")
at = np.arange(13)
right.bar(at - 0.2, sklearn_model.coef_[0], 0.4, color=GREY, label="scikit-learn")
right.bar(at + 0.2, linear["W"][:, 0], 0.4, color=ORANGE, label="by hand")
right.set_xticks(at, houses.feature_names, rotation=60)
right.set(ylabel="weight", title="how much each feature counts")
right.legend()
plt.show()
assert np.abs(sklearn_model.coef_[0] - linear["W"][:, 0]).max() < 0.5

# %% [markdown]
# ### The surface of the loss
#
# The loss is a function of 14 numbers. We hold twelve of them at their final values and vary the
# weights of `RM` and `LSTAT`. Then the loss can be drawn as a map, and it has the form of a bowl.
# The orange line shows these two weights after 0, 1, 2, 4, ... batches. They move fast where the
# bowl is steep. The line turns at the end, because the other weights change too, and that moves the
# bottom of this bowl.


# %% tags=["hide-input"]
def after(n_iter):
    random = np.random.RandomState(180708)
    start = {"W": random.randn(13, 1), "B": random.randn(1, 1)}
    weights, _ = train(linear_forward, linear_gradients, start, random, n_iter, X_train, y_train)
    return weights["W"][[5, 12], 0]


way = np.array([after(n) for n in (0, *2 ** np.arange(10), 1000)])
rm, lstat = np.meshgrid(np.linspace(-3, 6, 61), np.linspace(-8, 3, 61))
two = X_train[:, [5, 12]]  # RM and LSTAT
rest = X_train @ linear["W"] + linear["B"] - y_train - two @ linear["W"][[5, 12]]
height = np.mean(
    (rest[:, :, None] + two[:, 0, None, None] * rm + two[:, 1, None, None] * lstat) ** 2, axis=0
)


def draw_bowl(ax):
    levels = np.geomspace(height.min(), height.max(), 16)
    ax.grid(False)
    return ax.contourf(rm, lstat, height, levels=levels, cmap="viridis", norm="log")


figure, ax = plt.subplots(figsize=(7, 4))
filled = draw_bowl(ax)
ax.plot(*way.T, "o-", color=ORANGE, markersize=4)
ax.annotate("start", way[0], way[0] + [0.2, 0.3], color="white")
ax.set(xlabel="weight of RM", ylabel="weight of LSTAT", title="loss on the training rows")
figure.colorbar(filled, ax=ax, format="%.0f")
plt.show()
assert height.min() < 1.01 * np.mean((X_train @ linear["W"] + linear["B"] - y_train) ** 2)

# %% [markdown]
# ### How large a step?
#
# The learning rate decides how training moves on this surface. Each dot is a step against the
# gradient of the bowl, 25 of them, from the same start. With a small rate the steps are safe and
# slow. With a larger one they jump from side to side, and still arrive. Above a certain rate each
# jump is longer than the one before, and the loss grows without end. ([Math](Math.ipynb), section
# 4, derives that rate.)


# %% tags=["hide-input"]
def descend(rate, steps=25):
    w, path = np.array([[-2.0], [2.0]]), []
    for _ in range(steps + 1):
        path.append(w[:, 0])
        w = w - rate * 2 / len(two) * two.T @ (rest + two @ w)
    return np.array(path)


def final_loss(rate):
    return np.mean((rest + two @ descend(rate)[-1][:, None]) ** 2)


def draw_descent(ax, rate):
    draw_bowl(ax)
    ax.plot(*descend(rate).T, "o-", color=ORANGE, markersize=4)
    ax.set(xlim=(-3, 6), ylim=(-8, 3), xlabel="weight of RM", ylabel="weight of LSTAT")
    ax.set_title(f"rate {rate:g}: loss {final_loss(rate):,.0f}", size=11)


_, axes = plt.subplots(1, 3, figsize=(9, 3))
for ax, rate in zip(axes, (0.02, 0.55, 0.66)):
    draw_descent(ax, rate)
plt.show()

# %% [markdown]
# Move the handle, and find the rate at which the steps begin to jump, and the rate at which they no
# longer arrive. (The handle needs a running kernel. Elsewhere you see one more picture.)


# %% tags=["hide-input"]
def descent(rate=0.2):
    figure, ax = plt.subplots(figsize=(4.5, 3.5))
    draw_descent(ax, rate)
    return figure


with_handles(descent, rate=[0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.55, 0.6, 0.62, 0.64, 0.66])

# %% tags=["remove-cell"]
assert final_loss(0.55) < final_loss(0.02) < final_loss(0.66)
assert final_loss(0.55) < 1.1 * height.min()

# %% [markdown]
# ## 5. What a straight line cannot do
#
# The feature that counts most is `LSTAT`. We vary it alone, hold all others at their mean, and look
# at the predictions. The model can only predict along a straight line, but the prices follow a
# curve.


# %% tags=["hide-input"]
def vary_last_feature(predict, n=40):
    rows = np.repeat(X_test.mean(axis=0, keepdims=True), n, axis=0)
    rows[:, -1] = np.linspace(-1.5, 3.5, n)
    return rows[:, -1], predict(rows)[:, 0]


def draw_predictions(p, predict, name, title):
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    scatter(left, p, title)
    right.scatter(X_test[:, -1], y_test, s=12, color=BLUE, alpha=0.6, label="test rows")
    right.plot(*vary_last_feature(predict), color=ORANGE, label=name)
    right.set(xlabel="LSTAT (standardized)", ylabel="price", title="the most important feature")
    right.legend()
    plt.show()


draw_predictions(
    p_linear, lambda rows: rows @ linear["W"] + linear["B"], "linear model", "linear regression"
)

# %% [markdown]
# ## 6. A neural network, step by step
#
# The network has three steps. It computes 13 combinations of the features, applies a sigmoid to
# each, and does linear regression on the results:
#
# $$M_1 = XW_1 \qquad N_1 = M_1 + B_1 \qquad O_1 = \sigma(N_1)$$
#
# $$M_2 = O_1W_2 \qquad P = M_2 + B_2 \qquad L = \operatorname{mean}\,(y - P)^2$$
#
# The sigmoid turns any number into one between 0 and 1:


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# %% tags=["hide-input"]
at = np.linspace(-6, 6, 121)
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.plot(at, sigmoid(at), color=BLUE, label="sigmoid")
ax.plot(at, sigmoid(at) * (1 - sigmoid(at)), color=ORANGE, label="its slope")
ax.set(xlabel="x", ylabel="value")
ax.legend()
plt.show()

# %% [markdown]
# Without the sigmoid, the second product would only combine the combinations: two linear steps in a
# row are one linear step. With it, each of the 13 columns of $O_1$, the hidden **neurons**, is a
# soft switch: near 0 for some rows and near 1 for others. The last step adds up switches, and such
# a sum can follow a curve.


# %%
def network_forward(X, y, weights):
    N1 = X @ weights["W1"] + weights["B1"]
    O1 = sigmoid(N1)
    P = O1 @ weights["W2"] + weights["B2"]
    return {"X": X, "N1": N1, "O1": O1, "P": P, "y": y}, np.mean((y - P) ** 2)


def network_predict(X, weights):
    return sigmoid(X @ weights["W1"] + weights["B1"]) @ weights["W2"] + weights["B2"]


# %% [markdown]
# The graph is longer now. The first row is the hidden layer. Its output, on the right, is the input
# of the second row: the output layer and the loss.

# %% tags=["hide-input"]
steps = [
    WeightMultiply(np.zeros((13, 13))),
    BiasAdd(np.zeros((1, 13))),
    dlfs.Sigmoid(),
    WeightMultiply(np.zeros((13, 1))),
    BiasAdd(np.zeros((1, 1))),
]
P = X_train[:23]
for step in steps:
    P = step.forward(P)
squared.forward(P, y_train[:23])
for part in (steps[:3], [*steps[3:], squared]):
    figure = plot_chain(part)
    figure.set_dpi(70)
    display(figure)

# %% [markdown]
# The backward pass has the same kind of steps as before. Only the sigmoid is new, with its slope
# $O_1(1 - O_1)$:
#
# $$\frac{\partial L}{\partial O_1} = \frac{\partial L}{\partial P}\, W_2^T \qquad
# \frac{\partial L}{\partial N_1} = \frac{\partial L}{\partial O_1} \odot O_1 \odot (1 - O_1)$$
#
# ($\odot$ multiplies entry by entry. The book leaves out the factor 2 of the square here. This has
# the same effect as half the learning rate.)


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
# Check a gradient before you train with it. This should be the gradient of half the sum of squares:


# %% tags=["hide-input"]
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


# %%
report = check_network(network_gradients)
print(report)

# %% tags=["remove-cell"]
assert report

# %% [markdown]
# ## 7. The book's figure, and the book's mistake
#
# The book's listing sums the gradient of the first bias twice: over the rows, which is correct, and
# then over the 13 hidden neurons. One number is left, so all 13 biases get the same step.


# %%
def book_gradients(info, weights):
    grads = network_gradients(info, weights)
    grads["B1"] = grads["B1"].sum(axis=0)
    return grads


report = check_network(book_gradients)
print(report)

# %% tags=["remove-cell"]
assert [name for name, result in report.results.items() if not result.passed] == ["B1"]


# %%
def start_network():
    random = np.random.RandomState(180807)
    shapes = {"W1": (13, 13), "B1": (1, 13), "W2": (13, 1), "B2": (1, 1)}
    return {name: random.randn(*shape) for name, shape in shapes.items()}, random


results = {}
for name, gradients in (("book", book_gradients), ("correct", network_gradients)):
    start, random = start_network()
    weights, losses = train(network_forward, gradients, start, random, 10_000, X_train, y_train)
    results[name] = weights, losses, network_predict(X_test, weights)

p_book, p_network = results["book"][2], results["correct"][2]
report_errors("scikit-learn", p_sklearn)
report_errors("linear regression by hand", p_linear)
report_errors("neural network, book's gradient", p_book)
report_errors("neural network, correct gradient", p_network)

# %% tags=["remove-cell"]
assert f"{mae(y_test, p_book):.4f}" == "2.5951"
assert f"{rmse(y_test, p_book):.4f}" == "3.8851"
assert abs(mae(y_test, p_network) - 2.541) < 0.01
assert abs(rmse(y_test, p_network) - 3.952) < 0.01

# %% [markdown]
# The third line has the figures that the book prints, to the last digit. The gradient is wrong, and
# the network still trains well: a falling loss does not prove that a gradient is correct. On these
# 152 test rows the correct gradient has a lower MAE and a higher RMSE. Such small differences are
# chance. Both networks are far better than linear regression.

# %% tags=["hide-input"]
weights, losses, _ = results["correct"]


def smooth(losses, width=50):
    return np.convolve(losses, np.full(width, 1 / width), mode="valid")


figure, ax = plt.subplots()
ax.plot(smooth(linear_losses), color=GREY, label="linear regression")
ax.plot(smooth(losses), color=ORANGE, label="neural network")
ax.set(xlabel="batch", ylabel="loss, mean of 50 batches", xscale="log", yscale="log")
ax.legend()
plt.show()
assert smooth(losses)[-1] < 0.5 * smooth(linear_losses)[-1]

# %% [markdown]
# Both losses fall fast at first. The linear model stops improving after about a hundred batches;
# the network goes on. Its predictions are closer to the truth, and follow the curve of the prices:

# %% tags=["hide-input"]
draw_predictions(
    p_network, lambda rows: network_predict(rows, weights), "neural network", "neural network"
)

# %% [markdown]
# ### The strongest neurons
#
# A hidden neuron has 13 weights for the features, a column of $W_1$, and one weight for the price,
# an entry of $W_2$. The neurons with the largest $|W_2|$ change the price most. Here are the three
# strongest ones. Each neuron reacts to a combination of features: red features switch it on, blue
# features switch it off.

# %% tags=["hide-input"]
strongest = np.argsort(-np.abs(weights["W2"][:, 0]))[:3]
columns = weights["W1"][:, strongest].T
figure, ax = plt.subplots(figsize=(8, 2.4))
image = ax.imshow(columns, cmap="RdBu_r", vmin=-np.abs(columns).max(), vmax=np.abs(columns).max())
ax.set_xticks(range(13), houses.feature_names, rotation=60)
ax.set_yticks(range(3), [f"{weights['W2'][n, 0]:+.1f} for the price" for n in strongest])
ax.grid(False)
figure.colorbar(image, ax=ax, label="weight in $W_1$")
plt.show()

# %% tags=["remove-cell"]
assert np.all(np.diff(np.abs(weights["W2"][strongest, 0])) <= 0)

# %% [markdown]
# ## 8. Choosing the learning rate
#
# The learning rate is not learned: you choose it before training. Such a number is called a
# **hyperparameter**. Others are the number of hidden neurons, the size of a batch, and the number
# of batches.
#
# To choose, train with several values and compare. But compare on which rows? Not on the training
# rows: there the model has seen the answers. And not on the test rows: if you choose what is best
# on the test rows, the result there is better than on new data, and the test no longer measures
# generalization. So we hold out a third set from the training rows, the **validation rows**. Train
# on the training rows, choose with the validation rows, and use the test rows once, at the end.

# %%
X_fit, y_fit = X_train[:254], y_train[:254]
X_val, y_val = X_train[254:], y_train[254:]

rates = np.geomspace(1e-6, 1e-1, 11)
scores, courses = [], []
for rate in rates:
    start, random = start_network()
    with np.errstate(all="ignore"):  # if the rate is too large, the weights overflow
        found, course = train(
            network_forward, network_gradients, start, random, 2000, X_fit, y_fit, rate
        )
        scores.append(rmse(y_val, network_predict(X_val, found)))
    courses.append(course)

best = np.nanargmin(scores)
print(f"best on the validation rows: rate {rates[best]:.0e}, RMSE {scores[best]:.2f}")
print("diverged:", ", ".join(f"{rate:.0e}" for rate in rates[np.isnan(scores)]))

# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
left.plot(rates, scores, "o-", color=BLUE)
left.set(xscale="log", xlabel="learning rate", ylabel="RMSE on the validation rows")
for at, color in ((2, GREY), (6, BLUE), (8, ORANGE)):
    right.plot(smooth(courses[at]), color=color, label=f"learning rate {rates[at]:.0e}")
right.set(yscale="log", xlabel="batch", ylabel="loss, mean of 50 batches")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# If the rate is too small, training has not arrived after 2000 batches. If it is too large, the
# loss jumps, or grows without end (then there is no point in the left picture). In between there is
# a wide range of good rates. A grid of powers of ten, and their half steps, is fine enough to find
# it. At the rate 0.01 the loss of the training batches is lowest, but the error on the validation
# rows is not. The next section shows why.

# %% tags=["remove-cell"]
assert scores[0] > 2 * scores[best]
assert np.isnan(scores[-1])
assert 1e-4 < rates[best] < 2e-2
assert smooth(courses[8])[-1] < smooth(courses[best])[-1]
assert scores[8] > scores[best]

# %% [markdown]
# ## 9. Learning too much
#
# What if there are only 50 training rows? The network has 196 parameters. We train it for a long
# time, and compute the RMSE on the training rows and on the validation rows after every 500
# batches:


# %%
def train_and_watch(gradients):
    weights, random = start_network()
    errors = []
    for _ in range(20):
        weights, _ = train(
            network_forward, gradients, weights, random, 500, X_train[:50], y_train[:50]
        )
        on_training = rmse(y_train[:50], network_predict(X_train[:50], weights))
        on_validation = rmse(y_val, network_predict(X_val, weights))
        errors.append([on_training, on_validation])
    return np.array(errors)


plain = train_and_watch(network_gradients)
print(f"first: training rows {plain[0, 0]:.2f}, validation rows {plain[0, 1]:.2f}")
print(f"last:  training rows {plain[-1, 0]:.2f}, validation rows {plain[-1, 1]:.2f}")

# %% [markdown]
# The error on the training rows goes to 0: the network reproduces these 50 prices, with all that is
# chance in them. On rows that it has not seen, it gets *worse* with time. This is **overfitting**.
# It happens easily if there are many parameters for each row.
#
# **Regularization** is anything that makes overfitting harder. One way is to stop early, when the
# error on the validation rows is lowest. Another is to add a penalty to the loss for large weights,
# $\frac{c}{2} \sum w^2$. Its gradient is $c\,w$, so each step pulls the weights a little towards 0
# (*weight decay*). The strength $c$ is a hyperparameter. (Chapter 4 shows a third way, dropout.)


# %%
def with_penalty(c):
    def gradients(info, weights):
        grads = network_gradients(info, weights)
        return grads | {name: grads[name] + c * weights[name] for name in ("W1", "W2")}

    return gradients


penalized = {c: train_and_watch(with_penalty(c)) for c in (1.0, 5.0)}
for c, errors in penalized.items():
    print(f"c = {c:g}: training rows {errors[-1, 0]:.2f}, validation rows {errors[-1, 1]:.2f}")

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
for ax, (title, errors) in zip(
    axes, {"no penalty": plain, **{f"c = {c:g}": e for c, e in penalized.items()}}.items()
):
    ax.plot(range(500, 10_001, 500), errors[:, 0], color=BLUE, label="training rows")
    ax.plot(range(500, 10_001, 500), errors[:, 1], color=ORANGE, label="validation rows")
    ax.set(title=title, xlabel="batch", ylim=(0, 7))
    ax.set_xticks([0, 5000, 10_000])
axes[0].set_ylabel("RMSE")
axes[1].legend(loc="lower right")
plt.show()

# %% [markdown]
# With $c = 1$ the error on the training rows is larger, and the error on new rows is much smaller.
# With $c = 5$ the penalty is too strong: both errors are large, because the network cannot even
# learn what the rows have in common. This is called *underfitting*.

# %% tags=["remove-cell"]
assert plain[-1, 0] < 0.3
assert plain[-1, 1] > plain[:, 1].min() + 0.5
assert penalized[1.0][-1, 1] < plain[:, 1].min()
assert penalized[5.0][-1].min() > penalized[1.0][-1, 1]

# %% [markdown]
# ## Exercises
#
# Replace the `...` and run the cell, then the check below it.
#
# ### 1. The gradient of this loss
#
# Write the gradient of the *mean* squared error of the linear model, so that the check of section 3
# passes.


# %% tags=["exercise:mean"]
def mean_gradients(info, weights): ...


# %% tags=["hide-input"]
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
# ### 2. Another activation
#
# A function such as the sigmoid, between two linear steps, is called an *activation*. Replace the
# sigmoid by tanh. Its derivative at $N_1$ is $1 - \tanh^2 N_1$. You are given $O_1 = \tanh N_1$ and
# the gradient of the loss with respect to $O_1$. Return the gradient with respect to $N_1$.


# %% tags=["exercise:tanh"]
def tanh_backward(dLdO1, O1): ...


# %% tags=["hide-input"]
def tanh_passes(f):
    x = np.random.default_rng(2).standard_normal((3, 4))
    return check_gradients((np.tanh, lambda grad, x: (f(grad, np.tanh(x)),)), (x,))


check(
    "tanh",
    tanh_backward,
    tanh_passes,
    hint="Multiply dLdO1 by the derivative of tanh, written with O1, entry by entry (*, not @).",
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
# The least squares solution of $XW + B = y$ can be computed at once: append a column of ones to
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
