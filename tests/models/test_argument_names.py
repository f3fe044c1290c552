"""Arguments that have another name in other clients are refused with the name to use."""

from __future__ import annotations

import inspect

import pytest

import httpx_fast
from httpx_fast._argument_names import names_explained


@names_explained
def plain(url: str, *, timeout: float = 1.0) -> tuple[str, float]:
    """Return the arguments."""
    return url, timeout


@names_explained
def with_retries(*, retries: int = 0) -> int:
    return retries


def test_known_arguments_pass_through():
    assert plain("http://a.test/", timeout=2.0) == ("http://a.test/", 2.0)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("allow_redirects", r"follow_redirects=\.\.\."),
        ("app", r"transport=ASGITransport\(app=\.\.\.\) or WSGITransport"),
        ("proxies", r"proxy=\.\.\., or for one proxy per scheme or host mounts="),
        ("retries", r"retry=Retry\(attempts=\.\.\.\), or for connecting alone transport=HTTPTransport\(retries="),
    ],
)
def test_a_name_of_another_client_is_refused_with_ours(name, advice):
    with pytest.raises(
        TypeError, match=rf"^plain\(\) got an unexpected keyword argument '{name}'; here it is {advice}"
    ):
        plain("http://a.test/", **{name: 1})


def test_other_unknown_names_are_refused_by_python_itself():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'timout'") as caught:
        plain("http://a.test/", timout=1)
    assert "here it is" not in str(caught.value)


def test_a_name_that_the_function_has_is_accepted():
    assert with_retries(retries=3) == 3


def test_signature_and_docstring_stay():
    assert list(inspect.signature(plain).parameters) == ["url", "timeout"]
    assert plain.__doc__ == "Return the arguments."


@pytest.mark.parametrize("make", [httpx_fast.Client, httpx_fast.AsyncClient])
def test_clients_explain_the_names(make):
    with pytest.raises(TypeError, match=r"here it is proxy=\.\.\."):
        make(proxies={})
