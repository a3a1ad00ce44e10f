"""Hints: the causes of a wrong gradient, each found by an experiment.

A hint is given only if it is exact: either the gradient of a classic mistake, computed from the
student's own forward pass, equals the student's at two points, or a change of the student's code
makes the gradient right at two points. If no experiment succeeds, the report has facts: which
entries are wrong, and by which factor. The experiments run in this order; the first that succeeds
ends the search.

| cause | file |
|---|---|
| a finding: state kept between calls, an array changed, a wrong shape | behaviour.py |
| a part of forward held constant; one expression of backward changed | code.py |
| attention: scale, mask, the softmax's axis and gradient | attention.py |
| the gradient of another loss | losses.py |
| masks, derivatives at the wrong point, statistics of a normalization | elementwise.py |
| a kernel not flipped; stride, padding, dilation or groups ignored | options.py |
| sums with missing, overwritten or mixed terms; no gradient through time | sums.py |
| sign, factors, transposed or flipped gradients | factors.py |
| no cause, only facts | facts.py |

evidence.py has the numbers that all of them use, and find.py the order. The changes that code.py
tries are in ``dlfs/gradcheck/source``.
"""

from dlfs.gradcheck.hints.find import find_hints

__all__ = ["find_hints"]
