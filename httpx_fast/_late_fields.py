"""Let plain classes be used as dataclasses: by `dataclasses.replace()`, `asdict()`, `fields()` and subclasses.

Importing `dataclasses` takes as long as a tenth of this package, and decorating a class as long as importing a module.
So settings are plain classes, and what `dataclasses` looks for is made when it looks, which is to say once the program
has imported it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["LateFields"]


class LateFields:
    """Make `__dataclass_fields__` or `__dataclass_params__` of a class when it is asked for.

    The fields are its annotations. With `kw_only` their defaults are those of the constructor's arguments.
    """

    def __init__(self, *, kw_only: bool = False, frozen: bool = False) -> None:
        self._kw_only = kw_only
        self._frozen = frozen
        self._owner: Any = None
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner = owner
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        from dataclasses import field, make_dataclass

        own = self._owner
        defaults: dict[str, Any] = own.__init__.__kwdefaults__ if self._kw_only else {}
        fields: list[tuple[str, Any, Any]] = [
            (name, kind, field(default=defaults[name]) if name in defaults else field())
            for name, kind in own.__annotations__.items()
            if not name.startswith("__")
        ]
        twin = make_dataclass(own.__name__, fields, repr=False, kw_only=self._kw_only, frozen=self._frozen)
        made = getattr(twin, self._name)
        setattr(own, self._name, made)
        return made
