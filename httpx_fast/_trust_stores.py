"""What the authorities that a TLS context trusts are called, for the errors of handshakes.

A context can be asked for its certificates, not where they came from. So who makes one says so here.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl


class TrustStore(NamedTuple):
    """Name the authorities that a context trusts, and say what else could be trusted."""

    name: str
    advice: str = ""


#: Of the user's own context nothing else is known.
OF_THE_USER = TrustStore("the SSLContext that was given")

_stores: weakref.WeakKeyDictionary[ssl.SSLContext, TrustStore] = weakref.WeakKeyDictionary()


def name_trust_store(context: ssl.SSLContext, store: TrustStore) -> None:
    """Remember what `context` trusts."""
    _stores[context] = store


def trust_store_of(context: ssl.SSLContext) -> TrustStore:
    """Return what `context` trusts, as far as it is known."""
    return _stores.get(context, OF_THE_USER)
