"""Make `import httpx` import this package, for a whole process: `alias("httpx", "httpx2")`.

For applications whose dependencies import an older client by its name; a library must not call it. It works by names
alone and does not know the contents of the modules:

1. A module under its old name is the very same object as under its own name, submodules included.
2. An old name that has been imported already is refused, since its classes would exist beside ours.
3. All names are checked before the first of them is replaced. A second call does nothing.
4. httpcore is replaced together with httpx; see `httpcore.py` for its stand-in.
5. Loggers handle the replaced names as well; see `loggers.py`.
6. `__version__` becomes that of the package whose interface this is: libraries compare it to choose between interfaces.

It does not change the metadata of installed distributions; spawned processes must call it themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from .loggers import answer_to

__all__ = ["alias", "alias_httpx"]

_PACKAGE = __name__.partition(".")[0]
_CORE = f"{_PACKAGE}._alias.httpcore"
#: The names that can be replaced, each with the names replaced along with it.
_REPLACED = {
    "httpx": {"httpx": _PACKAGE, "httpcore": _CORE},
    "httpx2": {"httpx2": _PACKAGE, "httpcore2": _CORE},
}
#: What `__version__` says under each name; with both, "httpx" counts, whose versions are the ones that are compared.
_VERSIONS = {"httpx": "0.28.1", "httpx2": "2.16.2"}


def alias(*names: str, httpcore: bool = True) -> None:
    """Make `import httpx` (and "httpx2", whichever is named) import this package, for the whole process.

    Call it before anything imports these names, so at the very start of the program. With `httpcore=False` the
    installed httpcore stays, for other libraries that send requests with it themselves. Raises ValueError for other
    names; RuntimeError when a name has been imported already, and then nothing is changed.

    `__version__` is then the version of the library whose interface this package has: "0.28.1", or "2.16.2" with httpx2
    alone.
    """
    replaced: dict[str, str] = {}
    for name in names:
        if name not in _REPLACED:
            raise ValueError(f"{name!r} cannot be replaced; expected {' or '.join(map(repr, _REPLACED))}")
        replaced.update(_REPLACED[name])
    if not httpcore:
        replaced = {name: real for name, real in replaced.items() if real != _CORE}
    taken = _taken()
    new = {name: real for name, real in replaced.items() if taken.get(name) != real}
    for name in new:
        _refuse_imported(name)
    if new:
        # First, so that no other finder finds a second copy of our files by the package's path.
        sys.meta_path.insert(0, _Finder(new))
    _set_version()
    for name in names:
        core = next((each for each, real in _REPLACED[name].items() if real == _CORE and each in {*taken, *new}), None)
        answer_to(name, core)


def alias_httpx() -> None:
    """Make `import httpx`, and `import httpcore` with it, import this package: `alias("httpx")` as httpx2 calls it."""
    alias("httpx")


def _taken() -> dict[str, str]:
    """Return the names that this process has replaced."""
    return {
        name: real for finder in sys.meta_path if isinstance(finder, _Finder) for name, real in finder.replaced.items()
    }


def _set_version() -> None:
    taken = _taken()
    version = next((version for name, version in _VERSIONS.items() if name in taken), None)
    if version is not None:
        vars(sys.modules[_PACKAGE])["__version__"] = version


def _refuse_imported(name: str) -> None:
    module = sys.modules.get(name)
    if module is None:
        return
    origin = getattr(module, "__file__", None) or "an unknown place"
    raise RuntimeError(
        f"{name} has been imported already, from {origin}: call {_PACKAGE}.alias() before the first import of anything "
        f"that imports {name}, at the top of the module that the program starts with (under pytest: -p "
        f"{_PACKAGE}.testing.as_httpx)"
    )


class _Finder(MetaPathFinder):
    """Find our modules under the names in `replaced`, which maps them to their replacements."""

    def __init__(self, replaced: dict[str, str]) -> None:
        self.replaced = replaced

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, inside = fullname.partition(".")
        package = self.replaced.get(top)
        if package is None:
            return None
        if package == _CORE:
            return _core_spec(fullname, inside)
        real = f"{package}.{inside}" if inside else package
        if real not in sys.modules and find_spec(real) is None:
            return None
        return ModuleSpec(fullname, _Loader(real))


def _core_spec(fullname: str, inside: str) -> ModuleSpec | None:
    """Return the spec of the one module that stands for httpcore and its modules that tools import."""
    core = import_module(_CORE)
    return ModuleSpec(fullname, _Loader(_CORE)) if not inside or inside in core.MODULES else None


class _Loader(Loader):
    """Load the module named `real`, without changing it."""

    def __init__(self, real: str) -> None:
        self._real = real
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self._real)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has set the alias's spec, with which the module could not be reloaded.
        module.__spec__ = self._spec
