"""The command `httpx-fast`: reads the command line, sends what it asks for, and turns what happens into an exit code.

The standard library is enough for all of it. `options.EXIT_CODES` lists the exit codes.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path

from .. import _har, _report
from ..__version__ import __version__
from .._client.client import Client
from .._encodings import load_codecs
from .._exceptions import HTTPError, InvalidURL
from .._masking import masked_url
from .._models import Response
from . import measuring as _measuring
from . import timings as _timings
from .arguments import Arguments, parse
from .building import Builder
from .demonstration import demonstrate
from .exchange import Exchanger, StatusError
from .failures import exit_code
from .output import Output, discard_output
from .terminal import Terminal
from .usage import UsageError


class Terminated(BaseException):
    """The command was told to end, by SIGTERM."""


#: Requests whose timings are drawn one by one; of more there is a table.
MAX_DRAWN = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["bulk"]:
        return _bulk(words[1:], err)
    try:
        parsed = parse(words)
    except UsageError as error:
        err.say(*error.lines)
        return error.code
    output = Output(parsed, out, err)
    try:
        with _ended_by_signal():
            return _tell_of_itself(parsed, output) if parsed.informs else _send(parsed, output)
    except BrokenPipeError:  # a reader that has seen enough (`httpx-fast ... | head`) is not worth a word
        discard_output()
        return 23
    except UsageError as error:
        output.complain(*error.lines)
        return error.code
    except StatusError as error:
        output.complain(f"httpx-fast: {error}")
        return 22
    except KeyboardInterrupt:
        output.complain("interrupted")
        return 130
    except Terminated:
        output.complain("terminated")
        return 143
    except (HTTPError, InvalidURL, OSError, ValueError) as error:
        output.complain(f"{type(error).__name__}: {_in_one_line(error)}")
        _draw_failure(error, parsed, output)
        return exit_code(error) if not isinstance(error, OSError) or isinstance(error, HTTPError) else _file_code(error)


def _bulk(words: Sequence[str], err: Terminal) -> int:
    from . import bulk

    try:
        with _ended_by_signal():
            return bulk.run(words)
    except UsageError as error:
        err.say(*error.lines)
        return error.code
    except (KeyboardInterrupt, Terminated) as error:
        return 130 if isinstance(error, KeyboardInterrupt) else 143  # it has said how far it came
    except (HTTPError, OSError, ValueError) as error:
        err.say(f"{type(error).__name__}: {_in_one_line(error)}")
        return _file_code(error) if isinstance(error, OSError) else exit_code(error)


@contextlib.contextmanager
def _ended_by_signal() -> Generator[None]:
    """End the command on SIGTERM as on an interrupt, so that files are left in order, unless it is handled already."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def _file_code(error: OSError) -> int:
    """Return the code for an error of the system that no request has had: a file of the command cannot be written."""
    return exit_code(error) if error.filename is None and exit_code(error) != 1 else 23


def _draw_failure(error: BaseException, arguments: Arguments, output: Output) -> None:
    if arguments.journey and isinstance(error, HTTPError) and error.journey is not None and not arguments.silent:
        with contextlib.suppress(RuntimeError):  # of an error that knows no request
            output.err.draw([error.journey], [error.request.method])


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _tell_of_itself(arguments: Arguments, output: Output) -> int:
    """Show the help, the version and the like, on standard output."""
    out = output.out
    if arguments.help:
        from .help_text import help_text

        out.say(*help_text(out.columns))
    elif arguments.version:
        out.say(f"httpx-fast {__version__}")
    elif arguments.man:
        from .help_text import manual_page

        out.say(manual_page().rstrip("\n"))
    elif arguments.completion is not None:
        from .completion import completion

        out.say(completion(arguments.completion).rstrip("\n"))
    else:
        from . import doctor as _doctor

        out.say(*_doctor.report())
    return 0


def _send(arguments: Arguments, output: Output) -> int:
    if arguments.demo:
        return demonstrate(arguments, output)
    builder = Builder(arguments)
    if arguments.explain:
        return _explain(builder, arguments, output)
    load_codecs()  # a client does it when it connects; here no step of the first request contains it
    if arguments.measures:
        return _measure(builder, arguments, output)
    with Client(**builder.settings()) as client:
        exchanger = Exchanger(client, builder, arguments, output)
        with _archived(arguments, exchanger):
            exchange = exchanger.run()
    if arguments.journey and exchange.responses:
        exchange.draw(output)
    return 0


def _explain(builder: Builder, arguments: Arguments, output: Output) -> int:
    """Show what would be sent, on standard output."""
    with Client(**builder.settings()) as client:
        told = builder.explanation(client)
    if arguments.as_json:
        output.out.say(json.dumps(told.to_dict(), indent=2))
    else:
        output.out.say(*str(told).splitlines())
    return 0


@contextlib.contextmanager
def _archived(arguments: Arguments, exchanger: Exchanger) -> Generator[None]:
    """Write HAR file and report at the end; after an error, which is told before, what came until then."""
    if arguments.har is None and arguments.report is None:
        yield
        return
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            _archive(arguments, exchanger.exchange.responses)
        raise
    _archive(arguments, exchanger.exchange.responses)


def _archive(arguments: Arguments, responses: Sequence[Response]) -> None:
    if arguments.har is not None:
        text = json.dumps(_har.har(responses), indent=1, ensure_ascii=False)
        Path(arguments.har).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    if arguments.report is not None:
        Path(arguments.report).write_text(_report.report(responses), encoding="utf-8", errors="backslashreplace")


def _measure(builder: Builder, arguments: Arguments, output: Output) -> int:
    """Send the request as often as wanted, then show the times; the exit code is that of the first failure."""
    at_once = arguments.concurrency or 1
    number = arguments.number or (_measuring.DEFAULT_COMPARED if arguments.compare else at_once)
    at_once = min(at_once, number)
    if arguments.compare:
        samples = _measuring.compare(builder, number, at_once, arguments.compare)
    else:
        samples = _measuring.measure(builder, number, at_once)
    first = next((each.response for each in samples if each.response is not None), None)
    _archive(arguments, [each.response for each in samples if each.response is not None])
    if first is not None and (arguments.verbose or arguments.include) and not arguments.as_json:
        output.show_heads(first)
    _show_times(samples, builder, at_once, arguments, output)
    error = next((each.error for each in samples if each.error is not None), None)
    if error is not None:
        output.complain(f"{type(error).__name__}: {_in_one_line(error)}")
        return exit_code(error)
    failed = [each for each in samples if each.response is not None and each.response.status_code >= 400]
    return 22 if failed and arguments.fail else 0


def _show_times(
    samples: list[_measuring.Sample], builder: Builder, at_once: int, arguments: Arguments, output: Output
) -> None:
    out = output.out
    if arguments.as_json:
        out.say(_timings.as_json(samples, masked_url(builder.url)))
    elif len(samples) <= MAX_DRAWN and at_once == 1 and not arguments.compare:
        each = [(sample.journey, sample.label) for sample in samples if sample.journey is not None]
        out.draw([journey for journey, _ in each], [label for _, label in each])
    else:
        out.say(*_timings.table(samples, at_once, out.columns))
