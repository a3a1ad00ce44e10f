"""A line of the results: one piece of work, timed for several contenders."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from threadpoolctl import threadpool_limits

import dlfs
from benchmarks.limit import Limit
from dlfs.backend import use_backend

Call = Callable[[], Any]
Contenders = dict[str, Call]

Targets = tuple[float | None, float | None]

FAST, REFERENCE, TORCH = "dlfs fast", "dlfs reference", "PyTorch"
JAX, COMPILED = "jax.jit", "torch.compile"
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Work:
    """One piece of work.

    make(dtype) sets it up and returns a call for each contender. `targets` are the project's target
    ratios of PyTorch's time to ours, for float32 and float64; `against_reference` and `against_jax`
    those of the reference's and jax.jit's. `multiply_adds` counts the nominal ones (including those
    with padding's zeros), where they dominate the time. `compilers` returns the same work compiled
    by other libraries. `random` results are not compared. `step(dtype)` is a training step of dlfs,
    whose kernels give the machine's limit; `share` is the goal for it.
    """

    group: str
    name: str
    make: Callable[[str], Contenders]
    targets: Targets = (None, None)
    multiply_adds: float | None = None
    against_reference: float | None = None
    against_jax: float | None = None
    reference: bool = True
    compilers: Callable[[str], Contenders] | None = None
    random: bool = False
    step: Callable[[str], Call] | None = None
    share: float | None = None
    section: str = "Other kernels and layers"

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}" if self.name else self.group

    def target(self, dtype: str) -> float | None:
        return self.targets[DTYPES.index(dtype)]


@dataclass
class Result:
    """The result of one piece of work for one dtype and one number of threads."""

    work: Work
    dtype: str
    threads: int
    times: dict[str, float] = field(default_factory=dict)
    peak: float | None = None
    limit: Limit | None = None

    @property
    def ratio(self) -> float:
        return self.times[TORCH] / self.times[FAST]

    def over_ours(self, name: str) -> float | None:
        """Return another contender's time over ours."""
        return self.times[name] / self.times[FAST] if name in self.times else None

    @property
    def share_of_peak(self) -> float | None:
        count = self.limit.multiply_adds if self.limit else self.work.multiply_adds
        if count is None or self.peak is None:
            return None
        return 2 * count / self.times[FAST] / self.peak

    @property
    def share_of_limit(self) -> float | None:
        """The least possible time, with the allowance for Python, over ours."""
        if self.limit is None or self.peak is None or self.threads > 1:
            return None
        return (self.limit.seconds(self.peak) + self.limit.allowance()) / self.times[FAST]

    @property
    def goals(self) -> list[tuple[str, float, float]]:
        """Return what is compared, how far it came, and the target."""
        work = self.work
        wanted = [
            (TORCH, self.over_ours(TORCH), work.target(self.dtype)),
            (REFERENCE, self.over_ours(REFERENCE), work.against_reference),
            (JAX, self.over_ours(JAX), work.against_jax),
            ("the machine's limit", self.share_of_limit, work.share),
        ]
        return [
            (name, reached, target)
            for name, reached, target in wanted
            if reached is not None and target is not None
        ]

    @property
    def missed(self) -> bool:
        """Whether any of the targets is missed."""
        return any(round(reached, 2) < target for _, reached, target in self.goals)


def on_backend(name: str, set_up: Callable[[], Call]) -> Call:
    """Set up and run work on a backend of dlfs."""
    with use_backend(name):
        call = set_up()

    def chosen() -> Any:
        with use_backend(name):
            return call()

    return chosen


def on_threads(n: int) -> ExitStack:
    """Give every contender ``n`` threads, until the stack is closed."""
    stack = ExitStack()
    stack.callback(dlfs.set_num_threads, dlfs.get_num_threads())
    stack.callback(torch.set_num_threads, torch.get_num_threads())
    stack.enter_context(threadpool_limits(n, user_api="blas"))
    torch.set_num_threads(n)
    dlfs.set_num_threads(n)
    return stack
