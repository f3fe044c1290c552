"""The profile by layer: whom a sample counts for, and that a run finds the layers of a request."""

from __future__ import annotations

import time
from pathlib import Path

import layers
import pytest
from servers import Nginx

from httpx_fast._kernel import select

PACKAGE = "/checkout/httpx_fast"


def place(file: str, source: str = "pass", instruction: int = 0) -> layers.Place:
    return compile(source, file, "exec"), instruction


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        (f"{PACKAGE}/_client/client.py", "client, models, URLs"),
        (f"{PACKAGE}/_urls.py", "client, models, URLs"),
        (f"{PACKAGE}/_transports/http.py", "transport"),
        (f"{PACKAGE}/_pool/state.py", "pool"),
        (f"{PACKAGE}/_conn/http1.py", "connection"),
        (f"{PACKAGE}/_wire/h1.py", "connection"),
        (f"{PACKAGE}/_kernel/http1_py.py", layers.KERNEL),
        (f"{PACKAGE}/_net/tls.py", "TLS"),
        (f"{PACKAGE}/_net/sync.py", "sockets and event loop"),
        ("/lib/python3.13/asyncio/events.py", "sockets and event loop"),
        (layers.__file__, "benchmark"),
        ("/lib/python3.13/json/encoder.py", None),
    ],
)
def test_a_file_belongs_to_a_layer(file: str, layer: str | None):
    assert layers.layer_of_file(file) == layer


def test_a_helper_counts_for_who_called_it():
    stack = (
        place("/lib/python3.13/enum.py"),
        place(f"{PACKAGE}/_pool/state.py"),
        place(f"{PACKAGE}/_client/client.py"),
    )
    assert layers.layer_of(stack, set()) == "pool"
    assert layers.layer_of(stack[:1], set()) == "benchmark"


def test_a_call_of_a_compiled_kernel_counts_for_the_kernel(tmp_path: Path):
    source = "head = parser.feed(other(1))"
    file = tmp_path / "httpx_fast" / "_conn" / "http1.py"
    file.parent.mkdir(parents=True)
    file.write_text(source)
    code, _ = place(str(file), source)
    ends = [(end_line, end) for _, end_line, _, end in code.co_positions()]
    outer = 2 * next(number for number, end in enumerate(ends) if end == (1, len(source)))
    inner = 2 * next(number for number, end in enumerate(ends) if end == (1, len(source) - 1))
    assert layers.called_at(code, outer) == "feed"
    assert layers.called_at(code, inner) == "other"
    assert layers.layer_of(((code, outer),), {"feed"}) == layers.KERNEL
    assert layers.layer_of(((code, inner),), {"feed"}) == "connection"


def test_functions_of_compiled_kernels_have_names():
    names = layers.names_of_kernels()
    assert ("feed" in names) == (select.IMPLEMENTATION == "c")


def test_processor_time_goes_to_where_it_is_spent():
    with layers.Sampler() as sampler:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            sum(range(1000))
    counted = sum(sampler.stacks.values())
    assert 0 < counted <= time.process_time()
    innermost = {stack[0][0].co_name for stack in sampler.stacks}
    assert "test_processor_time_goes_to_where_it_is_spent" in innermost


@pytest.mark.parametrize("load", layers.LOADS)
def test_a_run_finds_the_layers_of_a_request(nginx: Nginx, load: str):
    url, trusted = nginx.url("", "https"), str(nginx.authority.path)
    measured = layers.measure(Path(layers.__file__).parents[1], load, url, trusted, "500")
    assert set(measured) == set(layers.LAYERS)
    assert measured["sockets and event loop"] > 0
    assert measured["client, models, URLs"] > 0


def test_a_profile_that_fails_says_why(nginx: Nginx):
    with pytest.raises(RuntimeError, match="ConnectError"):
        layers.measure(
            Path(layers.__file__).parents[1], "GET, blocking", "http://127.0.0.1:1", str(nginx.authority.path), "1"
        )


def test_a_table_has_medians_of_both_sides():
    nothing = dict.fromkeys(layers.LAYERS, 0.0)
    rounds = [{**nothing, "pool": each, "TLS": 1e-6} for each in (2e-6, 9e-6, 3e-6)]
    lines = layers.table({"GET": [rounds, [nothing]]}).splitlines()
    assert lines[0] == "| Layer | GET |"
    assert "| pool | 3.0 → 0.0 |" in lines
    assert lines[-2:] == ["| all | 4.0 → 0.0 |", "| rounds of all | 3 to 10 → 0 to 0 |"]
