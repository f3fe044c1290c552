from __future__ import annotations

import ast
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from httpx_fast import _hpack_tables as tables
from httpx_fast._exceptions import RemoteProtocolError
from httpx_fast._kernel import constants, h2_constants, h2_errors

DOCUMENT = Path(__file__).parents[1] / "vectors" / "hpack" / "rfc7541.md"
COMPRESSION = "the field block cannot be decoded at offset "


@dataclass
class Block:
    data: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    in_use: int | None = None


def cases():
    """Title, size of the table, and blocks of each case in the document."""
    found = []
    for line in DOCUMENT.read_text("ascii").partition("\n## ")[2].splitlines():
        sign, text = line.strip()[:1], line.strip()[2:]
        if not line.startswith("    "):
            title, equals, size = line.removeprefix("## ").partition(" = ")
            if equals:
                found.append((title, int(size), [Block()]))
        elif sign == "<":
            if found[-1][2][-1].in_use is not None:
                found[-1][2].append(Block())
            found[-1][2][-1].data += bytes.fromhex(text)
        elif sign == ":":
            found[-1][2][-1].fields.append(ast.literal_eval(text))
        else:
            found[-1][2][-1].in_use = int(text)
    return found


CASES = cases()


def integer(value, bits, pattern=0):
    """RFC 7541 s.5.1, as its pseudocode has it."""
    if value < 2**bits - 1:
        return bytes([pattern | value])
    data = [pattern | (2**bits - 1)]
    value -= 2**bits - 1
    while value >= 128:
        data.append(value % 128 + 128)
        value //= 128
    return bytes([*data, value])


def string(text):
    return integer(len(text), 7) + text


def literal(name, value, pattern=0x00):
    return bytes([pattern]) + string(name) + string(value)


def huffman(bits):
    """A Huffman-coded string of these bits, padded with ones where they are no full bytes."""
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return integer(len(data), 7, 0x80) + data


def code(symbols):
    return "".join("{:0{}b}".format(*tables.HUFFMAN_CODES[symbol]) for symbol in symbols)


def test_document_holds_cases():
    assert len(CASES) == 8
    assert sum(len(blocks) for _, _, blocks in CASES) == 16


@pytest.mark.parametrize(("size", "blocks"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_examples_of_the_rfc_are_decoded(kernel, size, blocks):
    decoder = kernel.HpackDecoder(size)
    for block in blocks:
        assert decoder.decode(block.data) == block.fields
        assert decoder.table_size == block.in_use


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_decoded(kernel, wrap):
    assert kernel.HpackDecoder().decode(wrap(b"\x82\x84")) == [(b":method", b"GET"), (b":path", b"/")]


def test_empty_block_has_no_fields(kernel):
    decoder = kernel.HpackDecoder()
    assert decoder.decode(b"") == []
    section = decoder.decode_response(b"")
    assert (section.fields(), section.status, section.count, section.size, section.offences) == ([], 0, 0, 0, 0)


def test_every_static_index_means_its_entry(kernel):
    decoder = kernel.HpackDecoder()
    assert len(tables.STATIC_TABLE) == 61
    for index, pair in enumerate(tables.STATIC_TABLE, 1):
        assert decoder.decode(integer(index, 7, 0x80)) == [pair]
        # and as the name of a literal
        assert decoder.decode(integer(index, 4) + string(b"v")) == [(pair[0], b"v")]


def test_pairs_are_shared_with_the_tables(kernel):
    decoder = kernel.HpackDecoder()
    (first,) = decoder.decode(literal(b"x-name", b"value", 0x40))
    assert decoder.decode(b"\xbe\xbe") == [first, first]
    assert decoder.decode(b"\xbe")[0] is first
    assert decoder.decode_response(b"\xbe").fields()[0] is first
    assert decoder.decode(b"\x82")[0] is tables.STATIC_TABLE[1]


def test_names_that_everybody_sends_are_shared(kernel):
    block = literal(b"x-request-id", b"1") + literal(b"x-request-id", b"2") + literal(b"location", b"/")
    (one, _), (two, _), (location, _) = kernel.HpackDecoder().decode(block)
    assert one is two
    assert location is tables.STATIC_TABLE[45][0]


@pytest.mark.parametrize("symbol", range(256))
def test_every_byte_has_a_huffman_code(kernel, symbol):
    text = bytes([symbol, symbol, 0x61, symbol])
    block = b"\x00" + string(b"a") + huffman(code(text))
    assert kernel.HpackDecoder().decode(block) == [(b"a", text)]


def test_huffman_codes_of_every_length_meet_at_every_bit(kernel):
    decoder = kernel.HpackDecoder()
    short, long = b"a", b"\xff"
    for before in range(40):
        for rare in (b"{", b"\\", b"\x80", b"\x16", b"\xcb"):
            text = short * before + rare + long + rare + short * 3
            assert decoder.decode(b"\x00\x01n" + huffman(code(text))) == [(b"n", text)]


@pytest.mark.parametrize("ones", range(1, 8))
def test_huffman_padding_of_up_to_seven_ones_is_taken(kernel, ones):
    # The code of "a" has five bits, that of ":" seven; some number of both leaves room for any padding.
    text = next(
        b"a" * many + b":" * more
        for many in range(8)
        for more in range(8)
        if -len(code(b"a" * many + b":" * more)) % 8 == ones
    )
    assert kernel.HpackDecoder().decode(b"\x00\x01n" + huffman(code(text))) == [(b"n", text)]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",  # eight ones, nothing else
        huffman(code(b"00000000"))[1:] + b"\xff",  # a whole byte of padding after whole bytes of codes
        bytes([0b00011_000]),  # "a", and three bits that are no ones
        bytes([0b00011_110]),
        b"\x1f\xff\xff",
        b"\xff\xff\xff\xf8",  # a code of 30 bits, and two bits that are no ones
        b"\xff\xff\xff",
    ],
)
def test_bits_that_are_neither_code_nor_padding_are_refused(kernel, data):
    with pytest.raises(h2_errors.Http2Error, match="neither a code nor padding") as caught:
        kernel.HpackDecoder().decode(b"\x00\x01n" + integer(len(data), 7, 0x80) + data)
    assert caught.value.code == h2_constants.COMPRESSION_ERROR


