"""Reads the command line by the table of `options`.

Two options have a meaning in curl and another in httpx, and are told apart by what follows them:

- `-d DATA` is curl's, `-d NAME VALUE` httpx's. It is httpx's if NAME is a plain word (letters, digits, `_ . - [ ]`) and
  a word follows that is no option, and no URL while the command still needs one.
- `-f` alone is curl's `--fail`, `-f NAME FILENAME` httpx's `--files`: if NAME is a plain word, and FILENAME a file or a
  word that could be nothing else.

A wrong guess ends in an error, never in another request: it leaves the command without a URL, or with two.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .inputs import read_value
from .items import KNOWN_METHODS, Items, complete_url, is_method, is_url_only, looks_like_url, read_items
from .options import OPTIONS, Option
from .usage import UsageError

_ALL = "httpx-fast --help shows all options"
_PLAIN_WORD = re.compile(r"[\w.\-\[\]]+")


@dataclass
class Data:
    """Data of a form as an option gave it: `kind` is the option's long name, or "pair"."""

    kind: str
    text: str
    name: str = ""


def _strings() -> list[str]:
    return []


def _pairs() -> list[tuple[str, str]]:
    return []


@dataclass
class Arguments:
    """Hold the parsed command line. Fields are the targets of `OPTIONS`, and the words beside options."""

    url: str | None = None
    items: Items = field(default_factory=Items)
    method: str | None = None
    fields: list[str] = field(default_factory=_strings)
    header_pairs: list[tuple[str, str]] = field(default_factory=_pairs)
    params: list[tuple[str, str]] = field(default_factory=_pairs)
    get: bool = False
    head: bool = False
    user_agent: str | None = None
    referer: str | None = None
    cookie_field: list[str] = field(default_factory=_strings)
    cookies: list[tuple[str, str]] = field(default_factory=_pairs)
    user: str | None = None
    auth: tuple[str, str] | None = None
    digest: bool = False
    range: str | None = None
    follow_redirects: bool = False
    max_redirects: int = 20
    retry: int = 0
    retry_delay: float | None = None
    data: list[Data] = field(default_factory=list[Data])
    form: list[str] = field(default_factory=_strings)
    file_pairs: list[tuple[str, str]] = field(default_factory=_pairs)
    content: str | None = None
    json: Any = None
    has_json: bool = False
    urlencoded: bool = False
    proxy: str | None = None
    insecure: bool = False
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None
    http2: bool = False
    timeout: float = 5.0
    connect_timeout: float | None = None
    max_time: float | None = None
    include: bool = False
    verbose: bool = False
    silent: bool = False
    show_error: bool = False
    fail: bool = False
    no_buffer: bool = False
    compressed: bool = False
    output: str | None = None
    download: str | None = None
    remote_name: bool = False
    resume: bool = False
    har: str | None = None
    report: str | None = None
    journey: bool = False
    explain: bool = False
    number: int | None = None
    concurrency: int | None = None
    compare: tuple[str, ...] = ()
    as_json: bool = False
    demo: bool = False
    doctor: bool = False
    man: bool = False
    completion: str | None = None
    version: bool = False
    help: bool = False

    @property
    def informs(self) -> bool:
        """Return whether the command is to tell of itself, and send nothing."""
        return self.help or self.version or self.doctor or self.man or self.completion is not None

    @property
    def measures(self) -> bool:
        """Return whether timings are the result, and the body is none."""
        return self.compare != () or (self.number or 1) > 1 or (self.concurrency or 1) > 1 or self.as_json

    @property
    def saves(self) -> bool:
        """Return whether the body goes to a file."""
        target = self.output or self.download
        return self.remote_name or (target is not None and target != "-")


def parse(words: Sequence[str]) -> Arguments:
    """Return the parsed command line. Raises UsageError for arguments that make no sense."""
    reader = _Reader(words)
    reader.read()
    arguments = reader.arguments
    if not words:
        arguments.demo = True
    if not arguments.informs:
        _place(reader.positional, arguments)
        _check(arguments)
    return arguments


_BY_NAME = {name: option for option in OPTIONS if option.kind != "listed" for name in option.names}


