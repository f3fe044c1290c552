"""What tests and demonstrations need of the other side: a local server, and one that goes wrong as a script says.

It speaks HTTP with code of its own, so that the client is never its own witness, and uses the standard library only
(`pytest_plugin` needs pytest).
"""

from . import frames
from .certificate import Certificate
from .lab import FaultLab, Script
from .proxy_steps import Socks4, Socks5, established
from .replies import Reply, Request, answer
from .resolving import Held, ScriptedResolver
from .server import LocalServer
from .steps import (
    Close,
    Delay,
    Drip,
    HalfClose,
    Hold,
    Http2,
    Mute,
    Read,
    ReadBody,
    ReadFrames,
    ReadHead,
    Receive,
    Repeat,
    Reset,
    Send,
    Step,
    Tell,
    Tls,
    chunked,
    redirect,
    response,
)

__all__ = [
    "Certificate",
    "LocalServer",
    "Reply",
    "Request",
    "answer",
    "FaultLab",
    "Script",
    "Held",
    "ScriptedResolver",
    "Step",
    "Close",
    "Delay",
    "Drip",
    "HalfClose",
    "Hold",
    "Http2",
    "Mute",
    "Read",
    "ReadBody",
    "ReadFrames",
    "ReadHead",
    "Receive",
    "Repeat",
    "Reset",
    "Send",
    "Socks4",
    "Socks5",
    "Tell",
    "Tls",
    "chunked",
    "established",
    "redirect",
    "response",
    "frames",
]
