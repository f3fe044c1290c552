"""`Headers`: the field section of a message as users see it.

The wire layer needs field lines, users need a mapping: so the lines are stored, and the first lookup builds its index.
The module knows no message and no connection. The rules:

1. `_field_lines` holds the field lines as they are sent: names in their original spelling, values as bytes.
2. A list that another object holds too (another `Headers`, a template, a head) is marked as shared, and every change
   copies a shared list first. So the identity of `_field_lines` shows whether a change was made since.
3. A received field section is looked up in its head, line by line, until all of it is needed (`_lazy`).
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, Sequence, ValuesView
from typing import Any, Protocol, Self, TypeAlias, TypeVar, Union, overload

from .._head import FieldLine
from .._kernel.select import encode_lines
from .._masking import masked_field
from .._pairs import check_pairs

__all__ = ["Headers"]

HeaderTypes: TypeAlias = Union[
    "Headers",
    Mapping[str, str],
    Mapping[bytes, bytes],
    Sequence[tuple[str, str]],
    Sequence[tuple[bytes, bytes]],
]


_T = TypeVar("_T")
_new = object.__new__


class FieldSource(Protocol):
    """Hold a received field section without objects for its lines: the kernel's head."""

    def fields(self) -> list[FieldLine]:
        """Return all field lines in the order received."""
        ...

    def get_all(self, name: bytes, /) -> list[bytes]:
        """Return the values of a field, by its name in lower case."""
        ...


