"""Opening and closing a client, with all of its transports."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest
from peers import OK, always

import httpx_fast
from httpx_fast import Response, _trust


def echo(request):
    return Response(
        200,
        json={
            "method": request.method,
            "url": str(request.url),
            "headers": request.headers.multi_items(),
            "content": request.content.decode(),
        },
    )


def ok(request):
    return Response(200, content=b"ok")


@pytest.fixture
def client():
    with httpx_fast.Client(transport=httpx_fast.MockTransport(echo)) as opened:
        yield opened


def test_client_opens_with_its_first_request_or_its_block(backend):
    async def body():
        client = backend.client(transport=httpx_fast.MockTransport(ok))
        assert not client.is_closed
        await client.get("http://a.test/")
        with pytest.raises(RuntimeError, match="open already"):
            await client.__aenter__()
        await client.aclose()
        assert client.is_closed
        with pytest.raises(RuntimeError, match="closed and cannot be opened again"):
            await client.__aenter__()

    backend.run(body)


def test_closed_client_sends_nothing(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(ok)) as client:
            pass
        assert client.is_closed
        with pytest.raises(RuntimeError, match="has been closed"):
            await client.get("http://a.test/")
        await client.aclose()

    backend.run(body)


class Transport(httpx_fast.BaseTransport, httpx_fast.AsyncBaseTransport):
    """Notes how it is entered, left and closed."""

    def __init__(self, fails=""):
        self.fails = fails
        self.events = []

    def note(self, event):
        self.events.append(event)
        if event == self.fails:
            raise OSError(f"{event} failed")

    def __enter__(self):
        self.note("enter")
        return self

    def __exit__(self, *exc_info):
        self.note("exit")

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, *exc_info):
        self.__exit__(*exc_info)

    def close(self):
        self.note("close")

    async def aclose(self):
        self.close()


def test_block_enters_and_leaves_all_transports(backend):
    own, mounted = Transport(), Transport()

    async def body():
        async with backend.client(transport=own, mounts={"all://a.test": mounted, "all://b.test": None}):
            assert own.events == mounted.events == ["enter"]

    backend.run(body)
    assert own.events == mounted.events == ["enter", "exit"]


def test_close_closes_all_transports_once_even_if_one_fails(backend):
    own, mounted = Transport(fails="close"), Transport()

    async def body():
        client = backend.client(transport=own, mounts={"all://a.test": mounted})
        with pytest.raises(OSError, match="close failed"):
            await client.aclose()
        await client.aclose()
        assert client.is_closed

    backend.run(body)
    assert own.events == mounted.events == ["close"]


def test_transports_that_were_entered_are_closed_when_the_next_one_fails(backend):
    own, mounted = Transport(), Transport(fails="enter")

    async def body():
        client = backend.client(transport=own, mounts={"all://a.test": mounted})
        with pytest.raises(OSError, match="enter failed"):
            await client.__aenter__()
        assert client.is_closed

    backend.run(body)
    assert own.events == ["enter", "close"]


class ClosedByFinalizer(httpx_fast.Client):
    """As SDKs have it, openai's for one; it is garbage that only a collection finds."""

    def __init__(self):
        super().__init__()
        self.itself = self

    def __del__(self):
        self.close()
        self.closed.set()


def in_a_thread(function):
    """Runs what may never end."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits for a lock that its own thread holds"


def test_a_finalizer_may_close_a_client_while_another_one_makes_its_pool(peer, monkeypatch):
    server = peer(always(OK))
    closed = threading.Event()
    make_pool = httpx_fast.HTTPTransport._make_pool
    texts = []

    def collecting(self, backend):
        gc.collect()
        assert closed.is_set()
        return make_pool(self, backend)

    def run():
        with httpx_fast.Client() as client:
            texts.append(client.get(server.url()).text)

    monkeypatch.setattr(ClosedByFinalizer, "closed", closed, raising=False)
    monkeypatch.setattr(httpx_fast.HTTPTransport, "_make_pool", collecting)
    gc.disable()
    try:
        ClosedByFinalizer()
        in_a_thread(run)
    finally:
        gc.enable()
    assert texts == ["ok"]


def test_a_finalizer_may_need_a_context_while_another_one_is_built(monkeypatch):
    new_context = _trust.new_context
    contexts = []

    def nested(verify, cert, trust_env):
        if verify:
            contexts.append(_trust.shared_ssl_context(False, None, True))
        return new_context(verify, cert, trust_env)

    monkeypatch.setattr(_trust, "new_context", nested)
    monkeypatch.setattr(_trust, "_shared", {})
    in_a_thread(lambda: contexts.append(_trust.shared_ssl_context(True, None, True)))
    assert len(contexts) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_the_child_of_a_fork_waits_for_no_thread_of_its_parent():
    program = """
import os, sys, threading
import httpx_fast
from httpx_fast import _trust
from httpx_fast._transports import http

held, end = threading.Event(), threading.Event()

def hold():
    with http._reopening, _trust._shared_lock:
        held.set()
        end.wait(30)

threading.Thread(target=hold, daemon=True).start()
held.wait(30)
child = os.fork()
if not child:
    try:
        httpx_fast.Client(transport=httpx_fast.HTTPTransport()).close()
        httpx_fast.HTTPTransport().pool
        _trust.shared_ssl_context(True, None, True)
        os._exit(7)
    finally:
        os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
end.set()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)