@pytest.mark.parametrize("before", [b"", b"a", b"abcdefg", b"\xff\x00"])
def test_code_of_eos_is_refused(kernel, before):
    coded = huffman(code(before) + code([tables.EOS]))
    for after in (b"", b"\x00", b"aaaaaaaaaaaa"):
        data = coded[1:] + after
        with pytest.raises(h2_errors.Http2Error, match=r"has the code of EOS \(RFC 7541 s.5.2\)"):
            kernel.HpackDecoder().decode(b"\x00\x01n" + integer(len(data), 7, 0x80) + data)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"\x80", "0: index 0 is in no table, there are 61 entries"),
        (b"\xbe", "0: index 62 is in no table, there are 61 entries"),
        (b"\x82\xff\x00", "1: index 127 is in no table"),
        (b"\x7f\x80\x01\x00", "0: index 191 is in no table"),
        (literal(b"a", b"b", 0x40) + b"\xbe\xbf", "6: index 63 is in no table, there are 62 entries"),
        (b"\xff", "0: it ends within an integer"),
        (b"\xff\x80", "0: it ends within an integer"),
        (b"\x82\x40\x7f", "1: it ends within an integer"),
        (b"\xff\x80\x80\x80\x80\x01", r"0: an integer has more than 4 bytes .*: b'\\xff\\x80\\x80\\x80\\x80'"),
        (b"\x0f\xff\xff\xff\xff\xff\x7f", "0: an integer has more than 4 bytes"),
        (b"\x40", "0: it ends within a field"),
        (b"\x82\x00\x01a", "1: it ends within a field"),
        (b"\x41", "0: it ends within a field"),
        (b"\x40\x01", "0: a string has 1 bytes, and 0 are left"),
        (b"\x40\x01a\x05bcd", "0: a string has 5 bytes, and 3 are left"),
        (b"\x00\x7f\xff\xff\xff\x7f", "0: a string has 268435582 bytes, and 0 are left"),
        (b"\x82\x20", "1: the table's size may change only before the first field"),
        (b"\x3f\xe2\x1f", "0: a table of 4097 bytes is above the limit of 4096"),
        (b"\x20\x3f\xe2\x1f", "1: a table of 4097 bytes is above the limit of 4096"),
    ],
)
def test_block_that_cannot_be_decoded_is_refused_with_what_was_seen(kernel, block, message):
    for call in ("decode", "decode_response"):
        with pytest.raises(h2_errors.Http2Error, match=COMPRESSION + message) as caught:
            getattr(kernel.HpackDecoder(), call)(block)
        assert (caught.value.code, caught.value.stream_id) == (h2_constants.COMPRESSION_ERROR, 0)
        assert isinstance(caught.value, RemoteProtocolError)


