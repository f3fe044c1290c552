"""The character encodings that a peer may name in `charset`, as codecs of the standard library.

A user may set any codec. A peer chooses from a table, for three reasons: some codecs are no encodings of text or cost
quadratic time (punycode), some raise for invalid input whatever the error handler, and the registry of codecs keeps
every name that was ever looked up.

The table has the labels of the WHATWG Encoding standard (section "Names and labels"), UTF-16 and UTF-32 in all their
forms, and Python's other names for the same codecs. Where Python and the standard mean different
codecs by one label, as with iso-8859-1 (windows-1252 in the standard), Python's is taken, as httpx does. The standard's
"replacement" and "x-user-defined" cannot be decoded, so their labels count as unknown.
"""

from __future__ import annotations

import codecs
import encodings
import sys
from encodings.aliases import aliases

from ._patterns import pattern

__all__ = ["known_encoding", "load_codecs", "text_decoder"]

#: Longer text is no label; the longest of the standard has 19 characters.
MAX_LABEL = 40  # characters

_NAMES = """
    ascii utf_8 utf_8_sig utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le latin_1 iso8859_2 iso8859_3
    iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15
    iso8859_16 cp866 cp874 cp932 cp949 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 koi8_r koi8_u
    mac_roman mac_cyrillic tis_620 big5 big5hkscs euc_jp euc_kr gb2312 gbk gb18030 iso2022_jp shift_jis
"""
#: Modules of `encodings`.
CODECS = frozenset(_NAMES.split())

#: By codec: labels of the standard that Python does not know.
_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
    "utf-16": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff",
    "utf-16-be": "unicodefffe",
    "iso-8859-1": "iso88591",
    "iso-8859-2": "iso88592",
    "iso-8859-3": "iso88593",
    "iso-8859-4": "iso88594",
    "iso-8859-5": "iso88595",
    "iso-8859-6": "iso88596 iso-8859-6-e iso-8859-6-i csiso88596e csiso88596i",
    "iso-8859-7": "iso88597 sun_eu_greek",
    "iso-8859-8": "iso88598 iso-8859-8-e iso-8859-8-i csiso88598e csiso88598i visual logical",
    "iso-8859-9": "iso88599",
    "iso-8859-10": "iso885910",
    "iso-8859-11": "iso885911",
    "iso-8859-13": "iso885913",
    "iso-8859-14": "iso885914",
    "iso-8859-15": "iso885915 csisolatin9",
    "koi8-r": "koi koi8",
    "koi8-u": "koi8-ru",
    "mac-roman": "mac x-mac-roman csmacintosh",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp874": "windows-874 dos-874",
    "cp1250": "x-cp1250",
    "cp1251": "x-cp1251",
    "cp1252": "x-cp1252",
    "cp1253": "x-cp1253",
    "cp1254": "x-cp1254",
    "cp1255": "x-cp1255",
    "cp1256": "x-cp1256",
    "cp1257": "x-cp1257",
    "cp1258": "x-cp1258",
    "gb18030": "x-gbk csgb2312 gb_2312 gb_2312-80",
    "big5hkscs": "cn-big5 x-x-big5",
    "euc-jp": "x-euc-jp cseucpkdfmtjapanese",
    "cp932": "windows-31j x-sjis",
    "cp949": "windows-949 cseuckr csksc56011987 iso-ir-149 ks_c_5601-1989 ksc_5601",
}
_CODEC_OF = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}

_loaded = False


def known_encoding(label: str) -> str | None:
    """Return the name of the codec for `label`, which is in lower case: the label itself if Python knows it.

    Returns None for labels that are not in the table. It uses no registry, so it uses no memory permanently.
    """
    if len(label) > MAX_LABEL or not label.isascii():
        return None
    found = _CODEC_OF.get(label)
    if found is not None:
        return found
    # Punctuation is ignored, as in `codecs.lookup()`: some servers send quotes, or "latin-1" for "latin1".
    name = encodings.normalize_encoding(label)
    return label if aliases.get(name, name) in CODECS else None


def load_codecs() -> None:
    """Import the codecs of the table; call it before a request is sent, if the cost is acceptable.

    When a response arrives, the interpreter may be shutting down, or no more file can be opened.
    """
    global _loaded
    if _loaded:
        return
    for name in CODECS:
        try:
            codecs.lookup(name)
        except LookupError:  # Python was built without it
            continue
    _loaded = True


def text_decoder(encoding: str) -> codecs.IncrementalDecoder:
    """Return an incremental decoder; invalid input becomes U+FFFD. Raises LookupError for unknown encodings."""
    found = codecs.lookup(encoding)
    if found.name in _UNITS:
        return _WithoutMark(found.name)
    if found.name == "iso2022_jp":
        return _WholeEscapes(found.name)
    return codecs.getincrementaldecoder(encoding)(errors="replace")


#: Bytes of a unit, of encodings that begin with a byte order mark.
_UNITS = {"utf-16": 2, "utf-32": 4}
_MARKS = {
    "utf-16": {codecs.BOM_UTF16_LE: "le", codecs.BOM_UTF16_BE: "be"},
    "utf-32": {codecs.BOM_UTF32_LE: "le", codecs.BOM_UTF32_BE: "be"},
}


class _WithoutMark(codecs.IncrementalDecoder):
    """Decode UTF-16 or UTF-32 whose byte order mark may be missing: then the order is the machine's.

    That is what `bytes.decode()` does. The standard library's incremental decoders raise UnicodeError without the mark,
    whatever the error handler.
    """

    def __init__(self, name: str) -> None:
        super().__init__("replace")
        self._name = name
        self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        if self._decoder is None:
            data = self._head + data
            size = _UNITS[self._name]
            if len(data) < size and not final:
                self._head = data
                return ""
            order = _MARKS[self._name].get(data[:size])
            if order is None:
                order = sys.byteorder[0] + "e"
            else:
                data = data[size:]
            self._decoder = codecs.getincrementaldecoder(f"{self._name}-{order}")("replace")
        return self._decoder.decode(data, final)


#: An ESC that begins no escape sequence of ISO-2022-JP, and is not at the end, where the rest may follow.
_BAD_ESCAPE = pattern(rb"\x1b(?!\([BJ]|\$[@B]|[($]?\Z)")
_OPEN_ESCAPE = pattern(rb"\x1b[($]?\Z")


class _WholeEscapes(codecs.IncrementalDecoder):
    """Decode ISO-2022-JP, passing escape sequences to the decoder whole, or not at all.

    The standard library's decoder looks for their end in the next 15 bytes, and raises UnicodeDecodeError if it must
    keep more than 8 of them for the next piece.
    """

    def __init__(self, name: str) -> None:
        super().__init__("replace")
        self._held = b""
        self._decoder = codecs.getincrementaldecoder(name)("replace")

    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        data = _BAD_ESCAPE.sub(b"\x80", self._held + data)  # a byte that is replaced in the same way as the ESC
        self._held = b""
        if not final:
            start = _OPEN_ESCAPE.search(data, max(len(data) - 2, 0))
            if start is not None:
                self._held = data[start.start() :]
                data = data[: start.start()]
        return self._decoder.decode(data, final)
