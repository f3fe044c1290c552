"""Flags and limits that both kernels and the packages above them share; plain integers and bytes.

A kernel sets a flag for what it has seen and never acts on it: `_wire` decides what two Content-Length fields mean.
Every limit bounds something that a peer could otherwise grow, and its comment says what.
"""

from __future__ import annotations

# What a head contains. One test of `ResponseHead.flags` saves the packages above a search for fields that are rare.
HAS_CONTENT_LENGTH = 1 << 0
HAS_TRANSFER_ENCODING = 1 << 1
CHUNKED_ONLY = 1 << 2  # one Transfer-Encoding field, and its only coding is "chunked"
HAS_CONNECTION = 1 << 3
CONNECTION_CLOSE = 1 << 4  # "close" is among the members of the Connection fields; the next one likewise
CONNECTION_KEEP_ALIVE = 1 << 5
HAS_KEEP_ALIVE = 1 << 6
HAS_SET_COOKIE = 1 << 7
HAS_LOCATION = 1 << 8
HAS_CONTENT_ENCODING = 1 << 9

FIELD_FLAGS = {
    b"content-length": HAS_CONTENT_LENGTH,
    b"transfer-encoding": HAS_TRANSFER_ENCODING,
    b"connection": HAS_CONNECTION,
    b"keep-alive": HAS_KEEP_ALIVE,
    b"set-cookie": HAS_SET_COOKIE,
    b"location": HAS_LOCATION,
    b"content-encoding": HAS_CONTENT_ENCODING,
}
CONNECTION_FLAGS = {
    b"close": CONNECTION_CLOSE,
    b"keep-alive": CONNECTION_KEEP_ALIVE,
}

# Values of `ResponseHead.content_length` that are no length.
NO_LENGTH = -1
BAD_LENGTH = -2  # several fields, a list, not 1*DIGIT, or above MAX_LENGTH
MAX_LENGTH = 2**63 - 1  # bytes; larger ones do not fit what the operating system calls a size

# A head that never ends would grow the buffer it is collected in. curl stops at 300 KiB, Go at 1 MiB, nginx and
# Apache send at most some 8 KiB per field; 100 KiB holds every honest head that we know of.
MAX_HEAD_SIZE = 102400  # bytes, from the first one of the status line to the final line end; trailer sections too
# `Limits(max_head_size=...)` sets another limit. Above this one it would be none: offsets have 32 bits, and the bytes
# of a head are held until it has ended.
LARGEST_HEAD_SIZE = 16 * 1024 * 1024  # bytes
# Objects of a field cost about 200 bytes, so 34,000 fields of 3 bytes would turn 100 KiB into 7 MB. Honest heads
# stay under 200 (floods of Set-Cookie and Link), and proxies refuse more than a few hundred.
MAX_FIELDS = 1000  # field lines of a head, or of a trailer section
# More digits than fit 64 bits can only be an attempt to overflow an implementation.
MAX_CHUNK_SIZE_DIGITS = 16  # hexadecimal digits, leading zeros included
# Extensions have no use that we know of: each chunk of one byte could bring any number of bytes to be skipped.
MAX_CHUNK_EXTENSION = 16384  # bytes between the sizes and their line ends, in all chunks of a message together

# Allocated because of a Content-Length alone; a body of 8 EiB that never arrives costs no more than this.
FIRST_ROOM = 1024 * 1024  # bytes, in `BodyBuffer`

# The content of a redirect or of a 401 is read so that the connection can be reused, and kept for the response's
# history: beyond this a new connection costs less. Known pages of this kind have a few KiB.
MAX_INTERMEDIATE = 1024 * 1024  # bytes of content, decoded, of a response that is not the last one
FIRST_INTERMEDIATE = 300  # the statuses of such responses; 1xx have no content

# tchar of RFC 9110 s.5.6.2.
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# VCHAR of RFC 5234: what a request target is made of. Anything above 0x7e has to be percent-encoded (RFC 9112 s.3.2).
TARGET_BYTES = bytes(range(0x21, 0x7F))
# field-vchar, SP and HTAB of RFC 9110 s.5.5: what a value that we send is made of.
VALUE_BYTES = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

# Servers refuse far shorter targets, so a longer URL is a mistake or an attack.
MAX_URL_LENGTH = 65536  # characters, of a whole URL and of each of its parts
MAX_PORT = 65535

# What is not percent-encoded, by the part of the URL (WHATWG URL s.1.3). "%" is in all of them: escaped characters stay
# as they were given.
_ALNUM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PATH_CHARACTERS = _ALNUM + "!$%&'()*+,-./:;=@[\\]^_|~"
QUERY_CHARACTERS = _ALNUM + "!$%&'()*+,-./:;=?@[\\]^_`{|}~"
FRAGMENT_CHARACTERS = _ALNUM + "!#$%&'()*+,-./:;=?@[\\]^_{|}~"
# In forms and queries made of names and values (WHATWG URL s.5.2); a space becomes "+".
FORM_CHARACTERS = _ALNUM + "_.-~"

_COMMON_TEXT = """
    Accept-Ranges Access-Control-Allow-Credentials Access-Control-Allow-Headers Access-Control-Allow-Methods
    Access-Control-Allow-Origin Access-Control-Expose-Headers Access-Control-Max-Age Age Allow Alt-Svc Cache-Control
    CF-Cache-Status CF-RAY Connection Content-Disposition Content-Encoding Content-Language Content-Length
    Content-Location Content-Range Content-Security-Policy Content-Type Cross-Origin-Opener-Policy
    Cross-Origin-Resource-Policy Date ETag Expires Keep-Alive Last-Modified Link Location NEL P3P Permissions-Policy
    Pragma Proxy-Authenticate Referrer-Policy Report-To Retry-After Sec-WebSocket-Accept Server Server-Timing
    Set-Cookie Strict-Transport-Security Timing-Allow-Origin Trailer Transfer-Encoding Upgrade Vary Via
    WWW-Authenticate X-Amz-Cf-Id X-Amz-Request-Id X-Cache X-Content-Type-Options X-Frame-Options X-Powered-By
    X-RateLimit-Limit X-RateLimit-Remaining X-RateLimit-Reset X-Request-ID X-Request-Id X-Served-By X-XSS-Protection
"""
#: Names of which every head shares one object, as most servers spell them and as HTTP/2 gateways do.
COMMON_NAMES = tuple(
    dict.fromkeys(spelling.encode() for name in _COMMON_TEXT.split() for spelling in (name, name.lower()))
)
