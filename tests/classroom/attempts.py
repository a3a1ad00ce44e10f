"""Three typical wrong attempts at each exercise, as changes of its solution.

A change is what the attempt has, instead of what the solution has; ``WHOLE`` stands for all of it.
"""

WHOLE = "WHOLE"
Change = tuple[str, str]

ATTEMPTS: dict[str, dict[str, tuple[Change, Change, Change]]] = {
    "01_foundations/Code": {
        "sigmoid of square": (
            (" * 2 * x", ""),
            ("* 2 * x", "* x"),
            ("sigmoid(x**2)", "sigmoid(x)"),
        ),
        "two inputs": (
            ("x - 2 * y", "x"),
            ("x - 2 * y", "x - y"),
            ("y, x - 2 * y", "x, y - 2 * y"),
        ),
        "mean": ((" / S.size", ""), ("* (1 - S)", ""), ("X.T @ dLdN", "dLdN.T @ X")),
    },
    "01_foundations/Math": {
        "tanh": (("1 - t**2", "t * (1 - t)"), ("1 - t**2", "1 + t**2"), ("1 - t**2", "1 - t")),
        "trace": (("A.T", "A"), ("A.T", "X.T"), ("A.T", "X * A")),
        "richardson": (("4 / 3", "3 / 4"), ("4 / 3", "-1 / 3"), ("4 / 3", "2")),
    },
    "02_fundamentals/Code": {
        "mean": (
            (' / len(info["y"])', ""),
            ("-2 * (", "2 * ("),
            ("dLdP.sum(axis=0)", "dLdP.mean(axis=0)"),
        ),
        "tanh": (
            ("1 - O1**2", "1 - O1"),
            ("dLdO1 * (1 - O1**2)", "1 - O1**2"),
            ("1 - O1**2", "O1 * (1 - O1)"),
        ),
        "closed form": (
            ("A, y", "X, y"),
            ("[:-1]", "[1:]"),
            ("np.ones", "np.zeros"),
        ),
    },
    "02_fundamentals/Math": {
        "ridge": (("c * W", "c"), ("c * W", "2 * c * W"), (" + c * W", "")),
        "data": (("dN1 @ W1.T", "W1 @ dN1.T"), ("dN1 @ W1.T", "2 * dN1 @ W1.T"), ("W1.T", "W1")),
        "absolute": ((" / len(y)", ""), ("P - y", "y - P"), ("np.sign(P - y)", "(P - y)")),
    },
    "03_dlfs/Code": {
        "tanh": (("output_grad * ", ""), ("self.output**2", "self.output"), ("np.tanh", "np.sin")),
        "scale": (
            (
                "np.sum(output_grad * self.input_, axis=0, keepdims=True)",
                "output_grad * self.input_",
            ),
            ("output_grad * self.param", "output_grad"),
            ("output_grad * self.input_, axis=0", "output_grad, axis=0"),
        ),
        "absolute": (
            (" / self.prediction.shape[0]\n\n", "\n\n"),
            (
                "np.sign(self.prediction - self.target) / self.prediction.shape[0]",
                "np.sign(self.prediction - self.target)",
            ),
            ("np.sign(self.prediction - self.target)", "np.sign(self.target - self.prediction)"),
        ),
        "count": (("+ 50) +", ") +"), ("30 * 1 + 1", "30 * 1"), ("20 * 50", "20 + 50")),
    },
    "03_dlfs/Math": {
        "softplus": (
            ("np.exp(-x)", "np.exp(x)"),
            ("1 / (1", "np.exp(-x) / (1"),
            (WHOLE, "def softplus_derivative(x):\n    return 1 / (1 + x)"),
        ),
        "linear": (("W1 @ W2", "W2 @ W1"), ("W1 @ W2", "W1 + W2"), ("W1 @ W2", "W1")),
        "twice": (
            (" + X.T @ (G @ W.T)", ""),
            ("(X @ W).T @ G + ", ""),
            ("(X @ W).T @ G + X.T @ (G @ W.T)", "2 * (X @ W).T @ G"),
        ),
    },
    "04_extensions/Code": {
        "momentum": (
            (" + 0.1 * gradient", ""),
            ("0.1 * gradient", "gradient"),
            ("0.9 * velocity + ", ""),
        ),
        "dropout": (
            ("self.input_ * self.mask / self.keep", "self.input_ * self.mask"),
            ("output_grad * self.mask / self.keep", "output_grad * self.mask"),
            ("output_grad * self.mask / self.keep", "output_grad / self.keep"),
        ),
        "shares": (
            (" - (g * self.shares).sum(axis=1, keepdims=True)", ""),
            (") / self.sums", ")"),
            ("(g * self.shares).sum(axis=1", "g.sum(axis=1"),
        ),
    },
    "04_extensions/Math": {
        "temperature": ((" / tau", ""), ("/ tau", "* tau"), ("p - t", "t - p")),
        "memory": (("np.ceil", "np.floor"), ("0.01", "0.1"), (WHOLE, "memory = 10")),
        "relu": (
            ("2 / n_in", "1 / n_in"),
            ("np.sqrt(2 / n_in)", "2 / n_in"),
            ("2 / n_in", "2 * n_in"),
        ),
    },
    "05_convolutions/Code": {
        "dilation": (
            ("len(x) - d * (len(w) - 1)", "len(x) - len(w) + 1"),
            ("x_grad[p + d * i] += G[p] * w[i]", "x_grad[p + i] += G[p] * w[i]"),
            ("w_grad[i] +=", "w_grad[i] ="),
        ),
        "shift": (
            ("[1, 0, 0]", "[0, 0, 1]"),
            ("[1, 0, 0]", "[0, 1, 0]"),
            (WHOLE, "shift = [[0, 1, 0], [0, 0, 0], [0, 0, 0]]"),
        ),
        "pooling": ((" / 4", ""), ("/ 4", "/ 2"), (".repeat(2, axis=3)", "")),
        "bias": (
            ("axis=(0, 2, 3)", "axis=(2, 3)"),
            ("sum(", "mean("),
            ("axis=(0, 2, 3)", "axis=0"),
        ),
    },
    "05_convolutions/Convolution_Demos": {
        "count": ((" + 32", ""), ("16 * 32 * ", "32 * "), ("* 3 * 3 + 32", "* 3 + 32")),
        "sees": (
            ("(5, 1)", "(3, 1)"),
            ("stride * (width_seen - 1) + kernel", "stride * width_seen"),
            (WHOLE, "width_seen = 5 + 3 + 2"),
        ),
        "moved": (
            ("if step >= 0:", "if step < 0:"),
            (WHOLE, "def moved(images, step):\n    return np.roll(images, step, axis=-1)"),
            (WHOLE, "def moved(images, step):\n    return images[..., step:]"),
        ),
        "connection": (
            ('merge="add"', 'merge="concat"'),
            ("[], layers", "layers"),
            (WHOLE, "def residual_connection(layers):\n    return Residual(layers)"),
        ),
    },
    "05_convolutions/Math": {
        "size": (("+ 4 + 4", "+ 4"), ("2 * (7 - 1)", "(7 - 1)"), (" // 3 + 1", " // 3")),
        "matrix": (
            ("- d * (len(w) - 1) - 1", "- len(w)"),
            ("s * p : s * p", "p : p"),
            ("= w", "= w[::-1]"),
        ),
        "col2im": (
            ("+= share", "= share"),
            ("[..., i, j]", "[..., j, i]"),
            ("np.zeros(shape)", "np.ones(shape)"),
        ),
    },
    "06_rnns/Autograd_Simple": {
        "how-wrong": (("1 + 2 + 4 + 6", "6"), (" + 6", ""), ("1 + 2", "2 + 2")),
        "newton": (
            ("x - value.num", "x + value.num"),
            ("/ number.grad", "* number.grad"),
            ("steps):", "1):"),
        ),
        "sum-repeated": (
            (", keepdims=True", ""),
            ("grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))", "pass"),
            ("sum(axis=ones", "mean(axis=ones"),
        ),
        "softsign": (("below**2", "below"), ("g / below", "1 / below"), ("1 + np.abs(x)", "1 + x")),
        "rnn": (("h @ W_h", "h"), (".tanh()", ""), ("range(x.shape[1])", "range(1)")),
    },
    "06_rnns/Code": {
        "bits": (
            ("/ np.log(2)", "* np.log(2)"),
            ("np.exp(loss)", "2**loss"),
            ("loss / np.log(2)", "np.log2(loss)"),
        ),
        "temperature": (
            ("logits / temperature - np.max(logits / temperature)", "logits * temperature"),
            ("/ scaled.sum()", ""),
            ("logits / temperature - np.max(logits / temperature)", "logits"),
        ),
        "through-time": ((" + from_next", ""), ("self.W.T", "self.W"), (" * (1 - h**2)", "")),
        "two-halves": (
            ("x[:, middle:]", "x[:, :middle]"),
            ("parts = [", "layer.forward(x)\n    parts = ["),
            (
                "layer.forward(x[:, middle:])]",
                "(layer.reset_state(), layer.forward(x[:, middle:]))[1]]",
            ),
        ),
    },
    "06_rnns/From_Scratch": {
        "parameters": (
            ("4 * (", "3 * ("),
            (" + (256 * 62 + 62)", ""),
            ("256 * 256 + 256", "256 * 256"),
        ),
        "relu": (
            ("* (self.h > 0)", "* (1 - self.h**2)"),
            (' + self.h_in @ p["W_h"]', ""),
            ("* (self.h > 0)", ""),
        ),
        "adagrad": (
            ("np.sqrt(9 + 16)", "np.sqrt(16)"),
            ("np.sqrt(9 + 16)", "(9 + 16)"),
            ("1.0 - 0.5 * 3 / np.sqrt(9)", "1.0 - 0.5 * 3"),
        ),
    },
    "06_rnns/Math": {
        "long-memory": (("0.9 ** (1 / 100)", "0.9"), ("f / (1 - f)", "f"), ("1 / 100", "100")),
        "leaky": (
            ("g * (1 - alpha) + z_grad", "z_grad"),
            ("g * alpha *", "g *"),
            ("h.T @ z_grad", "z_grad.T @ h"),
        ),
        "coupled": (("(c - c_bar)", "c"), ("g * (1 - f) *", "g *"), (", g * f", ", g")),
    },
    "07_PyTorch/Code": {
        "derivative": (
            (".sum()", ".mean()"),
            ("return x.grad", "return x"),
            ("f(x).sum().backward()", "(f(x) ** 2).sum().backward()"),
        ),
        "shortcut": (
            ("x + super", "super"),
            ("x + super", "2 * x + super"),
            ("super()._compute(x)", "x"),
        ),
        "count": ((" + 14", ""), ("* 5 * 5 + 14", "* 5 * 5 + 7"), ("7 * 14", "14")),
        "move-in": (
            (", activation=dlfs.ReLU()", ""),
            ("        dlfs.Flatten(),\n", ""),
            ("        dlfs.MaxPool2D(2),\n", ""),
        ),
    },
    "07_PyTorch/From_Scratch": {
        "rate": (("**9", "**10"), ("0.2 * 0.9**9", "0.2 * 0.9 * 9"), ("0.2 * ", "")),
        "step": (
            ("    optim.zero_grad()\n", ""),
            ("    optim.step()\n", ""),
            (".item()", ""),
        ),
    },
    "07_PyTorch/Math": {
        "same": (
            (" + output_padding", ""),
            ("m * stride", "m"),
            ("+ output_padding", "+ kernel - 1"),
        ),
        "factor": (("1 / 2", "2"), ("1 / 2", "1"), ("1 / 2", "1 / 4")),
        "softplus": (
            ("output_grad * ", ""),
            ("torch.sigmoid", "torch.tanh"),
            ("torch.sigmoid(x)", "torch.sigmoid(-x)"),
        ),
    },
    "08_gradient_checking/Code": {
        "sigmoid": (
            (" * (1 - self.output)", ""),
            ("output_grad * ", ""),
            ("1 - self.output", "1 + self.output"),
        ),
        "bias": (("sum(", "mean("), ("axis=0", "axis=1"), (".sum(axis=0, keepdims=True)", "[:1]")),
        "relu": (("> 0", "< 0"), ("output_grad * (", "("), ("self.input_ > 0", "self.input_ > 1")),
        "product": (
            ("self.param.T", "self.param"),
            ("output_grad @ self.param.T", "output_grad"),
            ("output_grad @ self.param.T", "2 * output_grad @ self.param.T"),
        ),
        "softmax": (
            (" - along", ""),
            ("axis=1", "axis=0"),
            ("self.output * (output_grad", "(output_grad"),
        ),
        "loss": (
            ("self.prediction - self.target)", "self.target - self.prediction)"),
            ("2 * ", ""),
            (" / len(self.prediction)", ""),
        ),
        "square": (("2 * ", ""), ("output_grad * ", ""), ("* self.input_", "* self.output")),
        "slide": (
            ("w[2] * wide[:, :-2]", "w[0] * wide[:, :-2]"),
            ("w[1] * wide[:, 1:-1] + ", ""),
            ("w[0] * wide", "wide"),
        ),
        "squareplus": (
            (") / 2\n\n", ")\n\n"),
            ("output_grad * ", ""),
            ("(1 + self.input_ /", "(self.input_ /"),
        ),
        "absolute": (
            (" / len(self.prediction)", ""),
            ("self.prediction - self.target", "self.target - self.prediction"),
            ("np.sign", ""),
        ),
    },
    "08_gradient_checking/Math": {
        "onesided": (("h / 2", "h"), ("derivatives[2]", "derivatives[1]"), ("h / 2", "h**2 / 2")),
        "thirds": (
            ("(9 * fine - coarse) / 8", "(3 * fine - coarse) / 2"),
            (" / 8", ""),
            ("9 * fine - coarse", "9 * coarse - fine"),
        ),
        "permuted": (
            ("[[1.0, 2.0]] * 3", "[[1.0, 1.0]] * 3"),
            ("[[1.0, 2.0]] * 3", "[[1, 2], [3, 4], [5, 6]]"),
            ("[[1.0, 2.0]] * 3", "[[1.0, 2.0]] * 2"),
        ),
    },
    "09_from_numpy_to_cython/Code": {
        "roof": (
            ("min(", "max("),
            ("bandwidth * operations", "bandwidth / operations"),
            ("min(peak, bandwidth * operations_per_byte)", "peak"),
        ),
        "relu": (("(4 + 4)", "4"), ("1 / (4 + 4)", "8"), ("(4 + 4)", "(8 + 8)")),
        "blocks": (
            ("+= left", "= left"),
            ("left @ right", "right @ left"),
            ("np.zeros", "np.ones"),
        ),
        "einsum": (
            ("nopq", "noqp"),
            ("ncpqij,coij", "ncpqij,coji"),
            ("windows, W", "windows[..., ::-1, ::-1], W"),
        ),
    },
    "09_from_numpy_to_cython/Math": {
        "depthwise": (
            ("C * k**2 / (4", "C * k / (4"),
            (" / (4 * (2", " / ((2"),
            ("(2 * N * H * C + ", "(N * H * C + "),
        ),
        "tile": (
            ("[0][1:]", "[1][1:]"),
            ("tiles(16)[0][1:]", "tiles(16)[0][:2]"),
            (WHOLE, "best_tile = (3, 4)"),
        ),
        "larger": ((" ** 2", ""), ("4 * 4 * 3 * 3", "4 * 3"), ("(4 + 3 - 1)", "(4 + 3)")),
        "kahan": (
            ("term + lost", "term"),
            ("corrected - (t - total)", "0"),
            ("corrected - (t - total)", "t - total - corrected"),
        ),
    },
    "10_transformers/Code": {
        "mask": (
            ("-np.inf", "0.0"),
            ("np.tri(len(scores), dtype=bool)", "~np.tri(len(scores), dtype=bool).T"),
            ("scores, -np.inf", "-np.inf, scores"),
        ),
        "previous": (("20 *", "2 *"), ("k=-1", "k=1"), ("np.eye(6, k=-1)", "np.eye(5, k=-1)")),
        "rms": (
            (" - along * self.output", ""),
            (") / self.root\n", ")\n"),
            ("self.input_**2", "self.input_"),
        ),
    },
    "10_transformers/GPT": {
        "top-p": (
            (" - p[order]\n", "\n"),
            ("kept / kept.sum()", "kept"),
            ("argsort(-p)", "argsort(p)"),
        ),
        "blocks": (
            ("total * np.exp(largest - new) + powers", "total + powers"),
            ("return output / total", "return output"),
            ("output * np.exp(largest - new) + powers", "output + powers"),
        ),
        "weights": (
            ("12 * width**2", "8 * width**2"),
            ("+ 13 * width", ""),
            ("blocks * block + ends", "block + ends"),
        ),
    },
    "10_transformers/Math": {
        "symmetric": (
            ("np.zeros((2, 2))", "P_grad"),
            ("np.zeros((2, 2))", "np.eye(2) * [1, 2]"),
            ("np.zeros((2, 2))", "P_grad / 2"),
        ),
        "query": (
            ("p_grad - p @ p_grad", "p_grad"),
            ("s_grad / math.sqrt(len(q))", "s_grad"),
            ("K.T @", "V.T @"),
        ),
        "variance": (("d * v**2", "d * v"), ("d ** (2 * a)", "d ** a"), ("d * v**2", "v**2")),
    },
    "11_many_machines/Code": {
        "weights": (
            (" / sum(counts)", " / len(counts)"),
            ("count * grad", "grad"),
            (" / sum(counts)", ""),
        ),
        "metric": (
            ("(1 * 1 + 2 * 0.5 + 10 * 0.9) / 13", "(1 + 0.5 + 0.9) / 3"),
            ("/ 13", "/ 3"),
            ("10 * 0.9", "0.9"),
        ),
        "zero": (
            ("sum(gradients)", "sum(gradients) / n"),
            ("piece - v", "piece + v"),
            ("0.9 * v + 0.1 * g", "0.1 * g"),
        ),
    },
    "11_many_machines/Math": {
        "bytes": (("2 * (n - 1)", "(n - 1)"), (" / n", ""), ("(n - 1)", "n")),
        "variance": (
            ("(1 - mean_of_all) ** 2", "0"),
            ("(10 * (4 + (1 - mean_of_all) ** 2) + 30 * (2 + (5 - mean_of_all) ** 2)) / 40", "3"),
            ("(10 * 1 + 30 * 5) / 40", "3"),
        ),
        "half": (("max(", "min("), ("<= 2e-3", "<= 8e-3"), ("n * (30e-6", "(30e-6")),
    },
}
