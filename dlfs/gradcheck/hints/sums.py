"""Wrong sums: terms that are missing, overwritten, or added in the wrong order."""

from collections.abc import Iterator

import numpy as np

from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.report import Hint
from dlfs.types import Array

_CLOSE = 1e-6


def sums(evidence: Evidence) -> Iterator[Hint]:
    """Try a missing output gradient, an incomplete sum, and mixed axes."""
    # If the first explains the gradient, the others are less specific.
    for diagnose in (
        _through_time,
        _output_grad_forgotten,
        _axes_mixed,
        _incomplete,
        _diagonal,
        _mean_of_rows,
    ):
        found = list(diagnose(evidence))
        if found:
            yield from found
            return


def _output_grad_forgotten(evidence: Evidence) -> Iterator[Hint]:
    if evidence.output_grad.ndim and evidence.explains(
        evidence.from_jacobian(np.ones_like(evidence.output_grad))
    ):
        yield evidence.hint(
            "output_grad_forgotten",
            "it is the gradient for an output gradient of ones: the output gradient is missing "
            "from the formula (chain rule).",
        )


def _axes_mixed(evidence: Evidence) -> Iterator[Hint]:
    """Try output gradients whose axes are in the wrong order for a matrix product."""
    grad = evidence.output_grad
    if grad.ndim < 3 or evidence.jacobian is None:
        return
    batch, channels = grad.shape[:2]
    flat = grad.reshape(batch, channels, -1)
    pixels = flat.shape[2]
    pixel_major = flat.transpose(1, 2, 0).reshape(channels, batch, pixels).transpose(1, 0, 2)
    batch_major = flat.transpose(1, 0, 2).reshape(channels, pixels, batch).transpose(2, 0, 1)
    orders = {
        "batch and pixels": (pixel_major, batch_major),
        "batch and channels": (
            grad.reshape(channels, batch, pixels).transpose(1, 0, 2),
            flat.transpose(1, 0, 2).reshape(batch, channels, pixels),
        ),
        "channels and pixels": (
            grad.reshape(batch, pixels, channels).transpose(0, 2, 1),
            flat.transpose(0, 2, 1).reshape(batch, channels, pixels),
        ),
    }
    for what, candidates in orders.items():
        for candidate in candidates:
            if evidence.explains(evidence.from_jacobian(candidate.reshape(grad.shape))):
                yield evidence.hint(
                    "axes_mixed",
                    f"{what} are mixed up: before the matrix product the output gradient (or the "
                    "input) was reshaped without transposing its axes first, so the product "
                    "multiplies numbers from different places.",
                )
                return


def _incomplete(evidence: Evidence) -> Iterator[Hint]:
    """Try sums of which only one term is kept."""
    contributions = evidence.contributions()
    if contributions is None or not evidence.output_grad.ndim:
        return
    shape = evidence.output_grad.shape
    groups = {"batch": _grouped(contributions, shape, (0,))}
    if len(shape) > 2:
        groups["place"] = _grouped(contributions, shape, tuple(range(2, len(shape))))
        groups["row"] = _grouped(contributions, shape, (2,))
        groups["batch and place"] = _grouped(contributions, shape, (0, *range(2, len(shape))))
        groups["all but the last axis"] = _grouped(
            contributions, shape, tuple(range(len(shape) - 1))
        )
    if len(shape) > 1:
        groups["feature"] = _grouped(contributions, shape, (1,))
    groups["single output"] = contributions
    for what, terms in groups.items():
        found = _only_one(evidence, terms)
        if found is None:
            continue
        which, the_same_for_all = found
        if what == "batch" and the_same_for_all and not evidence.is_input:
            yield evidence.hint(
                "not_summed",
                f"it contains only the {which} observation of the batch: the gradient of a "
                "parameter is the sum over all of them.",
            )
        else:
            yield evidence.hint(
                "overwritten",
                f"of several contributions to the same entry only the {which} is kept: it is "
                "overwritten (=) where it must be added (+=; np.add.at for repeated indices).",
            )
        return


def _mean_of_rows(evidence: Evidence) -> Iterator[Hint]:
    """Try the mean over the places of an index where the sum belongs, in a table of rows."""
    x, table = evidence.x, evidence.variable
    if evidence.is_input or getattr(x, "dtype", table.dtype).kind not in "iu" or table.ndim != 2:
        return
    counts = np.bincount(x.reshape(-1), minlength=len(table))[:, np.newaxis]
    if counts.max(initial=0) < 2 or len(counts) != len(table):
        return
    if evidence.explains(evidence.numeric / counts.clip(1)):
        yield evidence.hint(
            "repeated_rows",
            "a row that is looked up several times gets the mean of its gradients; it must get "
            "their sum (np.add.at).",
        )


def _grouped(contributions: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Sum contributions over all output axes except ``axes``."""
    terms = contributions.reshape(*shape, -1)
    others = tuple(axis for axis in range(len(shape)) if axis not in axes)
    summed: Array = terms.sum(axis=others)
    return summed.reshape(-1, contributions.shape[1])


def _only_one(evidence: Evidence, terms: Array) -> tuple[str, bool] | None:
    """Say which single term the analytic gradient has, and whether it is the same for all entries.

    If not, it is the first or last of those that contribute to an entry.
    """
    present = np.abs(terms) > 1e-9 * evidence.scale
    if terms.shape[0] < 2 or not np.any(present.sum(axis=0) > 1):
        return None
    first = np.argmax(present, axis=0)
    last = terms.shape[0] - 1 - np.argmax(present[::-1], axis=0)
    entries = np.arange(terms.shape[1])
    for which, row in (("last", -1), ("first", 0)):
        if evidence.explains(terms[row].reshape(evidence.variable.shape)):
            return which, True
    for which, rows in (("last", last), ("first", first)):
        if evidence.explains(terms[rows, entries].reshape(evidence.variable.shape)):
            return which, False
    return None


def _diagonal(evidence: Evidence) -> Iterator[Hint]:
    jacobian = evidence.jacobian
    if jacobian is None or jacobian.shape[0] != jacobian.shape[1] or evidence.elementwise:
        return
    if evidence.output.shape == evidence.variable.shape and evidence.explains(
        evidence.slopes() * evidence.output_grad
    ):
        yield evidence.hint(
            "diagonal_only",
            "only the diagonal of the Jacobian is used: each output is treated as if it depended "
            "on its own input alone, but it depends on all inputs of its row.",
        )


def _through_time(evidence: Evidence) -> Iterator[Hint]:
    contributions, grad = evidence.contributions(), evidence.output_grad
    shape = evidence.variable.shape
    if contributions is None or grad.ndim != 3 or len(shape) != 3 or grad.shape[:2] != shape[:2]:
        return
    steps = np.arange(shape[1])
    same = (steps[:, None] == steps).astype(np.float64)
    terms = contributions.reshape(*grad.shape, *shape)
    if evidence.explains(np.einsum("btfmsg,ts->msg", terms, same)):
        yield evidence.hint(
            "not_through_time",
            "each step gets only the gradient of its own output: the gradient of the state is not "
            "carried back to the earlier steps.",
        )
