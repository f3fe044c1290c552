"""Which encodings a peer may name, and text that comes in pieces."""

from __future__ import annotations

import codecs
import random
import subprocess
import sys

import pytest
from costs import assert_linear

from httpx_fast import Response
from httpx_fast._encodings import _LABELS, CODECS, MAX_LABEL, known_encoding, load_codecs, text_decoder

TEXT = {
    "shift_jis": "日本語 ｶﾅ", "cp932": "①日本語", "euc_jp": "日本語", "iso2022_jp": "日本語 abc", "big5": "中文",
    "big5hkscs": "中文", "gb2312": "中文", "gbk": "中文", "gb18030": "中文𠀀", "euc_kr": "한국어", "cp949": "한국어똠",
    "iso8859_5": "Привет", "cp866": "Привет", "cp1251": "Привет", "koi8_r": "Привет", "koi8_u": "Привіт",
    "mac_cyrillic": "Привет", "iso8859_7": "Γειά", "cp1253": "Γειά", "iso8859_8": "שלום", "cp1255": "שלום",
    "iso8859_6": "سلام", "cp1256": "سلام", "iso8859_11": "สวัสดี", "tis_620": "สวัสดี", "cp874": "สวัสดี", "ascii": "abc",
    "cp1258": "abc₫",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CODECS))
def test_every_encoding_that_a_peer_may_name_is_decoded_whole_and_in_pieces(name):
    text = TEXT.get(name, "abcÄ") * 5
    data = text.encode(name)
    response = Response(200, headers={"Content-Type": f"text/plain; charset={name}"}, content=data)
    assert response.encoding == name
    assert response.text == text
    for size in (1, 2, 3, 7):
        pieces = Response(
            200,
            headers={"Content-Type": f"text/plain; charset={name}"},
            content=iter([data[i : i + size] for i in range(0, len(data), size)]),
        )
        assert "".join(pieces.iter_text()) == text


@pytest.mark.parametrize("name", sorted(CODECS))
def test_garbage_never_raises_however_it_is_cut(name):
    dice = random.Random(name)
    for _ in range(200):
        alphabet = bytes(dice.sample(range(256), dice.randint(1, 256))) + b"\x1b$B(J\0~" * dice.randint(0, 3)
        data = bytes(dice.choices(alphabet, k=dice.randint(0, 60)))
        decoder = text_decoder(name)
        at, text = 0, ""
        while at < len(data):
            size = dice.randint(1, 20)
            text += decoder.decode(data[at : at + size])
            at += size
        text += decoder.decode(b"", True)
        # The standard library leaves bad escape sequences of ISO 2022 as they are where it has the whole text; PyPy
        # replaces garbage in UTF-32 by other numbers of characters in pieces than in one.
        if name != "iso2022_jp" and not (sys.implementation.name == "pypy" and name.startswith("utf_32")):
            assert text == data.decode(name, "replace")


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("piece", [1, 2, 3, 4, 5, 100])
def test_a_byte_order_mark_says_the_order_and_without_it_the_order_is_the_machines(order, size, piece):
    mark = {
        "le": {16: codecs.BOM_UTF16_LE, 32: codecs.BOM_UTF32_LE},
        "be": {16: codecs.BOM_UTF16_BE, 32: codecs.BOM_UTF32_BE},
    }
    text = "añ日𠀀"
    for first, name in ((mark[order][size], f"utf-{size}-{order}"), (b"", f"utf-{size}-{sys.byteorder[0]}e")):
        data = first + text.encode(name)
        decoder = text_decoder(f"UTF_{size}")
        got = "".join(decoder.decode(data[i : i + piece]) for i in range(0, len(data), piece)) + decoder.decode(
            b"", True
        )
        assert got == text == data.decode(f"utf-{size}", "replace")


@pytest.mark.parametrize("name", ["utf-16", "utf-32"])
@pytest.mark.parametrize("data", [b"", b"a", b"\xff", b"\xff\xfe", b"\xff\xfea", b"abc"])
def test_text_shorter_than_a_unit_is_replaced(name, data):
    decoder = text_decoder(name)
    assert decoder.decode(data) + decoder.decode(b"", True) == data.decode(name, "replace")


