"""Text: a vocabulary, sequences in batches, and networks that write.

``dlfs.text.book`` has the book's own classes, RNNModel and RNNTrainer.
"""

from dlfs.text.vocabulary import Vocabulary, streams, windows
from dlfs.text.writing import load_writer, sample, save_writer

__all__ = ["Vocabulary", "load_writer", "sample", "save_writer", "streams", "windows"]
