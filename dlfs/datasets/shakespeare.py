"""Shakespeare's sonnets: the text of the book's chapter 6."""

from dlfs.datasets import files


def sonnets() -> str:
    """Return Shakespeare's sonnets as one text, to train a network to write character by character.

    Returns
    -------
    str
        95,728 characters, 62 distinct ones, lines ended by a newline.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is missing or damaged; the message names it and the remedy.

    Notes
    -----
    William Shakespeare, "The Sonnets", 1609; public domain. The book's chapter 6 trains on it.

    Examples
    --------
    >>> from dlfs.datasets import sonnets
    >>> text = sonnets()
    >>> len(text), len(set(text))
    (95728, 62)
    """
    return files.read("shakespeare_sonnets.txt").decode("ascii")