class Headers(MutableMapping[str, str]):
    """Map field names, ignoring case, to the values of a message; repeated field lines are kept.

    `encoding` is the codec between text and bytes; None stands for ASCII, and in received fields for the first of
    ASCII, UTF-8 and ISO-8859-1 that can decode them all.

    ```python
    fields = httpx.Headers({"Content-Type": "text/plain"})
    assert fields["content-type"] == "text/plain"
    ```
    """

    _lines: list[FieldLine] | None  # None while only `_source` knows them
    _names: list[bytes] | None = None  # names in lower case, in step with `_lines`; made by the first lookup
    _source: FieldSource | None = None  # the head that the lines came from, until they are changed
    _shared = False
    _encoding: str | None = None

    def __init__(self, headers: HeaderTypes | None = None, encoding: str | None = None) -> None:
        if encoding is not None:
            self._encoding = encoding
        if headers is None:
            self._lines = []
        # Concrete types first: a check against an abstract base class costs more than all the rest.
        elif isinstance(headers, dict):
            self._lines = encode_lines(headers.items(), encoding or "ascii")
        elif type(headers) is Headers or isinstance(headers, Headers):
            self._lines = headers._field_lines
            self._names = headers._names
            self._shared = headers._shared = True
        elif isinstance(headers, Mapping):
            self._lines = encode_lines(headers.items(), encoding or "ascii")
        else:
            try:
                self._lines = encode_lines(headers, encoding or "ascii")
            except (TypeError, ValueError):
                check_pairs(headers, "headers")
                raise

    @classmethod
    def _from_list(cls, lines: list[FieldLine]) -> Headers:
        """Wrap field lines that other objects hold too; they are never changed in place."""
        self = _new(cls)
        self._lines = lines
        self._shared = True
        return self

    @classmethod
    def _lazy(cls, source: FieldSource) -> Headers:
        """Wrap the field section of a received head, which becomes a list only when one is needed."""
        self = _new(cls)
        self._lines = None
        self._source = source
        self._shared = True
        return self

    @property
    def _field_lines(self) -> list[FieldLine]:
        """Return the field lines. Do not change them; call `_share()` before keeping them."""
        lines = self._lines
        if lines is None:
            assert self._source is not None
            lines = self._lines = self._source.fields()
        return lines

    @property
    def _list(self) -> list[tuple[bytes, bytes, bytes]]:
        """Return a new list of (name, name in lower case, value): httpx's private list, for tools that read it."""
        return [
            (name, lower, value) for lower, (name, value) in zip(self._lower_names(), self._field_lines, strict=True)
        ]

    @_list.setter
    def _list(self, triples: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        self._lines = [(name, value) for name, _, value in triples]
        self._names = self._source = None
        self._shared = False

    def _share(self) -> list[FieldLine]:
        """Return the field lines for a caller that keeps them: later changes here make another list."""
        self._shared = True
        return self._field_lines

    @property
    def encoding(self) -> str:
        """Return the codec: the one that was set, else the first of three that can decode all fields."""
        if self._encoding is not None:
            return self._encoding
        # A line feed is no part of a multi-byte sequence, so the whole can be decoded if each of its parts can.
        data = b"\n".join([part for line in self._field_lines for part in line])
        if data.isascii():
            return "ascii"
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return "iso-8859-1"
        return "utf-8"

    @encoding.setter
    def encoding(self, value: str) -> None:
        self._encoding = value

    @property
    def raw(self) -> list[FieldLine]:
        """Return a new list of the field lines, with the names and values of the wire."""
        return list(self._field_lines)

    def keys(self) -> KeysView[str]:
        """Return the names in lower case, each once."""
        return dict.fromkeys([name for name, _ in self.multi_items()], None).keys()

    def values(self) -> ValuesView[str]:
        """Return the values in the order of `keys()`, those of repeated lines joined by commas."""
        return self._joined().values()

    def items(self) -> ItemsView[str, str]:
        """Return names in lower case with their values, those of repeated lines joined by commas."""
        return self._joined().items()

    def multi_items(self) -> list[tuple[str, str]]:
        """Return one pair of name in lower case and value for each field line."""
        encoding = self.encoding
        names = self._lower_names()
        return [
            (name.decode(encoding), line[1].decode(encoding))
            for name, line in zip(names, self._field_lines, strict=True)
        ]

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, default: str | _T) -> str | _T: ...

    def get(self, key: str, default: str | _T | None = None) -> str | _T | None:
        """Return the value of a field, those of repeated lines joined by commas; `default` if there is none."""
        values = self._values(key)
        if not values:
            return default
        return values[0] if len(values) == 1 else ", ".join(values)

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        """Return the value of each line of a field; with `split_commas` each member of a comma-separated list."""
        values = self._values(key)
        if not split_commas:
            return values
        return [member.strip() for value in values for member in value.split(",")]

    def update(self, headers: HeaderTypes | None = None) -> None:  # type: ignore[override]
        """Add all lines of `headers`, replacing those with the same names."""
        other = headers if type(headers) is Headers else Headers(headers, self._encoding)
        added, added_names = list(other._field_lines), list(other._lower_names())
        lines, names = self._own()
        for name in added_names:
            if name in names:
                _remove(lines, names, name, 0)
        lines += added
        names += added_names

    def copy(self) -> Headers:
        """Return a copy, which can be changed independently."""
        return Headers(self, self._encoding)

    def __getitem__(self, key: str) -> str:
        values = self._values(key)
        if not values:
            raise KeyError(key)
        return values[0] if len(values) == 1 else ", ".join(values)

    def __setitem__(self, key: str, value: str) -> None:
        line = encode_lines(((key, value),), self._encoding or "utf-8")[0]
        lower = line[0].lower()
        lines, names = self._own()
        if lower not in names:
            lines.append(line)
            names.append(lower)
            return
        # The first line keeps its position, so that setting a value does not change the order in which fields are sent.
        first = names.index(lower)
        lines[first] = line
        _remove(lines, names, lower, first + 1)

    def __delitem__(self, key: str) -> None:
        lower = self._key(key)
        lines, names = self._own()
        if lower not in names:
            raise KeyError(key)
        _remove(lines, names, lower, 0)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._has(self._key(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._field_lines)

    def __or__(self, other: Mapping[str, str]) -> Headers:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: Mapping[str, str]) -> Headers:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = Headers(other)
        merged.update(self)
        return merged

    def __ior__(self, other: HeaderTypes) -> Self:
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            try:
                other = Headers(other)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                return False
        return self._field_lines is other._field_lines or self._sorted() == other._sorted()

    def __repr__(self) -> str:
        encoding = self.encoding
        pairs = self._shown_items()
        unique = dict(pairs)
        shown: Any = unique if len(unique) == len(pairs) else pairs
        return f"{type(self).__name__}({shown!r}{'' if encoding == 'ascii' else f', encoding={encoding!r}'})"

    def _shown_items(self) -> list[tuple[str, str]]:
        """Return `multi_items()` with credentials masked."""
        return [(name, masked_field(name, value)) for name, value in self.multi_items()]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_names", "_source", "_shared"):
            state.pop(name, None)
        state["_lines"] = list(self._field_lines)
        return state

    def _own(self) -> tuple[list[FieldLine], list[bytes]]:
        """Return lines and lower-case names that may be changed in place."""
        lines, names = self._field_lines, self._lower_names()
        if self._shared:
            self._shared = False
            self._source = None
            lines = self._lines = list(lines)
            names = self._names = list(names)
        return lines, names

    def _lower_names(self) -> list[bytes]:
        names = self._names
        if names is None:
            names = self._names = [line[0].lower() for line in self._field_lines]
        return names

    def _surround(self, first: list[FieldLine], last: list[FieldLine]) -> None:
        """Insert lines before and after the existing ones."""
        self._lines = first + self._field_lines + last
        self._names = self._source = None
        self._shared = False

    def _key(self, name: str) -> bytes:
        """Return `name` in the form of the lower-case names."""
        try:
            return name.encode(self._encoding or "ascii").lower()
        except UnicodeEncodeError:
            return name.encode("iso-8859-1" if self.encoding == "iso-8859-1" else "utf-8", "replace").lower()

    def _has(self, lower: bytes) -> bool:
        if self._lines is None and self._source is not None:
            return bool(self._source.get_all(lower))
        return lower in self._lower_names()

    def _find(self, lower: bytes) -> list[bytes]:
        """Return the values of a field as bytes, by its name in lower case."""
        lines = self._lines
        if lines is None:
            assert self._source is not None
            return self._source.get_all(lower)
        names = self._names
        if names is None:
            names = self._lower_names()
        count = names.count(lower)
        if count == 0:
            return []
        if count == 1:
            return [lines[names.index(lower)][1]]
        return [line[1] for name, line in zip(names, lines, strict=True) if name == lower]

    def _values(self, key: str) -> list[str]:
        encoding = self._encoding
        if encoding is None:
            # ASCII decodes to the same text in all three codecs, so most lookups need not determine the codec.
            try:
                return [value.decode("ascii") for value in self._find(key.encode("ascii").lower())]
            except UnicodeError:
                encoding = self.encoding
        return [value.decode(encoding) for value in self._find(self._key(key))]

    def _joined(self) -> dict[str, str]:
        joined: dict[str, str] = {}
        for name, value in self.multi_items():
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined

    def _sorted(self) -> list[FieldLine]:
        return sorted([(name, line[1]) for name, line in zip(self._lower_names(), self._field_lines, strict=True)])


def _remove(lines: list[FieldLine], names: list[bytes], lower: bytes, start: int) -> None:
    """Remove the lines of a field, from index `start` on."""
    for index in range(len(names) - 1, start - 1, -1):
        if names[index] == lower:
            del lines[index], names[index]
