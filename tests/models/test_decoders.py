"""Content codings in whole, in pieces, cut and hostile."""

from __future__ import annotations

import gzip
import json
import random
import sys
import time
import types
import zlib
from collections.abc import Callable

import pytest

from httpx_fast import DecodingError, _decoders
from httpx_fast._decoders import (
    BARREN_RATIO,
    INPUT_SLICE,
    MAX_BARREN,
    MAX_MEMBERS,
    MAX_PIECE,
    MEMBER_CONTENT,
    SUPPORTED_DECODERS,
    BrotliDecoder,
    GZipDecoder,
    IdentityDecoder,
    MultiDecoder,
    ZStandardDecoder,
    content_decoder,
    decode_at_once,
)

CONTENT = json.dumps([{"id": i, "name": f"item {i}", "value": i * i} for i in range(120)]).encode()


def deflate_raw(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


def brotli(content: bytes) -> bytes:
    return pytest.importorskip("brotli").compress(content)


def zstd(content: bytes) -> bytes:
    return pytest.importorskip("zstandard").compress(content)


#: Name of the case, then the coding and how to apply it.
CODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", deflate_raw),
    "br": ("br", brotli),
    "zstd": ("zstd", zstd),
}


@pytest.fixture(params=CODERS)
def coded(request):
    """A coding, and how to apply it."""
    coding, apply = CODERS[request.param]
    apply(b"")  # skips where there is no package
    return coding, apply


def decoded(decoder, pieces):
    """What a decoder makes of pieces, and of their end."""
    content = b"".join(piece for data in pieces for piece in decoder.decode(data))
    return content + b"".join(decoder.flush())


def decode_all(codings, data):
    return decoded(content_decoder(codings), [data])


@pytest.mark.parametrize("content", [b"", b"a", CONTENT, bytes(3 * MAX_PIECE)], ids=len)
def test_whole_body_is_decoded(coded, content):
    coding, apply = coded
    assert decode_all([coding], apply(content)) == content
    assert decoded(content_decoder([coding]), [apply(content)]) == content


def test_body_is_decoded_byte_by_byte(coded):
    coding, apply = coded
    data = apply(CONTENT)
    assert decoded(content_decoder([coding]), [data[i : i + 1] for i in range(len(data))]) == CONTENT


def test_body_is_decoded_cut_at_each_position(coded):
    coding, apply = coded
    data = apply(CONTENT[:300])
    for cut in range(len(data) + 1):
        assert decoded(content_decoder([coding]), [data[:cut], b"", data[cut:]]) == CONTENT[:300]


def test_body_that_ends_too_early_is_no_content(coded):
    coding, apply = coded
    data = apply(CONTENT[:300])
    for cut in range(1, len(data)):
        with pytest.raises(DecodingError, match=f"the content is no valid {coding}, as its Content-Encoding says: "):
            decode_all([coding], data[:cut])
        with pytest.raises(DecodingError, match="the data ends too early"):
            decoded(content_decoder([coding]), [data[:cut]])


def test_no_data_is_no_content(coded):
    coding, _ = coded
    assert decode_all([coding], b"") == b""
    assert decoded(content_decoder([coding]), []) == b""
    assert decoded(content_decoder([coding]), [b""]) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_broken_data_is_told(coding):
    if coding not in SUPPORTED_DECODERS:
        pytest.skip(f"no package for {coding}")
    data = b"\xff\xfe not coded at all" * 20
    with pytest.raises(DecodingError, match=f"the content is no valid {coding}, as its Content-Encoding says: "):
        decode_all([coding], data)
    with pytest.raises(DecodingError, match=f"the content is no valid {coding}"):
        decoded(content_decoder([coding]), [data])


def test_changed_byte_is_told_by_the_checksum():
    data = bytearray(gzip.compress(CONTENT))
    data[-6] ^= 1
    with pytest.raises(DecodingError, match="incorrect data check"):
        decode_all(["gzip"], bytes(data))


def test_a_step_gives_no_more_than_a_piece(coded):
    coding, apply = coded
    bomb = apply(bytes(20 * MAX_PIECE))
    assert len(bomb) < MAX_PIECE / 10
    lengths = [len(piece) for piece in content_decoder([coding]).decode(bomb)]
    assert sum(lengths) == 20 * MAX_PIECE
    assert max(lengths) <= 2 * MAX_PIECE


def test_nothing_is_decoded_ahead(coded):
    coding, apply = coded
    pieces = content_decoder([coding]).decode(apply(bytes(20 * MAX_PIECE)))
    assert 0 < len(next(pieces)) <= 2 * MAX_PIECE


