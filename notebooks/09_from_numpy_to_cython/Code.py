# ---
# jupyter:
#   dlfs: {alone: true, backends: [fast]}
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Chapter 9: one convolution, from NumPy to Cython
#
# You compute the same convolution in six ways: with loops in Python, with NumPy, with loops in
# Cython, with one large matrix product, and with dlfs's fast kernel on one thread and on all
# threads. All give the same numbers. You measure their speed, and see what limits each of them. You
# need chapter 5.

# %% tags=["hide-input"]
import os

# One core against one core: must be set before NumPy is imported.
os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import html
import importlib.util
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML

import dlfs_ext
from dlfs import get_num_threads, reference, set_num_threads
from dlfs.exercises import check
from dlfs.commands.stopwatch import interleaved, readable
from dlfs_ext import plain

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 90, "font.size": 9})
plt.rcParams["figure.constrained_layout.use"] = True
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"
THREADS = get_num_threads()
peak_work = dlfs_ext.conv._peak_work  # multiply-adds on registers alone
print(f"{os.cpu_count()} processors, {THREADS} threads, instructions: {dlfs_ext.isa()}")

# %% [markdown]
# ## 1. The task
#
# The input is a batch of eight images with 16 channels and 28 × 28 pixels. The output has 32
# channels; the kernels are 5 × 5, and the padding is 2. All numbers are float32. We measure the
# work in **multiply-adds**, multiplications with an addition each, and count those of the
# definition:

# %%
rng = np.random.default_rng(9)
x = rng.standard_normal((8, 16, 28, 28)).astype(np.float32)
W = rng.standard_normal((16, 32, 5, 5)).astype(np.float32)
padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
multiply_adds = x.shape[0] * 28 * 28 * W.size
FLOP = 2 * multiply_adds
print(f"{multiply_adds / 1e6:.0f} million multiply-adds")

# %% [markdown]
# Because of rounding, a sum of floats depends a little on the order of its terms. So what does "the
# same numbers" mean? If $n$ products are added in any order, the error is at most about
# $n\,\varepsilon \sum |x w|$ ([Math](Math.ipynb) says why). The sum of absolute values is itself a
# convolution:

# %%
exact = reference.conv2d(x.astype(float), W.astype(float), padding=2)
bound = 400 * np.finfo(np.float32).eps * reference.conv2d(abs(x), abs(W), padding=2)


def same(y, images=8, channels=32):
    """Check the first images and channels of an output; return the largest error."""
    error = np.abs(y - exact[:images, :channels])
    assert (error <= bound[:images, :channels]).all()
    return error.max()


# %% [markdown]
# ## 2. Loops in Python
#
# The definition of the convolution is seven loops. For the whole batch they would take a minute. So
# we run them for one image and two output channels, and divide the time by the number of
# multiply-adds.


# %%
def conv_python(padded, W):
    batch, outputs = len(padded), W.shape[1]
    height, width = (size - 4 for size in padded.shape[2:])
    y = np.zeros((batch, outputs, height, width), np.float32)
    for n in range(batch):
        for o in range(outputs):
            for p in range(height):
                for q in range(width):
                    for c in range(W.shape[0]):
                        for i in range(5):
                            for j in range(5):
                                y[n, o, p, q] += padded[n, c, p + i, q + j] * W[c, o, i, j]
    return y


small_x, small_W = padded[:1], W[:, :2]
started = time.perf_counter()
by_python = conv_python(small_x, small_W)
per_multiply_add = (time.perf_counter() - started) / (28 * 28 * small_W.size)
print(f"largest error {same(by_python, 1, 2):.0e}; {readable(per_multiply_add)} a multiply-add")
seconds = {"Python loops": per_multiply_add * multiply_adds}

# %% [markdown]
# A multiply-add takes hundreds of nanoseconds here; a processor can do it in a fraction of one. In
# Python each number is an object, and each `+`, `*` and index first has to find the method of the
# object that does it.
#
# ## 3. NumPy: the loops run in C
#
# For each of the 25 positions in the kernel, all output pixels need the same: a matrix product over
# the channels, with the image shifted by the position. So 25 calls of NumPy are enough, and the
# loops over images, pixels and channels run in compiled code. `dlfs/reference/conv.py` works like
# this.