def test_integers_of_the_most_bytes_are_read(kernel):
    text = b"x" * 70_000
    assert kernel.HpackDecoder(max_list_size=100_000).decode(literal(b"a", text)) == [(b"a", text)]
    # Leading zeros count.
    assert kernel.HpackDecoder().decode(b"\x00\x01a\x7f\x80\x80\x80\x00" + b"x" * 127) == [(b"a", b"x" * 127)]


def fill(decoder, count, size=100):
    """Adds entries of `size` bytes each; their values, the newest first."""
    values = [b"%04d" % number + b"v" * (size - 37) for number in range(count)]
    decoder.decode(b"".join(literal(b"n", value, 0x40) for value in values))
    return values[::-1]


def entries(decoder, count):
    return [decoder.decode(integer(62 + index, 7, 0x80))[0][1] for index in range(count)]


def test_oldest_entries_make_room(kernel):
    decoder = kernel.HpackDecoder(1000)
    values = fill(decoder, 25)
    assert decoder.table_size == 1000
    assert entries(decoder, 10) == values[:10]
    with pytest.raises(RemoteProtocolError, match="index 72 is in no table, there are 71 entries"):
        decoder.decode(integer(72, 7, 0x80))


def test_table_holds_as_many_entries_as_fit(kernel):
    decoder = kernel.HpackDecoder(4096)
    decoder.decode(literal(b"", b"", 0x40) * 200)
    assert decoder.table_size == 4096
    assert len(decoder.decode(integer(61 + 128, 7, 0x80))) == 1
    with pytest.raises(RemoteProtocolError, match="index 190"):
        decoder.decode(integer(61 + 129, 7, 0x80))


@pytest.mark.parametrize(("size", "stays"), [(4096 - 33, True), (4096 - 32, False)])
def test_entry_larger_than_the_table_empties_it(kernel, size, stays):
    decoder = kernel.HpackDecoder()
    fill(decoder, 3)
    assert decoder.decode(literal(b"n" * (not stays) + b"n", b"v" * (size), 0x40))[0][1] == b"v" * size
    assert decoder.table_size == (4096 if stays else 0)


def test_name_of_an_entry_that_has_to_go_for_it_is_kept(kernel):
    # RFC 7541 s.4.4: the new entry may refer to the name of one that is evicted before it is added.
    decoder = kernel.HpackDecoder(64)
    decoder.decode(literal(b"long-name", b"value", 0x40))
    assert decoder.decode(b"\x7e" + string(b"another-value")) == [(b"long-name", b"another-value")]
    assert decoder.decode(b"\xbe") == [(b"long-name", b"another-value")]


def test_peer_changes_the_size_of_the_table(kernel):
    decoder = kernel.HpackDecoder()
    values = fill(decoder, 10)
    decoder.decode(integer(550, 5, 0x20) + b"\x82")
    assert decoder.table_size == 500
    decoder.decode(integer(4096, 5, 0x20))
    assert entries(decoder, 5) == values[:5]
    decoder.decode(b"\x20" + integer(4096, 5, 0x20) + b"\x82")
    assert decoder.table_size == 0


def test_lower_limit_has_to_be_followed_at_once(kernel):
    decoder = kernel.HpackDecoder()
    fill(decoder, 10)
    decoder.max_table_size = 250
    assert decoder.table_size == 1000  # the peer may have sent blocks that refer to it
    with pytest.raises(h2_errors.Http2Error, match=r"limit of the table's size is 250 now, .* \(RFC 9113 s.4.3.1\)"):
        decoder.decode(b"\x82")
    assert decoder.decode(integer(250, 5, 0x20) + b"\x82") == [(b":method", b"GET")]
    assert decoder.table_size == 200
    assert decoder.decode(b"\x82") == [(b":method", b"GET")]


