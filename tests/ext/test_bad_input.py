"""The compiled kernels refuse what the reference refuses, in the same words."""

import pytest

import dlfs_ext
from dlfs import reference
from tests.support.misfits import MISFITS
from tests.support.subjects import Subject, error_of
from tests.support.subjects_kernels import KERNELS, on_fast

pytestmark = pytest.mark.falls_back  # an argument that no kernel takes

ARGUMENTS = [(subject, name) for subject in KERNELS for name in subject.wanted]


@pytest.mark.parametrize(
    ("subject", "name"), ARGUMENTS, ids=[f"{subject.name}-{name}" for subject, name in ARGUMENTS]
)
def test_the_compiled_kernel_refuses_the_same_in_the_same_words(
    subject: Subject, name: str
) -> None:
    compiled = on_fast(subject)
    compiled.call(**compiled.valid())
    for value in subject.wanted[name].bad(subject.valid().get(name)):
        error = error_of(subject, {**subject.valid(), name: value})
        compiled_error = error_of(compiled, {**compiled.valid(), name: value})
        what = f"{compiled.name}({name}={value!r:.60})"
        assert type(compiled_error) is type(error), f"{what}: {compiled_error!r}, not {error!r}"
        assert str(compiled_error) == str(error), what


@pytest.mark.parametrize(
    ("call", "words"),
    [(call, words) for name, call, words in MISFITS if name.startswith("reference.")],
)
def test_the_compiled_kernel_refuses_misfits_in_the_same_words(
    call, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((ValueError, TypeError)) as expected:
        call()
    for name in reference.KERNELS:
        monkeypatch.setattr(reference, name, getattr(dlfs_ext, name))
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        call()
    assert type(caught.value) is type(expected.value)
    assert str(caught.value) == str(expected.value)
