"""Prints lines during the run, and writes benchmarks/RESULTS.md at the end."""

import re
from collections.abc import Sequence

import torch

import dlfs_ext
from benchmarks import sizes
from benchmarks.accuracy import Accuracy
from benchmarks.epoch import Epoch
from benchmarks.limit import seconds_per_call
from benchmarks.machine import description
from benchmarks.peak_memory import Memory
from benchmarks.sizes import Cost
from benchmarks.work import COMPILED, DTYPES, FAST, JAX, REFERENCE, TORCH, Result
from dlfs.commands.stopwatch import readable

INTRODUCTION = """\
# Benchmarks

Written by `make bench`; do not edit. A ratio is PyTorch's time over ours: above 1 dlfs is faster.
**Bold** ratios miss their target, the number after "of". The contenders take turns in one process
(A B A B); each time is the median of its samples, our Python overhead included. Before that, their
results are compared. PyTorch runs eagerly, with tuned malloc (freed memory is kept instead of
returned to the system) and its fused optimizer. "Peak" compares the multiply-adds per second with
those of the same number of threads working on registers only, measured in the same rounds. Nominal
multiply-adds are counted: Winograd's algorithm, which needs fewer, may exceed 100 %.
"""


SIZES = """\
## Cost over size

The time per multiply-add of the forward pass and both gradients, one thread, for sizes of at least
a million multiply-adds: how many are within 1.5 times the best of their kind, and which is the
worst. Where its time is close to the machine's limit (above), memory sets it: a small batch reads
every weight for few products.

![Picoseconds per multiply-add, over the number of multiply-adds](cost_over_size.png)
"""


def line(result: Result) -> str:
    """Format one result as a line of text."""
    times = result.times
    shown = " ".join(f"{readable(times[name]):>9}" for name in (FAST, TORCH) if name in times)
    reference = readable(times[REFERENCE]) if REFERENCE in times else "-"
    target = result.work.target(result.dtype)
    wanted = f"target {target:<5g}" if target is not None else " " * 12
    peak = result.share_of_peak
    others = [
        f" {name} {ratio:.2f}" for name in (JAX, COMPILED) if (ratio := result.over_ours(name))
    ]
    return (
        f"{result.work.title:<70.70} {result.dtype} {result.threads}t  {shown} {reference:>9}  "
        f"ratio {result.ratio:6.2f}  {wanted}{'MISSED' if result.missed else '':<7}"
        f"{'' if peak is None else f' peak {peak:4.0%}'}{''.join(others)}"
    ).rstrip()


def epoch_line(epoch: Epoch) -> str:
    parts = [
        f"{name} {seconds:.2f} s ({epoch.accuracy[name]:.2%})"
        for name, seconds in epoch.seconds.items()
    ]
    missed = "" if epoch.ratio >= 1 else "  MISSED"
    return (
        f"The demo's epoch, {epoch.threads}t: {', '.join(parts)}, ratio {epoch.ratio:.2f}{missed}"
    )


def accuracy_line(accuracy: Accuracy) -> str:
    parts = [
        f"{name} {median:.1e} (largest {most:.1e})"
        for name, (median, most) in accuracy.errors.items()
    ]
    return f"{accuracy.name}, float32 error: {', '.join(parts)}"


def markdown(
    results: Sequence[Result],
    epochs: Sequence[Epoch],
    accuracies: Sequence[Accuracy],
    further: Sequence[str] = (),
    note: str = "",
) -> str:
    """Return the content of the results file."""
    blocks = [INTRODUCTION, _machine(), _summary(results)]
    if note:
        blocks.insert(2, f"{note}\n")
    counts = sorted({result.threads for result in results})
    blocks += [_tables([r for r in results if r.threads == n], n) for n in counts]
    blocks.append(_others(results))
    if any(result.limit for result in results):
        blocks.append(_limits(results))
    if epochs:
        blocks.append(_epochs(epochs))
    blocks += [text for text in further if text]
    blocks.append(_accuracies(accuracies))
    return "\n".join(blocks)


def _machine() -> str:
    lines = ["## The machine\n", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in description()]
    return "\n".join(lines) + "\n"