def test_lowest_of_several_limits_has_to_be_followed(kernel):
    decoder = kernel.HpackDecoder()
    for limit in (100, 50, 2000):
        decoder.max_table_size = limit
    assert decoder.max_table_size == 2000
    for block in (b"\x82", b"", integer(51, 5, 0x20), integer(2000, 5, 0x20)):
        with pytest.raises(h2_errors.Http2Error, match="limit of the table's size is 50 now"):
            decoder.decode(block)
    decoder.decode(integer(50, 5, 0x20) + integer(2000, 5, 0x20))
    fill(decoder, 20)
    assert decoder.table_size == 2000


def test_higher_limit_need_not_be_used(kernel):
    decoder = kernel.HpackDecoder(100)
    decoder.max_table_size = 1000
    fill(decoder, 5)
    assert decoder.table_size == 100
    decoder.decode(integer(1000, 5, 0x20))
    fill(decoder, 12)
    assert decoder.table_size == 1000


@pytest.mark.parametrize(("limit", "fits"), [(3 * 42 + 1, True), (3 * 42, True), (3 * 42 - 1, False)])
def test_section_may_be_as_large_as_its_limit(kernel, limit, fits):
    block = literal(b":status", b"200") + literal(b"a-name", b"text") * 2
    for call in ("decode", "decode_response"):
        decoder = kernel.HpackDecoder(max_list_size=limit)
        if fits:
            getattr(decoder, call)(block)
            continue
        with pytest.raises(h2_errors.SectionTooLarge, match="a field section of 126 bytes is above the limit of 125"):
            getattr(decoder, call)(block)


def test_section_counts_its_pseudo_fields(kernel):
    assert kernel.HpackDecoder().decode_response(b"\x88" + literal(b"a-name", b"text")).size == 42 * 2


def test_table_is_right_after_a_section_that_is_too_large(kernel):
    decoder = kernel.HpackDecoder(max_list_size=200)
    values = [b"%03d" % number for number in range(30)]
    with pytest.raises(h2_errors.SectionTooLarge) as caught:
        decoder.decode(b"".join(literal(b"n", value, 0x40) for value in values))
    assert caught.value.code == h2_constants.ENHANCE_YOUR_CALM
    assert entries(decoder, 30) == values[::-1]


def test_bomb_is_not_kept(kernel, tracemalloc):
    decoder = kernel.HpackDecoder()
    decoder.decode(literal(b"n", b"v" * 4000, 0x40))
    block = b"\xbe" * 100_000
    tracemalloc.start()
    try:
        with pytest.raises(h2_errors.SectionTooLarge, match="of 403300000 bytes is above the limit of 65536"):
            decoder.decode(block)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 200_000


def test_response_is_described(kernel):
    fields = [
        (b"content-type", b"text/html"),
        (b"content-length", b"0042"),
        (b"set-cookie", b"a=b"),
        (b"set-cookie", b"c=d"),
        (b"x-other", b""),
    ]
    block = b"\x8d" + b"".join(literal(*pair) for pair in fields)
    section = kernel.HpackDecoder().decode_response(block)
    assert (section.status, section.content_length, section.count) == (404, 42, 5)
    assert section.flags == constants.HAS_CONTENT_LENGTH | constants.HAS_SET_COOKIE
    assert (section.offences, section.offender) == (0, None)
    assert (section.minor, section.reason) == (0, b"")
    assert section.fields() == fields
    assert section.fields() is section.fields()
    assert section.get_all(b"set-cookie") == [b"a=b", b"c=d"]
    assert section.get_all(b"x-other") == [b""]
    assert section.get_all(b"absent") == []


def test_facts_are_the_same_from_every_representation(kernel):
    decoder = kernel.HpackDecoder()
    for name, flag in constants.FIELD_FLAGS.items():
        for pattern in (0x00, 0x10, 0x40):
            assert decoder.decode_response(literal(name, b"x", pattern)).flags == flag
        assert decoder.decode_response(b"\xbe").flags == flag
        assert decoder.decode_response(b"\x7e" + string(b"y")).flags == flag
        assert decoder.decode_response(b"\x0f\x2f" + string(b"z")).flags == flag
    for index, (name, value) in enumerate(tables.STATIC_TABLE, 1):
        section = decoder.decode_response(bytes([0x80 | index]))
        assert section.flags == constants.FIELD_FLAGS.get(name, 0)
        assert section.status == (int(value) if name == b":status" else 0)


