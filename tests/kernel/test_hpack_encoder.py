from __future__ import annotations

import re

import pytest

from httpx_fast import _hpack_tables as tables
from httpx_fast._exceptions import LocalProtocolError
from httpx_fast._kernel import h2_constants

HEAD = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"www.example.com"),
    (b":path", b"/things?page=2"),
    (b"accept", b"*/*"),
    (b"user-agent", b"client/1.0"),
)


@pytest.fixture
def pair(kernel):
    """An encoder, and a decoder that sees what it makes."""
    return kernel.HpackEncoder(), kernel.HpackDecoder()


def blocks(encoder, *heads, **options):
    return [encoder.encode(head, **options) for head in heads]


def test_example_of_the_rfc_is_encoded(kernel):
    # RFC 7541 C.4, whose choices are ours.
    first = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]
    second = [*first, (b"cache-control", b"no-cache")]
    third = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        (b":authority", b"www.example.com"),
        (b"custom-key", b"custom-value"),
    ]
    encoder = kernel.HpackEncoder()
    assert [block.hex() for block in blocks(encoder, first, second, third)] == [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ]
    assert encoder.table_size == 164


def test_no_fields_make_an_empty_block(kernel):
    assert kernel.HpackEncoder().encode(()) == b""
    assert kernel.HpackEncoder().encode([]) == b""


def test_strings_are_coded_where_that_is_shorter(kernel):
    encoder = kernel.HpackEncoder()
    assert encoder.encode([(b"n", b"aaaaaaaa")]) == b"\x40\x01n\x85" + b"\x18\xc6\x31\x8c\x63"
    assert encoder.encode([(b"n", b"{{{{{{{{")]) == b"\x7e\x08{{{{{{{{"
    # As long either way: as it is.
    assert encoder.encode([(b"n", b"X")]) == b"\x7e\x01X"


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 16_383, 70_000])
def test_values_of_any_length_arrive(kernel, size):
    encoder = kernel.HpackEncoder()
    decoder = kernel.HpackDecoder(max_list_size=200_000)
    for byte in (b"a", b"{", b"\xff"):
        fields = [(b"name", byte * size), (b"n" * max(size, 1), b"")]
        assert decoder.decode(encoder.encode(fields)) == fields


def test_every_byte_that_can_be_sent_arrives(pair):
    encoder, decoder = pair
    fields = [(b"n", bytes([0x61, byte, byte, 0x7A])) for byte in [*range(0x20, 0x7F), *range(0x80, 0x100), 9]]
    fields += [(b"n%c" % byte, b"") for byte in b"!#$%&'*+-.^_`|~09az"]
    assert decoder.decode(encoder.encode(fields)) == fields


def test_static_entries_are_used(pair):
    encoder, decoder = pair
    for index, field in enumerate(tables.STATIC_TABLE, 1):
        block = encoder.encode([field])
        assert block == bytes([0x80 | index])
        assert decoder.decode(block) == [field]


def test_first_static_entry_of_a_name_lends_it(kernel):
    assert kernel.HpackEncoder().encode([(b":path", b"{")]) == b"\x04\x01{"
    assert kernel.HpackEncoder().encode([(b":status", b"{")]) == b"\x48\x01{"


def test_name_is_taken_from_the_newest_entry(kernel):
    encoder = kernel.HpackEncoder()
    encoder.encode([(b"x-name", b"1")])
    encoder.encode([(b"other", b"1")])
    assert encoder.encode([(b"x-name", b"{")]) == b"\x7f\x00\x01{"
    assert encoder.encode([(b"x-name", b"}")]) == b"\x7e\x01}"


def test_repeated_head_is_the_same_block_from_the_second_time_on(pair):
    encoder, decoder = pair
    first, second, third = blocks(encoder, HEAD, HEAD, HEAD)
    assert len(second) < len(first)
    assert second == third
    for block in (first, second, third):
        assert decoder.decode(block) == list(HEAD)


def test_remembered_block_is_handed_out_again(kernel):
    encoder = kernel.HpackEncoder()
    secrets = frozenset({b"x-key"})
    encoder.encode(HEAD)
    assert encoder.encode(HEAD) is encoder.encode(HEAD)
    assert encoder.encode(HEAD, secrets) is encoder.encode(HEAD, secrets)
    # Lists and sets can change.
    changing = list(HEAD)
    assert encoder.encode(changing) is not encoder.encode(changing)
    in_lists = tuple(list(field) for field in HEAD)
    assert encoder.encode(in_lists) is not encoder.encode(in_lists)
    assert encoder.encode(HEAD, set(secrets)) is not encoder.encode(HEAD, set(secrets))


