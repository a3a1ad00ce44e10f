# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   dlfs: {backends: [fast]}
# ---

# %% [markdown]
# # Chapter 1: foundations
#
# Try $x^2$.

# %%
import matplotlib.pyplot as plt
import numpy as np
from dlfs.exercises import check

# %%
x = np.linspace(-2, 2, 101)
figure, ax = plt.subplots(figsize=(7, 3.5), dpi=80, layout="constrained")
ax.plot(x, x**2)
ax.set(xlabel="x", ylabel="square")
plt.show()


# %% tags=["exercise:softplus"]
def softplus_grad(x): ...


# %%
check(
    "softplus", softplus_grad, lambda f: np.allclose(f(x), 1 / (1 + np.exp(-x))), hint="chain rule"
)

# %% [markdown] tags=["solution:softplus"]
# <details><summary>Solution</summary>
#
# ```python
# def softplus_grad(x):
#     return 1 / (1 + np.exp(-x))
# ```
# </details>