def test_a_small_body_is_decoded_at_once(coded):
    coding, apply = coded
    assert decode_at_once([coding], apply(CONTENT)) == CONTENT
    assert decode_at_once([coding], apply(b"")) == b""
    assert decode_at_once([coding], b"") == b""
    assert decode_at_once([coding, "gzip"], gzip.compress(apply(CONTENT))) == CONTENT
    with pytest.raises(DecodingError, match=f"no valid {coding}"):
        decode_at_once([coding], apply(CONTENT)[:-1])


@pytest.mark.parametrize("size", [MAX_PIECE - 1, MAX_PIECE, MAX_PIECE + 1])
def test_a_body_of_more_than_a_piece_is_left_to_who_reads_step_by_step(coded, size):
    coding, apply = coded
    expected = None if size > MAX_PIECE else bytes(size)
    assert decode_at_once([coding], apply(bytes(size))) == expected


def test_a_body_that_takes_more_than_a_step_is_left_to_who_reads_step_by_step():
    data = random.Random(1).randbytes(2 * INPUT_SLICE)
    assert decode_at_once(["gzip"], gzip.compress(data)) is None
    assert decode_at_once(["gzip"], gzip.compress(b"") * 2000) is None


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_are_one_content(coding):
    _, apply = CODERS[coding]
    data = b"".join(apply(part) for part in (b"one ", b"", b"two ", CONTENT))
    assert decode_all([coding], data) == b"one two " + CONTENT
    assert decoded(content_decoder([coding]), [data[i : i + 1] for i in range(len(data))]) == b"one two " + CONTENT


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("cut", [7, 1000, 10**9])
def test_number_of_members_without_content_is_limited(coding, cut):
    _, apply = CODERS[coding]
    member = apply(b"")

    def content(count):
        data = member * count
        return decoded(content_decoder([coding]), [data[i : i + cut] for i in range(0, len(data), cut)])

    assert content(MAX_MEMBERS - 1) == content(MAX_MEMBERS) == b""
    with pytest.raises(DecodingError, match=f"{MAX_MEMBERS + 1} members of {coding} stand for 0 bytes of content"):
        content(MAX_MEMBERS + 1)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_with_content_are_as_many_as_they_like(coding):
    _, apply = CODERS[coding]
    member = apply(bytes(MEMBER_CONTENT))
    assert decode_all([coding], member * (2 * MAX_MEMBERS)) == bytes(MEMBER_CONTENT * 2 * MAX_MEMBERS)
    # What is full of content makes up for what is empty.
    few = apply(bytes(MEMBER_CONTENT * 10))
    assert decode_all([coding], few + apply(b"") * (MAX_MEMBERS + 9)) == bytes(MEMBER_CONTENT * 10)
    with pytest.raises(DecodingError, match=f"the limit is {MAX_MEMBERS} and one for each {MEMBER_CONTENT} bytes"):
        decode_all([coding], few + apply(b"") * (MAX_MEMBERS + 10))


#: By coding: how it begins, and what can follow any number of times and stands for nothing.
BARREN = {
    "gzip": (gzip.compress(b"")[:10], b"\0\0\0\xff\xff"),  # empty blocks that are stored
    "deflate": (b"", b"\0\0\0\xff\xff"),
    "br": (b"\x0c", b"\x06"),  # metadata of no length
    "zstd": (bytes.fromhex("28b52ffd0068"), b"\0\0\0"),  # empty blocks
    "zstd with frames to skip": (bytes.fromhex("502a4d1800001000"), b"\0"),
}


@pytest.mark.parametrize("name", BARREN)
@pytest.mark.parametrize("cut", [1000, 10**9])
def test_data_that_stands_for_nothing_is_limited(name, cut):
    coding = name.split()[0]
    if coding not in SUPPORTED_DECODERS:
        pytest.skip(f"no package for {coding}")
    begin, repeated = BARREN[name]
    data = begin + repeated * (MAX_BARREN // len(repeated) + 1)

    def content(size):
        decoder = content_decoder([coding])
        return b"".join(piece for at in range(0, size, cut) for piece in decoder.decode(data[at : min(at + cut, size)]))

    assert content(MAX_BARREN - 1) == content(MAX_BARREN) == b""
    with pytest.raises(DecodingError, match=f"{MAX_BARREN + 1} bytes of {coding} stand for 0 bytes of content"):
        content(MAX_BARREN + 1)


def test_content_makes_up_for_data_that_stands_for_nothing():
    content = random.Random(1).randbytes(1000)
    compressor = zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    data = compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH)
    barren = b"\0\0\0\xff\xff" * (MAX_BARREN // 4)
    allowed = MAX_BARREN + BARREN_RATIO * len(content)
    assert b"".join(content_decoder(["deflate"]).decode((data + barren)[:allowed])) == content
    with pytest.raises(DecodingError, match=f"the limit is {MAX_BARREN} and {BARREN_RATIO} for each byte"):
        b"".join(content_decoder(["deflate"]).decode((data + barren)[: allowed + 1]))


def dynamic_block() -> list[int]:
    """The bits of the block of deflate that costs most for its length: a table of all symbols, and no content."""
    bits = [0, 0, 1, *[0] * 10, 0, 1, 1, 1]
    lengths = {18: 1, 1: 2, 0: 2}
    for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1):
        bits += [lengths.get(symbol, 0) >> bit & 1 for bit in range(3)]
    for repeated in (138, 118):
        bits += [0, *[(repeated - 11) >> bit & 1 for bit in range(7)]]
    return [*bits, 1, 1, 1, 1, 0]


