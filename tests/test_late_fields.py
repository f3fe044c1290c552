"""Settings are plain classes that `dataclasses` takes for dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys

import pytest

from httpx_fast import Limits, TCPKeepAlive, Timeout

SETTINGS = [Timeout(5, read=1), Limits(max_connections=3), TCPKeepAlive(idle=9)]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: type(each).__name__)
def test_settings_are_dataclasses_for_those_who_ask(setting: Timeout | Limits | TCPKeepAlive) -> None:
    assert dataclasses.is_dataclass(setting)
    names = [field.name for field in dataclasses.fields(setting)]
    assert dataclasses.asdict(setting) == {name: getattr(setting, name) for name in names}
    assert dataclasses.replace(setting) == setting
    assert copy.copy(setting) == copy.deepcopy(setting) == setting


def test_fields_have_the_defaults_of_the_constructor() -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(Limits)}
    assert defaults["keepalive_expiry"] == 5.0
    assert defaults["max_connections"] is None
    assert {field.name for field in dataclasses.fields(TCPKeepAlive)} == {"idle", "interval", "count"}
    assert all(field.kw_only for field in dataclasses.fields(TCPKeepAlive))


def test_a_subclass_may_be_a_dataclass() -> None:
    @dataclasses.dataclass(kw_only=True)
    class Own(Limits):
        name: str = ""

    own = Own(max_connections=2, name="a")
    assert (own.max_connections, own.name) == (2, "a")
    assert own != Limits(max_connections=2)


def test_a_setting_that_is_frozen_cannot_be_changed() -> None:
    probes = TCPKeepAlive(idle=9)
    with pytest.raises(AttributeError, match="a TCPKeepAlive cannot be changed, so neither can its idle"):
        probes.idle = 10
    with pytest.raises(AttributeError, match="its count cannot be deleted"):
        del probes.count
    assert probes == TCPKeepAlive(idle=9)
    assert hash(probes) == hash(TCPKeepAlive(idle=9))
    assert probes != TCPKeepAlive()
    assert repr(probes) == "TCPKeepAlive(idle=9, interval=15, count=4)"


def test_nothing_imports_dataclasses_before_the_program_does() -> None:
    # CPython 3.14's own logging does.
    program = "import sys, logging; found = 'dataclasses' in sys.modules"
    program += "; import httpx_fast as h; h.Timeout(5) == h.Timeout(6); repr(h.Limits()); h.TCPKeepAlive()"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; print('dataclasses' in sys.modules and not found)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
