"""Builds the kernels: `ext/NAME.pyx` becomes `httpx_fast._kernel.NAME_c`.

HTTPX_FAST_IMPL decides, as it does at import:

    unset    compile; without Cython or a compiler, and on PyPy, build a pure wheel and say so once
    c        compile or fail; for those who publish wheels
    python   build a pure wheel

Pure means `py3-none-any`: a platform wheel without extensions would be taken for a compiled one by every installer.
The compiler is tried on a few lines before anything is built, because the tag of an editable wheel is fixed before
its extensions are built. A kernel that fails to compile after that is a fault of ours, and fails the build.

Builds in one checkout run one after the other, and a wheel is made in a new folder, which has no files of earlier
builds. Archives have the same bytes whenever and wherever they are made: the time of all files in them is
SOURCE_DATE_EPOCH, or `EPOCH` if that is not set.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
PACKAGE = "httpx_fast._kernel"
IMPLEMENTATIONS = ("", "c", "python")

# Commands that only describe the project; whether there is a compiler does not matter to them.
DESCRIBING = {"egg_info", "dist_info", "sdist", "--version", "--name", "clean"}

#: The time of files in archives, in seconds since 1970: 2 January 1980, since a zip file knows no earlier year.
EPOCH = "315619200"

PROBE = "#include <Python.h>\nPyMODINIT_FUNC PyInit_probe(void) { return NULL; }\n"


def main() -> None:
    if os.environ.get("HTTPX_FAST_IMPL", "") not in IMPLEMENTATIONS:
        sys.exit(f"HTTPX_FAST_IMPL is {os.environ['HTTPX_FAST_IMPL']!r}; known are unset, 'c' and 'python'")
    os.environ.setdefault("SOURCE_DATE_EPOCH", EPOCH)
    with alone_in(HERE):
        setup(
            ext_modules=[] if DESCRIBING.intersection(sys.argv) else kernels(),
            cmdclass={"bdist_wheel": Wheel, "sdist": SourceArchive},
            options={"build_ext": {"parallel": os.cpu_count()}},
        )


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other build runs in `folder`; where there are no such locks (Windows), do nothing."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Wheel(bdist_wheel):
    """Make a wheel in a new folder: files of earlier builds in build/ would be packed, too."""

    def run(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.bdist_dir = os.path.join(folder, "wheel")
            build = self.reinitialize_command("build")
            build.build_base = os.path.join(folder, "build")
            build.ensure_finalized()
            super().run()
        for kind, _, path in self.distribution.dist_files:
            if kind == "bdist_wheel":
                self.check(Path(path))

    def write_wheelfile(self, *arguments: Any, **options: Any) -> None:
        """Write the last file before all are packed; give them modes that no umask changes."""
        super().write_wheelfile(*arguments, **options)
        for path in Path(self.bdist_dir).rglob("*"):
            if path.is_file():
                path.chmod(plain_mode(path.stat().st_mode))

    def check(self, wheel: Path) -> None:
        """Fail the build if the wheel lacks a module or a kernel, and remove it."""
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
        wanted = {path.relative_to(HERE).as_posix() for path in HERE.joinpath("httpx_fast").rglob("*.py")}
        get_path = self.get_finalized_command("build_ext").get_ext_filename
        wanted |= {Path(get_path(each.name)).as_posix() for each in self.distribution.ext_modules or []}
        if missing := sorted(wanted - names):
            wheel.unlink()
            sys.exit(f"{wheel.name} lacks {', '.join(missing[:5])} ({len(missing)} files): was the checkout changed?")


class SourceArchive(sdist):
    """Make an archive whose bytes depend on the files in it alone, not on who packed them, when and where."""

    def make_archive(
        self,
        base_name: str,
        format: str,
        root_dir: str | None = None,
        base_dir: str | None = None,  # type: ignore[override]
        owner: str | None = None,
        group: str | None = None,
    ) -> str:
        if format != "gztar":
            sys.exit(f"source archives are tar.gz here, not {format!r}")
        epoch = int(os.environ["SOURCE_DATE_EPOCH"])
        name = f"{base_name}.tar.gz"
        top = Path(root_dir or "", base_dir or "")
        # The name in the header of gzip would be that of a folder on this machine.
        with (
            open(name, "wb") as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=epoch) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted(top.rglob("*")):
                if path.is_file():
                    archive.add(path, path.relative_to(top.parent).as_posix(), filter=lambda info: plain(info, epoch))
        return name


def plain(info: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    """Return the entry without its owner, its time, and those bits of its mode that an umask decides."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = epoch
    info.mode = plain_mode(info.mode)
    return info


def plain_mode(mode: int) -> int:
    return 0o755 if mode & stat.S_IXUSR else 0o644


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
    # Debugging information names folders of the machine, is three quarters of a wheel, and a quarter of its making.
    flags = [] if sys.platform == "win32" else ["-O3", "-g0"]
    extensions = [
        Extension(f"{PACKAGE}.{source.stem}_c", [f"ext/{source.name}"], extra_compile_args=flags) for source in sources
    ]
    return cythonize(extensions, include_path=["ext"], language_level=3)  # type: ignore[no-untyped-call, no-any-return]


if __name__ == "__main__":
    main()
