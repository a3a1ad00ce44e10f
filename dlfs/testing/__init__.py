"""Property tests of gradients, with hypothesis (installed by the extra ``test``)."""

from dlfs.testing.assertion import assert_gradients
from dlfs.testing.chooser import HypothesisChooser, library_cases
from dlfs.testing.strategies import (
    arrays_NCHW,
    arrays_NCT,
    arrays_NF,
    arrays_NTF,
    conv2d_cases,
    dense_cases,
    labels_N,
    layouts,
)

__all__ = [
    "HypothesisChooser",
    "arrays_NCHW",
    "arrays_NCT",
    "arrays_NF",
    "arrays_NTF",
    "assert_gradients",
    "conv2d_cases",
    "dense_cases",
    "labels_N",
    "layouts",
    "library_cases",
]
