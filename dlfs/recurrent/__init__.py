"""Recurrence: Operations over whole sequences.

``dlfs.recurrent.cells`` has the book's nodes: one time step each.
"""

from dlfs.recurrent.operations import (
    CARRIES,
    GRU_Op,
    LSTM_Op,
    RNN_Op,
    check_streams,
    reads_streams,
)

__all__ = ["CARRIES", "GRU_Op", "LSTM_Op", "RNN_Op", "check_streams", "reads_streams"]
