"""Networks that together hold every kind of layer, and data for each."""

import numpy as np

import dlfs


def dense(dtype, seed=3):
    layers = [
        dlfs.Dense(13, activation=dlfs.Tanh()),
        dlfs.LayerNorm(),
        dlfs.Dense(11, activation=dlfs.Sigmoid()),
        dlfs.BatchNorm(),
        dlfs.Dense(9, activation=dlfs.GELU(), dropout=0.8),
        dlfs.Dense(7, activation=dlfs.SiLU()),
        dlfs.Dense(6, activation=dlfs.ELU()),
        dlfs.Dense(5, activation=dlfs.Softplus()),
        dlfs.Dense(4, activation=dlfs.LeakyReLU()),
    ]
    return dlfs.NeuralNetwork(layers, dlfs.SoftmaxCrossEntropy(), seed, dtype), (17,)


def images(dtype, seed=3):
    layers = [
        dlfs.Conv2D(8, 5, activation=dlfs.Tanh(), weight_init="glorot"),
        dlfs.MaxPool2D(2),
        dlfs.Conv2D(8, 3, activation=dlfs.ReLU(), groups=2, weight_init="he"),
        dlfs.AvgPool2D(2, padding=1),
        dlfs.ConvTranspose2D(6, 3, stride=2, activation=dlfs.Sigmoid()),
        dlfs.BatchNorm(),
        dlfs.Conv2D(4, (3, 2), stride=2, padding="valid"),
        dlfs.GlobalAvgPool2D(),
    ]
    return dlfs.NeuralNetwork(layers, dlfs.SoftmaxCrossEntropy(), seed, dtype), (2, 14, 12)


def sequences(dtype, seed=3):
    layers = [
        dlfs.Embedding(10, 6),
        dlfs.Reshape((6, 12)),
        dlfs.Conv1D(5, 3, activation=dlfs.Tanh(), dilation=2),
        dlfs.Flatten(),
        dlfs.Dense(4),
    ]
    return dlfs.NeuralNetwork(layers, dlfs.SoftmaxCrossEntropy(), seed, dtype), (12,)


def recurrent(dtype, seed=3):
    layers = [
        dlfs.LSTMLayer(7, vocabulary_size=10, carry="mean"),
        dlfs.GRULayer(6, reset="after"),
        dlfs.GRULayer(5),
        dlfs.RNNLayer(3, output_size=2),
        dlfs.Flatten(),
        dlfs.Dense(4),
    ]
    return dlfs.NeuralNetwork(layers, dlfs.SoftmaxCrossEntropy(), seed, dtype), (12,)


NETS = {"dense": dense, "images": images, "sequences": sequences, "recurrent": recurrent}
OPTIMIZERS = {
    "sgd": lambda: dlfs.SGD(0.05),
    "momentum": lambda: dlfs.SGDMomentum(0.02, nesterov=True),
    "adagrad": lambda: dlfs.AdaGrad(0.02),
    "rmsprop": lambda: dlfs.RMSProp(0.003),
    "adam": lambda: dlfs.Adam(0.003),
    "adamw": lambda: dlfs.AdamW(0.003),
}


def data(shape, rows, seed=0):
    """Return a batch that a network of this input shape takes, and labels of 4 classes."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 10, (rows, *shape)) if shape == (12,) else rng.normal(size=(rows, *shape))
    return X, rng.integers(0, 4, rows)


def train(make, optimizer, steps, dtype="float64", rows=16, seed=3):
    """Return the losses and the final parameters of a short training."""
    net, shape = make(dtype, seed)
    optim = OPTIMIZERS[optimizer]()
    optim.net = net
    net.build(shape)
    losses = []
    for step in range(steps):
        losses.append(net.train_batch(*data(shape, rows, step % 7)))
        optim.step()
    return losses, [param.copy() for param in net.params()]
