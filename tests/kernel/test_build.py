"""What `setup.py` makes of a system: compiled, pure, or an error that says why."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77")

ROOT = Path(__file__).parents[2]
if not (ROOT / "setup.py").is_file():
    pytest.skip("the tests run without the sources of the build", allow_module_level=True)


def compiles():
    pytest.importorskip("Cython")
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return sys.implementation.name == "cpython" and shutil.which(compiler) is not None


@pytest.fixture
def source(tmp_path):
    """A copy of what is built, free of what was built in place."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.c", "*.html")
    for name in ("ext", "httpx_fast", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def started(source, kind, out, **environment):
    """The build backend, called as an installer does."""
    unwanted = ("HTTPX_FAST_IMPL", "SOURCE_DATE_EPOCH")
    variables = {name: value for name, value in os.environ.items() if name not in unwanted} | environment
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    out.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=source,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def build(source, kind, **environment):
    """Calls the build backend; the run, and what it made."""
    out = source.parent / "out"
    with started(source, kind, out, **environment) as process:
        output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors), sorted(out.iterdir())


def names_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def is_pure(wheel):
    return wheel.name.endswith("-py3-none-any.whl") and not [
        name for name in names_in(wheel) if name.endswith((".so", ".pyd"))
    ]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_pure_wheel_is_built_where_it_is_asked_for(source, kind):
    run, (wheel,) = build(source, kind, HTTPX_FAST_IMPL="python")
    assert run.returncode == 0, run.stderr
    assert is_pure(wheel)
    assert "without compiled kernels" not in run.stderr


@pytest.mark.parametrize("kind", ["wheel", "editable"])
@pytest.mark.parametrize("lack", [{"CC": "/bin/false"}, {"CC": "no-such-compiler"}, {"PATH": "/nonexistent"}])
def test_pure_wheel_is_built_without_a_compiler_and_says_so_once(source, kind, lack):
    if not compiles():
        pytest.skip("there is no compiler to take away")
    run, (wheel,) = build(source, kind, **lack)
    assert run.returncode == 0, run.stderr
    assert is_pure(wheel)
    assert run.stderr.count("httpx-fast: building without compiled kernels") == 1
    assert "the compiler does not work" in run.stderr


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_demanded_kernels_without_a_compiler_fail_the_build(source, kind):
    run, made = build(source, kind, HTTPX_FAST_IMPL="c", CC="/bin/false")
    assert run.returncode != 0
    assert "HTTPX_FAST_IMPL=c demands compiled kernels, but" in run.stderr
    assert made == []


def test_unknown_wish_fails_the_build(source):
    run, made = build(source, "wheel", HTTPX_FAST_IMPL="rust")
    assert run.returncode != 0
    assert "HTTPX_FAST_IMPL is 'rust'; known are" in run.stderr
    assert made == []


def test_stale_extensions_do_not_get_into_a_pure_wheel(source):
    (source / "httpx_fast" / "_kernel" / "http1_c.so").write_bytes(b"")
    run, (wheel,) = build(source, "wheel", HTTPX_FAST_IMPL="python")
    assert run.returncode == 0, run.stderr
    assert is_pure(wheel)


def test_files_of_an_earlier_build_do_not_get_into_a_wheel(source):
    stale = source / "build" / "lib" / "httpx_fast" / "_gone.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    run, (wheel,) = build(source, "wheel", HTTPX_FAST_IMPL="python")
    assert run.returncode == 0, run.stderr
    assert "httpx_fast/_gone.py" not in names_in(wheel)


@pytest.mark.skipif(sys.platform == "win32", reason="builds do not wait for each other there")
def test_builds_at_once_in_one_checkout_give_whole_wheels(source, tmp_path):
    outs = [tmp_path / f"out-{number}" for number in range(3)]
    processes = [started(source, "wheel", out, HTTPX_FAST_IMPL="python") for out in outs]
    with ThreadPoolExecutor(len(processes)) as readers:  # a build that nobody reads stops, and keeps the lock
        said = list(readers.map(lambda process: process.communicate(timeout=600), processes))
    for process, out, (_, errors) in zip(processes, outs, said, strict=True):
        assert process.returncode == 0, errors
        (wheel,) = out.iterdir()
        wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "httpx_fast").rglob("*.py")}
        assert wanted <= set(names_in(wheel))


def test_wheel_that_lacks_a_module_fails_the_build(source):
    text = (source / "pyproject.toml").read_text(encoding="utf-8")
    (source / "pyproject.toml").write_text(text.replace('include = ["httpx_fast*"]', 'include = ["httpx_fast"]'))
    run, made = build(source, "wheel", HTTPX_FAST_IMPL="python")
    assert run.returncode != 0
    assert "-py3-none-any.whl lacks httpx_fast/" in run.stderr
    assert made == []


@pytest.mark.parametrize(("kind", "wish"), [("sdist", "python"), ("wheel", "python"), ("wheel", "c")])
def test_archives_built_twice_have_the_same_bytes(source, tmp_path, kind, wish):
    if wish == "c" and not compiles():
        pytest.skip("there is no compiler")
    run, (first,) = build(source, kind, HTTPX_FAST_IMPL=wish)
    assert run.returncode == 0, run.stderr
    once = first.read_bytes()
    first.unlink()
    # Elsewhere, at another time, by somebody with another umask, out of files in another order.
    elsewhere = tmp_path / "some" / "where" / "else"
    shutil.copytree(source, elsewhere, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    for path in sorted(elsewhere.rglob("*"), reverse=True):
        os.utime(path, (1_700_000_000, 1_700_000_000))
        if path.is_file():
            path.chmod(0o664)
    run, (second,) = build(elsewhere, kind, HTTPX_FAST_IMPL=wish)
    assert run.returncode == 0, run.stderr
    assert second.name == first.name
    assert second.read_bytes() == once, differences(once, second.read_bytes())


def differences(first, second):
    """The names of what differs in two wheels or source archives."""

    def entries(content):
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return {
                    each.filename: (archive.read(each), each.date_time, each.external_attr) for each in archive.filelist
                }
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return {each.name: (each.mtime, each.mode, each.size, each.uname) for each in archive}

    one, other = entries(first), entries(second)
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} or "the archives alone"


def test_source_distribution_holds_all_that_a_build_and_a_test_run_need(source):
    # An archive is packed the same with and without a compiler.
    run, (archive,) = build(source, "sdist", CC="/bin/false")
    assert run.returncode == 0, run.stderr
    assert "compiled kernels" not in run.stderr
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "tests/conftest.py"} <= names
    assert {f"ext/{path.name}" for path in (ROOT / "ext").glob("*.p[yx]?")} <= names
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "httpx_fast").rglob("*.py")} <= names
    assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc", ".c"))]


def test_compiled_wheel_built_from_the_source_distribution_has_every_kernel(source, tmp_path):
    if not compiles():
        pytest.skip("there is no compiler")
    _, (archive,) = build(source, "sdist")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    archive.unlink()
    run, (wheel,) = build(unpacked, "wheel", HTTPX_FAST_IMPL="c")
    assert run.returncode == 0, run.stderr
    assert not wheel.name.endswith("-any.whl")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    built = {name for name in names_in(wheel) if name.endswith(suffix)}
    assert built == {f"httpx_fast/_kernel/{path.stem}_c{suffix}" for path in (ROOT / "ext").glob("*.pyx")}
    assert not [name for name in names_in(wheel) if name.startswith(("tests", "ext", "bench"))]
