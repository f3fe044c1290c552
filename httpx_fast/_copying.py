"""Copies of clients and transports: by pickle, `copy.copy()` and `copy.deepcopy()`.

What is copied is configuration: connections, caches and what is under way stay with the original, and the copy is as
one that was just made. Rules:

1. A value that cannot be pickled is refused with the name of the argument that it came by.
2. Picklers that take functions by value (cloudpickle, which Dask, Ray and Spark use) may have lambdas.
3. Copies in one process share what a user made for several clients: TLS contexts, and transports that are not ours.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

__all__ = ["Copied"]

_PLAIN = (type(None), bool, int, float, str, bytes)


class Copied:
    """Copy and pickle an object by what `_configuration()` returns of it."""

    #: The argument for each attribute, where that is not the name without the underscore.
    _ARGUMENTS: ClassVar[dict[str, str]] = {}

    def _configuration(self) -> dict[str, Any]:
        """Return the attributes that a copy is to have."""
        raise NotImplementedError

    def _configure(self, state: dict[str, Any]) -> None:
        """Begin as a copy that has these attributes."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        from ._pickling import check_picklable  # it needs `pickle`, as who calls this does

        state = self._configuration()
        for name, value in state.items():
            if not isinstance(value, _PLAIN):
                check_picklable(type(self).__name__, self._ARGUMENTS.get(name, name.lstrip("_")), value)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._configure(state)

    def __copy__(self) -> Self:
        other = type(self).__new__(type(self))
        other._configure({name: self._shallow(name, value) for name, value in self._configuration().items()})
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        other = memo[id(self)] = type(self).__new__(type(self))
        other._configure({name: self._deep(name, value, memo) for name, value in self._configuration().items()})
        return other

    def _shallow(self, name: str, value: Any) -> Any:
        """Return what a shallow copy has: its own of what a change to the original would change."""
        given: Any = value
        if isinstance(value, dict):
            return {key: self._shallow(name, each) for key, each in given.items()}
        if isinstance(value, list):
            return list(given)
        return copy.copy(value) if isinstance(value, Copied) else value

    def _deep(self, name: str, value: Any, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(value, memo)