def _summary(results: Sequence[Result]) -> str:
    goals = [(result, *goal) for result in results for goal in result.goals]
    missed = [goal for goal in goals if round(goal[2], 2) < goal[3]]
    text = f"## Targets\n\n{len(goals) - len(missed)} of {len(goals)} reached"
    if not missed:
        return text + ".\n"
    rows = [
        f"- {r.work.title}, {r.dtype}, {r.threads} thread{'s' if r.threads > 1 else ''}, "
        f"{name}: {reached:.2f} of {target:g}"
        for r, name, reached, target in sorted(missed, key=lambda goal: goal[2] / goal[3])
    ]
    return text + "; missed, the worst first:\n\n" + "\n".join(rows) + "\n"


def _tables(results: Sequence[Result], threads: int) -> str:
    """Return a table for each section: a line for each work, both dtypes beside each other."""
    plural = "s" if threads > 1 else ""
    blocks = [f"## {threads} thread{plural}\n"]
    for section in dict.fromkeys(result.work.section for result in results):
        lines = _lines([result for result in results if result.work.section == section])
        dtypes = [dtype for dtype in DTYPES if any(dtype in found for found in lines.values())]
        heads = [f"{dtype}: dlfs | PyTorch | ratio | peak" for dtype in dtypes]
        blocks.append(f"### {section}{f', {threads} threads' if threads > 1 else ''}\n")
        blocks.append(f"| work | {' | '.join(heads)} |")
        blocks.append("|---|" + "--:|" * 4 * len(dtypes))
        for title, found in lines.items():
            cells = [cell for d in dtypes for cell in _cells(found.get(d))]
            blocks.append(f"| {title} | {' | '.join(cells)} |")
        blocks.append("")
    return "\n".join(blocks)


def _cells(result: Result | None) -> list[str]:
    if result is None:
        return [""] * 4
    target, peak = result.work.target(result.dtype), result.share_of_peak
    return [
        readable(result.times[FAST]),
        readable(result.times[TORCH]),
        _against(result.ratio, target),
        "" if peak is None else f"{peak:.0%}",
    ]


def _others(results: Sequence[Result]) -> str:
    """Return the table of the other contenders."""
    columns = [
        (dtype, name)
        for dtype in DTYPES
        for name in (JAX, COMPILED, REFERENCE)
        if any(r.dtype == dtype and r.threads == 1 and name in r.times for r in results)
    ]
    if not columns:
        return ""
    rows = [
        "## Other contenders\n",
        "Their time over ours, on one thread: the training step compiled as a whole by JAX; its",
        "forward and backward pass compiled by PyTorch (in float32 only, because compiling takes",
        "long); dlfs's own reference.\n",
        f"| work | {' | '.join(f'{dtype}: {name}' for dtype, name in columns)} |",
        "|---|" + "--:|" * len(columns),
    ]
    for title, found in _lines([r for r in results if r.threads == 1]).items():
        cells = [_other(found.get(dtype), name) for dtype, name in columns]
        if any(cells):
            rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _other(result: Result | None, name: str) -> str:
    if result is None:
        return ""
    targets = {JAX: result.work.against_jax, REFERENCE: result.work.against_reference}
    return _against(result.over_ours(name), targets.get(name))