def packed(bits: list[int]) -> bytes:
    return bytes(sum(bit << at for at, bit in enumerate(bits[i : i + 8])) for i in range(0, len(bits), 8))


HOSTILE = {
    "members": (["gzip", "gzip"], lambda: gzip.compress(gzip.compress(b"") * 100_000)),
    "frames": (["zstd", "gzip"], lambda: gzip.compress(zstd(b"") * 300_000)),
    "frames that skip": (["zstd", "gzip"], lambda: gzip.compress(bytes.fromhex("502a4d1800000000") * 300_000)),
    "tables": (["deflate", "gzip"], lambda: gzip.compress(packed(dynamic_block() * 8) * 20_000)),
    "members in br": (["gzip", "br"], lambda: brotli(gzip.compress(b"") * 100_000)),
    "members with a byte": (["gzip", "gzip"], lambda: gzip.compress(gzip.compress(b"a") * 100_000)),
    "three codings": (["gzip", "gzip", "gzip"], lambda: gzip.compress(gzip.compress(gzip.compress(b"") * 100_000))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_step_costs_little_however_little_comes_of_it(name):
    codings, make = HOSTILE[name]
    longest = 0.0
    steps = content_decoder(codings).decode(make())
    given = 0
    begun = time.thread_time()
    with pytest.raises(DecodingError, match=r"stand for \d+ bytes of content; the limit is"):
        for piece in steps:
            longest = max(longest, time.thread_time() - begun)
            given += len(piece)
            begun = time.thread_time()
    assert given <= MAX_MEMBERS + 100
    assert longest < 0.1  # seconds; a hundredth of it on an idle machine


def test_member_that_ends_too_early_is_told():
    data = gzip.compress(b"one") + gzip.compress(b"two")[:-1]
    with pytest.raises(DecodingError, match="the data ends too early"):
        decode_all(["gzip"], data)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_many_small_members_cost_linear_work(coding, monkeypatch):
    _, apply = CODERS[coding]
    member, count = apply(b"a"), 10_000
    copied = 0
    _decoders.load_decoders()
    make = zlib.decompressobj if coding == "gzip" else _decoders._new_zstd

    class Counted:
        def __init__(self, *arguments):
            self._inner = make(*arguments)

        def __getattr__(self, name):
            nonlocal copied
            value = getattr(self._inner, name)
            copied += len(value) if name == "unused_data" else 0
            return value

    monkeypatch.setattr(_decoders.zlib, "decompressobj", Counted)
    monkeypatch.setattr(_decoders, "_new_zstd", Counted)
    assert decoded(content_decoder([coding]), [member * count]) == b"a" * count
    assert copied < count * _decoders.INPUT_SLICE  # a slice of the data, not all of its 210 KB, for each member


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 100, b"\x1f", b"\x1f\x8a", b"anything"])
def test_what_follows_the_last_gzip_member_is_left_out(padding):
    data = gzip.compress(CONTENT) + padding
    assert decode_all(["gzip"], data) == CONTENT
    assert decoded(GZipDecoder(), [data]) == CONTENT
    assert decoded(GZipDecoder(), [data[i : i + 1] for i in range(len(data))]) == CONTENT


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_what_follows_the_data_is_told_where_the_coding_has_no_padding(coding):
    _, apply = CODERS[coding]
    with pytest.raises(DecodingError, match=f"the content is no valid {coding}"):
        decode_all([coding], apply(CONTENT) + b"garbage")


def test_codings_are_undone_in_reverse_order(coded):
    coding, apply = coded
    data = gzip.compress(apply(zlib.compress(CONTENT)))
    codings = ["deflate", coding, "gzip"]
    assert decode_all(codings, data) == CONTENT
    for decoder in (content_decoder(codings), MultiDecoder(codings)):
        assert decoded(decoder, [data[i : i + 7] for i in range(0, len(data), 7)]) == CONTENT


