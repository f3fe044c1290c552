"""The kernels of HTTP/2 are picked with all others, and wait to be asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import httpx_fast

# That which is tested: the checkout, or what was installed from a wheel.
ROOT = Path(httpx_fast.__file__).parents[1]
KERNELS = ("frames", "hpack", "hpack_encoder", "streams")
NAMES = ("FieldSection", "FrameReader", "HpackDecoder", "HpackEncoder", "StreamState", "data_head", "headers_frames")

HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.endswith({hidden!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}")
sys.meta_path.insert(0, Hide())
"""


def run(code, wanted=""):
    """What `code` prints in an interpreter of its own."""
    environment = os.environ | {"HTTPX_FAST_IMPL": wanted, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


ASK = "from httpx_fast._kernel import select; print(*[getattr(select, name).__module__ for name in {names!r}])"


def test_compiled_kernels_are_taken_where_they_are(compiled):
    modules = run(ASK.format(names=NAMES)).split()
    assert set(modules) == {f"httpx_fast._kernel.{kernel}_c" for kernel in KERNELS}


def test_pure_kernels_are_taken_where_they_are_asked_for():
    modules = run(ASK.format(names=NAMES), "python").split()
    assert set(modules) == {f"httpx_fast._kernel.{kernel}_py" for kernel in KERNELS}


@pytest.mark.parametrize("hidden", ["hpack_c", "hpack_encoder_c", "frames_c", "streams_c"])
def test_all_kernels_are_pure_where_one_of_http2_is_missing(hidden):
    modules = run(HIDE.format(hidden=hidden) + ASK.format(names=(*NAMES, "HeadParser"))).split()
    assert {module.rpartition("_")[2] for module in modules} == {"py"}


def test_demanding_a_missing_kernel_of_http2_says_what_was_tried(compiled):
    for hidden in ("hpack_c", "hpack_encoder_c", "frames_c", "streams_c"):
        said = run(HIDE.format(hidden=hidden) + ASK.format(names=NAMES), "c")
        assert said.startswith("ImportError: HTTPX_FAST_IMPL=c demands compiled kernels, but httpx_fast._kernel")
        assert f".{hidden} cannot be imported" in said


@pytest.mark.parametrize("wanted", ["", "python"])
def test_nothing_of_http2_is_imported_before_it_is_asked_for(wanted):
    code = "import sys; from httpx_fast._kernel import select; print(*sys.modules)"
    modules = run(code, wanted).split()
    assert "httpx_fast._kernel.select" in modules
    assert not [name for name in modules if name.partition("._kernel.")[2].startswith(("hpack", "frames", "h2_"))]


def test_unknown_name_is_an_error():
    from httpx_fast._kernel import select

    with pytest.raises(AttributeError, match=r"module 'httpx_fast._kernel.select' has no attribute 'absent'"):
        select.absent  # noqa: B018