@pytest.mark.parametrize(
    ("values", "length"),
    [
        ([b"0"], 0),
        ([b"9223372036854775807"], 2**63 - 1),
        ([b"9223372036854775808"], constants.BAD_LENGTH),
        ([b"0" * 5000 + b"7"], 7),
        ([b"1" * 5000], constants.BAD_LENGTH),
        ([b""], constants.BAD_LENGTH),
        ([b"+1"], constants.BAD_LENGTH),
        ([b"1, 1"], constants.BAD_LENGTH),
        ([b"\xb2"], constants.BAD_LENGTH),
        ([b"1", b"1"], constants.BAD_LENGTH),
        ([], constants.NO_LENGTH),
    ],
)
def test_content_length_is_one_number_or_bad(kernel, values, length):
    block = b"\x88" + b"".join(literal(b"content-length", value) for value in values)
    section = kernel.HpackDecoder().decode_response(block)
    assert section.content_length == length
    assert section.get_all(b"content-length") == values


OK = (b":status", b"200")


@pytest.mark.parametrize(
    ("fields", "offences", "offender"),
    [
        ([OK, (b"X-Name", b"")], h2_constants.UPPER_CASE_NAME, 1),
        ([OK, (b"x name", b"")], h2_constants.BAD_NAME, 1),
        ([OK, (b"x-n\xe4me", b"")], h2_constants.BAD_NAME, 1),
        ([OK, (b"X:", b"")], h2_constants.BAD_NAME | h2_constants.UPPER_CASE_NAME, 1),
        ([OK, (b"", b"")], h2_constants.BAD_NAME, 1),
        ([OK, (b"a", b"b\0c")], h2_constants.BAD_VALUE, 1),
        ([OK, (b"a", b"before the octet\r\nb: c")], h2_constants.BAD_VALUE, 1),
        ([OK, (b"a", b"\n")], h2_constants.BAD_VALUE, 1),
        ([OK, (b"a", b"b\x01\x1f\x7f\xffc")], 0, None),
        ([OK, (b"a", b"b \tc")], 0, None),
        ([OK, (b"a", b" b")], 0, None),
        ([OK, (b"a", b"b\t")], 0, None),
        ([OK, (b"a", b" ")], 0, None),
        ([OK, (b"a", b"\t\r ")], h2_constants.BAD_VALUE, 1),
        ([OK, (b"connection", b"close")], h2_constants.CONNECTION_SPECIFIC, 1),
        ([OK, (b"keep-alive", b"1")], h2_constants.CONNECTION_SPECIFIC, 1),
        ([OK, (b"proxy-connection", b"close")], h2_constants.CONNECTION_SPECIFIC, 1),
        ([OK, (b"transfer-encoding", b"chunked")], h2_constants.CONNECTION_SPECIFIC, 1),
        ([OK, (b"upgrade", b"h2c")], h2_constants.CONNECTION_SPECIFIC, 1),
        ([OK, (b"te", b"trailers")], 0, None),
        ([(b"a", b"b"), OK], h2_constants.PSEUDO_LATE, 1),
        ([OK, (b":method", b"GET")], h2_constants.PSEUDO_UNKNOWN, 1),
        ([OK, (b":", b"")], h2_constants.PSEUDO_UNKNOWN, 1),
        ([OK, (b":Status", b"")], h2_constants.PSEUDO_UNKNOWN, 1),
        ([(b":protocol", b"\0")], h2_constants.PSEUDO_UNKNOWN, 0),
        ([OK, OK], h2_constants.PSEUDO_REPEATED, 1),
        ([OK, (b"a", b""), OK], h2_constants.PSEUDO_REPEATED | h2_constants.PSEUDO_LATE, 2),
        ([(b":status", b"")], h2_constants.BAD_STATUS, 0),
        ([(b":status", b"99")], h2_constants.BAD_STATUS, 0),
        ([(b":status", b"099")], h2_constants.BAD_STATUS, 0),
        ([(b":status", b"1000")], h2_constants.BAD_STATUS, 0),
        ([(b":status", b"2x0")], h2_constants.BAD_STATUS, 0),
        ([(b":status", b"20\xb2")], h2_constants.BAD_STATUS, 0),
        ([(b":status", b" 20")], h2_constants.BAD_STATUS, 0),
        ([(b":status", b""), (b":status", b"")], h2_constants.BAD_STATUS | h2_constants.PSEUDO_REPEATED, 0),
        ([(b":status", b"100")], 0, None),
        ([(b":status", b"999")], 0, None),
        ([OK, (b"upgrade", b" "), (b"A", b"")], h2_constants.CONNECTION_SPECIFIC | h2_constants.UPPER_CASE_NAME, 1),
    ],
)
def test_offences_are_reported_with_the_first_offender(kernel, fields, offences, offender):
    for pattern in (0x00, 0x40):
        decoder = kernel.HpackDecoder()
        section = decoder.decode_response(b"".join(literal(*pair, pattern) for pair in fields))
        assert section.offences == offences
        assert section.offender == (None if offender is None else fields[offender])
        assert section.fields() == [(name, value.strip(b" \t")) for name, value in fields if not name.startswith(b":")]
        if not offences:
            assert section.status == int(fields[0][1])
            continue
        error = h2_errors.malformed(section.offences, section.offender, 5)
        assert (error.code, error.stream_id) == (h2_constants.PROTOCOL_ERROR, 5)
        assert repr(fields[offender][0])[:40] in str(error)


