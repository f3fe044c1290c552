"""Status codes by name, old names, and the classes of codes."""

from __future__ import annotations

import pickle
import warnings
from http import HTTPStatus

import pytest

from httpx_fast import codes


def test_code_is_a_number_with_a_phrase():
    assert codes.NOT_FOUND == 404
    assert codes(404) is codes.NOT_FOUND
    assert codes["NOT_FOUND"] is codes.NOT_FOUND
    assert codes.NOT_FOUND.phrase == "Not Found"
    assert str(codes.NOT_FOUND) == "404"
    assert f"{codes.NOT_FOUND}" == "404"
    assert pickle.loads(pickle.dumps(codes.NOT_FOUND)) is codes.NOT_FOUND


def test_lower_case_names_are_plain_numbers():
    for code in codes:
        number = getattr(codes, code.name.lower())
        assert number == code
        assert type(number) is int


def test_phrase_of_any_number():
    assert codes.get_reason_phrase(418) == "I'm a teapot"
    assert codes.get_reason_phrase(499) == ""


OLD_NAMES = {
    "REQUEST_ENTITY_TOO_LARGE": "CONTENT_TOO_LARGE",
    "REQUEST_URI_TOO_LONG": "URI_TOO_LONG",
    "REQUESTED_RANGE_NOT_SATISFIABLE": "RANGE_NOT_SATISFIABLE",
    "UNPROCESSABLE_ENTITY": "UNPROCESSABLE_CONTENT",
}


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items())
def test_old_name_works_and_warns(old, new):
    with pytest.warns(DeprecationWarning, match=rf"codes\.{old} is now codes\.{new}") as caught:
        assert getattr(codes, old) is codes[new]
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert codes[old] is codes[new]
        assert getattr(codes, old.lower()) == codes[new]
    assert old not in [code.name for code in codes]


def test_unknown_name_or_number_is_an_error():
    with pytest.raises(AttributeError, match="codes has no code named 'NO_SUCH_CODE'"):
        codes.NO_SUCH_CODE  # noqa: B018
    with pytest.raises(KeyError, match="NO_SUCH_CODE"):
        codes["NO_SUCH_CODE"]
    with pytest.raises(ValueError, match="999"):
        codes(999)


@pytest.mark.parametrize("number", [99, 100, 199, 200, 299, 300, 399, 400, 499, 500, 599, 600])
def test_classes_of_codes(number):
    assert codes.is_informational(number) is (100 <= number < 200)
    assert codes.is_success(number) is (200 <= number < 300)
    assert codes.is_redirect(number) is (300 <= number < 400)
    assert codes.is_client_error(number) is (400 <= number < 500)
    assert codes.is_server_error(number) is (500 <= number < 600)
    assert codes.is_error(number) is (400 <= number < 600)


def test_every_code_of_the_standard_library_is_there():
    assert {status.value for status in HTTPStatus} <= {code.value for code in codes}
