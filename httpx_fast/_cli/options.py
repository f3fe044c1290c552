"""The options of the command in one table, from which parser, help, manual page and completions are made.

Names are curl's, httpx's and HTTPie's. Where curl and httpx use one letter for two things, httpx's meaning stays:
`-c -h -j -m -p`; `-d` and `-f` have both meanings, told apart by what follows (see `arguments`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Groups of options, in the order of the help.
REQUEST, BODY, SERVER, OUTPUT, TIMING, ABOUT = (
    "Request",
    "Body of the request",
    "Connection and server",
    "Output",
    "Timing",
    "About",
)
GROUPS = (REQUEST, BODY, SERVER, OUTPUT, TIMING, ABOUT)


@dataclass(frozen=True)
class Option:
    """One option: its names, the words that follow it, and where its value goes.

    `action` is "set", "append" or "flag"; "data", "files" and "json" are options with two meanings, and "off" is a
    flag that clears.
    """

    names: tuple[str, ...]
    target: str
    help: str
    group: str
    values: tuple[str, ...] = ()
    action: str = ""
    read: Callable[[str], Any] | None = None

    @property
    def kind(self) -> str:
        return self.action or ("set" if self.values else "flag")

    @property
    def usage(self) -> str:
        """Return the names with the values that follow: `-o, --output FILE`."""
        return " ".join([", ".join(self.names), *self.values])


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise ValueError("a count from 1 on")
    return int(text)


def _times(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("a count from 0 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError("seconds")
    return seconds


def _method(text: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", text):
        raise ValueError("the name of a method, as GET")
    return text


def _httpx_method(text: str) -> str:
    if text[:1].isdigit():
        raise ValueError("a method, as in httpx (curl's -m is --max-time here)")
    return _method(text)


def _range(text: str) -> str:
    if not re.fullmatch(r"\d+-\d*|-\d+|(\d+-\d*|-\d+)(,(\d+-\d*|-\d+))+", text):
        raise ValueError("a range of bytes, as 0-99, 100- or -100")
    return text


def _compare(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if sorted(names) != ["cold", "warm"]:
        raise ValueError("cold,warm")
    return names


def _shell(text: str) -> str:
    if text not in ("bash", "zsh", "fish"):
        raise ValueError("bash, zsh or fish")
    return text


_PAIR = ("NAME", "VALUE")
OPTIONS: tuple[Option, ...] = (
    Option(("-X", "--request"), "method", "request method", REQUEST, ("METHOD",), read=_method),
    Option(("-m", "--method"), "method", "the same, as in httpx", REQUEST, ("METHOD",), read=_httpx_method),
    Option(("-H", "--header"), "fields",
           "header of the request; 'Name:' sends none", REQUEST, ("'NAME: VALUE'",), "append"),
    Option(("-h", "--headers"), "header_pairs", "the same, as in httpx", REQUEST, _PAIR, "append"),
    Option(("-p", "--params"), "params", "query parameter", REQUEST, _PAIR, "append"),
    Option(("-G", "--get"), "get", "send what -d says in the query, by GET", REQUEST),
    Option(("-I", "--head"), "head", "ask for the head only, by HEAD", REQUEST),
    Option(("-A", "--user-agent"), "user_agent", "User-Agent of the request", REQUEST, ("TEXT",)),
    Option(("-e", "--referer"), "referer", "Referer of the request", REQUEST, ("URL",)),
    Option(("-b", "--cookie"), "cookie_field", "cookies of the request", REQUEST, ("'NAME=VALUE; ...'",), "append"),
    Option(("--cookies",), "cookies", "one cookie, as in httpx", REQUEST, _PAIR, "append"),
    Option(("-u", "--user"), "user", "Basic authentication; asks for a missing password", REQUEST, ("USER:PASS",)),
    Option(("--auth",), "auth", "the same, as in httpx; asks if PASS is -", REQUEST, ("USER", "PASS")),
    Option(("--digest",), "digest", "Digest authentication with these", REQUEST),
    Option(("-r", "--range"), "range", "ask for these bytes only", REQUEST, ("FIRST-LAST",), read=_range),
    Option(("-L", "--location", "--follow-redirects"), "follow_redirects", "follow redirects", REQUEST),
    Option(("--max-redirs",), "max_redirects", "at most so many; 20", REQUEST, ("COUNT",), read=_times),
    Option(("--retry",), "retry",
           "send again, so often at most, after timeouts and 408, 429, 5xx", REQUEST, ("COUNT",), read=_times),
    Option(("--retry-delay",), "retry_delay",
           "wait so long between; else 1, 2, 4, ...", REQUEST, ("SECONDS",), read=_seconds),
    Option(("-d", "--data"), "data",
           "form data: 'name=value', @FILE or @- for standard input; NAME VALUE as in httpx", BODY, ("DATA",), "data"),
    Option(("--data-raw",), "data", "the same, where @ means nothing", BODY, ("DATA",), "data"),
    Option(("--data-binary",), "data", "the same, with @FILE sent as it is", BODY, ("DATA",), "data"),
    Option(("--data-urlencode",), "data",
           "form data that is to be encoded: 'name=value', 'name@FILE'", BODY, ("DATA",), "data"),
    Option(("-F", "--form"), "form",
           "part of a multipart form: 'name=value', 'name=@FILE;type=T', 'name=<FILE'",
           BODY, ("NAME=CONTENT",), "append"),
    Option(("--files",), "file_pairs",
           "file of a multipart form, as in httpx; also -f NAME FILENAME", BODY, ("NAME", "FILENAME"), "append"),
    Option(("-c", "--content"), "content", "body, @FILE, or - for standard input", BODY, ("TEXT",)),
    Option(("-j", "--json"), "json",
           "JSON body, @FILE, or - for standard input; --json without a value is below", BODY, ("TEXT",), "json"),
    Option(("--urlencoded",), "urlencoded", "send items as a form instead of as JSON", BODY),
    Option(("-x", "--proxy"), "proxy", "send the request through a proxy", SERVER, ("URL",)),
    Option(("-k", "--insecure", "--no-verify"), "insecure", "accept any certificate", SERVER),
    Option(("--verify",), "insecure",
           "accept certificates of known authorities only, which is the default", SERVER, action="off"),
    Option(("--cacert",), "cacert", "authorities to trust", SERVER, ("FILE",)),
    Option(("-E", "--cert"), "cert", "certificate to show the server", SERVER, ("FILE[:PASSWORD]",)),
    Option(("--key",), "key", "its private key", SERVER, ("FILE",)),
    Option(("--http2",), "http2", "offer HTTP/2 where there is TLS; the server chooses", SERVER),
    Option(("--http1.1",), "http2", "offer HTTP/1.1 only, which is the default", SERVER, action="off"),
    Option(("--timeout",), "timeout", "for each phase of the request; 5", SERVER, ("SECONDS",), read=_seconds),
    Option(("--connect-timeout",), "connect_timeout", "for the connection alone", SERVER, ("SECONDS",), read=_seconds),
    Option(("--max-time",), "max_time",
           "for all of a request, with redirects and body; no limit", SERVER, ("SECONDS",), read=_seconds),
    Option(("-i", "--include"), "include", "show heads on standard output, also where that is no terminal", OUTPUT),
    Option(("-v", "--verbose"), "verbose", "show connection and request, too, with its Authorization", OUTPUT),
    Option(("-s", "--silent"), "silent", "show the body only: no heads, notes or errors", OUTPUT),
    Option(("-S", "--show-error"), "show_error", "show errors with -s, too", OUTPUT),
    Option(("-f", "--fail"), "fail", "exit with 22, without the body, for a status from 400 on", OUTPUT, action="fail"),
    Option(("-N", "--no-buffer"), "no_buffer", "wait for as long as it takes between pieces of the body", OUTPUT),
    Option(("--compressed",), "compressed", "ask for compressed content, which is the default", OUTPUT),
    Option(("-o", "--output"), "output",
           "write the body to a file once it is whole; - is standard output", OUTPUT, ("FILE",)),
    Option(("--download",), "download", "the same, if the status is 2xx", OUTPUT, ("FILE",)),
    Option(("-O", "--remote-name"), "remote_name", "write the body to a file named as in the URL", OUTPUT),
    Option(("--resume",), "resume", "go on with what an earlier download has left", OUTPUT),
    Option(("--har",), "har", "write all requests and responses to a HAR file, without secrets", OUTPUT, ("FILE",)),
    Option(("--report",), "report", "write all requests to a page with their times, no secrets", OUTPUT, ("FILE",)),
    Option(("--journey",), "journey", "show how long each step of the request took", TIMING),
    Option(("-n", "--number"), "number",
           "send the request so often, and show a table of the steps", TIMING, ("COUNT",), read=_count),
    Option(("--concurrency",), "concurrency", "so many of them at once", TIMING, ("COUNT",), read=_count),
    Option(("--compare",), "compare",
           "measure new connections beside reused ones", TIMING, ("cold,warm",), read=_compare),
    Option(("--json",), "as_json", "(without a value) show the timings as JSON", TIMING, action="listed"),
    Option(("--explain",), "explain", "show what would be sent, how and why, and send nothing (--json)", TIMING),
    Option(("--demo",), "demo",
           "show the timings of two requests to a server of its own, as without arguments", TIMING),
    Option(("--doctor",), "doctor", "show what this installation is made of", ABOUT),
    Option(("--man",), "man", "show the manual page: httpx-fast --man | man -l -", ABOUT),
    Option(("--completion",), "completion", "show the completions for a shell", ABOUT, ("SHELL",), read=_shell),
    Option(("--version",), "version", "show the version", ABOUT),
    Option(("--help",), "help", "show this help", ABOUT),
)  # fmt: skip

#: Exit codes, curl's where curl has the case.
EXIT_CODES: dict[int, str] = {
    0: "a response came, whatever its status (see --fail)",
    1: "an error that no other code names; a scheme that is neither http nor https",
    2: "options that make no sense",
    3: "a URL that is none",
    5: "the name of the proxy could not be resolved",
    6: "the name of the host could not be resolved",
    7: "no connection to the host or the proxy",
    8: "the response breaks the protocol",
    16: "the response breaks HTTP/2",
    18: "the connection ended within the body",
    22: "the status is 400 or more, with --fail",
    23: "the output could not be written",
    26: "a file to be sent could not be read",
    28: "timeout",
    33: "the server has no such range; a download could not be resumed",
    35: "the TLS handshake failed",
    47: "too many redirects",
    52: "the connection ended without a response",
    55: "the request could not be sent",
    56: "the response could not be received",
    58: "the certificate or key to be shown cannot be used",
    60: "the server's certificate is not accepted",
    61: "the content is not coded as it says",
    77: "the file of authorities cannot be used",
    97: "the proxy refused",
    130: "interrupted",
    143: "terminated",
}

EXAMPLES: tuple[tuple[str, str], ...] = (
    ("httpx-fast https://www.example.org/", "show head and body"),
    ("httpx-fast https://api.example.org/items | jq .", "pass the body on; the head goes to standard error"),
    ("httpx-fast :8801/items name=pen count:=3 X-Trace:1", "POST JSON to port 8801 of this machine"),
    ("httpx-fast -d 'a=1&b=2' http://localhost:8801/", "POST a form"),
    ("httpx-fast -F photo=@cat.png -F title=Cat :8801/upload", "POST files"),
    ("httpx-fast -X PUT -H 'If-Match: \"7\"' -c @new.txt :8801/doc", "PUT a file's content under a condition"),
    ("httpx-fast -sfL -o page.html https://www.example.org/", "save a page, or fail and leave the file as it was"),
    ("httpx-fast --download big.iso --resume https://www.example.org/big.iso", "go on with a download"),
    ("httpx-fast -N https://api.example.org/events", "show events as they come"),
    ("httpx-fast -n 20 --concurrency 5 https://www.example.org/", "measure the steps of 20 requests"),
)

ITEMS: tuple[tuple[str, str], ...] = (
    ("name=value", "member of a JSON object (with --urlencoded: field of a form)"),
    ("name:=json", "member whose value is JSON; name=@FILE and name:=@FILE take it from a file"),
    ("name==value", "query parameter"),
    ("Name:value", "header; Name: sends none, Name; an empty one"),
    ("name@FILE", "file of a multipart form, of which name=value are fields then"),
)
