"""What is copied of a client by pickle and `copy`: its settings as they are now, its headers and its cookies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._copying import Copied
from .._models import Cookies, Headers

if TYPE_CHECKING:
    from .._retry.retrier import Retrier
    from .._retry.settings import Retry

#: What the copy of a client makes anew; observers of the original do not observe the copy.
_NOT_COPIED = frozenset({"_clock", "_exchange", "_last_timeout", "_reference", "_retrier", "_state", "_table"})


class CopiedClient(Copied):
    """Copy the settings of a client."""

    _retrier: Retrier | None

    def _begin(self, retry: Retry | None) -> None:
        """Set what is no setting, for a client that is made, or is the copy of another."""
        raise NotImplementedError

    def _configuration(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in _NOT_COPIED}
        return state | {"retry": None if self._retrier is None else self._retrier.retry}

    def _configure(self, state: dict[str, Any]) -> None:
        retry = state.pop("retry")
        self.__dict__.update(state)
        self._begin(retry)

    def _shallow(self, name: str, value: Any) -> Any:
        if isinstance(value, Headers):
            return Headers(value)
        return Cookies(value) if isinstance(value, Cookies) else super()._shallow(name, value)
