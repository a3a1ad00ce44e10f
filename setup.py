"""Compiles the kernels of dlfs_ext where that is possible; everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).parent


def extensions() -> list[Extension]:
    sources = sorted(path.relative_to(ROOT) for path in (ROOT / "dlfs_ext").glob("*.pyx"))
    if not sources:
        print("dlfs: there are no compiled kernels in this source tree; installing without them")
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        print("dlfs: Cython is missing; installing without the compiled kernels")
        return []
    # optional: where no compiler works, setuptools warns and installs the rest
    modules = [
        Extension(".".join(path.with_suffix("").parts), [str(path)], optional=True)
        for path in sources
    ]
    return cythonize(modules)


setup(ext_modules=extensions())
