"""Select the kernels: compiled or pure Python, all of them or none. No other module selects.

HTTPX_FAST_IMPL decides, and is read once, at import:

    unset    compiled where they are there
    c        compiled; ImportError that says what was tried where they are not
    python   pure Python

PyPy takes pure Python: its compiler runs that faster than it calls extensions.

The kernels of HTTP/2 and of JSON are found now and imported on first use: importing them takes as long as all the rest.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

KERNELS = ("buffer", "drive", "fields", "http1", "urls")
HTTP2_KERNELS = ("frames", "hpack", "hpack_encoder", "streams")
LATE_KERNELS = (*HTTP2_KERNELS, "json")


def _choose(wanted: str) -> tuple[str, str]:
    """Return the implementation ("c" or "python") and the reason for it. Raises ImportError."""
    if wanted not in ("", "c", "python"):
        raise ImportError(f"HTTPX_FAST_IMPL is {wanted!r}; known are 'c', 'python', and unset for the best there is")
    if wanted == "python":
        return "python", "HTTPX_FAST_IMPL=python asks for it"
    obstacle = _find_obstacle()
    if obstacle is None:
        return "c", "HTTPX_FAST_IMPL=c asks for it" if wanted else "the compiled kernels are installed"
    if wanted == "c":
        raise ImportError(f"HTTPX_FAST_IMPL=c demands compiled kernels, but {obstacle}")
    return "python", obstacle


def _find_obstacle() -> str | None:
    """Return why the compiled kernels cannot be used, None if they can."""
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} runs the pure Python kernels"
    for kernel in KERNELS + LATE_KERNELS:
        name = f"{__package__}.{kernel}_c"
        try:
            if kernel in KERNELS:
                importlib.import_module(name)
            elif importlib.util.find_spec(name) is None:
                raise ModuleNotFoundError(f"No module named {name!r}")
        except ImportError as error:
            return f"{name} cannot be imported ({error}); looked in {os.path.dirname(__file__)}"
    return None


#: "c" or "python".
IMPLEMENTATION, REASON = _choose(os.environ.get("HTTPX_FAST_IMPL", ""))

if TYPE_CHECKING or IMPLEMENTATION == "python":
    from .buffer_py import BodyBuffer
    from .drive_py import drive
    from .fields_py import encode_lines, lower_lines, merge_lines
    from .http1_py import ChunkedDecoder, HeadParser, ResponseHead, check_field, chunk_head, request_head
    from .urls_py import primitive_value_to_str, split_url, urlencode
else:
    from .buffer_c import BodyBuffer
    from .drive_c import drive
    from .fields_c import encode_lines, lower_lines, merge_lines
    from .http1_c import ChunkedDecoder, HeadParser, ResponseHead, check_field, chunk_head, request_head
    from .urls_c import primitive_value_to_str, split_url, urlencode

if TYPE_CHECKING:
    from .frames_py import FrameReader, data_head, headers_frames
    from .hpack_encoder_py import HpackEncoder
    from .hpack_py import FieldSection, HpackDecoder
    from .json_py import parse_json
    from .streams_py import StreamState, StreamTable, TaskWaiter, WakeList, deliver

_LATE = {
    "FieldSection": "hpack",
    "FrameReader": "frames",
    "HpackDecoder": "hpack",
    "HpackEncoder": "hpack_encoder",
    "StreamState": "streams",
    "StreamTable": "streams",
    "TaskWaiter": "streams",
    "WakeList": "streams",
    "data_head": "frames",
    "deliver": "streams",
    "headers_frames": "frames",
    "parse_json": "json",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        kernel = _LATE.get(name)
        if kernel is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"{__package__}.{kernel}_{'c' if IMPLEMENTATION == 'c' else 'py'}")
        found = globals()[name] = getattr(module, name)
        return found


__all__ = [
    "IMPLEMENTATION",
    "REASON",
    "BodyBuffer",
    "ChunkedDecoder",
    "FieldSection",
    "FrameReader",
    "HeadParser",
    "HpackDecoder",
    "HpackEncoder",
    "ResponseHead",
    "StreamState",
    "StreamTable",
    "TaskWaiter",
    "WakeList",
    "check_field",
    "chunk_head",
    "data_head",
    "deliver",
    "drive",
    "encode_lines",
    "headers_frames",
    "lower_lines",
    "merge_lines",
    "parse_json",
    "primitive_value_to_str",
    "request_head",
    "split_url",
    "urlencode",
]
