"""What a client does and sends unless it is told otherwise."""

from __future__ import annotations

from ..__version__ import __version__
from .._decoders import SUPPORTED_DECODERS
from .._models import Headers

__all__ = ["ACCEPT_ENCODING", "USER_AGENT", "USE_CLIENT_DEFAULT", "UseClientDefault", "default_headers"]

USER_AGENT = f"python-httpx_fast/{__version__}"
ACCEPT_ENCODING = ", ".join(coding for coding in SUPPORTED_DECODERS if coding != "identity")


class UseClientDefault:
    """The type of `USE_CLIENT_DEFAULT`, which stands for "as the client is set"; None stands for "not at all"."""

    def __repr__(self) -> str:
        return "USE_CLIENT_DEFAULT"


USE_CLIENT_DEFAULT = UseClientDefault()


def default_headers() -> Headers:
    """Return the fields that every client sends, unless told otherwise."""
    return Headers(
        [
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", ACCEPT_ENCODING.encode("ascii")),
            (b"Connection", b"keep-alive"),
            (b"User-Agent", USER_AGENT.encode("ascii")),
        ]
    )
