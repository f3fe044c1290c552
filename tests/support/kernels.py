"""Has HTTP spoken by one of the twin kernels, whichever was picked."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

from httpx_fast._kernel import select
from httpx_fast._wire import h1, h2

KERNELS = ("c", "python")


def twin(name: str, which: str) -> ModuleType:
    """A kernel; skips the test where it was not compiled, unless that is an error."""
    if which == "python":
        return importlib.import_module(f"httpx_fast._kernel.{name}_py")
    try:
        return importlib.import_module(f"httpx_fast._kernel.{name}_c")
    except ImportError as error:
        if os.environ.get("HTTPX_FAST_IMPL") == "c":
            raise
        pytest.skip(f"no compiled kernel: {error}")


def speak_http1(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """New connections of HTTP/1.1 read with this twin."""
    http1 = twin("http1", which)
    monkeypatch.setattr(h1, "HeadParser", http1.HeadParser)
    monkeypatch.setattr(h1, "ChunkedDecoder", http1.ChunkedDecoder)
    monkeypatch.setattr(h1, "BodyBuffer", twin("buffer", which).BodyBuffer)


def speak_http2(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """New sessions of HTTP/2 use this twin."""
    frames, hpack, hpack_encoder = (twin(name, which) for name in ("frames", "hpack", "hpack_encoder"))
    for name in ("FrameReader", "data_head", "headers_frames"):
        monkeypatch.setattr(h2, name, getattr(frames, name))
    if which == "python" or select.IMPLEMENTATION == "c":  # the compiled one takes no streams of the other
        monkeypatch.setattr(h2, "deliver", twin("streams", which).deliver)
    monkeypatch.setattr(h2, "HpackDecoder", hpack.HpackDecoder)
    monkeypatch.setattr(h2, "HpackEncoder", hpack_encoder.HpackEncoder)
