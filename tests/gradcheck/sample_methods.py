"""Lines of backward passes, of which ``test_source.py`` lists the changes that are tried."""

import numpy as np

from dlfs.base import Operation

k = 1


class Samples(Operation):
    """Each method has something to change; none is ever run."""

    def sums_grad(self, output_grad):
        return output_grad.sum(axis=0) - np.mean(output_grad, axis=(0, 1), keepdims=True)

    def plain_sums_grad(self, output_grad):
        return np.sum(self.other) * self.other.max()

    def mean_of_array_grad(self, output_grad):
        return self.other + output_grad

    def product_grad(self, output_grad):
        return (self.other + 1) @ self.other.T

    def index_grad(self, output_grad):
        return self.other[k - 1, 2:]

    def single_index_grad(self, output_grad):
        return self.other[k]

    def stored_grad(self, output_grad):
        self.other[2 * k] = self.value
        self.text = "text"

    def running_sum_grad(self, output_grad):
        return np.cumsum(self.other, axis=1)

    def comparison_grad(self, output_grad):
        return np.where(self.other > 0.5, 1.5, self.value)

    def list_grad(self, output_grad):
        return np.stack([self.one, self.two, self.three])

    def pair_grad(self, output_grad):
        return (self.one, self.two)

    def signs_grad(self, output_grad):
        return -self.one - (self.two + ~self.three)

    def names_grad(self, output_grad):
        return np.sin(self.one) + np.zeros_like(self.two)

    def numbers_grad(self, output_grad):
        return 3 * self.one**2 / 0.5

    def sizes_grad(self, output_grad):
        return self.one / len(self.two + 1) / self.three.size

    def everywhere_grad(self, output_grad):
        a = self.output.sum(axis=0)
        b = a.sum(axis=0)
        return self.output * b + self.output_grad + self.output

    def condition_grad(self, output_grad):
        if self.one > 0:
            return self.two
        grad = 1.0
        grad += self.three
        return None
