"""What can be pickled of clients and transports, and what is said of the rest; `_copying` has the rules."""

from __future__ import annotations

import pickle
import ssl
import sys
from types import FrameType
from typing import Any

__all__ = ["check_picklable", "refuse_context"]

#: Picklers that take functions by value, not by name.
_BY_VALUE = frozenset({"cloudpickle", "dill"})


class Refused(pickle.PicklingError):
    """Hold the name of an argument that cannot be pickled."""


def refuse_context(owner: str, argument: str, context: Any) -> None:
    """Raise PicklingError if `context` is an `ssl.SSLContext`, which no pickler can take."""
    if isinstance(context, ssl.SSLContext):
        raise Refused(
            f"cannot pickle {owner}: {argument} is an ssl.SSLContext, which exists in one process only; use "
            f'verify="system" or the path of a file of certificates, or make the {owner} where it is used'
        )


def check_picklable(owner: str, argument: str, value: Any) -> None:
    """Raise PicklingError, with the name of the argument, for a value that cannot be pickled."""
    try:
        pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Refused:
        raise
    except Exception as error:
        if _taken_by_value():
            return
        raise Refused(
            f"cannot pickle {owner}: its {argument} cannot be pickled ({error}); use a function or a class from the "
            f"top level of a module, or make the {owner} where it is used"
        ) from error


def _taken_by_value() -> bool:
    """Return whether the pickler at work takes functions by value."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in _BY_VALUE:
            return True
        frame = frame.f_back
    return False
