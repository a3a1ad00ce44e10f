"""Both backends have the same functions, signatures and docstrings."""

import ast
import inspect
from pathlib import Path

import pytest

import dlfs_ext
from dlfs import reference
from dlfs_ext import plain

KERNELS = sorted(reference.KERNELS)
OWN = {
    "FUSES",
    "available_isas",
    "get_num_threads",
    "isa",
    "set_isa",
    "set_num_threads",
}


def shape_of(function):
    """Names, kinds and defaults; the reference's annotations are only for mypy."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]


def test_no_function_is_missing_and_none_is_extra():
    public = {name for name, value in vars(reference).items() if inspect.isfunction(value)}
    assert public == set(KERNELS), "dlfs.reference.__all__ is incomplete"
    assert set(dlfs_ext.__all__) - OWN == set(KERNELS)  # type: ignore[attr-defined]
    assert [name for name in KERNELS if not callable(getattr(plain, name, None))] == []


@pytest.mark.parametrize("package", [dlfs_ext, plain], ids=["fast", "plain"])
@pytest.mark.parametrize("name", KERNELS)
def test_same_signature_and_docstring(name, package):
    expected, compiled = getattr(reference, name), getattr(package, name)
    assert shape_of(compiled) == shape_of(expected)
    assert inspect.getdoc(expected)
    assert inspect.getdoc(compiled) == inspect.getdoc(expected)


def test_a_call_by_keywords_works():
    # The argument parser could differ from the signature.
    for name in KERNELS:
        names = [parameter[0] for parameter in shape_of(getattr(reference, name))]
        with pytest.raises((TypeError, ValueError)) as raised:
            getattr(dlfs_ext, name)(**dict.fromkeys(names))
        assert "unexpected keyword" not in str(raised.value)


def test_the_stub_names_what_the_package_has():
    tree = ast.parse(Path(dlfs_ext.__file__).with_name("__init__.pyi").read_text())
    named = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            if any(alias.name == "*" for alias in node.names):
                named |= set(KERNELS)
            named |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            named.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            named.add(node.target.id)
    assert set(dlfs_ext.__all__) <= named  # type: ignore[attr-defined]
