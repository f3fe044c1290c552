"""Numbers of HTTP/2 and HPACK for both kernels and the packages above: types, flags, codes, settings, limits.

A kernel sets an offence for what it has seen in a field section and never acts on it: `_wire` decides what a malformed
message costs. Every limit bounds something that a peer could otherwise grow, and its comment says what.
"""

from __future__ import annotations

# Frame types, RFC 9113 s.6.
DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9
#: Not a frame type: the reader reports it in place of a frame that breaks the protocol.
ERROR = -1

FRAME_NAMES = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)

# Flags of frames.
END_STREAM = 0x1  # of DATA and HEADERS
ACK = 0x1  # of SETTINGS and PING
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20  # of HEADERS: five bytes that RFC 9113 s.5.3.2 has us ignore

# Error codes, RFC 9113 s.7.
NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
INTERNAL_ERROR = 0x2
FLOW_CONTROL_ERROR = 0x3
SETTINGS_TIMEOUT = 0x4
STREAM_CLOSED = 0x5
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
CONNECT_ERROR = 0xA
ENHANCE_YOUR_CALM = 0xB
INADEQUATE_SECURITY = 0xC
HTTP_1_1_REQUIRED = 0xD

ERROR_NAMES = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)

# Settings, RFC 9113 s.6.5.2, RFC 8441 s.3, RFC 9218 s.2.1.
HEADER_TABLE_SIZE = 0x1
ENABLE_PUSH = 0x2
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5
MAX_HEADER_LIST_SIZE = 0x6
ENABLE_CONNECT_PROTOCOL = 0x8
NO_RFC7540_PRIORITIES = 0x9

# What holds until SETTINGS say otherwise.
DEFAULT_TABLE_SIZE = 4096  # bytes
DEFAULT_WINDOW_SIZE = 65535  # bytes
DEFAULT_FRAME_SIZE = 16384  # bytes; the least that SETTINGS_MAX_FRAME_SIZE may say, too
LARGEST_FRAME_SIZE = 2**24 - 1  # bytes
MAX_WINDOW_SIZE = 2**31 - 1  # bytes
MAX_STREAM_ID = 2**31 - 1

#: The first bytes that a client sends (RFC 9113 s.3.4); a SETTINGS frame follows.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD_SIZE = 9  # bytes

# What is wrong with a field section, so that its message is malformed (RFC 9113 s.8.1.1).
UPPER_CASE_NAME = 1 << 0
BAD_NAME = 1 << 1  # empty, or no token in any case
BAD_VALUE = 1 << 2  # NUL, CR or LF
# SP or HTAB begins or ends a value. Among the offences of an entry, and never of a section: RFC 9113 s.8.2.1 calls such
# a message malformed, but servers behind gateways send it, and curl, Node and browsers drop the blanks.
BLANK_AT_END = 1 << 3
CONNECTION_SPECIFIC = 1 << 4  # RFC 9113 s.8.2.2
PSEUDO_LATE = 1 << 5  # after a field that is none
PSEUDO_UNKNOWN = 1 << 6  # not one of responses
PSEUDO_REPEATED = 1 << 7
BAD_STATUS = 1 << 8  # not three digits from 100 to 999

# A decoder keeps the section of the last block while that means the same: as long as the table does not change, or if
# the block names nothing of the table; what it adds is then added again. Servers that index nothing, all, or all anew
# (nginx) send the same bytes for most responses to a client. It holds at most this much for it, besides the values.
MAX_REMEMBERED_BLOCK = 1024  # bytes

# A frame of one byte costs an object of 60: so many small pieces of a body in a row are joined to one.
SMALL_PIECE = 256  # bytes
MANY_PIECES = 256
# A body that is wanted whole is joined as it comes from so many bytes on: kept in pieces, it takes fresh memory for
# each, and as much again at the end.
COLLECT_FROM = 256 * 1024  # bytes

CONNECTION_FIELDS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})

ENTRY_OVERHEAD = 32  # bytes that a field counts besides name and value, RFC 7541 s.4.1 and RFC 9113 s.6.5.2

# Each byte of a block can name an entry of 4 KiB, and each field costs some 200 bytes of objects: 16 KiB of block
# would become 64 MiB of fields. 64 KiB hold every honest head; nghttp2 and Go send no more by default.
MAX_LIST_SIZE = 65536  # bytes, names and values and ENTRY_OVERHEAD each
# No index, length or table size of 2**28 or more can be valid here. More bytes can only be an attempt to overflow.
MAX_INTEGER_BYTES = 4  # bytes of an integer after those bits of its first one
# A peer may offer 4 GiB, and the encoder keeps what the peer keeps. Larger tables hardly shrink requests.
MAX_ENCODER_TABLE = DEFAULT_TABLE_SIZE  # bytes
# Frames of a block have no limit of their own in the protocol: an endless block is held, or at least read, for ever.
MAX_BLOCK_SIZE = 2 * MAX_LIST_SIZE  # bytes; a list at its limit takes about half of that, uncompressed
MAX_CONTINUATIONS = 64  # frames of one block, empty ones included; MAX_BLOCK_SIZE takes eight full ones

# The encoder's policy. A field that changes from request to request would push those out of the table that do not, and
# each addition shifts the indices that remembered blocks are made of.
CHANGING_FIELDS = frozenset(
    {
        b":path",
        b"age",
        b"content-length",
        b"date",
        b"etag",
        b"idempotency-key",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"location",
        b"range",
        b"set-cookie",
        b"traceparent",
        b"tracestate",
        b"x-request-id",
    }
)
# RFC 7541 s.7.1.3: credentials are never indexed, by proxies either, so that an attacker cannot guess them by the size
# of what is sent. A cookie counts as a credential when it is short enough to be guessed.
SECRET_FIELDS = frozenset({b"authorization", b"proxy-authorization"})
GUESSABLE_FIELDS = frozenset({b"cookie"})
GUESSABLE_SIZE = 20  # bytes of a value
