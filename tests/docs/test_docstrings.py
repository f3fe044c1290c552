"""Public members have docstrings that begin with a verb; the 40 that people use most have an example, which is run.

An example is an indented block, or a fenced one. It runs in the world of tests/support/pages.py, with
`httpx`, a `client`, a `response` (and their async counterparts where it awaits) at hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import pytest

import httpx_fast
from httpx_fast import testing, websockets

MOST_USED = (
    *("get", "post", "request", "stream", "Client", "AsyncClient"),
    *(
        f"Client.{name}"
        for name in ("get", "post", "put", "request", "send", "build_request", "stream", "sse", "websocket")
    ),
    *(f"Client.{name}" for name in ("event_hooks", "pool", "warm", "drain")),
    *(f"AsyncClient.{name}" for name in ("get", "post", "stream")),
    *(f"Response.{name}" for name in ("json", "raise_for_status", "iter_bytes", "aiter_bytes", "iter_lines", "links")),
    *(
        "Response.journey",
        "Request",
        "URL",
        "URL.join",
        "QueryParams",
        "Headers",
        "Cookies",
        "Timeout",
        "Limits",
        "Proxy",
    ),
    *(
        "BasicAuth",
        "Auth",
        "HTTPTransport",
        "MockTransport",
        "ASGITransport",
        "StaticResolver",
        "AddressFilter",
        "Retry",
    ),
)


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with pages.at_home(monkeypatch, tmp_path):
        yield


def named(path: str) -> Any:
    found: Any = httpx_fast
    for part in path.split("."):
        found = inspect.getattr_static(found, part) if inspect.isclass(found) else getattr(found, part)
    return found


def examples(path: str) -> list[str]:
    """Return the code in a docstring: indented blocks that follow an empty line, and fenced ones."""
    text = inspect.cleandoc(named(path).__doc__ or "")
    fenced = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"(?:\A|\n\n)((?: {4}[^\n]*(?:\n|\Z)|\n(?= {4}))+)", text)
    return [*fenced, *(textwrap.dedent(each) for each in found)]


def test_there_are_forty():
    assert len(set(MOST_USED)) >= 40


@pytest.mark.parametrize("path", MOST_USED)
def test_a_member_that_is_used_often_has_an_example_that_runs(at_home: None, path: str):
    found = examples(path)
    assert found, f"{path} has no example in its docstring"
    for code in found:
        run(code)


def run(code: str) -> None:
    names: dict[str, Any] = {"httpx": httpx_fast, "__name__": "example"}
    with contextlib.redirect_stdout(io.StringIO()), httpx_fast.Client(base_url="https://api.example.org") as client:
        if not re.search(r"\b(await|async with|async for)\b", code) or "asyncio.run" in code:
            names |= {"client": client, "response": client.get("/items")}
            exec(code, names)
            return
        body = textwrap.indent(code, " " * 8)
        exec(
            "async def example():\n"
            '    async with httpx.AsyncClient(base_url="https://api.example.org") as client:\n'
            f'        response = await client.get("/items")\n{body}\n',
            names,
        )
        asyncio.run(names["example"]())


def public_members() -> list[tuple[str, Any]]:
    """Return every public name and every public member that this package defines, with what has its docstring.

    What steps of the fault lab have beyond their name, `Step` describes for all of them.
    """
    found: list[tuple[str, Any]] = []
    for module in (httpx_fast, websockets, testing):
        for name in module.__all__:
            each = getattr(module, name)
            if name.startswith("__") or inspect.ismodule(each):
                continue
            if inspect.isclass(each) or inspect.isfunction(each):
                found.append((f"{module.__name__}.{name}", each))
            if inspect.isclass(each) and not issubclass(each, BaseException) and not hasattr(each, "run"):
                found += [(f"{module.__name__}.{name}.{path}", member) for path, member in members(each)]
    return found


def members(cls: type) -> list[tuple[str, Any]]:
    found = []
    for owner in cls.__mro__:
        if not owner.__module__.startswith("httpx_fast"):
            continue
        for name, member in vars(owner).items():
            if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, (property, classmethod))):
                continue
            if name in getattr(owner, "_fields", ()):  # PyPy makes the fields of named tuples properties
                continue
            if inspect.getattr_static(cls, name) is member:
                found.append((name, member))
    return found


def test_every_public_member_has_a_docstring():
    members = public_members()
    assert len(members) > 300
    missing = {path for path, each in members if not (inspect.getdoc(each) or "").strip()}
    assert missing == set()


def test_docstrings_begin_with_a_verb_in_the_imperative():
    """Those of functions, methods and properties; classes may say what they are."""
    wrong = set()
    for path, each in public_members():
        if inspect.isclass(each):
            if (inspect.getdoc(each) or "").startswith(f"{each.__name__}("):  # what a dataclass makes by itself
                wrong.add(path)
            continue
        first = re.match(r"\w+", inspect.getdoc(each) or "")
        if first is None or first[0] in NO_VERBS or (first[0].endswith("s") and first[0] not in VERBS_IN_S):
            wrong.add(f"{path}: {first and first[0]}")
    assert wrong == set()


VERBS_IN_S = {"Pass", "Process"}
NO_VERBS = {"A", "An", "How", "The", "What", "When", "Where", "Whether", "Who"}
