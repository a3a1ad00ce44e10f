"""The source of a student's class: its methods as syntax trees, and changes of one expression."""

from dlfs.gradcheck.source.edits import Edit, Material, edits, replacement
from dlfs.gradcheck.source.held import Holder, can_be_held
from dlfs.gradcheck.source.methods import Method, Slot, methods_of, run_with, slots_of

__all__ = [
    "Edit",
    "Holder",
    "Material",
    "Method",
    "Slot",
    "can_be_held",
    "edits",
    "methods_of",
    "replacement",
    "run_with",
    "slots_of",
]