# %%
def conv_numpy(padded, W):
    y = np.zeros((len(padded), W.shape[1], 28 * 28), np.float32)
    for i, j in np.ndindex(5, 5):
        pixels = padded[:, :, i : i + 28, j : j + 28].reshape(len(padded), -1, 28 * 28)
        y += W[:, :, i, j].T @ pixels
    return y.reshape(len(padded), -1, 28, 28)


print(f"largest error {same(conv_numpy(padded, W)):.0e}")

# %% [markdown]
# ## 4. Loops in Cython
#
# **Cython** translates Python to C, which a C compiler then compiles. If the types of the variables
# are declared, the C code is a loop over numbers. Without types the C code calls the same functions
# of Python that the interpreter would call. Here is a convolution in one dimension, first without
# types, then with types. (`float[::1]` is a contiguous array of float32.)

# %%
SOURCE = """\
def untyped(x, w, y):
    for p in range(y.shape[0]):
        total = 0.0
        for i in range(w.shape[0]):
            total += x[p + i] * w[i]
        y[p] = total

def typed(const float[::1] x, const float[::1] w, float[::1] y):
    cdef Py_ssize_t p, i
    cdef float total
    for p in range(y.shape[0]):
        total = 0
        for i in range(w.shape[0]):
            total += x[p + i] * w[i]
        y[p] = total
"""

# %% [markdown]
# `cython -a` writes a page with the C code of each line. The lines are yellow: the more calls of
# Python, the darker the yellow. The next cell compiles the source in a temporary folder. It needs
# Cython and a C compiler. If they are missing it prints that, and you can continue with section 5.


