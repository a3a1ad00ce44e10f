"""What the book keeps under this name, ``np_utils`` and ``mnist``, and ``data`` to prepare data."""
