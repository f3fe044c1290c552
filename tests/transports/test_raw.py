"""Heads that are kept for requests of the same parts."""

from __future__ import annotations

import pytest

import httpx_fast
from httpx_fast._transports.raw import MAX_HEADS, MAX_TIMEOUTS, RawRequests

URL = httpx_fast.URL("http://host.example/path?q=1")
FIELDS = [(b"Host", b"host.example"), (b"X-A", b"1"), (b"X-B", b"2")]
TIMEOUT = {"connect": 1, "read": 2, "write": 3, "pool": 4}


def make(requests: RawRequests, method="GET", url=URL, fields=FIELDS, body=b"", extensions=None):
    return requests.make(method, url, list(fields), body, {"timeout": TIMEOUT} if extensions is None else extensions)


def test_equal_parts_share_a_head():
    requests = RawRequests()
    assert make(requests)._unchanged_head() is make(requests)._unchanged_head()
    assert make(requests, body=b"x")._unchanged_head() is make(requests)._unchanged_head()


@pytest.mark.parametrize(
    "other",
    [
        {"method": "HEAD"},
        {"url": httpx_fast.URL("http://host.example/path?q=2")},
        {"url": httpx_fast.URL("http://host.example:81/path?q=1")},
        {"url": httpx_fast.URL("https://host.example/path?q=1")},
        {"fields": [*FIELDS, (b"X-C", b"3")]},
        {"fields": FIELDS[::-1]},
        {"fields": [FIELDS[0], (b"X-A", b"2")]},
        {"extensions": {"target": b"*"}},
        {"extensions": {"sni_hostname": "other.example"}},
    ],
)
def test_whatever_differs_makes_another_head(other):
    requests = RawRequests()
    dispatch, different = make(requests)._dispatch, make(requests, **other)._dispatch
    assert different.head is not dispatch.head
    assert (different.head.http1, different.destination.route) != (dispatch.head.http1, dispatch.destination.route)
    assert make(requests)._unchanged_head() is dispatch.head


def test_a_head_is_what_the_parts_say():
    dispatch = make(RawRequests(), "POST", extensions={"target": b"/other", "sni_hostname": "name.example"})._dispatch
    head, route = dispatch.head, dispatch.destination.route
    assert head.http1 == b"POST /other HTTP/1.1\r\nHost: host.example\r\nX-A: 1\r\nX-B: 2\r\n\r\n"
    assert route.origin == ("http", "host.example", 80)
    assert route.server_name == "name.example"


def test_what_asks_for_another_protocol_is_not_sent_over_http2():
    fields = [*FIELDS, (b"Connection", b"Upgrade"), (b"upgrade", b"websocket")]
    assert make(RawRequests(), fields=fields)._dispatch.destination.route.http1
    assert not make(RawRequests())._dispatch.destination.route.http1


def test_heads_and_timeouts_are_kept_up_to_a_limit():
    requests = RawRequests()
    first = make(requests)._dispatch.head
    for number in range(MAX_HEADS):
        make(requests, fields=[*FIELDS, (b"X-N", b"%d" % number)], extensions={"timeout": {**TIMEOUT, "read": number}})
        make(requests, url=httpx_fast.URL(f"http://host.example/{number}"))
    assert len(requests._heads) == len(requests._urls) == MAX_HEADS
    assert len(requests._timeouts) == MAX_TIMEOUTS
    assert make(requests)._dispatch.head is not first


def test_timeouts_of_the_four_phases_are_read_once():
    requests = RawRequests()
    request = make(requests)
    assert request._dispatch.timeout is make(requests)._dispatch.timeout
    assert request._dispatch.timeout.as_dict() == TIMEOUT
    assert request._extensions is None


@pytest.mark.parametrize("timeout", [{**TIMEOUT, "total": 5}, {"read": 1}, {}, 5])
def test_other_timeouts_stay_in_the_extensions(timeout):
    request = make(RawRequests(), extensions={"timeout": timeout})
    assert request._dispatch.timeout is None
    assert request._extensions == {"timeout": timeout}


@pytest.mark.parametrize(
    ("method", "fields", "seen"),
    [("G T", FIELDS, "method"), ("GÉT", FIELDS, "no token"), ("GET", [*FIELDS, (b"X", b"a\nb")], "X")],
)
def test_what_cannot_be_sent_is_not_kept(method, fields, seen):
    requests = RawRequests()
    with pytest.raises(httpx_fast.LocalProtocolError, match=seen):
        make(requests, method, fields=fields)
    assert not requests._heads