def test_changed_list_is_encoded_as_it_is_now(pair):
    encoder, decoder = pair
    fields = [(b"a", b"1"), (b"b", b"2")]
    secrets = set()
    for _ in range(3):
        assert decoder.decode(encoder.encode(fields, secrets)) == fields
    fields[1] = (b"b", b"3")
    assert decoder.decode(encoder.encode(fields, secrets)) == fields
    secrets.add(b"b")
    assert encoder.encode(fields, secrets).endswith(b"\x013")


def test_remembered_block_is_right_after_additions(pair):
    encoder, decoder = pair
    for number in range(200):
        assert decoder.decode(encoder.encode(HEAD)) == list(HEAD)
        if number % 3 == 0:
            extra = [(b"x-%d" % (number % 50), b"v" * (number % 90))]
            assert decoder.decode(encoder.encode(extra)) == extra
        assert encoder.table_size == decoder.table_size


def test_remembered_block_is_right_after_resizes(pair):
    encoder, decoder = pair
    for size in (4096, 100, 0, 4096, 64, 200, 4096):
        encoder.max_table_size = 0
        encoder.max_table_size = size
        for _ in range(4):
            assert decoder.decode(encoder.encode(HEAD)) == list(HEAD)
        assert encoder.table_size == decoder.table_size <= size


def test_many_heads_are_remembered_each_as_it_is(pair):
    encoder, decoder = pair
    heads = [(*HEAD, (b"x-id", b"%d" % (number % 40))) for number in range(100)]
    for _ in range(3):
        for head in heads:
            assert decoder.decode(encoder.encode(head)) == list(head)


def test_head_that_is_gone_is_not_taken_for_another_in_its_place(pair):
    encoder, decoder = pair
    for number in range(500):
        head = ((b"x-id", b"%d" % (number % 7)), (b"te", b"trailers"))  # likely where the last one was
        for _ in range(2):
            assert decoder.decode(encoder.encode(head)) == list(head)
        del head


def test_requests_that_change_do_not_grow_the_table(pair):
    encoder, decoder = pair
    for number in range(50):
        head = [*HEAD[:3], (b":path", b"/%d" % number), *HEAD[4:], (b"content-length", b"%d" % number)]
        assert decoder.decode(encoder.encode(head)) == head
    used = encoder.table_size
    assert used == sum(len(name) + len(value) + 32 for name, value in (HEAD[2], *HEAD[4:]))


@pytest.mark.parametrize("name", sorted(h2_constants.CHANGING_FIELDS))
def test_changing_fields_are_not_indexed(kernel, name):
    encoder = kernel.HpackEncoder()
    assert encoder.encode([(name, b"some value")])[0] & 0xF0 == 0x00
    assert encoder.table_size == 0


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ((b"authorization", b"Bearer 0123456789abcdef0123456789abcdef"), {}),
        ((b"proxy-authorization", b"Basic eDp5"), {}),
        ((b"cookie", b"1234567890123456789"), {}),
        ((b"x-api-key", b"0123456789abcdef0123456789"), {"sensitive": frozenset({b"x-api-key"})}),
        ((b"accept-encoding", b"gzip, deflate"), {"sensitive": {b"accept-encoding"}}),
        ((b":path", b"/"), {"sensitive": {b":path"}}),
    ],
)
def test_secrets_are_never_indexed(pair, field, options):
    encoder, decoder = pair
    for _ in range(3):
        block = encoder.encode((field,), **options)
        assert block[0] & 0xF0 == 0x10
        assert decoder.decode(block) == [field]
    assert encoder.table_size == 0


def test_long_cookie_is_indexed(kernel):
    encoder = kernel.HpackEncoder()
    assert encoder.encode([(b"cookie", b"12345678901234567890")])[0] & 0xC0 == 0x40
    assert encoder.table_size > 0


def test_field_that_becomes_a_secret_is_not_indexed_any_more(pair):
    encoder, decoder = pair
    field = (b"x-key", b"value")
    decoder.decode(encoder.encode([field]))
    assert len(encoder.encode([field])) == 1
    block = encoder.encode([field], {b"x-key"})
    assert block[0] & 0xF0 == 0x10
    assert decoder.decode(block) == [field]


@pytest.mark.parametrize(("size", "added"), [(3072 - 33, True), (3072 - 32, False)])
def test_field_of_most_of_the_table_is_not_added(kernel, size, added):
    encoder = kernel.HpackEncoder()
    encoder.encode([(b"n", b"v" * size)])
    assert (encoder.table_size > 0) is added