@pytest.mark.parametrize("blanks", [(b" ", b""), (b"", b"\t"), (b" \t ", b"\t\t"), (b" " * 5000, b" " * 5000)])
def test_blanks_around_a_value_are_dropped_from_the_section_and_not_from_the_table(kernel, blanks):
    before, after = blanks
    fields = [(b"a", b"b \t c"), (b"content-length", b"12"), (b"empty", b"")]
    padded = [(name, before + value + after) for name, value in fields]
    decoder = kernel.HpackDecoder(max_table_size=100_000)
    block = b"\x88" + b"".join(literal(*pair, 0x40) for pair in padded)
    assert kernel.HpackDecoder(max_table_size=100_000).decode(block)[1:] == padded
    first = decoder.decode_response(block)
    assert decoder.table_size == sum(len(name) + len(value) + 32 for name, value in padded)
    second = decoder.decode_response(b"\x88\xc0\xbf\xbe")  # the same entries, by index
    for section in (first, second):
        assert (section.status, section.offences, section.offender) == (200, 0, None)
        assert section.fields() == fields
        assert section.get_all(b"a") == [b"b \t c"]
        assert section.content_length == 12


@pytest.mark.parametrize("limit", [-1, -2, -(2**40)])
def test_no_table_has_a_negative_size(kernel, limit):
    with pytest.raises(ValueError, match=r"a table of -[0-9]+ bytes cannot be"):
        kernel.HpackDecoder(limit)
    decoder, encoder = kernel.HpackDecoder(), kernel.HpackEncoder()
    for each in (decoder, encoder):
        with pytest.raises(ValueError, match=r"a table of -[0-9]+ bytes cannot be"):
            each.max_table_size = limit
        assert each.max_table_size == 4096
    assert decoder.decode(encoder.encode([(b"a", b"b")])) == [(b"a", b"b")]


def test_offences_stay_with_an_entry_and_leave_with_its_value(kernel):
    decoder = kernel.HpackDecoder()
    decoder.decode_response(literal(b"Upper", b"a\nb", 0x40))
    both = h2_constants.UPPER_CASE_NAME | h2_constants.BAD_VALUE
    assert decoder.decode_response(b"\xbe").offences == both
    assert decoder.decode_response(b"\x7e" + string(b"fine")).offences == h2_constants.UPPER_CASE_NAME
    decoder.decode_response(literal(b":status", b"x", 0x40))
    assert decoder.decode_response(b"\xbe").offences == h2_constants.BAD_STATUS
    section = decoder.decode_response(b"\x7e" + string(b"204"))
    assert (section.offences, section.status) == (0, 204)


def test_trailers_have_no_status(kernel):
    section = kernel.HpackDecoder().decode_response(literal(b"grpc-status", b"0"))
    assert (section.status, section.fields(), section.offences) == (0, [(b"grpc-status", b"0")], 0)


def test_section_made_by_hand_is_empty(kernel):
    section = kernel.FieldSection()
    assert (section.fields(), section.count, section.status, section.content_length) == ([], 0, 0, constants.NO_LENGTH)


INDEXED = b"\x40\x03x-a\x01b"  # x-a: b, added to the table
PLAIN = b"\x88\x0f\x0d\x015"  # :status: 200, content-length: 5


def said(section):
    facts = section.status, section.flags, section.content_length, section.count, section.size, section.offences
    return facts, section.fields()


