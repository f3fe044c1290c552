"""The tables of names in docs/moving/ are complete and true: checked against the packages that they are about."""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType

import pages
import pytest

import httpx_fast

MOVING = pages.ROOT / "docs" / "moving"


def rows(page: str, heading: str) -> list[tuple[str, str]]:
    """Return both cells of each row of the first table below a heading."""
    text = (MOVING / page).read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| (.+?) \| (.*?) \|$", section, re.MULTILINE)[1:]


def theirs(page: str, heading: str) -> list[str]:
    return [name for left, _ in rows(page, heading) for name in re.findall(r"`(\w+)`", left)]


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def errors(module: ModuleType, base: type) -> set[str]:
    return {
        name
        for name, each in vars(module).items()
        if inspect.isclass(each) and issubclass(each, base) and name[0] != "_"
    }


@pytest.fixture
def requests() -> ModuleType:
    return pytest.importorskip("requests", reason="requests is what the page compares with")


@pytest.fixture
def aiohttp() -> ModuleType:
    return pytest.importorskip("aiohttp", reason="aiohttp is what the page compares with")


def test_functions_of_requests(requests: ModuleType):
    functions = {name for name, each in vars(requests.api).items() if inspect.isfunction(each)}
    assert set(theirs("requests.md", "Functions")) == functions


def test_classes_of_requests(requests: ModuleType):
    classes = {name for name in ("Session", "Request", "PreparedRequest", "Response") if hasattr(requests, name)}
    classes |= {name for name in vars(requests.auth) if re.match(r"(HTTP|Auth)\w+", name)}
    assert set(theirs("requests.md", "Classes")) == classes


def test_members_of_requests_sessions(requests: ModuleType):
    names = theirs("requests.md", "Session")
    assert set(names) == public(requests.Session) | set(requests.Session.__attrs__)
    assert len(names) == len(set(names))


def test_members_of_requests_responses(requests: ModuleType):
    names = theirs("requests.md", "Response")
    assert set(names) == public(requests.Response()) - {"connection"}
    assert len(names) == len(set(names))
    same = re.findall(r"`(\w+)`", rows("requests.md", "Response")[0][0])
    assert set(same) <= public(httpx_fast.Response(200))


def test_exceptions_of_requests(requests: ModuleType):
    known = errors(requests.exceptions, requests.exceptions.RequestException) - {"CompatJSONDecodeError"}
    assert set(theirs("requests.md", "Exceptions")) == known


def test_classes_of_aiohttp(aiohttp: ModuleType):
    client = importlib.import_module("aiohttp.client")
    named = set(theirs("aiohttp.md", "Classes")) | set(theirs("aiohttp.md", "Exceptions"))
    assert set(client.__all__) - named <= {"WSMessageTypeError"}
    assert named - set(client.__all__) - set(aiohttp.__all__) == set()


def test_members_of_aiohttp_sessions(aiohttp: ModuleType):
    assert set(theirs("aiohttp.md", "ClientSession")) == public(aiohttp.ClientSession) - {"ATTRS"}


def test_members_of_aiohttp_responses(aiohttp: ModuleType):
    named = set(theirs("aiohttp.md", "ClientResponse"))
    assert named == public(aiohttp.ClientResponse) - {"ATTRS"} | {"status", "reason", "version", "content"}


@pytest.mark.parametrize("page", ["requests.md", "aiohttp.md"])
def test_names_of_this_package_on_the_page_exist(page: str):
    text = (MOVING / page).read_text(encoding="utf-8")
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`httpx(?:_fast)?((?:\.\w+)+)`", tables))
    assert len(named) > 30
    for path in sorted(named):
        assert exists(path.strip(".").split(".")), path
    for name in re.findall(r"`(\w+)=`", tables):
        assert any(name in inspect.signature(each).parameters for each in TAKING), name


TAKING = (
    httpx_fast.Client.__init__,
    httpx_fast.AsyncHTTPTransport.__init__,
    httpx_fast.Client.request,
    httpx_fast.Proxy.__init__,
    httpx_fast.Client.stream,
)
SAMPLES = {
    "Response": httpx_fast.Response(200, request=httpx_fast.Request("GET", "http://host/")),
    "Headers": httpx_fast.Headers(),
}


def exists(parts: list[str]) -> bool:
    if parts[0] == "websockets":
        return hasattr(importlib.import_module("httpx_fast.websockets"), parts[1])
    found: object = getattr(httpx_fast, parts[0])
    found = SAMPLES.get(parts[0], found) if len(parts) > 1 else found
    return all(hasattr(found, name) for name in parts[1:])


def test_every_difference_from_httpx2_is_on_the_page():
    """What tests/types/test_signatures.py lists, by name."""
    source = (pages.ROOT / "tests" / "types" / "test_signatures.py").read_text(encoding="utf-8")
    pytest.importorskip("httpx2", reason="httpx2 is what the page compares with")
    names: dict[str, object] = {"__name__": "signatures"}
    exec(compile(source, "test_signatures.py", "exec"), names)
    differences = names["DIFFERENCES"]
    assert isinstance(differences, dict)
    assert len(differences) > 50
    text = (MOVING / "httpx.md").read_text(encoding="utf-8")
    told = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    missing = [
        each for each in differences if {*each.removesuffix(".__init__").split(".")} - {"httpx_fast"} - told - GROUPS
    ]
    assert missing == []


#: Classes and members that rows of the page name as a group: exceptions, transports, timeouts.
GROUPS = {
    name
    for name, each in vars(httpx_fast).items()
    if inspect.isclass(each)
    and issubclass(each, (httpx_fast.HTTPError, httpx_fast.BaseTransport, httpx_fast.AsyncBaseTransport))
}
