"""Modules under their old names are ours, for the whole process. Hence each test has an interpreter of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import httpx_fast

Run = Callable[[str], str]

#: Modules that public code imports by name, and what it takes from each.
IMPORTED = {
    "_client": "ACCEPT_ENCODING AsyncClient BaseClient Client ClientState USE_CLIENT_DEFAULT UseClientDefault",
    "_config": "DEFAULT_LIMITS DEFAULT_MAX_REDIRECTS DEFAULT_TIMEOUT_CONFIG Limits Proxy Timeout create_ssl_context",
    "_content": "AsyncIteratorByteStream ByteStream IteratorByteStream encode_json encode_request encode_response",
    "_decoders": "ByteChunker GZipDecoder LineDecoder SUPPORTED_DECODERS TextChunker TextDecoder",
    "_exceptions": "HTTPError HTTPStatusError InvalidURL TransportError request_context",
    "_models": "Cookies Headers Request Response",
    "_multipart": "DataField FileField MultipartStream get_multipart_boundary_from_content_type",
    "_status_codes": "codes",
    "_transports": "ASGITransport AsyncBaseTransport AsyncHTTPTransport BaseTransport HTTPTransport MockTransport",
    "_transports.asgi": "ASGITransport",
    "_transports.base": "AsyncBaseTransport BaseTransport",
    "_transports.default": "AsyncHTTPTransport HTTPTransport",
    "_transports.mock": "MockTransport",
    "_transports.wsgi": "WSGITransport",
    "_types": "AsyncByteStream AuthTypes CertTypes CookieTypes FileTypes HeaderTypes PrimitiveData ProxyTypes "
    "QueryParamTypes RequestContent RequestData RequestExtensions RequestFiles ResponseContent ResponseExtensions "
    "SyncByteStream TimeoutTypes URLTypes",
    "_urls": "QueryParams URL",
    "_utils": "URLPattern get_environment_proxies",
}


def test_an_old_name_gives_this_package(run: Run):
    assert run("httpx_fast.alias('httpx'); import httpx; print(httpx is httpx_fast)") == "True\n"


def test_without_the_call_nothing_is_replaced(run: Run):
    assert run("import httpx, httpcore; print(httpx.OLD, httpcore.OLD)") == "True True\n"


def test_the_name_that_httpx2_has_for_it_replaces_httpx_and_httpcore(run: Run):
    program = """
import sys
httpx_fast.alias_httpx()
httpx_fast.alias_httpx()
import httpx, httpcore
print(httpx is httpx_fast, hasattr(httpcore, "OLD"), len([each for each in sys.meta_path if hasattr(each, "replaced")]))
"""
    assert run(program) == "True False 1\n"


def test_only_the_named_one_is_replaced(run: Run):
    assert run("httpx_fast.alias('httpx2'); import httpx, httpx2; print(httpx.OLD, httpx2 is httpx_fast)") == (
        "True True\n"
    )


@pytest.mark.parametrize(
    ("names", "version"),
    [(["httpx"], "0.28.1"), (["httpx2"], "2.16.2"), (["httpx2", "httpx"], "0.28.1"), ([], httpx_fast.__version__)],
)
def test_the_version_is_that_of_the_replaced_package(run: Run, names: list[str], version: str):
    """Libraries choose by it how to call httpx: zeep gives `proxies=` to what is older than 0.26."""
    program = """
own = httpx_fast.__version__
httpx_fast.alias(*%r)
from httpx_fast._client.defaults import USER_AGENT
from httpx_fast.__version__ import __version__
print(httpx_fast.__version__, __version__ == own, USER_AGENT.endswith(own))
"""
    assert run(program % names) == f"{version} True True\n"


@pytest.mark.parametrize("first", ["httpx", "httpx_fast"])
def test_submodules_are_the_same_objects_in_whatever_order_they_are_imported(run: Run, first: str):
    second = {"httpx": "httpx_fast", "httpx_fast": "httpx"}[first]
    # The late ones first, before others have imported them.
    modules = sorted(IMPORTED, key=lambda module: not module.startswith("_transports."))
    program = f"""
from importlib import import_module
httpx_fast.alias("httpx", "httpx2")
for module in {modules!r}:
    found = [import_module(f"{{name}}.{{module}}") for name in ({first!r}, {second!r}, "httpx2")]
    same = sys.modules[f"httpx_fast.{{module}}"]
    assert all(each is same for each in found), module
    assert same.__name__ == same.__spec__.name == f"httpx_fast.{{module}}"