def test_table_is_announced_smaller_before_the_next_block_and_only_there(pair):
    encoder, decoder = pair
    decoder.decode(encoder.encode(HEAD))
    encoder.max_table_size = 64
    assert encoder.table_size <= 64
    block = encoder.encode(HEAD)
    assert block.startswith(b"\x3f\x21")
    assert decoder.decode(block) == list(HEAD)
    assert encoder.encode(HEAD)[0] & 0xE0 != 0x20


@pytest.mark.parametrize(
    ("sizes", "announced"),
    [
        ([0], b"\x20"),
        ([100, 200], b"\x3f\x45\x3f\xa9\x01"),
        ([200, 100], b"\x3f\x45"),
        ([100, 50, 300, 200], b"\x3f\x13\x3f\xa9\x01"),
        ([0, 4096], b"\x20\x3f\xe1\x1f"),
        ([4096], b""),
        ([4097], b""),
        ([2**32 - 1], b""),
        ([4096, 16384, 4096], b""),
        ([100, 2**32 - 1], b"\x3f\x45\x3f\xe1\x1f"),
    ],
)
def test_lowest_and_last_of_several_sizes_are_announced(kernel, sizes, announced):
    encoder = kernel.HpackEncoder()
    for size in sizes:
        encoder.max_table_size = size
    assert encoder.max_table_size == min(sizes[-1], h2_constants.MAX_ENCODER_TABLE)
    assert encoder.encode([(b":method", b"GET")]) == announced + b"\x82"
    assert encoder.encode([(b":method", b"GET")]) == b"\x82"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (b"", b"", "a field name has to be a token (RFC 9110 s.5.1), not b''"),
        (b":", b"", "a field name has to be a token (RFC 9110 s.5.1), not b':'"),
        (b"::a", b"", "a field name has to be a token (RFC 9110 s.5.1), not b'::a'"),
        (b"a:b", b"", "a field name has to be a token (RFC 9110 s.5.1), not b'a:b'"),
        (b"a b", b"", "a field name has to be a token (RFC 9110 s.5.1), not b'a b'"),
        (b"a\r\nb", b"", "a field name has to be a token (RFC 9110 s.5.1), not b'a\\r\\nb'"),
        (b"n\xe4me", b"", "a field name has to be a token (RFC 9110 s.5.1), not b'n\\xe4me'"),
        (b"Accept", b"", "a field name in HTTP/2 has to be in lower case, not b'Accept'"),
        (b":Path", b"/", "a field name in HTTP/2 has to be in lower case, not b':Path'"),
        (b"a", b"b\r\nc", "the value of the field b'a' has b'\\r' at offset 1, a control character"),
        (b"a", b"\0", "the value of the field b'a' has b'\\x00' at offset 0, a control character"),
        (b"a", b"b\x7f", "the value of the field b'a' has b'\\x7f' at offset 1, a control character"),
        (b"a", b" b", "the value of the field b'a' begins or ends with whitespace"),
        (b"a", b"b\t", "the value of the field b'a' begins or ends with whitespace"),
    ],
)
def test_what_cannot_be_sent_is_refused(kernel, name, value, message):
    for sensitive in (None, {name}):
        with pytest.raises(LocalProtocolError, match=re.escape(message) + "$"):
            kernel.HpackEncoder().encode([(b":method", b"GET"), (name, value)], sensitive)


@pytest.mark.parametrize(
    "field", [("a", b"b"), (b"a", "b"), (None, b"b"), (b"a", None), (b"a", 5), (bytearray(b"a"), b"")]
)
def test_names_and_values_are_bytes(kernel, field):
    with pytest.raises(TypeError, match="bytes"):
        kernel.HpackEncoder().encode([field])


def test_field_is_a_pair(kernel):
    with pytest.raises(ValueError, match="values to unpack"):
        kernel.HpackEncoder().encode([(b"a", b"b", b"c")])


def test_refused_section_leaves_both_sides_in_step(pair):
    encoder, decoder = pair
    decoder.decode(encoder.encode(HEAD))
    encoder.max_table_size = 2000
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="b'bad'"):
            encoder.encode([(b"x-new", b"added before the fault"), (b"bad", b"\n")])
    for _ in range(3):
        assert decoder.decode(encoder.encode(HEAD)) == list(HEAD)
        assert encoder.table_size == decoder.table_size > 0


def test_iterator_of_fields_that_fails_leaves_both_sides_in_step(pair):
    encoder, decoder = pair

    def fields():
        yield (b"x-new", b"value")
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        encoder.encode(fields())
    assert decoder.decode(encoder.encode(HEAD)) == list(HEAD)
    assert decoder.decode(encoder.encode(iter(HEAD))) == list(HEAD)
