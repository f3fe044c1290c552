"""Under the alias our loggers answer to the names that programs configure: those of the client that was replaced."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[[str], str]

#: Sends one request to a server, and keeps what each of several handlers was given.
SETUP = """
import logging
import logging.config
httpx_fast.alias(*NAMES)
from httpx_fast.testing import LocalServer, Reply

class Kept(logging.Handler):
    def __init__(self, *args):
        super().__init__(*args)
        self.records = []
    def emit(self, record):
        if record.name.startswith("http"):
            self.records.append(record)

def names(handler):
    return sorted({record.name for record in handler.records})

def send():
    with LocalServer(tls=False) as server:
        httpx_fast.get(server.url)

root, kept = Kept(), Kept()
logging.getLogger().addHandler(root)
"""
HTTPX = "NAMES = ['httpx']" + SETUP
BOTH = "NAMES = ['httpx', 'httpx2']" + SETUP


@pytest.mark.parametrize("setup", [HTTPX, BOTH])
def test_records_carry_the_replaced_name_and_come_once(run: Run, setup: str):
    program = """
logging.getLogger().setLevel(logging.INFO)
logging.getLogger("httpx").addHandler(kept)
logging.getLogger("httpx").addHandler(root)
send()
print(len(root.records), len(kept.records), names(root), kept.records[0].getMessage().split()[:3])
"""
    assert run(setup + program) == "1 1 ['httpx'] ['HTTP', 'Request:', 'GET']\n"


@pytest.mark.parametrize("name", ["httpx", "httpx2", "httpx_fast"])
def test_the_level_of_any_of_the_names_silences(run: Run, name: str):
    program = f"""
logging.getLogger().setLevel(logging.DEBUG)
send()
before = len(root.records)
logging.getLogger({name!r}).setLevel(logging.WARNING)
send()
print(before > 5, len(root.records) - before)
"""
    assert run(BOTH + program) == "True 0\n"


def test_the_level_of_a_replaced_name_lets_records_through(run: Run):
    program = """
send()
print(len(root.records))
logging.getLogger("httpx").setLevel(logging.INFO)
send()
print(len(root.records), names(root))
"""
    assert run(HTTPX + program) == "0\n1 ['httpx']\n"


def test_debug_records_are_httpcore_s(run: Run):
    program = """
logging.getLogger().setLevel(logging.WARNING)
logging.getLogger("httpx").setLevel(logging.DEBUG)
send()
print(names(root))
logging.getLogger("httpcore").setLevel(logging.DEBUG)
logging.getLogger("httpcore.http11").addHandler(kept)
logging.getLogger("httpcore").addHandler(root)
send()
print(names(root))
print(names(kept), len(root.records) == len({id(record) for record in root.records}))
"""
    assert run(HTTPX + program) == (
        "['httpx']\n['httpcore.connection', 'httpcore.dns', 'httpcore.http11', 'httpcore.pool', 'httpx']\n"
        "['httpcore.http11'] True\n"
    )


def test_the_installed_httpcore_keeps_its_loggers(run: Run):
    program = """
logging.getLogger().setLevel(logging.DEBUG)
logging.getLogger("httpcore").addHandler(kept)
send()
print(len(kept.records), "httpx_fast.http11" in names(root), "httpx" in names(root))
"""
    setup = HTTPX.replace("alias(*NAMES)", "alias(*NAMES, httpcore=False)")
    assert run(setup + program) == "0 True True\n"


def test_a_filter_of_a_replaced_name_sees_the_records(run: Run):
    program = """
logging.getLogger().setLevel(logging.INFO)
seen = []
logging.getLogger("httpx").addFilter(lambda record: seen.append(record.name))
send()
print(seen, len(root.records))
"""
    assert run(HTTPX + program) == "['httpx'] 0\n"


CONFIGURED = """
logging.config.dictConfig({"version": 1, "loggers": {NAME: {"level": "INFO"}}})
logging.getLogger().addHandler(kept)
send()
print(len(kept.records))
"""


@pytest.mark.parametrize(("name", "count"), [("httpx", 1), ("httpx_fast", 1), ("httpx2", 1), ("another", 0)])
def test_a_configuration_that_disables_what_it_does_not_name_names_us_by_any_name(run: Run, name: str, count: int):
    program = CONFIGURED.replace("NAME", repr(name))
    assert run(f"{BOTH}\nlogging.getLogger().setLevel(logging.INFO)\n{program}") == f"{count}\n"


def test_a_logger_that_does_not_propagate_keeps_the_records(run: Run):
    program = """
logging.getLogger("httpx").setLevel(logging.INFO)
logging.getLogger("httpx").propagate = False
logging.getLogger("httpx").addHandler(kept)
send()
logging.getLogger("httpx").disabled = True
send()
print(len(root.records), len(kept.records))
"""
    assert run(BOTH + program) == "0 1\n"


def test_the_class_that_a_program_chose_for_loggers_stays(run: Run):
    program = """
import logging
class Own(logging.getLoggerClass()):
    def info(self, *args, **kwargs):
        print("own")
        super().info(*args, **kwargs)
logging.setLoggerClass(Own)
logging.getLogger("httpx_fast").__class__ = Own
"""
    told = run(program + HTTPX + "logging.getLogger('httpx').setLevel(logging.INFO)\nsend()\nprint(names(root))")
    assert told == "own\n['httpx']\n"
