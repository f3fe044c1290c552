"""A pool as a table for notebooks. Pure: snapshots in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .stats import ConnectionInfo, PoolStats, WaiterInfo

__all__ = ["pool_html"]


def pool_html(stats: PoolStats, connections: Sequence[ConnectionInfo], waiters: Sequence[WaiterInfo]) -> str:
    """Return a fragment: counts, one row for each connection, one for each request that waits."""
    rows = [_row(each) for each in connections]
    rows += [f"<tr><td>{escape(str(each.origin))}</td><td>waits</td><td>{each.age:.3f} s</td></tr>" for each in waiters]
    head = "<tr><th>origin</th><th>state</th><th>since</th><th>requests</th><th>protocol</th><th>held by</th></tr>"
    table = f"<table>{head}{''.join(rows)}</table>" if rows else ""
    return f"<div>{escape(str(stats))}</div>{table}"


def _row(connection: ConnectionInfo) -> str:
    since = connection.leased if connection.idle is None else connection.idle
    cells = (
        str(connection.origin),
        connection.state,
        "" if since is None else f"{since:.3f} s",
        str(connection.requests),
        connection.http_version or "",
        " ".join(connection.held_by),
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
