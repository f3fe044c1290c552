"""Builds the kernels: `ext/NAME.pyx` becomes `httpx_fast._kernel.NAME_c`.

HTTPX_FAST_IMPL decides, as it does at import:

    unset    compile; without Cython or a compiler, and on PyPy, build a pure wheel and say so once
    c        compile or fail; for those who publish wheels
    python   build a pure wheel

Pure means `py3-none-any`: a platform wheel without extensions would be taken for a compiled one by every installer.
The compiler is tried on a few lines before anything is built, because the tag of an editable wheel is fixed before
its extensions are built. A kernel that fails to compile after that is a fault of ours, and fails the build.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
PACKAGE = "httpx_fast._kernel"
IMPLEMENTATIONS = ("", "c", "python")

# Commands that only describe the project; whether there is a compiler does not matter to them.
DESCRIBING = {"egg_info", "dist_info", "sdist", "--version", "--name", "clean"}

PROBE = "#include <Python.h>\nPyMODINIT_FUNC PyInit_probe(void) { return NULL; }\n"


def main() -> None:
    if os.environ.get("HTTPX_FAST_IMPL", "") not in IMPLEMENTATIONS:
        sys.exit(f"HTTPX_FAST_IMPL is {os.environ['HTTPX_FAST_IMPL']!r}; known are unset, 'c' and 'python'")
    setup(ext_modules=[] if DESCRIBING.intersection(sys.argv) else kernels())


def kernels() -> list[Extension]:
    """The extensions to build: all, or none where the build is to be pure."""
    wanted = os.environ.get("HTTPX_FAST_IMPL", "")
    if wanted == "python":
        return []
    obstacle = find_obstacle()
    if obstacle is None:
        return cythonized()
    if wanted == "c":
        sys.exit(f"HTTPX_FAST_IMPL=c demands compiled kernels, but {obstacle}")
    sys.stderr.write(f"httpx-fast: building without compiled kernels (slower, same behaviour): {obstacle}\n")
    return []


def find_obstacle() -> str | None:
    """Why nothing can be compiled, None when it can."""
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} runs the pure Python kernels faster than extensions"
    try:
        import Cython  # noqa: F401
    except ImportError as error:
        return f"Cython is missing ({error})"
    return try_compiler()


def try_compiler() -> str | None:
    """Compiles and links `PROBE` as an extension would be; what went wrong, None when nothing did."""
    from setuptools.dist import Distribution

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(PROBE)
        command = build_ext(Distribution({"ext_modules": [Extension("probe", [str(source)])]}))
        command.build_temp = command.build_lib = folder
        try:
            command.ensure_finalized()
            command.run()
        except Exception as error:  # noqa: BLE001  # there are as many ways not to have a compiler as there are systems
            return f"the compiler does not work ({type(error).__name__}: {error})"
    return None


def cythonized() -> list[Extension]:
    from Cython.Build import cythonize

    sources = sorted(HERE.joinpath("ext").glob("*.pyx"))
    flags = [] if sys.platform == "win32" else ["-O3"]
    extensions = [
        Extension(f"{PACKAGE}.{source.stem}_c", [f"ext/{source.name}"], extra_compile_args=flags) for source in sources
    ]
    return cythonize(extensions, include_path=["ext"], language_level=3)  # type: ignore[no-untyped-call, no-any-return]


if __name__ == "__main__":
    main()
