"""What the mistakes are made of."""

from typing import Any

import numpy as np

from dlfs.base import Operation, ParamOperation


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def operation(output: Any, input_grad: Any, **attributes: Any) -> Operation:
    """Return an Operation of functions of the input and the output."""
    return type(
        "Wrong",
        (Operation,),
        {
            "_output": lambda self: output(self.input_),
            "_input_grad": lambda self, g: input_grad(g, self.input_, self.output),
            **attributes,
        },
    )()


def with_param(param: np.ndarray, output: Any, param_grad: Any, input_grad: Any) -> ParamOperation:
    """Return an Operation of functions of the input and the parameter."""
    return type(
        "Wrong",
        (ParamOperation,),
        {
            "_output": lambda self: output(self.input_, self.param),
            "_input_grad": lambda self, g: input_grad(g, self.input_, self.param),
            "_param_grad": lambda self, g: param_grad(g, self.input_, self.param),
        },
    )(param)
