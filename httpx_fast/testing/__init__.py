"""Servers for tests: `LocalServer` answers requests, `FaultLab` follows a script and can break every rule.

`Cassette` records exchanges and plays them; with `FakeClock` timeouts and pauses take no time.

The servers speak HTTP with code of their own, so that the client's code is not tested against itself, and need the
standard library only (`pytest_plugin` needs pytest, `vcr` vcrpy).
"""

from . import frames
from .cassettes import Cassette, NotRecorded
from .certificate import Certificate
from .clock import FakeClock
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
    "Cassette",
    "NotRecorded",
    "FakeClock",
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
