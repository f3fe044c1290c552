"""Requests that fail when servers of HTTP/2 send connections away, with httpx_fast and httpx2, in one run.

    python bench/goaway.py [--requests 300] [--reloads 8]

Asks nginx with `keepalive_requests 5`, nghttpd and, while they are reloaded, nginx, Apache and HAProxy; over TLS and in
cleartext. Prints how many requests failed, of how many, and the most frequent complaint.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests" / "support")]

import httpx2  # noqa: E402
from certificates import Authority  # noqa: E402
from reloading import Apache, BriefNginx, Haproxy, Nginx, Reloading  # noqa: E402
from servers import Nghttpd, Unavailable  # noqa: E402

import httpx_fast  # noqa: E402

PAUSE = 0.25  # seconds between two reloads
AT_ONCE = 20  # tasks that ask while a server is reloaded

Outcomes = collections.Counter[str]
Ask = Callable[[Any, str], Awaitable[Any]]


async def get(client: Any, url: str) -> Any:
    return await client.get(url)


async def post(client: Any, url: str) -> Any:
    return await client.post(url, content=b"once")


def client_of(package: Any, authority: Authority, tls: bool, connections: int | None) -> Any:
    context = authority.client_context()
    context.set_alpn_protocols(["h2"])
    limits = package.Limits(max_connections=connections)
    return package.AsyncClient(http1=tls, http2=True, verify=context, limits=limits, timeout=20)


async def one(ask: Ask, client: Any, url: str, outcomes: Outcomes) -> None:
    try:
        response = await ask(client, url)
    except Exception as error:  # noqa: BLE001 - what fails is counted
        outcomes[f"{type(error).__name__}: {str(error)[:90]}"] += 1
    else:
        outcomes["ok" if response.http_version == "HTTP/2" else "not HTTP/2"] += 1


async def at_once(ask: Ask, client: Any, url: str, count: int) -> Outcomes:
    outcomes: Outcomes = collections.Counter()
    await asyncio.gather(*[one(ask, client, url, outcomes) for _ in range(count)])
    return outcomes


async def while_reloaded(ask: Ask, client: Any, url: str, server: Reloading, reloads: int) -> Outcomes:
    outcomes: Outcomes = collections.Counter()
    over = asyncio.Event()

    async def go_on() -> None:
        while not over.is_set():
            await one(ask, client, url, outcomes)

    tasks = [asyncio.ensure_future(go_on()) for _ in range(AT_ONCE)]
    for _ in range(reloads):
        await asyncio.sleep(PAUSE)
        server.reload()
    await asyncio.sleep(PAUSE)
    over.set()
    await asyncio.gather(*tasks)
    return outcomes


def show(what: str, package: Any, outcomes: Outcomes) -> None:
    asked = outcomes.total()
    failed = asked - outcomes["ok"]
    worst = next((each for each, _ in outcomes.most_common() if each != "ok"), "")
    print(f"{what:58}{package.__name__:12}{failed:7} of {asked:7}  {worst}", flush=True)


@contextlib.contextmanager
def folder_for(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=name, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def compare(
    what: str, authority: Authority, tls: bool, ask: Callable[[Any], Awaitable[Outcomes]], **options: Any
) -> None:
    for package in (httpx_fast, httpx2):

        async def run(package: Any = package) -> Outcomes:
            async with client_of(package, authority, tls, options.get("connections")) as client:
                return await ask(client)

        show(f"{what}, {'TLS' if tls else 'cleartext'}", package, asyncio.run(run()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--reloads", type=int, default=8)
    options = parser.parse_args()
    with folder_for("authority") as folder:
        authority = Authority(folder)
        for tls in (True, False):
            with folder_for("nginx") as home, BriefNginx(home, authority) as server:
                url = server.url(tls)
                for connections in (None, 1):
                    for ask in (get, post):
                        what = f"nginx, 5 requests a connection, {ask.__name__}, limit {connections}"
                        compare(
                            what,
                            authority,
                            tls,
                            lambda client, ask=ask, url=url: at_once(ask, client, url, options.requests),
                            connections=connections,
                        )
            with folder_for("nghttpd") as home:
                (home / "tiny").write_text("ok")
                with Nghttpd(home, authority, tls=tls) as nghttpd:
                    url = nghttpd.url("/tiny")
                    compare(
                        "nghttpd, get",
                        authority,
                        tls,
                        lambda client, url=url: at_once(get, client, url, options.requests),
                    )
            for kind in (Nginx, Apache, Haproxy):
                for ask in (get, post):
                    reload(kind, authority, tls, ask, options.reloads)


def reload(kind: type[Reloading], authority: Authority, tls: bool, ask: Ask, reloads: int) -> None:
    try:
        with folder_for(kind.program) as home, kind(home, authority) as server:
            url = server.url(tls)
            what = f"{kind.program} reloaded {reloads} times, {ask.__name__}"
            compare(what, authority, tls, lambda client: while_reloaded(ask, client, url, server, reloads))
    except Unavailable as error:
        print(f"{kind.__name__} is left out: {error}")


if __name__ == "__main__":
    main()
