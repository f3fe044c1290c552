"""Journeys as data for JSON: one object for each request, which `json.dumps` takes as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ._journey_parts import Facts, Record

__all__ = ["as_dict", "as_lines"]


def as_dict(journey: Record) -> dict[str, Any]:
    """Return all that is known of a journey; times in whole nanoseconds, secrets masked."""
    return _exchange(journey) | {
        "overall_ns": round(journey.overall * 1e9),
        "hops": [_exchange(each) for each in journey.hops],
    }


def _exchange(journey: Record) -> dict[str, Any]:
    return {
        "method": journey.method,
        "url": journey.url,
        "status": journey.status,
        "started_at": journey.started_at.isoformat(timespec="microseconds"),
        "total_ns": round(journey.total * 1e9),
        **_attempt(journey),
        "attempts": [_attempt(each) for each in journey.attempts],
    }


def _attempt(journey: Record) -> dict[str, Any]:
    return {
        "phase": journey.phase,
        "took_ns": round(journey.took * 1e9),
        "phases_ns": journey.phases_ns(),
        "reused": journey.reused,
        "connection_request": journey.nth,
        "stream_id": journey.stream_id,
        "idle_ns": None if journey.idle is None else round(journey.idle * 1e9),
        "why_new": journey.why_new,
        "idle_lost_ns": None if journey.idle_lost is None else round(journey.idle_lost * 1e9),
        "why_again": journey.why_again,
        "failure": journey.failure,
        "refusal": journey.refusal,
        "bytes": journey.sizes._asdict(),
        "connection": None if journey.connection is None else _facts(journey.connection),
    }


def _facts(facts: Facts) -> dict[str, Any]:
    certificate = facts.certificate
    return {
        "peer": _address(facts.peer_address),
        "local": _address(facts.local_address),
        "http_version": facts.http_version,
        "proxy": facts.proxy,
        "tls_version": facts.tls_version,
        "cipher": facts.cipher,
        "tls_resumed": facts.tls_resumed,
        "certificate": None
        if certificate is None
        else {
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "names": list(certificate.names),
            "not_before": None if certificate.not_before is None else certificate.not_before.isoformat(),
            "not_after": None if certificate.not_after is None else certificate.not_after.isoformat(),
        },
    }


def _address(address: Any) -> Any:
    if isinstance(address, tuple):
        return list(address)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return None if not address else str(address)


def as_lines(journeys: Iterable[Record]) -> str:
    """Return one line of JSON for each journey."""
    return "".join(json.dumps(as_dict(each), ensure_ascii=False) + "\n" for each in journeys)