LABELS = [(label, codec) for codec, labels in _LABELS.items() for label in labels.split()]


def test_labels_that_python_does_not_know_have_the_codec_of_the_standard():
    assert len(LABELS) == len(dict(LABELS))
    for label, codec in LABELS:
        assert known_encoding(label) == codec
        assert codecs.lookup(codec).name.replace("-", "_") in CODECS | {"iso8859_1"}  # an alias of latin_1


@pytest.mark.parametrize(
    "label",
    ["utf-8", "utf8", "utf_8", "'utf-8'", "us-ascii", "ascii", "iso-8859-1", "latin1", "latin-1", "iso_8859-1:1987",
     "ansi_x3.4-1968", "windows-1252", "cp1252", "shift_jis", "sjis", "gb2312", "gbk", "big5-hkscs", "euc-kr", "l1",
     "utf-16", "utf-16le", "utf-16-be", "utf-32", "utf-8-sig", "tis-620", "iso-8859-15"],
)  # fmt: skip
def test_labels_that_python_knows_are_kept_as_they_are_and_mean_what_python_says(label):
    assert known_encoding(label) == label
    assert codecs.lookup(label).name


@pytest.mark.parametrize(
    "label",
    ["punycode", "idna", "utf-7", "unicode_escape", "raw_unicode_escape", "hex", "base64", "rot13", "zlib", "undefined",
     "mbcs", "oem", "cp437", "hz-gb-2312", "iso-2022-kr", "iso-2022-cn", "replacement", "x-user-defined", "", " ", "\0",
     "unheard-of", "ü", "..", "a" * (MAX_LABEL + 1)],
)  # fmt: skip
def test_a_peer_chooses_no_other_codec_of_the_standard_library(label):
    assert known_encoding(label) is None
    response = Response(200, headers={"Content-Type": f"text/plain; charset={label}".encode()}, content=b"a-\xc3\xa4")
    assert response.encoding == "utf-8"
    assert response.text == "a-ä"
    assert list(response.iter_text()) == ["a-ä"]


def test_a_label_may_be_as_long_as_the_limit():
    assert max(len(label) for label, _ in LABELS) < MAX_LABEL
    for size, expected in ((MAX_LABEL - 1, True), (MAX_LABEL, True), (MAX_LABEL + 1, False)):
        label = "utf-8".rjust(size, "'")
        assert (known_encoding(label) == label) is expected


def test_unknown_labels_leave_nothing_in_the_registry_of_codecs():
    program = (
        "import encodings, httpx_fast\n"
        "headers = {'Content-Type': 'text/plain; charset=unheard-of'}\n"
        "assert httpx_fast.Response(200, headers=headers, content=b'a').text == 'a'\n"  # what all of them look up
        "known = len(encodings._cache)\n"
        "for number in range(1000):\n"
        "    headers = {'Content-Type': f'text/plain; charset=unheard-of-{number}'}\n"
        "    assert httpx_fast.Response(200, headers=headers, content=b'a').text == 'a'\n"
        "assert len(encodings._cache) == known, len(encodings._cache)\n"
    )
    if not hasattr(sys.modules["encodings"], "_cache"):
        pytest.skip("the registry's memory has another name here")
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_user_may_set_any_codec_of_text():
    response = Response(200, content=b"bcher-kva")
    response.encoding = "punycode"
    assert response.text == "bücher"
    assert Response(200, content=b"a+AOQ-", default_encoding="utf-7").text == "aä"


def test_loading_the_codecs_loads_all_of_them():
    load_codecs()
    missing = [name for name in CODECS if f"encodings.{name}" not in sys.modules]
    assert missing == []


@pytest.mark.parametrize("name", sorted(CODECS))
@pytest.mark.parametrize("pattern", [b"\xff", b"\x1b", b"\x1b$", b"\x81\xff", b"\x00\xd8", b"\x8f\xa1", b"\x1b$B!"])
def test_hostile_text_costs_linear_time(name, pattern):
    def work(data):
        data.decode(name, "replace")
        decoder = text_decoder(name)
        for at in range(0, len(data), 4096):
            decoder.decode(data[at : at + 4096])
        decoder.decode(b"", True)

    assert_linear(work, lambda n: pattern * (n // len(pattern)), 10_000)
