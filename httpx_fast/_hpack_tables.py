"""The tables of HPACK: the static table (RFC 7541 appendix A) and the Huffman code (appendix B).

Both kernels use them and derive faster tables from them. The Huffman code is canonical: codes of one length are
consecutive numbers in the order of their symbols, and a longer code begins above all shorter ones. So the lengths
determine the codes, which are computed.
"""

from __future__ import annotations

#: The first index of the dynamic table is the number of these plus one.
STATIC_COUNT = 61

#: End of string: no byte, and never sent whole. Its first bits pad a string to bytes.
EOS = 256

_BARE_TEXT = """
    accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control
    content-disposition content-encoding content-language content-length content-location content-range content-type
    cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since
    last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after
    server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate
"""
# Name, and the values with which it stands in the table; a bare name stands there once, with an empty value.
_STATIC: tuple[tuple[bytes, ...], ...] = (
    (b":authority",),
    (b":method", b"GET", b"POST"),
    (b":path", b"/", b"/index.html"),
    (b":scheme", b"http", b"https"),
    (b":status", b"200", b"204", b"206", b"304", b"400", b"404", b"500"),
    (b"accept-charset",),
    (b"accept-encoding", b"gzip, deflate"),
    *((name.encode(),) for name in _BARE_TEXT.split()),
)

#: Name and value at index 1 and on, so that STATIC_TABLE[0] is what index 1 means.
STATIC_TABLE: tuple[tuple[bytes, bytes], ...] = tuple(
    (name, value) for name, *values in _STATIC for value in values or (b"",)
)

# Bits of a code, and the bytes that have one of that length. All others have one of 28, EOS one of 30.
_SYMBOLS_OF_LENGTH = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
    21: b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
    22: b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9",
    23: b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5"
    b"\xe7\xef",
    24: b"\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
    25: b"\xc7\xcf\xea\xeb",
    26: b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    27: b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    30: b"\n\r\x16",
}
_REST = 28
LONGEST_CODE = 30  # bits


def _code_lengths() -> list[int]:
    """Return the length in bits of the code of each symbol: the bytes, then EOS."""
    lengths = [_REST] * EOS + [LONGEST_CODE]
    for bits, symbols in _SYMBOLS_OF_LENGTH.items():
        for symbol in symbols:
            lengths[symbol] = bits
    return lengths


def _canonical_codes(lengths: list[int]) -> list[tuple[int, int]]:
    codes = [(0, 0)] * len(lengths)
    code = before = 0
    for symbol in sorted(range(len(lengths)), key=lambda symbol: (lengths[symbol], symbol)):
        code <<= lengths[symbol] - before
        before = lengths[symbol]
        codes[symbol] = code, before
        code += 1
    return codes


#: Code and its bits, of each byte and of EOS.
HUFFMAN_CODES: tuple[tuple[int, int], ...] = tuple(_canonical_codes(_code_lengths()))
