"""Wraps an Operation or a loss for the checkers of dlfs, PyTorch and JAX, and runs them."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from jax.test_util import check_grads

from dlfs.gradcheck import check_gradients
from dlfs.gradcheck.cases import Case

# Otherwise JAX silently computes in float32.
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")
warnings.filterwarnings("ignore", module="torch")
torch.set_num_threads(1)


def arrays(case: Case) -> list[np.ndarray]:
    """Return the variables: the input, and the parameter if there is one."""
    param = getattr(case.target, "param", None)
    return [np.array(case.x)] + ([] if param is None else [np.array(param)])


def run_forward(case: Case, *given: np.ndarray) -> tuple[Any, np.ndarray]:
    """Run a copy forward; return it and its output. Each pass has its own memory."""
    target = copy.deepcopy(case.target)
    given = tuple(np.array(array) for array in given)
    if case.y is not None:
        return target, np.array(target.forward(given[0], case.y), dtype=given[0].dtype)
    if len(given) > 1:
        target.param = given[1]
    return target, np.array(target.forward(given[0], case.inference))


def run_backward(case: Case, target: Any, output_grad: np.ndarray) -> tuple[np.ndarray, ...]:
    """Run the same copy backward."""
    output_grad = np.array(output_grad)
    if case.y is not None:
        return (np.array(target.backward()) * output_grad,)
    grads = (np.array(target.backward(output_grad)),)
    return (*grads, np.array(target.param_grad)) if hasattr(target, "param") else grads


class TorchFunction(torch.autograd.Function):
    """An Operation or a loss as a function of PyTorch."""

    @staticmethod
    def forward(ctx: Any, case: Case, *given: torch.Tensor) -> torch.Tensor:
        ctx.case = case
        ctx.target, output = run_forward(case, *(tensor.detach().numpy() for tensor in given))
        return torch.from_numpy(output)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        found = run_backward(ctx.case, ctx.target, grad.numpy())
        return (None, *map(torch.from_numpy, found))


def torch_passes(case: Case, *, ones: bool) -> bool:
    """Run torch.autograd.gradcheck with its defaults."""

    def function(*given: torch.Tensor) -> torch.Tensor:
        output = TorchFunction.apply(case, *given)
        return output.sum() if ones else output

    inputs = [torch.tensor(array, requires_grad=True) for array in arrays(case)]
    try:
        return bool(torch.autograd.gradcheck(function, inputs, raise_exception=False))
    except Exception:  # noqa: BLE001 - a crash in backward counts as caught
        return False


def jax_function(case: Case, *, ones: bool) -> Callable[..., Any]:
    """Return an Operation or a loss as a JAX function: pure functions that call back to NumPy."""
    full = run_forward(case, *arrays(case))[1]
    # Summed here, because JAX would compile a sum for every shape.
    output = full.sum() if ones else full
    shape = jax.ShapeDtypeStruct(output.shape, output.dtype)
    shapes = tuple(jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays(case))

    def push(*given: np.ndarray) -> np.ndarray:
        output = run_forward(case, *given)[1]
        return np.asarray(output.sum()) if ones else output

    def pull(grad: np.ndarray, *given: np.ndarray) -> tuple[np.ndarray, ...]:
        target, _ = run_forward(case, *given)
        return run_backward(case, target, np.broadcast_to(grad, full.shape))

    @jax.custom_vjp
    def function(*given: Any) -> Any:
        return jax.pure_callback(push, shape, *given)

    function.defvjp(
        lambda *given: (function(*given), given),
        lambda given, grad: jax.pure_callback(pull, shapes, grad, *given),
    )
    return function


def jax_passes(case: Case, *, ones: bool) -> bool:
    """Run jax.test_util.check_grads on first derivatives in reverse mode, with its defaults."""
    try:
        check_grads(jax_function(case, ones=ones), arrays(case), order=1, modes=["rev"])
    except Exception:  # noqa: BLE001 - its own AssertionError, or a crash in backward
        return False
    return True


def dlfs_passes(case: Case) -> bool:
    """Run dlfs's checker with its defaults, without hints."""
    return check_gradients(
        case.target, case.x, y=case.y, inference=case.inference, hints=False
    ).passed


CHECKERS: dict[str, Callable[[Case], bool]] = {
    "dlfs": dlfs_passes,
    "torch": lambda case: torch_passes(case, ones=False),
    "torch, all ones": lambda case: torch_passes(case, ones=True),
    "jax": lambda case: jax_passes(case, ones=False),
    "jax, all ones": lambda case: jax_passes(case, ones=True),
}
