"""Status codes (RFC 9110 s.15 and the IANA registry) by name, with their reason phrases.

Names that RFC 9110 replaced still work and warn. Lower-case names work too, as in requests, and are plain numbers.
"""

from __future__ import annotations

import warnings
from enum import EnumMeta, IntEnum
from typing import TYPE_CHECKING, Any, Self

__all__ = ["codes"]

_REPLACED = {
    "REQUEST_ENTITY_TOO_LARGE": "CONTENT_TOO_LARGE",
    "REQUEST_URI_TOO_LONG": "URI_TOO_LONG",
    "REQUESTED_RANGE_NOT_SATISFIABLE": "RANGE_NOT_SATISFIABLE",
    "UNPROCESSABLE_ENTITY": "UNPROCESSABLE_CONTENT",
}


class _Code(int):
    """Stand for a member as type checkers see it: a number, since to them no status code equals a pair."""

    def __new__(cls, value: int, phrase: str) -> Self:
        code = int.__new__(cls, value)
        code.phrase = phrase
        return code

    phrase: str


class _CodesMeta(EnumMeta):
    """Find replaced names, which are no members, so that members cost no detour."""

    if not TYPE_CHECKING:  # a checker would believe that any name is a code

        def __getattr__(cls, name: str) -> Any:
            new_name = _REPLACED.get(name)
            if new_name is None:
                raise AttributeError(f"{cls.__name__} has no code named {name!r}")
            warnings.warn(f"codes.{name} is now codes.{new_name} (RFC 9110 s.15)", DeprecationWarning, stacklevel=2)
            return cls[new_name]

    def __getitem__(cls, name: str) -> Any:
        return super().__getitem__(_REPLACED.get(name, name))


