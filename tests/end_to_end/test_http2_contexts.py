"""One `SSLContext` of the user serves HTTP/2 and HTTP/1.1, in turn and at the same time."""

from __future__ import annotations

import os
import socket
import ssl
import threading

import pytest
from servers import JSON_BODY

import httpx_fast
from httpx_fast._net import tls
from httpx_fast._net.sync import SyncBackend

PATIENCE = 30


@pytest.fixture
def context(authority):
    return ssl.create_default_context(cafile=str(authority.path))


async def spoken(client, nginx):
    response = await client.get(nginx.url("/json", "http2"))
    assert response.content == JSON_BODY
    return response.http_version


def test_http2_is_spoken_with_a_context_that_was_told_nothing(backend, nginx, context):
    async def body():
        async with backend.client(http2=True, verify=context, timeout=PATIENCE) as client:
            assert await spoken(client, nginx) == "HTTP/2"

    backend.run(body)


def test_what_the_client_speaks_counts_and_not_what_the_context_offered_before(backend, nginx, context):
    async def body():
        for before in ([], ["http/1.1"], ["h2"]):
            if before:
                context.set_alpn_protocols(before)
            for options, expected in (
                ({"http2": True}, "HTTP/2"),
                ({}, "HTTP/1.1"),
                ({"http2": True, "http1": False}, "HTTP/2"),
            ):
                async with backend.client(verify=context, timeout=PATIENCE, **options) as client:
                    assert await spoken(client, nginx) == expected

    backend.run(body)


def test_clients_with_other_settings_share_a_context_at_the_same_time(backend, nginx, context):
    """Each request makes a connection of its own, so that handshakes of both kinds are under way together."""

    def asking(http2):
        async def one():
            for _ in range(10):
                async with backend.client(http2=http2, verify=context, timeout=PATIENCE) as client:
                    assert await spoken(client, nginx) == ("HTTP/2" if http2 else "HTTP/1.1")

        return one

    async def body():
        await backend.together(*[asking(True), asking(False)] * 4)

    backend.run(body)


def test_sessions_are_resumed_whatever_was_offered_meanwhile(backend, nginx, context):
    """The context stays the same, and sessions belong to it."""

    async def body():
        close = httpx_fast.Limits(max_keepalive_connections=0)
        async with (
            backend.client(http2=True, verify=context, timeout=PATIENCE, limits=close) as two,
            backend.client(verify=context, timeout=PATIENCE, limits=close) as one,
        ):
            for resumed in (False, True, True):
                for client, expected in ((two, "HTTP/2"), (one, "HTTP/1.1")):
                    response = await client.get(nginx.url("/tiny", "http2"))
                    assert response.http_version == expected
                    assert response.journey.connection.tls_resumed is resumed

    backend.run(body)


class Slow(ssl.SSLContext):
    """Gives other threads every chance to come between the names and the SSL object."""

    def set_alpn_protocols(self, names):
        super().set_alpn_protocols(names)
        self.names = names
        threading.Event().wait(0.0005)

    def wrap_bio(self, *arguments, **options):
        made = super().wrap_bio(*arguments, **options)
        made.offered = self.names
        return made


def test_names_and_ssl_object_are_made_together():
    context = Slow(ssl.PROTOCOL_TLS_CLIENT)
    kinds = [("h2", "http/1.1"), ("http/1.1",), ("h2",)]
    start = threading.Barrier(len(kinds))
    wrong = []

    def make(names):
        start.wait(PATIENCE)
        for _ in range(20):
            here, there = socket.socketpair()
            with here, there:
                stream = tls.TLSStream(_stream(here), context, "localhost", None, names)
                if tuple(stream.get_extra_info("ssl_object").offered) != names:
                    wrong.append(names)

    threads = [threading.Thread(target=make, args=(names,)) for names in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []


def _stream(sock):
    from httpx_fast._net.sync import SyncStream

    return SyncStream(sock, None, SyncBackend.clock)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_of_a_fork_shakes_hands_although_a_thread_was_about_to(nginx, context):
    with tls._making:  # as another thread would hold it at that moment
        child = os.fork()
        if child == 0:
            try:
                with httpx_fast.Client(verify=context, http2=True, timeout=PATIENCE) as client:
                    os._exit(0 if client.get(nginx.url("/tiny", "http2")).http_version == "HTTP/2" else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