def _lines(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    """Return the results of each work by dtype."""
    lines: dict[str, dict[str, Result]] = {}
    for result in results:
        lines.setdefault(result.work.title, {})[result.dtype] = result
    return lines


def _limits(results: Sequence[Result]) -> str:
    """Return the table of the machine's limit for each training step."""
    rows = [
        "## The machine's limit\n",
        "The least time of a step on one thread: the sum over its kernels of the larger of two",
        "times, multiply-adds at the peak, and bytes at the speed of a copy of as many. Python is",
        f"allowed {readable(seconds_per_call())} for each call of a kernel. The share is that of",
        "both in our time. Nominal multiply-adds are counted, though Winograd's algorithm needs",
        "fewer.\n",
        "| work | dtype | multiply-adds | kernels | limit | Python | dlfs | share |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        limit, share = result.limit, result.share_of_limit
        if result.threads == 1 and limit and result.peak and share:
            cells = [
                result.work.title,
                result.dtype,
                f"{limit.multiply_adds / 1e6:,.0f} million",
                str(len(limit.kernels)),
                readable(limit.seconds(result.peak)),
                readable(limit.allowance()),
                readable(result.times[FAST]),
                f"{share:.0%}" if result.work.share is None else _goal(share, result.work.share),
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _goal(share: float, goal: float) -> str:
    return f"{share:.0%} of {goal:.0%}" if share >= goal else f"**{share:.0%}** of {goal:.0%}"


def _against(ratio: float | None, target: float | None) -> str:
    if ratio is None:
        return ""
    shown = (
        f"**{ratio:.2f}**" if target is not None and round(ratio, 2) < target else f"{ratio:.2f}"
    )
    return shown if target is None else f"{shown} of {target:g}"


def _epochs(epochs: Sequence[Epoch]) -> str:
    rows = [
        "## The demo's epoch\n",
        "Network, data and recipe of `make demo` (60,000 images, batch 32, float32), from the same",
        "initial weights: seconds of training alone, and test accuracy.\n",
        "| threads | dlfs | PyTorch | ratio | accuracy, dlfs | accuracy, PyTorch |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for epoch in epochs:
        ratio = f"{epoch.ratio:.2f}" if epoch.ratio >= 1 else f"**{epoch.ratio:.2f}**"
        seconds, accuracy = epoch.seconds, epoch.accuracy
        rows.append(
            f"| {epoch.threads} | {seconds[FAST]:.2f} s | {seconds[TORCH]:.2f} s | {ratio} "
            f"| {accuracy[FAST]:.2%} | {accuracy[TORCH]:.2%} |"
        )
    return "\n".join(rows) + "\n"


def lower_instructions(results: Sequence[Result]) -> str:
    """Return the section on a lower instruction set for all libraries."""
    isa, theirs = dlfs_ext.isa().upper(), torch.backends.cpu.get_cpu_capability()
    summary = _summary(results).replace("## Targets", f"## {isa}")
    text = f"Both libraries use {isa} (PyTorch says {theirs}); the target of every line is 1.\n"
    tables = _tables(results, 1).replace("## 1 thread\n", "")
    tables = re.sub(r"^### (.*)", rf"### \1, {isa}", tables, flags=re.MULTILINE)
    return "\n".join([summary, text, tables])


def costs(found: Sequence[Cost]) -> str:
    """Return the section on cost over size."""
    return "\n".join([SIZES, *sizes.table(found), ""])


def memories(found: Sequence[Memory]) -> str:
    """Return the section on memory."""
    rows = [
        "## Memory of a training step\n",
        "The largest size of the process during three steps, above its size before them. Each is a",
        "process of its own, with the usual malloc and one thread, after a step of one row.\n",
        "| network | dtype | dlfs | PyTorch | dlfs / PyTorch |",
        "|---|---|--:|--:|--:|",
    ]
    for memory in found:
        ours, theirs = memory.sizes[FAST], memory.sizes[TORCH]
        ratio = f"{ours / theirs:.2f}" if ours <= theirs else f"**{ours / theirs:.2f}**"
        sizes_ = f"{ours / 1e6:.1f} MB | {theirs / 1e6:.1f} MB"
        rows.append(f"| {memory.name} | {memory.dtype} | {sizes_} | {ratio} |")
    return "\n".join(rows) + "\n"


def _accuracies(accuracies: Sequence[Accuracy]) -> str:
    names = [f"{name}, median / largest" for name in accuracies[0].errors]
    rows = [
        "## The accuracy of Winograd convolution\n",
        "The error of the float32 forward pass against the same numbers in float64, as a share of",
        "the largest output. dlfs uses Winograd's algorithm here, the reference sums products.\n",
        f"| work | {' | '.join(names)} |",
        "|---|" + "--:|" * len(names),
    ]
    for accuracy in accuracies:
        cells = [f"{median:.1e} / {most:.1e}" for median, most in accuracy.errors.values()]
        rows.append(f"| {accuracy.name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
