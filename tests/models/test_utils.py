"""Proxies of the environment, mount patterns, and the small helpers."""

from __future__ import annotations

import io
import sys

import pytest

from httpx_fast import URL, InvalidURL
from httpx_fast._utils import (
    URLPattern,
    get_environment_proxies,
    is_ipv4_hostname,
    is_ipv6_hostname,
    peek_filelike_length,
    peek_filelike_remaining_length,
    primitive_value_to_str,
    to_bytes,
    to_bytes_or_str,
    to_str,
    unquote,
    urlencode,
)

ENVIRONMENTS = [
    ({}, {}),
    ({"HTTP_PROXY": "http://127.0.0.1:3128"}, {"http://": "http://127.0.0.1:3128"}),
    ({"https_proxy": "127.0.0.1:3128"}, {"https://": "http://127.0.0.1:3128"}),
    ({"ALL_PROXY": "socks5://h"}, {"all://": "socks5://h"}),
    ({"HTTP_PROXY": "http://upper", "http_proxy": "http://lower"}, {"http://": "http://lower"}),
    ({"HTTP_PROXY": "http://upper", "http_proxy": ""}, {}),
    ({"HTTP_PROXY": "http://h", "REQUEST_METHOD": "GET"}, {}),
    ({"http_proxy": "http://h", "REQUEST_METHOD": "GET"}, {"http://": "http://h"}),
    ({"TRAVIS_APT_PROXY": "http://h"}, {}),
    ({"NO_PROXY": "127.0.0.1"}, {"all://127.0.0.1": None}),
    ({"NO_PROXY": "192.168.0.0/16"}, {"all://192.168.0.0/16": None}),
    ({"NO_PROXY": "::1"}, {"all://[::1]": None}),
    ({"NO_PROXY": "[::1]"}, {"all://[::1]": None}),
    ({"NO_PROXY": "[::1]:8080"}, {"all://[::1]:8080": None}),
    ({"NO_PROXY": "fe11::/16"}, {"all://[fe11::]/16": None}),
    ({"NO_PROXY": "[fe11::]/16"}, {"all://[fe11::]/16": None}),
    ({"NO_PROXY": "localhost"}, {"all://localhost": None}),
    ({"NO_PROXY": "example.com"}, {"all://*example.com": None}),
    ({"NO_PROXY": ".example.com"}, {"all://*.example.com": None}),
    ({"NO_PROXY": "*.example.com"}, {"all://*.example.com": None}),
    ({"NO_PROXY": "example.com:8080"}, {"all://*example.com:8080": None}),
    ({"NO_PROXY": "http://example.com"}, {"http://example.com": None}),
    ({"NO_PROXY": " a.com,b.com  c.com,, "}, dict.fromkeys(["all://*a.com", "all://*b.com", "all://*c.com"])),
    ({"NO_PROXY": "a.com:x,10.0.0.0/99,a.com/8,[zz],b.com"}, {"all://*b.com": None}),
    ({"HTTP_PROXY": "http://h", "NO_PROXY": "a.com, *"}, {}),
    ({"HTTP_PROXY": "http://h", "NO_PROXY": "a.com"}, {"http://": "http://h", "all://*a.com": None}),
]
MATCHES = [
    ("all://", "http://example.com", True),
    ("", "http://example.com", True),
    ("all://*", "http://example.com", True),
    ("http://", "http://example.com", True),
    ("http://", "https://example.com", False),
    ("http://example.com", "http://example.com", True),
    ("http://example.com", "http://other.com", False),
    ("http://example.com", "http://www.example.com", False),
    ("http://example.com", "http://example.com.evil", False),
    ("http://Example.com", "http://EXAMPLE.com", True),
    ("all://example.com", "https://example.com", True),
    ("://example.com", "https://example.com", True),
    ("all://*.example.com", "https://www.example.com", True),
    ("all://*.example.com", "https://a.b.example.com", True),
    ("all://*.example.com", "https://example.com", False),
    ("all://*.example.com", "https://notexample.com", False),
    ("all://*example.com", "https://www.example.com", True),
    ("all://*example.com", "https://example.com", True),
    ("all://*example.com", "https://notexample.com", False),
    ("all://example.com:123", "https://example.com:123", True),
    ("all://example.com:123", "https://example.com:456", False),
    ("all://example.com:123", "https://example.com", False),
    ("http://example.com:80", "http://example.com", True),
    ("http://example.com", "http://example.com:8080", True),
    ("all://中国.museum", "http://xn--fiqs8s.museum", True),
    ("all://192.168.0.0/16", "http://192.168.1.2", True),
    ("all://192.168.0.0/16", "http://192.169.0.0", False),
    ("all://192.168.0.0/16", "http://example.com", False),
    ("all://192.168.0.0/16", "http://[::1]", False),
    ("all://192.168.1.9/24", "http://192.168.1.2", True),
    ("https://192.168.0.0/16", "http://192.168.1.2", False),
    ("all://[fe11::]/16", "http://[fe11::1]", True),
    ("all://[fe11::]/16", "http://[fe12::1]", False),
    ("all://[::1]", "http://[::1]:8080", True),
    ("all://[::1]", "http://[0:0::1]", True),
    ("all://[::1]", "http://[::2]", False),
]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.mark.parametrize(("environment", "mounts"), ENVIRONMENTS)
def test_proxies_of_the_environment(monkeypatch, environment, mounts):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert get_environment_proxies() == mounts