# %%
def compile_here(source, folder):
    """Return the module and its annotated page, or None and what went wrong."""
    (folder / "sliding.pyx").write_text(source)
    directives = {"language_level": 3, "boundscheck": False, "wraparound": False}
    script = (
        "from setuptools import Extension, setup; from Cython.Build import cythonize\n"
        "parts = [Extension('sliding', ['sliding.pyx'], extra_compile_args=['-O2'])]\n"
        f"setup(ext_modules=cythonize(parts, annotate=True, compiler_directives={directives}))"
    )
    command = [sys.executable, "-c", script, "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    built = [*folder.glob("sliding.*.so"), *folder.glob("sliding.*.pyd")]
    if done.returncode or not built:
        return None, (done.stderr.strip().splitlines() or ["no module was built"])[-1]
    spec = importlib.util.spec_from_file_location("sliding", built[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, (folder / "sliding.html").read_text()


folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
sliding, page = compile_here(SOURCE, Path(folder.name))
if sliding is None:
    print("Cython or a C compiler is missing; the cells of this section show nothing:", page)

# %% [markdown]
# The page is long. The next cell shows only the lines with their colours, and the score that Cython
# gives to each: the higher the score, the more calls of Python.

# %%
START = '<pre class="cython line score-'
LINE = re.compile(START + r'(\d+)"[^>]*>(.*?)</pre>(.*?)(?=' + START + r"|\Z)", re.DOTALL)


def annotated(page):
    """Return (score, source line, C code) of every line."""
    found = []
    for score, line, rest in LINE.findall(page):
        code = re.sub(
            r"/\*.*?\*/", "", html.unescape(re.sub(r"<[^>]+>", "", rest)), flags=re.DOTALL
        )
        text = html.unescape(re.sub(r"<[^>]+>", "", line))
        found.append((int(score), re.sub(r"^[+\s]?\d+: ?", "", text.rstrip()), code))
    return found


def show_yellow(lines):
    rows = "".join(
        f"<tr style='background:rgb(255,255,{max(255 - 8 * score, 0)});color:black'>"
        f"<td style='text-align:right'>{score}</td>"
        "<td style='text-align:left;white-space:pre;font-family:monospace'>"
        f"{html.escape(text)}</td></tr>"
        for score, text, _ in lines
    )
    return HTML(f"<table><tr><th>score</th><th>line</th></tr>{rows}</table>")


lines = annotated(page) if sliding else []
show_yellow(lines)

# %% [markdown]
# In `typed` only the first line is yellow: it checks the arguments, once for each call. The loops
# are white. Now look at the C code of the line that does the work, `total += x[p + i] * w[i]`. With
# types it computes two indices, and does one multiply-add:


# %%
def c_code(lines, which):
    """Return the C statements of the multiply-add, in the first function (0) or the second (1)."""
    inner = [code for _, text, code in lines if "total +=" in text]
    statements = map(str.strip, inner[which].splitlines()) if inner else []
    return [statement for statement in statements if statement not in ("", "}")]


for statement in c_code(lines, 1):
    print(textwrap.fill(re.sub(r"__pyx_v_|__pyx_", "", statement), 88, subsequent_indent="    "))

# %% [markdown]
# Without types it calls functions of Python for `p + i`, for `x[...]`, for `w[i]`, for `*` and for
# `+`, and counts references in between:

# %%
statements = c_code(lines, 0)
calls = re.findall(r"\b(?:__Pyx_|Py)[A-Za-z_]\w*(?=\()", "\n".join(statements))
print(f"{len(statements)} lines of C; the calls among them:")
print(textwrap.fill(", ".join(dict.fromkeys(calls)), 88))

# %%
if sliding:
    signal, kernel = rng.standard_normal((2, 2000)).astype(np.float32)
    kernel, y = kernel[:25].copy(), np.zeros(1976, np.float32)
    outputs = {}
    for name in ("untyped", "typed"):
        getattr(sliding, name)(signal, kernel, y)
        outputs[name] = y.copy()
    assert np.abs(outputs["typed"] - outputs["untyped"]).max() < 1e-4
    calls = {
        "untyped": lambda: sliding.untyped(signal, kernel, y),
        "typed": lambda: sliding.typed(signal, kernel, y),
    }
    for name, taken in interleaved(calls, seconds=0.5).items():
        print(f"{name:<8}{1e9 * taken / (25 * len(y)):8.2f} ns for a multiply-add")

# %% [markdown]
# Compiling alone helps little. The types make the code faster by a factor of hundreds, because now
# the C compiler can translate the loop to a few instructions.
#
# The files of `dlfs_ext/plain/` are written like `typed`: they have the loops for a small network
# (`dlfs.use_backend("plain")` trains with it), also the seven loops of the convolution:

# %%
print(f"largest error {same(plain.conv2d(x, W, padding=2)):.0e}")

# %% [markdown]
# ## 5. One matrix product: im2col and BLAS
#
# The plain loop does one multiply-add after the other. Each waits for the sum before it, and each
# loads two numbers from memory. The libraries behind NumPy's matrix product `@` (**BLAS**) are
# faster. They divide matrices into blocks that fit into the caches (small, fast memories in the
# processor), and keep many sums in vector registers (the processor's own variables, of several
# numbers each). To use BLAS, write all patches of the images into a matrix, and multiply it by the
# weights. This is called **im2col**.


# %%
def conv_im2col(padded, W):
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(2, 3))
    patches = windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(padded), -1, 28 * 28)
    weights = W.transpose(1, 0, 2, 3).reshape(W.shape[1], -1)
    return (weights @ patches).reshape(len(padded), -1, 28, 28)


print(f"largest error {same(conv_im2col(padded, W)):.0e}")
print(f"the images: {x.nbytes / 1e6:.1f} MB, their patches: {25 * x.nbytes / 1e6:.0f} MB")

# %% [markdown]
# ## 6. The fast kernel
#
# The patches are 25 times as large as the images, so writing them takes much of the time. dlfs's
# kernel makes only 5 shifted copies of the images, one for each column of the kernel. The rows of
# the kernel need no more copies, because they read the same copy from a later row on. Then the
# kernel does what BLAS does, for exactly this shape: a tile of 8 output channels by 3 vectors of
# pixels stays in registers, while the loop goes through all $16 \cdot 5 \cdot 5$ **taps** (an input
# channel and a position in the kernel). This is the loop in
# `dlfs_ext/csrc/convolution/conv_registers.h`, with `MR` = 8 and `NV` = 3:
#
# ```c
# for (ptrdiff_t k = 0; k < taps; k++, weights += MR) {
#     const real *at = src + offset[k];
#     ...
#     for (int r = 0; r < MR; r++)
#         for (int v = 0; v < NV; v++)
#             sum[r][v] += weights[r] * x[v];
# }
# ```
#
# `sum` is 24 vectors that stay in registers; the compiler unrolls both inner loops.

# %%
set_num_threads(1)
one_thread = dlfs_ext.conv2d(x, W, padding=2)
print(f"largest error {same(one_thread):.0e}")

# %% [markdown]
# ## 7. Threads
#
# A **thread** is a part of the program that runs at the same time as others, on another core of the
# processor. The images do not depend on each other, so each thread computes some of them. Every
# output is computed in the same order on any thread, so all bits of the result are the same.

# %%
set_num_threads(THREADS)
all_threads = dlfs_ext.conv2d(x, W, padding=2)
assert np.array_equal(all_threads, one_thread)
print(f"{THREADS} threads: the same bits")

# %% [markdown]
# ## 8. The stopwatch
#
# All versions run in turns, in one process, and the fastest round counts, because other programs on
# the computer can only slow a version down. The stored figures are those of the computer that ran
# this notebook. GFLOP/s are billions of additions and multiplications in a second.


# %%
def fastest(contenders, rounds=25):
    """Return the seconds of the best round of each, after one call that fills the caches."""
    best = dict.fromkeys(contenders, np.inf)
    for number in range(rounds):
        for name, call in contenders.items():
            if number < 3 or best[name] < 0.05:  # three rounds for the slow ones
                call()
                started = time.perf_counter()
                call()
                best[name] = min(best[name], time.perf_counter() - started)
    return best


def on_threads(count):
    def run():
        set_num_threads(count)
        dlfs_ext.conv2d(x, W, padding=2)

    return run


contenders = {
    "NumPy": lambda: conv_numpy(padded, W),
    "Cython loops": lambda: plain.conv2d(x, W, padding=2),
    "im2col + BLAS": lambda: conv_im2col(padded, W),
    "fast kernel, 1 thread": on_threads(1),
    f"fast kernel, {THREADS} threads": on_threads(THREADS),
}
seconds |= fastest(contenders)
speed = {name: FLOP / taken / 1e9 for name, taken in seconds.items()}
print(f"{'':<24}{'time':>10}{'GFLOP/s':>10}{'times Python':>14}")
for name, taken in seconds.items():
    gain = seconds["Python loops"] / taken
    print(f"{name:<24}{readable(taken):>10}{speed[name]:>10.3g}{gain:>14,.0f}")

# %%
fig, ax = plt.subplots(figsize=(7, 2.4))
ax.barh(list(speed), list(speed.values()), color=[GREY, GREY, ORANGE, GREY, BLUE, BLUE])
ax.set_xscale("log")
ax.invert_yaxis()
ax.set_xlabel("GFLOP/s (each step of the scale is a factor of 10)")
for row, value in enumerate(speed.values()):
    ax.text(value * 1.08, row, f"{value:.3g}", va="center", fontsize=8)
_ = ax.set_xlim(right=max(speed.values()) * 3)

# %% [markdown]
# ## 9. The roofline
#
# How fast can a program be on this computer? Two things limit it: how many operations a core can do
# in a second, and how many bytes it can load. We measure both.
#
# - The **peak** is the number of operations in a second if all numbers are in registers.
# - The **bandwidth** is the number of bytes in a second, measured by copying a large array, which
#   does not fit into the caches, and a small one, which does.


# %%
large, large_copy = np.zeros((2, 32 << 20), np.float32)
little, little_copy = np.zeros((2, 16 << 10), np.float32)
operations = peak_work("float32", 200_000)


def copy_little():
    for _ in range(500):
        np.copyto(little_copy, little)


limits = fastest(
    {
        "peak": lambda: peak_work("float32", 200_000),
        "memory": lambda: np.copyto(large_copy, large),
        "caches": copy_little,
    }
)
peak = operations / limits["peak"] / 1e9
memory = 2 * large.nbytes / limits["memory"] / 1e9  # read once, written once
cache = 500 * 2 * little.nbytes / limits["caches"] / 1e9
print(f"one core: {peak:.0f} GFLOP/s; memory {memory:.0f} GB/s, caches {cache:.0f} GB/s")

# %% [markdown]
# The **arithmetic intensity** of a program is the number of operations for each byte that it reads
# or writes. With the intensity $I$ and the bandwidth $B$ it can do at most
#
# $$ \min(\text{peak},\; B \cdot I) $$
#
# operations in a second. This limit is the **roofline**. For each version, we count the bytes of
# the arrays that it reads and writes:

# %%
X, Y, K = x.nbytes, exact.size * 4, W.nbytes
moved = {
    "Python loops": X + Y + K,  # each array once, if it stays in the caches
    "NumPy": 25 * (3 * X + 5 * Y) + K,  # for each position: shift, multiply, add to y
    "Cython loops": X + Y + K,
    "im2col + BLAS": X + 2 * 25 * X + Y + K,  # the patches are written and read
    "fast kernel, 1 thread": X + 2 * 5 * X + Y + K,  # so are the five copies
}
moved[f"fast kernel, {THREADS} threads"] = moved["fast kernel, 1 thread"]
intensity = {name: FLOP / count for name, count in moved.items()}

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
grid = np.geomspace(0.5, 500, 200)
for bandwidth, label, style in ((memory, "memory", "-"), (cache, "caches", "--")):
    ax.plot(grid, np.minimum(peak, bandwidth * grid), style, color=GREY, label=f"roof: {label}")
ax.axhline(peak * THREADS, color=BLUE, linestyle=":", label=f"peak, {THREADS} threads")
shifts = {"fast kernel, 1 thread": (6, -8), f"fast kernel, {THREADS} threads": (6, 4)}
for name, value in speed.items():
    ax.plot(intensity[name], value, "o", color=BLUE if "fast" in name else ORANGE)
    ax.annotate(name, (intensity[name], value), xytext=shifts.get(name, (-14, -14)),
                textcoords="offset points", fontsize=8)  # fmt: skip
ax.set_xscale("log")
ax.set_yscale("log")
ax.set_xlabel("operations for each byte moved")
ax.set_ylabel("GFLOP/s")
ax.set_xlim(0.5, 900)
ax.set_ylim(bottom=min(speed.values()) / 4)
_ = ax.legend(frameon=False, fontsize=8, loc="lower left")

# %% [markdown]
# From left to right:
#
# - **NumPy** reads and writes its arrays 25 times. It is under the sloping part of the roof, where
#   the data limits the speed. Besides, its matrix products are small (the inner axis is 16), and
#   BLAS is not at its best for small products.
# - **im2col** has one large matrix product, but it must write the patches first.
# - The **fast kernel** is closest to the flat part of the roof. It can only become faster with more
#   cores, or with fewer operations.
# - The **loops** in Python and Cython are far below the roof, although they read and write as
#   little as possible. They are slow because of the other instructions around each multiply-add.

# %%
for name, value in speed.items():
    roof = min(peak, cache * intensity[name]) * (THREADS if "threads" in name else 1)
    print(f"{name:<24}{value / roof:9.3%} of its roof")

# %% [markdown]
# ## 10. Above the roof: fewer operations
#
# For 3 × 3 kernels there is an algorithm by Winograd. It computes 4 output pixels with 16
# multiplications instead of 36 ([Math](Math.ipynb) derives it). dlfs uses it from 16 channels on.
# If we still count the operations of the *definition*, the kernel seems faster than the peak:

# %%
W3 = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
x3 = rng.standard_normal((8, 64, 32, 32)).astype(np.float32)
exact3 = reference.conv2d(x3.astype(float), W3.astype(float), padding=1)
set_num_threads(1)
error = np.abs(dlfs_ext.conv2d(x3, W3, padding=1) - exact3).max()
assert error <= 600 * np.finfo(np.float32).eps * reference.conv2d(abs(x3), abs(W3), padding=1).max()
taken = fastest({"Winograd": lambda: dlfs_ext.conv2d(x3, W3, padding=1)}, 100)["Winograd"]
nominal = 2 * exact3.size * 64 * 9 / taken / 1e9
set_num_threads(THREADS)
print(f"{nominal:.0f} GFLOP/s by the definition, where the peak is {peak:.0f}; off by {error:.0e}")

# %% [markdown]
# ## Exercises
#
# Fill in the `...`; the cell below each exercise says whether the answer is right.
#
# **1. The roofline.** Write the roofline as a function.


# %% tags=["exercise:roof"]
def attainable(operations_per_byte, peak, bandwidth): ...


# %%
check(
    "roof",
    attainable,
    lambda f: bool(f(2.0, 100.0, 20.0) == 40 and f(50.0, 100.0, 20.0) == 100),
    hint="There are two limits, and the smaller one counts.",
)

# %% [markdown] tags=["solution:roof"]
# <details><summary>Solution</summary>
#
# ```python
# def attainable(operations_per_byte, peak, bandwidth):
#     return min(peak, bandwidth * operations_per_byte)
# ```
#
# </details>
#
# **2. A ReLU.** It does one operation (a comparison) for each number, and reads and writes a
# float32, which has 4 bytes. What is its arithmetic intensity? And what would make it faster?

# %% tags=["exercise:relu"]
operations_per_byte = ...

# %%
check(
    "relu",
    operations_per_byte,
    1 / 8,
    hint="Divide the operations by all bytes that are read and written.",
)

# %% [markdown] tags=["solution:relu"]
# <details><summary>Solution</summary>
#
# ```python
# operations_per_byte = 1 / (4 + 4)
# ```
#
# It is far to the left in the picture, where only the bandwidth counts; faster arithmetic does not
# help. It becomes faster if its input is still in the cache: dlfs applies bias and activation right
# after the matrix product, to one part of the output after the other (`dlfs/layers/fusion.py`).
#
# </details>
#
# **3. A matrix product in blocks.** Compute `A @ B` block by block. For each block of rows of `A`
# and each block of columns of `B`, add the products of blocks along the inner axis. The last blocks
# may be smaller than `size`.


# %% tags=["exercise:blocks"]
def blocked(A, B, size): ...


# %%
def try_blocked(function):
    A, B = rng.standard_normal((50, 70)), rng.standard_normal((70, 33))
    for size in (7, 16, 100):
        product = function(A, B, size)
        if product.shape != (50, 33):
            return "The shape should be (rows of A, columns of B)."
        if np.abs(product - A @ B).max() > 1e-12:
            return f"The numbers are not right for blocks of {size}."
    return True


check("blocks", blocked, try_blocked, hint="Three loops with range(0, n, size); += in the third.")

# %% [markdown] tags=["solution:blocks"]
# <details><summary>Solution</summary>
#
# ```python
# def blocked(A, B, size):
#     C = np.zeros((len(A), B.shape[1]))
#     for i in range(0, len(A), size):
#         for j in range(0, B.shape[1], size):
#             for k in range(0, B.shape[0], size):
#                 left, right = A[i : i + size, k : k + size], B[k : k + size, j : j + size]
#                 C[i : i + size, j : j + size] += left @ right
#     return C
# ```
#
# </details>
#
# **4. Without the loop over positions.** Write the convolution of this notebook with one call of
# `np.einsum` on `sliding_window_view`.


# %% tags=["exercise:einsum"]
def conv_einsum(padded, W): ...


# %%
def try_einsum(function):
    y = function(padded[:1], W)
    return "The shape should be (1, 32, 28, 28)." if y.shape != (1, 32, 28, 28) else same(y, 1) < 1


check("einsum", conv_einsum, try_einsum, hint="Windows have the axes n, c, p, q, i, j.")

# %% [markdown] tags=["solution:einsum"]
# <details><summary>Solution</summary>
#
# ```python
# def conv_einsum(padded, W):
#     windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(2, 3))
#     return np.einsum("ncpqij,coij->nopq", windows, W, optimize=True)
# ```
#
# </details>
