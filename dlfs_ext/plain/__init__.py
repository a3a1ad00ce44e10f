"""Direct loops: every product and sum written as in the definitions.

The first version of the compiled backend, to read next to `dlfs.reference`: `dense.pyx` here has
the loops of `dense.py` there, and so on. It uses only typed memoryviews and two fused dtypes;
`dlfs.use_backend("plain")` runs it. It has loops for the layers of a small network, and takes
everything else from the reference.

The loops are simple and therefore slow: the fast kernels compute the same sums in registers,
several numbers at a time. Every function checks its arguments in Python first; after that, no
bounds are checked. A loop stands in a function of `real`, which is float or double: Cython compiles
both, and a call chooses by the dtype of the arrays.
"""

import importlib
from typing import TYPE_CHECKING

from dlfs.reference import KERNELS

if TYPE_CHECKING:
    from dlfs.reference import *  # noqa: F403

MODULES = ("activations", "conv", "dense", "losses", "pooling", "recurrent")

_compiled = {}
for _module in MODULES:
    _compiled.update(vars(importlib.import_module(f"dlfs_ext.plain.{_module}")))

# Everything without a loop here comes from the reference.
for _name, _kernel in KERNELS.items():
    globals()[_name] = _compiled.get(_name, _kernel)
    globals()[_name].__doc__ = _kernel.__doc__