import httpx
for module in {modules!r}:
    # As attributes too, step by step.
    reached = httpx
    for part in module.split("."):
        reached = getattr(reached, part)
    assert reached is sys.modules[f"httpx_fast.{{module}}"], module
print(len({modules!r}))
"""
    assert run(program) == f"{len(IMPORTED)}\n"


def test_modules_have_the_names_that_others_import(run: Run):
    imports = "\n".join(f"from httpx.{module} import {', '.join(names.split())}" for module, names in IMPORTED.items())
    assert run(f"httpx_fast.alias('httpx')\n{imports}\nprint('all')") == "all\n"


def test_a_module_that_does_not_exist_is_missing_under_its_old_name_too(run: Run):
    program = """
httpx_fast.alias("httpx")
for name in ("httpx._nothing", "httpcore._nothing"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error.name)
"""
    assert run(program) == "httpx._nothing\nhttpcore._nothing\n"


def test_doing_it_again_does_nothing(run: Run):
    program = """
httpx_fast.alias("httpx")
import httpx
before = list(sys.meta_path)
httpx_fast.alias("httpx")
print(sys.meta_path == before)
httpx_fast.alias("httpx", "httpx2")
import httpx2
print(httpx2 is httpx is httpx_fast)
"""
    assert run(program) == "True\nTrue\n"


@pytest.mark.parametrize("imported", ["httpx", "httpcore"])
def test_a_name_that_was_imported_before_is_refused_and_nothing_is_changed(run: Run, imported: str):
    program = f"""
import {imported}
try:
    httpx_fast.alias("httpx2", "httpx")
except RuntimeError as error:
    print(error)
import httpx, httpcore
print(httpx.OLD, httpcore.OLD, "httpx2" in sys.modules)
"""
    message, names, _ = run(program).split("\n")
    assert message.startswith(f"{imported} has been imported already, from ")
    assert f"call httpx_fast.alias() before the first import of anything that imports {imported}" in message
    assert names == "True True False"


def test_another_name_is_refused(run: Run):
    program = """
try:
    httpx_fast.alias("requests")
except ValueError as error:
    print(error)
"""
    assert run(program) == "'requests' cannot be replaced; expected 'httpx' or 'httpx2'\n"


def test_httpcore_can_be_left_alone(run: Run):
    program = (
        "httpx_fast.alias('httpx', httpcore=False); import httpx, httpcore; print(httpx is httpx_fast, httpcore.OLD)"
    )
    assert run(program) == "True True\n"


def test_importing_the_plugin_replaces_both_names(run: Run):
    program = "import httpx_fast.testing.as_httpx, httpx, httpx2; print(httpx is httpx2 is httpx_fast)"
    assert run(program) == "True\n"


def test_what_was_pickled_under_an_old_name_can_be_loaded(run: Run):
    program = """
httpx_fast.alias("httpx")
import pickle, httpx
old = pickle.dumps(httpx.Timeout(3.0), 0).replace(b"httpx_fast", b"httpx")
print(pickle.loads(old) == httpx.Timeout(3.0), pickle.dumps(httpx.Timeout).count(b"httpx_fast"))
"""
    assert run(program) == "True 1\n"


def test_errors_of_httpcore_are_those_that_clients_raise(run: Run):
    program = """
httpx_fast.alias("httpx")
import httpcore, httpx
from httpcore._exceptions import ReadError
print(ReadError is httpx.ReadError, all(getattr(httpcore, name) is getattr(httpx, name) for name in (
    "ConnectError", "ConnectTimeout", "LocalProtocolError", "NetworkError", "PoolTimeout", "ProtocolError",
    "ProxyError", "ReadError", "ReadTimeout", "RemoteProtocolError", "TimeoutException", "UnsupportedProtocol",
    "WriteError", "WriteTimeout")))
"""
    assert run(program) == "True True\n"


def test_httpcore_says_what_it_has_not(run: Run):
    program = """
httpx_fast.alias("httpx")
import httpcore
for use in (lambda: httpcore.MockBackend, lambda: httpcore.HTTPConnection(None)):
    try:
        use()
    except (AttributeError, RuntimeError) as error:
        print(error)
"""
    missing, useless, _ = run(program).split("\n")
    assert "replaced by httpx_fast.alias(), which has no 'MockBackend' to offer" in missing
    assert "its HTTPConnection sends nothing" in useless