def test_a_block_that_comes_again_means_the_same_and_lists_are_not_shared(kernel):
    decoder = kernel.HpackDecoder()
    sections = [decoder.decode_response(PLAIN) for _ in range(5)]
    assert [said(each) for each in sections] == [said(sections[0])] * 5
    assert sections[0].content_length == 5
    for section in sections:
        section.fields().append((b"x", b"y"))
    assert decoder.decode_response(PLAIN).fields() == [(b"content-length", b"5")]


def test_a_block_that_comes_again_means_what_the_table_says_now(kernel):
    decoder = kernel.HpackDecoder()
    decoder.decode(INDEXED)
    newest = b"\x88\xbe"
    for _ in range(3):
        assert decoder.decode_response(newest).fields() == [(b"x-a", b"b")]
    decoder.decode(b"\x40\x03x-c\x01d")
    for _ in range(3):
        assert decoder.decode_response(newest).fields() == [(b"x-c", b"d")]
    adding = b"\x88\x40\x03x-e\x01f"
    for count in range(3):
        assert decoder.decode_response(adding).fields() == [(b"x-e", b"f")]
        assert decoder.table_size == (2 + count + 1) * 36
    decoder.decode_response(b"\x20\x88")  # a table of 0 bytes
    with pytest.raises(h2_errors.Http2Error, match="index"):
        decoder.decode_response(newest)


def entries_of(decoder):
    """The fields in the table of a decoder, newest first."""
    found = []
    try:
        while True:
            found += decoder.decode(integer(62 + len(found), 7, 0x80))
    except h2_errors.Http2Error:
        return found


@pytest.mark.parametrize("seed", range(8))
def test_blocks_that_come_again_leave_the_table_that_decoding_them_leaves(kernel, seed):
    """Those that add to the table, name its entries, change its size, or add more than 64 fields."""
    chance = random.Random(seed)
    adding = [
        b"\x88" + b"".join(literal(b"x-%d" % each, bytes([97 + number]) * each, 0x40) for each in range(1, 12, 2))
        for number in range(4)
    ]
    blocks = [
        PLAIN,
        *adding,
        b"\x88" + literal(b"x-large", b"v" * 900, 0x40) + literal(b"x-small", b"v", 0x40),
        b"\x88" + b"".join(literal(b"x", b"%d" % each, 0x40) for each in range(80)),
        b"\x88" + literal(b"x-added", b"and named", 0x40) + b"\xbe",
        b"\x88\xbe",
        b"\x88\x7e\x01v",  # with the name of the newest entry
        b"\x3f\xe1\x03\x88",  # a table of 512 bytes
        b"\x3f\xe1\x07\x88" + literal(b"x-resized", b"v", 0x40),  # 1,024
    ]
    by_memory, by_reading = kernel.HpackDecoder(1024), kernel.HpackDecoder(1024)
    for decoder in (by_memory, by_reading):
        decoder.decode(adding[0] + adding[1])
    for _ in range(60):
        block = chance.choice(blocks)
        for _ in range(chance.randrange(1, 5)):
            section = by_memory.decode_response(block)
            assert [(b":status", b"%d" % section.status), *section.fields()] == by_reading.decode(block)
            assert by_memory.table_size == by_reading.table_size
    assert entries_of(by_memory) == entries_of(by_reading)


def test_a_block_that_comes_again_is_held_against_the_limits_of_now(kernel):
    decoder = kernel.HpackDecoder()
    for _ in range(3):
        decoder.decode_response(PLAIN)
    decoder.max_list_size = 50
    with pytest.raises(h2_errors.SectionTooLarge):
        decoder.decode_response(PLAIN)
    decoder.max_list_size = 1000
    for _ in range(3):
        assert decoder.decode_response(PLAIN).count == 1
    decoder.max_table_size = 100
    with pytest.raises(h2_errors.Http2Error, match="table"):
        decoder.decode_response(PLAIN)


def test_what_is_wrong_with_a_block_is_said_each_time(kernel):
    decoder = kernel.HpackDecoder()
    for _ in range(4):
        section = decoder.decode_response(b"\x88\x00\x03X-A\x01b")
        assert (section.offences, section.offender) == (1, (b"X-A", b"b"))
    for _ in range(4):
        large = decoder.decode_response(b"\x88\x00\x03x-a\x7f\xff\x07" + b"b" * (127 + 127 + 7 * 128))
        assert large.count == 1
