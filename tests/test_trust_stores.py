"""Names of what a TLS context trusts, for errors of handshakes."""

from __future__ import annotations

import gc
import ssl
import weakref

from httpx_fast._trust_stores import OF_THE_USER, TrustStore, name_trust_store, trust_store_of


def test_context_of_the_user_has_a_general_name():
    assert trust_store_of(ssl.create_default_context()) == OF_THE_USER


def test_store_that_was_named_is_found_for_its_context_only():
    named, other = ssl.create_default_context(), ssl.create_default_context()
    store = TrustStore("the authorities of a test", "use another")
    name_trust_store(named, store)
    assert trust_store_of(named) == store
    assert trust_store_of(other) == OF_THE_USER


def test_naming_keeps_no_context_alive():
    context = ssl.create_default_context()
    name_trust_store(context, TrustStore("a test"))
    left = weakref.ref(context)
    del context
    gc.collect()
    assert left() is None
