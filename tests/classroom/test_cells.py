"""What the cells of several chapters share."""

import pytest

from dlfs import reference
from dlfs.classroom.cells import quote


def test_a_quoted_line_must_exist(capsys) -> None:
    quote(reference.tanh_grad, "return")
    assert capsys.readouterr().out == "return output_grad * (1 - output * output)\n"
    with pytest.raises(ValueError, match="tanh_grad must have a line that starts with"):
        quote(reference.tanh_grad, "goto")
