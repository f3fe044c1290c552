"""What a client does and sends unless it is told otherwise."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from ..__version__ import __version__
from .._decoders import accepted_codings
from .._models import Headers

__all__ = ["ACCEPT_ENCODING", "USER_AGENT", "USE_CLIENT_DEFAULT", "UseClientDefault", "default_headers"]

USER_AGENT = f"python-httpx_fast/{__version__}"

if TYPE_CHECKING:
    ACCEPT_ENCODING: str
else:

    def __getattr__(name: str) -> Any:
        global ACCEPT_ENCODING
        if name != "ACCEPT_ENCODING":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # When the first client is made, since it takes a while to look for packages.
        ACCEPT_ENCODING = ", ".join(accepted_codings())
        return ACCEPT_ENCODING


class UseClientDefault:
    """The type of `USE_CLIENT_DEFAULT`, which stands for "as the client is set"; None stands for "not at all"."""

    def __repr__(self) -> str:
        return "USE_CLIENT_DEFAULT"


USE_CLIENT_DEFAULT = UseClientDefault()


def default_headers() -> Headers:
    """Return the fields that every client sends, unless told otherwise."""
    return Headers(_default_headers(sys.modules[__name__].ACCEPT_ENCODING, USER_AGENT))


@functools.lru_cache(maxsize=1)
def _default_headers(accept_encoding: str, user_agent: str) -> Headers:
    """Return the fields, for copies of which each has its own lines once it is changed."""
    made = Headers(
        [
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", accept_encoding.encode("ascii")),
            (b"Connection", b"keep-alive"),
            (b"User-Agent", user_agent.encode("ascii")),
        ]
    )
    made._lower_names()  # all copies have them
    return made
