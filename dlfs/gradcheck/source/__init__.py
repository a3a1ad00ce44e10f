"""The source of a student's class: its methods as syntax trees, and changes of one expression."""

from dlfs.gradcheck.source.edits import Edit, Material, edits, replacement
from dlfs.gradcheck.source.methods import Method, Slot, methods_of, run_with, slots_of

__all__ = [
    "Edit",
    "Material",
    "Method",
    "Slot",
    "edits",
    "methods_of",
    "replacement",
    "run_with",
    "slots_of",
]