class codes(IntEnum, metaclass=_CodesMeta):  # noqa: N801  # httpx's name
    """List HTTP status codes: `codes.NOT_FOUND == 404`, `codes.NOT_FOUND.phrase == "Not Found"`."""

    _value_: int
    phrase: str

    def __new__(cls, value: _Code) -> Self:
        code = int.__new__(cls, value)
        code._value_ = int(value)
        code.phrase = value.phrase
        return code

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def get_reason_phrase(cls, value: int) -> str:
        """Return the reason phrase of a code; "" for one that is not registered."""
        code: Any = cls._value2member_map_.get(value)
        return "" if code is None else code.phrase

    @classmethod
    def is_informational(cls, value: int) -> bool:
        """Return whether `value` is 1xx."""
        return 100 <= value <= 199

    @classmethod
    def is_success(cls, value: int) -> bool:
        """Return whether `value` is 2xx."""
        return 200 <= value <= 299

    @classmethod
    def is_redirect(cls, value: int) -> bool:
        """Return whether `value` is 3xx."""
        return 300 <= value <= 399

    @classmethod
    def is_client_error(cls, value: int) -> bool:
        """Return whether `value` is 4xx."""
        return 400 <= value <= 499

    @classmethod
    def is_server_error(cls, value: int) -> bool:
        """Return whether `value` is 5xx."""
        return 500 <= value <= 599

    @classmethod
    def is_error(cls, value: int) -> bool:
        """Return whether `value` is 4xx or 5xx."""
        return 400 <= value <= 599

    CONTINUE = _Code(100, "Continue")
    SWITCHING_PROTOCOLS = _Code(101, "Switching Protocols")
    PROCESSING = _Code(102, "Processing")
    EARLY_HINTS = _Code(103, "Early Hints")

    OK = _Code(200, "OK")
    CREATED = _Code(201, "Created")
    ACCEPTED = _Code(202, "Accepted")
    NON_AUTHORITATIVE_INFORMATION = _Code(203, "Non-Authoritative Information")
    NO_CONTENT = _Code(204, "No Content")
    RESET_CONTENT = _Code(205, "Reset Content")
    PARTIAL_CONTENT = _Code(206, "Partial Content")
    MULTI_STATUS = _Code(207, "Multi-Status")
    ALREADY_REPORTED = _Code(208, "Already Reported")
    IM_USED = _Code(226, "IM Used")

    MULTIPLE_CHOICES = _Code(300, "Multiple Choices")
    MOVED_PERMANENTLY = _Code(301, "Moved Permanently")
    FOUND = _Code(302, "Found")
    SEE_OTHER = _Code(303, "See Other")
    NOT_MODIFIED = _Code(304, "Not Modified")
    USE_PROXY = _Code(305, "Use Proxy")
    TEMPORARY_REDIRECT = _Code(307, "Temporary Redirect")
    PERMANENT_REDIRECT = _Code(308, "Permanent Redirect")

    BAD_REQUEST = _Code(400, "Bad Request")
    UNAUTHORIZED = _Code(401, "Unauthorized")
    PAYMENT_REQUIRED = _Code(402, "Payment Required")
    FORBIDDEN = _Code(403, "Forbidden")
    NOT_FOUND = _Code(404, "Not Found")
    METHOD_NOT_ALLOWED = _Code(405, "Method Not Allowed")
    NOT_ACCEPTABLE = _Code(406, "Not Acceptable")
    PROXY_AUTHENTICATION_REQUIRED = _Code(407, "Proxy Authentication Required")
    REQUEST_TIMEOUT = _Code(408, "Request Timeout")
    CONFLICT = _Code(409, "Conflict")
    GONE = _Code(410, "Gone")
    LENGTH_REQUIRED = _Code(411, "Length Required")
    PRECONDITION_FAILED = _Code(412, "Precondition Failed")
    CONTENT_TOO_LARGE = _Code(413, "Content Too Large")
    URI_TOO_LONG = _Code(414, "URI Too Long")
    UNSUPPORTED_MEDIA_TYPE = _Code(415, "Unsupported Media Type")
    RANGE_NOT_SATISFIABLE = _Code(416, "Range Not Satisfiable")
    EXPECTATION_FAILED = _Code(417, "Expectation Failed")
    IM_A_TEAPOT = _Code(418, "I'm a teapot")
    MISDIRECTED_REQUEST = _Code(421, "Misdirected Request")
    UNPROCESSABLE_CONTENT = _Code(422, "Unprocessable Content")
    LOCKED = _Code(423, "Locked")
    FAILED_DEPENDENCY = _Code(424, "Failed Dependency")
    TOO_EARLY = _Code(425, "Too Early")
    UPGRADE_REQUIRED = _Code(426, "Upgrade Required")
    PRECONDITION_REQUIRED = _Code(428, "Precondition Required")
    TOO_MANY_REQUESTS = _Code(429, "Too Many Requests")
    REQUEST_HEADER_FIELDS_TOO_LARGE = _Code(431, "Request Header Fields Too Large")
    UNAVAILABLE_FOR_LEGAL_REASONS = _Code(451, "Unavailable For Legal Reasons")

    INTERNAL_SERVER_ERROR = _Code(500, "Internal Server Error")
    NOT_IMPLEMENTED = _Code(501, "Not Implemented")
    BAD_GATEWAY = _Code(502, "Bad Gateway")
    SERVICE_UNAVAILABLE = _Code(503, "Service Unavailable")
    GATEWAY_TIMEOUT = _Code(504, "Gateway Timeout")
    HTTP_VERSION_NOT_SUPPORTED = _Code(505, "HTTP Version Not Supported")
    VARIANT_ALSO_NEGOTIATES = _Code(506, "Variant Also Negotiates")
    INSUFFICIENT_STORAGE = _Code(507, "Insufficient Storage")
    LOOP_DETECTED = _Code(508, "Loop Detected")
    NOT_EXTENDED = _Code(510, "Not Extended")
    NETWORK_AUTHENTICATION_REQUIRED = _Code(511, "Network Authentication Required")


for _code in codes:
    setattr(codes, _code.name.lower(), int(_code))
for _old, _new in _REPLACED.items():
    setattr(codes, _old.lower(), int(codes[_new]))
