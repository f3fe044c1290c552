"""Facts of a connection: what they say, and what of them can be pickled."""

from __future__ import annotations

import pickle

from httpx_fast import ConnectionFacts, _journey


def test_they_are_pickled_without_what_is_open():
    facts = ConnectionFacts()
    facts.proxy, facts.requests, facts.stream, facts.trace = "http://p", 3, lambda: None, lambda: None
    twin = pickle.loads(pickle.dumps(facts))
    assert (twin.proxy, twin.requests, twin.http_version) == ("http://p", 3, "HTTP/1.1")
    assert (twin.stream, twin.trace) == (None, None)
    assert repr(twin) == repr(facts)
    assert repr(facts).endswith("3 requests>")


def test_they_have_no_certificate_without_tls():
    assert ConnectionFacts().certificate is None


def test_journeys_have_the_class_too():
    assert _journey.ConnectionFacts is ConnectionFacts
