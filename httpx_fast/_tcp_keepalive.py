"""`TCPKeepAlive`, the setting for probes of silent connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ._late_fields import LateFields

if TYPE_CHECKING:
    from dataclasses import Field

__all__ = ["TCPKeepAlive"]


class TCPKeepAlive:
    """Probe silent connections, so that a NAT or firewall on the path does not forget them.

    Cloud networks forget a connection after 240 to 600 s of silence, without notice: a slow response never arrives.
    After `idle` seconds a probe is sent every `interval` seconds; `count` probes without an answer end the connection.
    """

    __slots__ = ("count", "idle", "interval")

    idle: int
    interval: int
    count: int

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:
        __dataclass_fields__ = LateFields(kw_only=True, frozen=True)
        __dataclass_params__ = LateFields(kw_only=True, frozen=True)

    def __init__(self, *, idle: int = 60, interval: int = 15, count: int = 4) -> None:
        maxima = (("idle", idle, 32767), ("interval", interval, 32767), ("count", count, 127))  # of Linux
        for name, value, most in maxima:
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"expected an int as {name}, got {value!r}")
            if not 1 <= value <= most:
                raise ValueError(f"expected 1 to {most} as {name}, got {value!r}")
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed, so neither can its {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed, so its {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__ or not isinstance(other, TCPKeepAlive):
            return NotImplemented
        return (self.idle, self.interval, self.count) == (other.idle, other.interval, other.count)

    def __hash__(self) -> int:
        return hash((self.idle, self.interval, self.count))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(idle={self.idle}, interval={self.interval}, count={self.count})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _same_probes, (type(self), self.idle, self.interval, self.count)

    def socket_options(self) -> list[tuple[int, int, int]]:
        """Return arguments of `socket.setsockopt`, those that the system supports."""
        import socket  # not before there is something to connect to

        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        # macOS has its own name for the first; systems without the others use their own times.
        idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
        numbers = (idle, getattr(socket, "TCP_KEEPINTVL", None), getattr(socket, "TCP_KEEPCNT", None))
        values = (self.idle, self.interval, self.count)
        return options + [
            (socket.IPPROTO_TCP, number, value) for number, value in zip(numbers, values, strict=True) if number
        ]


def _same_probes(kind: type[TCPKeepAlive], idle: int, interval: int, count: int) -> TCPKeepAlive:
    return kind(idle=idle, interval=interval, count=count)
