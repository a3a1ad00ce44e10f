"""Property tests of gradients with hypothesis (the extra ``test``)."""

from dlfs.testing.chooser import HypothesisChooser, library_cases

__all__ = ["HypothesisChooser", "library_cases"]
