"""The table of a pool that notebooks show."""

from __future__ import annotations

from memory import A, B

from httpx_fast._origin import Origin, Route
from httpx_fast._pool.html import pool_html
from httpx_fast._pool.stats import ConnectionInfo, PoolStats, WaiterInfo

STATS = PoolStats(
    leased=1, idle=1, connecting=0, waiting=1, max_connections=2, max_per_host=None, longest=None, learnt={}
)


def test_table_has_a_row_for_each_connection_and_each_waiting_request() -> None:
    leased = ConnectionInfo(A, "leased", age=2.0, leased=1.5, requests=3, http_version="HTTP/1.1", held_by=("a.py:7",))
    idle = ConnectionInfo(B, "idle", age=2.0, idle=0.25, requests=1, http_version="HTTP/2")
    html = pool_html(STATS, [leased, idle], [WaiterInfo(A, 0.5)])
    assert str(STATS) in html
    assert html.count("<tr>") == 4
    assert "<td>leased</td><td>1.500 s</td><td>3</td><td>HTTP/1.1</td><td>a.py:7</td>" in html
    assert "<td>idle</td><td>0.250 s</td><td>1</td><td>HTTP/2</td><td></td>" in html
    assert "<td>waits</td><td>0.500 s</td>" in html


def test_pool_without_connections_has_no_table() -> None:
    assert "<table>" not in pool_html(STATS, [], [])


def test_text_is_escaped() -> None:
    route = Route(Origin("http", "<script>", 80))
    html = pool_html(STATS, [ConnectionInfo(route, "idle", held_by=("<b>.py:1",))], [WaiterInfo(route, 1.0)])
    assert "<script>" not in html
    assert "<b>" not in html
    assert html.count("&lt;script&gt;") == 2
