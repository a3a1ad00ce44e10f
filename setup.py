"""Compiles the .pyx files, with their directives and flags; the rest is in pyproject.toml.

The compiled backend is optional: without a compiler (or Cython) the library installs without it
and prints why. Environment variables:

DLFS_DEBUG=1       bounds checks, no optimization: slow, for hunting bugs
DLFS_SANITIZE=1    with DLFS_DEBUG's checks, and gcc's address and undefined-behaviour sanitizers
DLFS_ANNOTATE=1    Cython's HTML pages beside each .pyx, showing which lines touch Python
DLFS_REQUIRE_EXT=1 a failed compilation fails the installation (for building wheels)
DLFS_NO_EXT=1      do not try to compile
DLFS_FLAGS=...     further flags, for compiler and linker (mutation testing, coverage)
"""

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

PACKAGE = Path("dlfs_ext")


def enabled(variable):
    return os.environ.get(variable, "0") not in ("", "0")


SANITIZE = enabled("DLFS_SANITIZE")
DEBUG = enabled("DLFS_DEBUG") or SANITIZE
ANNOTATE = enabled("DLFS_ANNOTATE")
REQUIRED = enabled("DLFS_REQUIRE_EXT")
FLAGS = shlex.split(os.environ.get("DLFS_FLAGS", ""))

DIRECTIVES = {
    "language_level": 3,
    "freethreading_compatible": False,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "wraparound": False,
    "cdivision": not DEBUG,
}

# What Cython needs for typed memoryviews, 250 KB, is compiled once for all modules that have them.
PLAIN = PACKAGE / "plain"
MEMORYVIEWS = PLAIN / "memoryviews.c"

# No -march=native: a wheel must run on every processor of its platform; csrc/simd/simd.h compiles
# the hot code once per instruction set and chooses at run time. No -ffast-math: it breaks nan, inf
# and the error bounds of exp and tanh. The two -fno flags only state that errno and the
# floating-point exception flags are not read, which would prevent vectorization.
GNU_FLAGS = [
    "-O3",
    "-g0",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
    "-Wno-unknown-pragmas",
]
GNU_DEBUG_FLAGS = ["-O1", "-g", "-UNDEBUG", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
SANITIZE_FLAGS = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
# gcc may move numbers through the MMX registers, which x87 arithmetic shares, and leave them
# occupied: then NumPy's next longdouble is nan. Only x86 processors have them.
NO_MMX = ["-mno-mmx"]
X86 = ("x86_64", "amd64", "i686", "i386")
MSVC_FLAGS = ["/Od" if DEBUG else "/O2"]
USES_OPENMP = "#include <omp.h>\nint main(void) { return omp_get_num_procs(); }"
OPENMP = {"msvc": (["/openmp"], []), "unix": (["-fopenmp"], ["-fopenmp"])}

MISSING = """
-----------------------------------------------------------------------------------------
dlfs: the compiled backend (dlfs_ext) was not built:
    {reason}
The library works without it, on NumPy alone (backend "reference"), but slower.
To build it, install a C compiler (gcc or clang; on Windows the MSVC build tools) and
install dlfs again.
-----------------------------------------------------------------------------------------
"""


def give_up(reason):
    if REQUIRED:
        sys.exit(f"dlfs: DLFS_REQUIRE_EXT is set, but the compiled backend was not built: {reason}")
    print(MISSING.format(reason=reason), file=sys.stderr)


class OptionalBuildExt(build_ext):
    """Add this compiler's flags; a failure leaves the pure Python library."""

    def run(self):
        try:
            super().run()
        except Exception as error:
            self.give_up(error)

    def build_extensions(self):
        self.parallel = self.parallel or os.cpu_count()
        # Seen with pip install -v.
        print("dlfs: compiling the kernels, which takes minutes", file=sys.stderr)
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        compile_flags = MSVC_FLAGS if kind == "msvc" else GNU_DEBUG_FLAGS if DEBUG else GNU_FLAGS
        link_flags = []
        if SANITIZE:
            compile_flags = compile_flags + SANITIZE_FLAGS
            link_flags = SANITIZE_FLAGS
        if kind == "unix" and self.plat_name.endswith(X86):
            compile_flags = compile_flags + NO_MMX
        openmp_compile, openmp_link = OPENMP[kind]
        if self.compiles(USES_OPENMP, openmp_compile, openmp_link):
            compile_flags = compile_flags + openmp_compile
            link_flags = link_flags + openmp_link
        else:
            print("dlfs: this compiler has no OpenMP; building for one thread", file=sys.stderr)
        for extension in self.extensions:
            extension.extra_compile_args = compile_flags + FLAGS
            extension.extra_link_args = link_flags + FLAGS
        super().build_extensions()

    def compiles(self, program, compile_flags, link_flags=()):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            source.write_text(f"{program}\n")
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=compile_flags
                )
                self.compiler.link_executable(
                    objects, str(Path(folder) / "probe"), extra_postargs=list(link_flags)
                )
            except Exception:
                return False
        return True

    def give_up(self, error):
        give_up(f"{type(error).__name__}: {error}")
        self.extensions = []  # otherwise an in-place build looks for the missing files


class BuildPyWithNotebooks(build_py):
    """Copy the notebooks into the package, for `dlfs notebooks`; editable installs do not copy."""

    def run(self):
        super().run()
        source, target = Path("notebooks"), Path(self.build_lib, "dlfs", "notebooks")
        if self.editable_mode or not source.is_dir():
            return
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=self.left_out)

    @staticmethod
    def left_out(folder, names):
        """Return the files to leave out: hidden files, caches, the notebooks' sources."""
        sources = {f"{name[:-6]}.py" for name in names if name.endswith(".ipynb")}
        return [name for name in names if name.startswith((".", "__")) or name in sources]


def extensions():
    if enabled("DLFS_NO_EXT"):
        return []
    try:
        import numpy
        from Cython.Build import cythonize
    except ImportError as error:
        give_up(str(error))
        return []
    headers = sorted(str(path) for path in (PACKAGE / "csrc").rglob("*.h"))

    def modules(paths, depends=()):
        return [
            Extension(
                module_name(path),
                [str(path)],
                include_dirs=[str(PACKAGE / "csrc"), numpy.get_include()],
                depends=list(depends),
                define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            )
            for path in paths
        ]

    options = {
        "compiler_directives": DIRECTIVES,
        "annotate": ANNOTATE,
        "force": DEBUG or ANNOTATE,
        "quiet": True,
    }
    plain = sorted(PLAIN.glob("*.pyx"))
    fast = sorted(set(PACKAGE.rglob("*.pyx")) - set(plain))
    return cythonize(modules(fast, headers), **options) + cythonize(
        modules([*plain, MEMORYVIEWS]),
        shared_utility_qualified_name=module_name(MEMORYVIEWS),
        **options,
    )


def module_name(path):
    return ".".join(path.with_suffix("").parts)


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": OptionalBuildExt, "build_py": BuildPyWithNotebooks},
)
