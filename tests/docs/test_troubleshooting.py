"""docs/troubleshooting.md has a section for every exception that users can meet, with what to look at."""

from __future__ import annotations

import importlib
import re
import sys

import pages

import httpx_fast
from httpx_fast import websockets

PAGE = (pages.ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^#{2,3} (\w+)\n(.*?)(?=^#{2,3} |\Z)", PAGE, re.MULTILINE | re.DOTALL))
#: Classes that others derive from; catching them is what they are for.
BASES = {
    "HTTPError",
    "RequestError",
    "TransportError",
    "TimeoutException",
    "NetworkError",
    "ProtocolError",
    "StreamError",
}
BASES |= {"HTTPXWSException"}
#: What only other packages raise, or what the fault lab cannot cause within a second.
NOT_REPRODUCED = {"CloseError", "WebSocketNetworkError"}


def exceptions() -> dict[str, type[BaseException]]:
    """Return the public exceptions by name."""
    found = {}
    for module in (httpx_fast, websockets):
        for name in getattr(module, "__all__", dir(module)):
            each = getattr(module, name)
            if isinstance(each, type) and issubclass(each, BaseException):
                found[name] = each
    return found


def test_every_exception_has_its_section():
    assert len(exceptions()) > 35
    assert set(exceptions()) - set(SECTIONS) == set()


def test_sections_say_what_to_look_at_and_reproduce_it():
    for name in set(exceptions()) - BASES:
        section = SECTIONS[name]
        assert len(section) > 60, name
        assert "- " in section or name in NOT_REPRODUCED, name
        if name not in NOT_REPRODUCED:
            assert f"raised(httpx.{name}" in section or f"raised(websockets.{name}" in section, name
            assert 'title="Output"' in section, name


def test_every_module_of_exceptions_is_looked_at():
    """An exception in another module of the package that users can import has to be added above."""
    importlib.import_module("httpx_fast.testing")
    elsewhere = {
        f"{name}.{each.__qualname__}"
        for name, module in sys.modules.items()
        if re.fullmatch(r"httpx_fast(\.[a-z]\w*)*", name)
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, httpx_fast.HTTPError)
        and not each.__name__.startswith("_")
        and each.__name__ not in exceptions()
    }
    assert elsewhere == set()
