from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from httpx_fast import _hpack_tables as tables


def test_huffman_code_uses_every_bit_pattern_once():
    assert len(tables.HUFFMAN_CODES) == 257
    assert sum(Fraction(1, 2**bits) for _, bits in tables.HUFFMAN_CODES) == 1
    codes = sorted(f"{code:0{bits}b}" for code, bits in tables.HUFFMAN_CODES)
    assert not [code for code, after in pairwise(codes) if after.startswith(code)]


@pytest.mark.parametrize(
    ("symbol", "code", "bits"),
    [
        (ord("0"), 0x0, 5),
        (ord("a"), 0x3, 5),
        (ord(" "), 0x14, 6),
        (ord("z"), 0x7B, 7),
        (0x00, 0x1FF8, 13),
        (0x0A, 0x3FFFFFFC, 30),
        (0x7F, 0xFFFFFFC, 28),
        (0xFF, 0x3FFFFEE, 26),
        (tables.EOS, 0x3FFFFFFF, 30),
    ],
)
def test_codes_are_those_of_the_rfc(symbol, code, bits):
    assert tables.HUFFMAN_CODES[symbol] == (code, bits)


def test_tables_are_those_of_another_implementation():
    constants = pytest.importorskip("hpack.huffman_constants")
    table = pytest.importorskip("hpack.table")
    assert list(tables.HUFFMAN_CODES) == list(zip(constants.REQUEST_CODES, constants.REQUEST_CODES_LENGTH, strict=True))
    assert tuple(table.HeaderTable.STATIC_TABLE) == tables.STATIC_TABLE
    assert len(tables.STATIC_TABLE) == tables.STATIC_COUNT
