"""What cannot be pickled of a client is refused by the name of its argument."""

from __future__ import annotations

import pickle
import ssl

import pytest

from httpx_fast._pickling import check_picklable, refuse_context


def test_a_value_that_can_be_pickled_is_none_of_its_business() -> None:
    check_picklable("Client", "auth", ("user", b"password"))
    refuse_context("Client", "verify", True)


def test_what_cannot_be_pickled_is_named() -> None:
    with pytest.raises(pickle.PicklingError, match=r"cannot pickle Client: its auth cannot be pickled \(.*top level"):
        check_picklable("Client", "auth", lambda request: request)


def test_a_context_is_named_with_what_to_give_instead() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(pickle.PicklingError, match=r'verify is an ssl\.SSLContext, .* use verify="system"'):
        refuse_context("Client", "verify", context)