class _Reader:
    """Read the words of the command line once, from left to right."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)
        self._at = 0
        self.arguments = Arguments()
        self.positional: list[str] = []

    def read(self) -> None:
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word == "--":
                self.positional += self._words[self._at :]
                return
            if word.startswith("--"):
                self._read_long(word)
            elif word.startswith("-") and word != "-":
                self._read_short(word)
            else:
                self.positional.append(word)

    def _read_long(self, word: str) -> None:
        name, equals, value = word.partition("=")
        option = _BY_NAME.get(name)
        if option is None:
            raise _unknown(name)
        if equals and not option.values:
            raise UsageError(f"{name} takes no value, got {value!r}", _usage(option))
        self._apply(option, name, [value] if equals else [])

    def _read_short(self, word: str) -> None:
        """Read a letter with its value, or several letters of which the last may have one: `-XPOST`, `-sSLo FILE`."""
        for place, letter in enumerate(word[1:], 1):
            name = f"-{letter}"
            option = _BY_NAME.get(name)
            if option is None:
                raise _unknown(name if len(word) == 2 else f"{name} in {word}")
            if option.values:
                rest = word[place + 1 :]
                self._apply(option, name, [rest] if rest else [])
                return
            if option.kind == "fail" and len(word) == 2 and self._names_file():
                option = _BY_NAME["--files"]
            self._apply(option, name, [])

    def _apply(self, option: Option, name: str, given: list[str]) -> None:
        kind = option.kind
        if kind in ("flag", "fail", "off"):
            setattr(self.arguments, option.target, kind != "off")
        elif kind == "data":
            self.arguments.data.append(self._read_data(option, name, given))
        elif kind == "json":
            self._read_json(option, name, given)
        else:
            values = [*given, *self._take(option, name, len(option.values) - len(given))]
            value: Any = tuple(values) if len(values) > 1 else self._convert(option, name, values[0])
            if kind == "append":
                getattr(self.arguments, option.target).append(value)
            else:
                setattr(self.arguments, option.target, value)

    def _take(self, option: Option, name: str, count: int) -> list[str]:
        taken = self._words[self._at : self._at + count]
        self._at += count
        if len(taken) < count:
            hint = _usage(option)
            if name == "-h":
                hint = "-h is for headers, as in httpx: -h NAME VALUE; httpx-fast --help shows the help"
            raise UsageError(
                f"{name} needs {' '.join(option.values)}, got {len(option.values) - count + len(taken)}", hint
            )
        return taken

    def _convert(self, option: Option, name: str, text: str) -> Any:
        if option.read is None:
            return text
        try:
            return option.read(text)
        except ValueError as error:
            raise UsageError(f"{name}: expected {error}, got {text[:64]!r}", _usage(option)) from None

    def _read_data(self, option: Option, name: str, given: list[str]) -> Data:
        text = given[0] if given else self._take(option, name, 1)[0]
        following = self._peek(0)
        pair = (
            name in ("-d", "--data")
            and not given
            and _PLAIN_WORD.fullmatch(text) is not None
            and following is not None
            and (self._has_url() or not looks_like_url(following))
        )
        if pair:
            self._refuse_method(name, text, str(following))
            self._at += 1
            return Data("pair", str(following), text)
        return Data("data" if name == "-d" else name.lstrip("-"), text)

    def _refuse_method(self, name: str, text: str, following: str) -> None:
        """Raise UsageError for `-d hello PUT URL`: PUT may be a value, as with httpx, or the method of HTTPie."""
        after = self._peek(1)
        if following in KNOWN_METHODS and not self._has_url() and after is not None and looks_like_url(after):
            raise UsageError(
                f"{name} {text} {following} may be a field and its value, or data and a method",
                f"{name} {text}={following} is the field, -X {following} {name} {text} the data with the method",
            )

    def _read_json(self, option: Option, name: str, given: list[str]) -> None:
        """Read a JSON body; `--json` without one wants the timings as JSON: no JSON begins as options or URLs do."""
        following = self._words[self._at] if self._at < len(self._words) else None
        if name == "--json" and not given and not _may_be_json(following):
            self.arguments.as_json = True
            return
        text = given[0] if given else self._take(option, name, 1)[0]
        try:
            self.arguments.json = json.loads(read_value(text))
        except ValueError as error:
            raise UsageError(f"{name}: expected JSON, got {text[:64]!r} ({error})", _usage(option)) from None
        self.arguments.has_json = True

    def _names_file(self) -> bool:
        """Return whether `-f` is followed by a name and a file, as with httpx."""
        name, file = self._peek(0), self._peek(1)
        if name is None or file is None or not _PLAIN_WORD.fullmatch(name) or looks_like_url(file):
            return False
        return os.path.exists(file) or not re.search("[=:@]", file)

    def _peek(self, offset: int) -> str | None:
        """Return a word that follows, unless it is an option."""
        at = self._at + offset
        word = self._words[at] if at < len(self._words) else None
        return None if word is None or re.match("-[^0-9]", word) else word

    def _has_url(self) -> bool:
        return any(not is_method(word) for word in self.positional)


def _may_be_json(word: str | None) -> bool:
    if word is None:
        return False
    if word in ("-", "") or word[0] in '@{["' or word in ("true", "false", "null"):
        return True
    return re.fullmatch(r"-?[0-9.eE+-]+", word) is not None


def _unknown(name: str) -> UsageError:
    close = difflib.get_close_matches(name, _BY_NAME, 1, 0.7)
    hint = f"perhaps {_usage(_BY_NAME[close[0]])}" if close else _ALL
    return UsageError(f"there is no option {name}", hint)


def _usage(option: Option) -> str:
    return f"{option.usage}: {option.help}"


def _place(words: list[str], arguments: Arguments) -> None:
    """Sort the positional arguments into method, URL and items."""
    if len(words) > 1 and is_method(words[0]):
        method = words.pop(0)
        if arguments.method not in (None, method):
            raise UsageError(f"two methods: {arguments.method} and {method}", "one of them is enough")
        arguments.method = method
    if not words or (len(words) == 1 and words[0] in KNOWN_METHODS):
        return
    url, *rest = words
    if not looks_like_url(url) and re.match(r"[\w.-]+(=|:=|@[^:]*$)", url):
        raise UsageError(f"expected a URL before items, got {url!r}", "httpx-fast [METHOD] URL [ITEM ...]")
    second = next((word for word in rest if is_url_only(word)), None)
    if second is not None:
        hint = "to send a word that looks like a URL as a field write -d NAME=VALUE" if arguments.data else _ONE
        raise UsageError(f"expected one URL, got {url!r} and {second!r}", hint)
    arguments.url = complete_url(url)
    arguments.items = read_items(rest)


_ONE = "one command is one request; -n sends it more than once"


def _check(arguments: Arguments) -> None:
    if arguments.demo:
        if arguments.url is not None:
            raise UsageError("--demo asks a server of its own, and takes no URL", "leave one of them out")
    elif arguments.url is None:
        raise UsageError("a URL is missing", _what_took_the_url(arguments))
    bodies = _bodies(arguments)
    if len(bodies) > 1:
        raise UsageError(f"more than one body: {', '.join(bodies)}", "a request has one body")
    if bodies and (arguments.head or (arguments.get and bodies != ["-d"])):
        raise UsageError(
            f"{'-I' if arguments.head else '-G'} and {bodies[0]} do not go together", "leave one of them out"
        )
    _check_output(arguments)
    if arguments.user is not None and arguments.auth is not None:
        raise UsageError("-u and --auth do not go together", "they say the same; leave one of them out")
    if arguments.digest and arguments.user is None and arguments.auth is None:
        raise UsageError("--digest needs a user", "-u USER:PASS")
    if arguments.items.typed and (arguments.urlencoded or arguments.items.files):
        raise UsageError("items with := are for JSON, not for forms", "name=value is for both")


def _check_output(arguments: Arguments) -> None:
    targets = [
        name
        for name, given in (
            ("-o", arguments.output is not None),
            ("--download", arguments.download is not None),
            ("-O", arguments.remote_name),
        )
        if given
    ]
    if len(targets) > 1:
        raise UsageError(f"{' and '.join(targets)} do not go together", "one file is written")
    if arguments.resume and not arguments.saves:
        raise UsageError("--resume needs a file to go on with", "--download FILE --resume")
    if arguments.resume and arguments.range is not None:
        raise UsageError("--resume and -r do not go together", "leave one of them out")
    if arguments.measures and targets:
        raise UsageError(f"{targets[0]} needs a body, and timings are all that is shown here", "leave one of them out")


def _what_took_the_url(arguments: Arguments) -> str:
    """Return the hint where a URL is missing: perhaps an option took it for its value."""
    pairs = [each for each in arguments.data if each.kind == "pair"]
    if pairs:
        name, value = pairs[-1].name, pairs[-1].text
        return f"-d took {value!r} as the value of the field {name!r}, as httpx does; write -d {name}=VALUE"
    files = arguments.file_pairs
    if files:
        return f"-f took {files[-1][1]!r} as the file of the field {files[-1][0]!r}, as httpx does; --fail is the other"
    return "httpx-fast [OPTION ...] [METHOD] URL [ITEM ...]; --demo for a demonstration"


def _bodies(arguments: Arguments) -> list[str]:
    """Return the kinds of bodies that are asked for."""
    multipart = bool(arguments.form or arguments.file_pairs)
    plain_pairs = all(each.kind == "pair" for each in arguments.data)
    given = {
        "-c": arguments.content is not None,
        "-j": arguments.has_json,
        "-d": bool(arguments.data) and not (multipart and plain_pairs),
        "-F": multipart,
        "items": arguments.items.has_body,
    }
    return [name for name, wanted in given.items() if wanted]
