"""Digest and redirects against Apache, which refuses an answer that is for another target."""

from __future__ import annotations

import pytest
from apache_digest import USER

import httpx_fast


def get(backend, url, times=1):
    async def body():
        async with backend.client(auth=httpx_fast.DigestAuth(*USER), follow_redirects=True) as client:
            return [await client.get(url) for _ in range(times)]

    return backend.run(body)


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [("/secret.txt", [401], []), ("/protected", [401, 307], [307]), ("/open", [307, 401], [307])],
)
def test_protected_content_is_got_however_one_comes_there(backend, apache_digest, path, first, second):
    responses = get(backend, apache_digest.url(path), times=2)
    assert [response.text for response in responses] == ["for your eyes only"] * 2
    assert [[each.status_code for each in response.history] for response in responses] == [first, second]
    assert not any(line.startswith("400") for line in apache_digest.requests())


@pytest.mark.parametrize("path", ["/away", "/far"])
def test_another_server_that_asks_gets_no_answer(backend, apache_digest, peer, path):
    def asking(dialogue):
        heads.append(dialogue.read_request())
        dialogue.send(b'HTTP/1.1 401 X\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 0\r\n\r\n')
        heads.append(dialogue.wait_for_close())

    heads = []
    other = peer(asking)
    (response,) = get(backend, apache_digest.url(f"{path}/{other.port}"))
    assert response.status_code == 401
    assert response.url.port == other.port
    other.close()
    assert b"uthorization" not in b"".join(heads)
    assert heads[1] == b""