def test_settings_of_the_system_count_where_the_environment_is_silent(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://system", "no": "local.example"})
    assert get_environment_proxies() == {"http://": "http://system", "all://*local.example": None}
    monkeypatch.setenv("HTTPS_PROXY", "http://environment")
    assert get_environment_proxies() == {"https://": "http://environment"}


@pytest.mark.parametrize(("pattern", "url", "expected"), MATCHES)
def test_pattern_matches(pattern, url, expected):
    assert URLPattern(pattern).matches(URL(url)) is expected


@pytest.mark.parametrize(("environment", "mounts"), ENVIRONMENTS)
def test_proxies_of_the_environment_are_those_of_httpx2(monkeypatch, environment, mounts):
    httpx2 = pytest.importorskip("httpx2")
    if environment.get("NO_PROXY", "").count(" "):
        pytest.skip("blanks separate entries too, as curl has it")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert httpx2._utils.get_environment_proxies() == mounts


@pytest.mark.parametrize(("pattern", "url", "expected"), MATCHES)
def test_pattern_matches_what_it_matches_in_httpx2(pattern, url, expected):
    httpx2 = pytest.importorskip("httpx2")
    if url == "http://[0:0::1]":
        pytest.skip("an IPv6 address matches in every spelling")
    assert httpx2._utils.URLPattern(pattern).matches(httpx2.URL(url)) is expected


def test_patterns_sort_from_the_most_to_the_least_specific():
    ordered = [
        "http://example.com:8443",
        "all://:8080",
        "https://www.example.com",
        "all://www.example.com",
        "http://example.com",
        "all://example.com",
        "all://10.1.0.0/16",
        "all://10.0.0.0/8",
        "all://[fd00::]/8",
        "https://",
        "http://",
        "all://",
    ]
    assert [pattern.pattern for pattern in sorted(map(URLPattern, reversed(ordered)))] == ordered


def test_equal_patterns_are_one_key():
    assert URLPattern("all://") == URLPattern("all://")
    assert len({URLPattern("all://"), URLPattern("all://"), URLPattern("http://")}) == 2
    assert URLPattern("all://") != "all://"
    assert repr(URLPattern("all://")) == "URLPattern('all://')"


@pytest.mark.parametrize("pattern", ["http", "example.com"])
def test_pattern_that_is_no_url_is_refused(pattern):
    with pytest.raises(ValueError, match=f"expected a pattern such as '{pattern}://' or 'all://{pattern}'"):
        URLPattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "all://10.0.0.0/33",
        "all://10.0.0.0/x",
        "all://10.0.0.0/8/9",
        "all://10.0.0.0:80/8",
        "all://u@10.0.0.0/8",
        "all://10.0.0.0/8?q",
        "all://10.0.0.0/%38",
        "all://[fe80::1%1]/64",
        "all://[::]/129",
    ],
)
def test_network_is_an_address_and_the_length_of_its_prefix(pattern):
    with pytest.raises(InvalidURL, match="expected an address, '/' and the length of a prefix in"):
        URLPattern(pattern)


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.2.3.4", 4), ("1.2.3.4/8", 4), ("::1", 6), ("fe80::/10", 6), ("1.2.3", None), ("a.b", None), ("[::1]", None)],
)
def test_addresses_are_told_from_names(text, version):
    assert is_ipv4_hostname(text) is (version == 4)
    assert is_ipv6_hostname(text) is (version == 6)


def test_length_of_a_file_is_known_without_reading_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with path.open("rb") as file:
        file.read(2)
        assert peek_filelike_length(file) == 5
        assert peek_filelike_remaining_length(file) == 3
        assert file.tell() == 2
    memory = io.BytesIO(b"12345")
    memory.read(2)
    assert peek_filelike_length(memory) == 5
    assert peek_filelike_remaining_length(memory) == 3
    assert memory.read() == b"345"
    memory.seek(9)
    assert peek_filelike_remaining_length(memory) == 0


def test_length_of_what_cannot_seek_is_unknown():
    class Pipe(io.RawIOBase):
        pass

    for stream in (object(), Pipe()):
        assert peek_filelike_length(stream) is None
        assert peek_filelike_remaining_length(stream) is None


def test_text_and_bytes():
    assert to_bytes("é") == to_bytes(b"\xc3\xa9") == b"\xc3\xa9"
    assert to_bytes("é", encoding="latin-1") == b"\xe9"
    assert to_str(b"\xc3\xa9") == to_str("é") == "é"
    assert to_bytes_or_str("a", match_type_of=b"") == b"a"
    assert to_bytes_or_str("a", match_type_of="") == "a"
    assert unquote('"a"') == "a"
    assert unquote('"a') == '"a'
    assert unquote('"') == '"'
    assert unquote("a") == "a"


def test_values_of_forms():
    assert [primitive_value_to_str(value) for value in ("a", True, False, None, 1, 1.5)] == [
        "a",
        "true",
        "false",
        "",
        "1",
        "1.5",
    ]
    assert urlencode([("a b", "c"), ("d", "é&"), ("~", "/")]) == "a+b=c&d=%C3%A9%26&~=%2F"
    assert urlencode([]) == ""