def test_chain_of_codings_gives_pieces_too():
    data = gzip.compress(gzip.compress(bytes(50 * MAX_PIECE)))
    lengths = [len(piece) for piece in content_decoder(["gzip", "gzip"]).decode(data)]
    assert sum(lengths) == 50 * MAX_PIECE
    assert max(lengths) <= MAX_PIECE


def test_end_of_an_inner_coding_is_checked():
    with pytest.raises(DecodingError, match="the data ends too early"):
        decode_all(["gzip", "deflate"], zlib.compress(gzip.compress(CONTENT)[:-1]))


def test_number_of_codings_is_limited():
    data = CONTENT
    for _ in range(5):
        data = gzip.compress(data)
    assert decode_all(["gzip"] * 5, data) == CONTENT
    with pytest.raises(DecodingError, match="the content has 6 codings, the limit is 5"):
        decode_all(["gzip"] * 6, gzip.compress(data))


def test_unknown_codings_are_left_alone():
    assert decode_all(["compress"], b"data") == b"data"
    assert decode_all([], b"data") == b"data"
    assert decode_all(["identity"], b"data") == b"data"
    assert decode_all(["x-gzip"], gzip.compress(CONTENT)) == CONTENT
    assert decode_all(["identity", "unknown", "gzip"], gzip.compress(CONTENT)) == CONTENT
    assert isinstance(content_decoder(["compress"]), IdentityDecoder)
    assert decoded(MultiDecoder(["compress"]), [b"a", b"b"]) == b"ab"
    assert decoded(IdentityDecoder(), [b"a", b"b"]) == b"ab"


def test_zstd_window_is_bounded():
    zstandard = pytest.importorskip("zstandard")

    def coded(window_log):
        parameters = zstandard.ZstdCompressionParameters(window_log=window_log)
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return compressor.compress(bytes(1000)) + compressor.flush()

    assert decode_all(["zstd"], coded(23)) == bytes(1000)
    with pytest.raises(DecodingError, match="the content is no valid zstd"):
        decode_all(["zstd"], coded(24))


def test_missing_packages_are_told(monkeypatch):
    _decoders.load_decoders()
    monkeypatch.setattr(_decoders, "_brotli", None)
    monkeypatch.setattr(_decoders, "_new_zstd", None)
    with pytest.raises(ImportError, match=r"br needs the package brotli or brotlicffi.*install httpx-fast\[brotli\]"):
        BrotliDecoder()
    with pytest.raises(ImportError, match=r"zstd needs Python 3\.14 or .*install httpx-fast\[zstd\]"):
        ZStandardDecoder()


def test_brotli_is_taken_when_it_decodes_in_bounded_steps(monkeypatch):
    bounded, old = types.ModuleType("bounded"), types.ModuleType("old")
    bounded.Decompressor = type("Decompressor", (), {"can_accept_more_data": None})
    old.Decompressor = type("Decompressor", (), {})
    monkeypatch.setitem(sys.modules, "brotli", bounded)
    assert _decoders._brotli_module() is bounded
    monkeypatch.setitem(sys.modules, "brotli", old)
    assert _decoders._brotli_module() is None
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "brotlicffi", bounded)
    assert _decoders._brotli_module() is bounded
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    assert _decoders._brotli_module() is None


def test_zstd_of_the_standard_library_or_its_backport_comes_first(monkeypatch):
    module = types.ModuleType("zstd")
    module.ZstdError = ValueError
    module.DecompressionParameter = types.SimpleNamespace(window_log_max="window_log_max")
    module.ZstdDecompressor = lambda options: options
    package = types.ModuleType("package")
    package.zstd = module
    name = "compression" if sys.version_info >= (3, 14) else "backports"
    monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setitem(sys.modules, f"{name}.zstd", module)
    make, error = _decoders._zstd_factory()
    assert make() == {"window_log_max": _decoders.MAX_ZSTD_WINDOW_LOG}
    assert error is ValueError


def test_zstd_is_missing_without_any_package(monkeypatch):
    for name in ("compression", "backports", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert _decoders._zstd_factory()[0] is None


def test_decoders_agree_with_httpx2(coded):
    httpx2 = pytest.importorskip("httpx2")
    coding, apply = coded
    if coding not in httpx2._decoders.SUPPORTED_DECODERS:
        pytest.skip(f"httpx2 has no {coding} here")
    data = apply(CONTENT)
    theirs = httpx2._decoders.SUPPORTED_DECODERS[coding]()
    assert decoded(theirs, [data[:100], data[100:]]) == decoded(content_decoder([coding]), [data[:100], data[100:]])
