from __future__ import annotations

import ctypes
import platform
import re
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from httpx_fast._kernel.constants import FIRST_ROOM


def fill(body, data):
    """Writes `bytes` to the view, as `recv_into` would; how many found room."""
    with memoryview(body.view()) as view:
        taken = min(len(view), len(data))
        view[:taken] = data[:taken]
    body.buffer_updated(taken)
    return taken


def test_body_is_what_was_written_and_appended(kernel):
    body = kernel.BodyBuffer(10)
    assert (body.filled, body.missing) == (0, 10)
    assert fill(body, b"abc") == 3
    body.append(b"defg")
    assert (body.filled, body.missing) == (7, 3)
    assert fill(body, b"hij+more") == 3
    assert (body.filled, body.missing) == (10, 0)
    assert body.finish() == b"abcdefghij"


def test_socket_receives_into_the_view(kernel):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = kernel.BodyBuffer(5)
        theirs.sendall(b"hello, world")
        body.buffer_updated(ours.recv_into(body.view()))
        assert body.finish() == b"hello"
        assert ours.recv(100) == b", world"


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_appended(kernel, wrap):
    body = kernel.BodyBuffer(3)
    body.append(wrap(b"abc"))
    assert body.finish() == b"abc"


def test_body_of_no_bytes(kernel):
    body = kernel.BodyBuffer(0)
    assert (body.filled, body.missing) == (0, 0)
    body.append(b"")
    assert body.finish() == b""


def test_body_of_one_byte_is_its_own(kernel):
    bodies = [kernel.BodyBuffer(1) for _ in range(2)]
    for body, byte in zip(bodies, (b"a", b"b"), strict=True):
        fill(body, byte)
    assert [body.finish() for body in bodies] == [b"a", b"b"]
    assert bytes([97]) == b"a"


def test_body_has_no_negative_size(kernel):
    with pytest.raises(ValueError, match="a body of -1 bytes cannot be"):
        kernel.BodyBuffer(-1)


@pytest.mark.parametrize("size", [FIRST_ROOM - 1, FIRST_ROOM, FIRST_ROOM + 1, 5 * FIRST_ROOM + 3])
@pytest.mark.parametrize("step", [65_537, FIRST_ROOM])
def test_large_bodies_come_out_as_they_went_in(kernel, size, step):
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    written, appended = kernel.BodyBuffer(size), kernel.BodyBuffer(size)
    at = 0
    while at < size:
        at += fill(written, data[at : at + step])
    for at in range(0, size, step):
        appended.append(data[at : at + step])
    assert written.finish() == data
    assert appended.finish() == data


def test_body_larger_than_the_first_room_can_be_appended_at_once(kernel):
    data = b"x" * (3 * FIRST_ROOM)
    body = kernel.BodyBuffer(len(data) + 1)
    body.append(data)
    body.append(b"y")
    assert body.finish() == data + b"y"


def test_hostile_length_makes_no_room(kernel, tracemalloc):
    tracemalloc.start()
    try:
        body = kernel.BodyBuffer(2**62)
        body.append(b"x")
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2 * FIRST_ROOM
    assert body.missing == 2**62 - 1
    with memoryview(body.view()) as view:
        assert len(view) == FIRST_ROOM - 1


def test_room_grows_by_what_has_arrived(kernel):
    body = kernel.BodyBuffer(100 * FIRST_ROOM)
    rooms = []
    for _ in range(3):
        with memoryview(body.view()) as view:
            rooms.append(len(view))
        body.buffer_updated(rooms[-1])
    assert rooms == [FIRST_ROOM, FIRST_ROOM, 2 * FIRST_ROOM]


def test_room_ends_where_the_body_ends(kernel):
    body = kernel.BodyBuffer(FIRST_ROOM + 10)
    fill(body, bytes(FIRST_ROOM))
    with memoryview(body.view()) as view:
        assert len(view) == 10


def test_view_is_writable_bytes(kernel):
    with memoryview(kernel.BodyBuffer(4).view()) as view:
        assert (view.readonly, view.format, view.itemsize, view.ndim, view.nbytes) == (False, "B", 1, 1, 4)


def test_view_of_a_complete_body_is_refused(kernel):
    body = kernel.BodyBuffer(1)
    body.append(b"x")
    with pytest.raises(BufferError, match="the body is complete"):
        memoryview(body.view())
    with pytest.raises(BufferError, match="the body is complete"):
        kernel.BodyBuffer(0).view()


@pytest.mark.parametrize("nbytes", [-1, 0, 5])
def test_written_bytes_have_to_fit_the_view(kernel, nbytes):
    body = kernel.BodyBuffer(4)
    with pytest.raises(ValueError, match=f"{nbytes} bytes cannot have been written to the view"):
        body.buffer_updated(nbytes)
    assert body.filled == 0


def test_appended_bytes_have_to_fit_the_body(kernel):
    body = kernel.BodyBuffer(4)
    body.append(b"ab")
    with pytest.raises(ValueError, match="3 bytes are more than the 2 that are missing"):
        body.append(b"cde")
    assert body.filled == 2


def test_what_is_no_buffer_cannot_be_appended(kernel):
    with pytest.raises(TypeError, match="bytes-like"):
        kernel.BodyBuffer(4).append("abcd")


def test_incomplete_body_cannot_be_taken(kernel):
    body = kernel.BodyBuffer(4)
    body.append(b"abc")
    with pytest.raises(ValueError, match="1 bytes of the body are missing"):
        body.finish()
    body.append(b"d")
    assert body.finish() == b"abcd"


def test_body_is_taken_once(kernel):
    body = kernel.BodyBuffer(2)
    body.append(b"ab")
    taken = body.finish()
    with pytest.raises(ValueError, match="the body was taken already"):
        body.finish()
    with pytest.raises(ValueError, match="the body was taken already"):
        body.view()
    with pytest.raises(ValueError, match="the body was taken already"):
        body.buffer_updated(1)
    with pytest.raises(ValueError, match="1 bytes are more than the 0 that are missing"):
        body.append(b"c")
    assert taken == b"ab"


def test_body_may_be_taken_while_a_view_is_held(kernel):
    body = kernel.BodyBuffer(2)
    view = memoryview(body.view())
    view[:] = b"ab"
    body.buffer_updated(2)
    taken = body.finish()
    assert taken == b"ab"
    del taken
    assert bytes(view) == b"ab"
    view.release()
    with pytest.raises(ValueError, match="the body was taken already"):
        body.finish()


def test_room_does_not_move_while_a_view_is_held(kernel):
    body = kernel.BodyBuffer(FIRST_ROOM + 1)
    view = memoryview(body.view())
    body.buffer_updated(FIRST_ROOM)
    if kernel.name == "c":  # the pure twin has nothing to move
        for grow in (body.view, lambda: body.append(b"y")):
            with pytest.raises(BufferError, match="Existing exports of data: object cannot be re-sized"):
                grow()
    view[-1] = 120
    view.release()
    body.append(b"y")
    assert body.finish()[-2:] == b"xy"


def test_compiled_twin_does_not_copy_what_it_collected(kernel, tracemalloc):
    if kernel.name != "c":
        pytest.skip("the pure twin cannot write into bytes")
    size = FIRST_ROOM
    body = kernel.BodyBuffer(size)
    fill(body, bytes(size))
    tracemalloc.start()
    try:
        taken = body.finish()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(taken) == size
    assert peak < size // 100


@pytest.mark.parametrize("came", [0, 1, 99, 100, FIRST_ROOM + 5])
def test_what_has_come_can_be_taken_before_the_rest(kernel, came):
    body = kernel.BodyBuffer(2 * FIRST_ROOM)
    sent = bytes(number % 251 for number in range(came))
    body.append(sent)
    assert body.cut() == sent
    for again in (body.cut, body.view, body.finish):
        with pytest.raises(ValueError, match="the body was taken already"):
            again()


def test_what_has_come_can_be_taken_while_a_view_is_held(kernel):
    body = kernel.BodyBuffer(100)
    view = memoryview(body.view())
    view[:3] = b"abc"
    body.buffer_updated(3)
    assert body.cut() == b"abc"
    view.release()


def advised(address: int) -> bool:
    """Return whether the mapping of this address asks for huge pages, by `smaps`."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if bounds:
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return "hg" in line.split()
    raise LookupError(hex(address))


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="a system without huge pages")
def test_a_large_body_is_received_into_huge_pages(kernel):
    if not kernel.BodyBuffer.__module__.endswith("_c"):
        pytest.skip("the Python kernel leaves memory to the interpreter")
    body = kernel.BodyBuffer(40 * FIRST_ROOM)
    while body.missing:
        with memoryview(body.view()) as view:
            address = ctypes.addressof(ctypes.c_char.from_buffer(view))
            if body.filled >= 8 * FIRST_ROOM:
                assert advised(address)
            view[-1:] = b"x"
            size = len(view)
        body.buffer_updated(size)
    assert body.finish()[-1:] == b"x"


#: Receive 800 pieces of a streamed body, drop them four at a time, and print how many pages faulted meanwhile.
PIECES = """
import resource
from httpx_fast._kernel.select import BodyBuffer

sent = bytes(500_000)

def receive():
    pieces = []
    for _ in range(4):
        body = BodyBuffer(512 * 1024)
        body.append(sent)
        pieces.append(body.cut())

for _ in range(20):
    receive()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    receive()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or sysconfig.get_config_var("Py_GIL_DISABLED"),
    reason="another allocator than that of glibc",
)
def test_memory_of_streamed_pieces_is_used_again(kernel):
    if not kernel.BodyBuffer.__module__.endswith("_c"):
        pytest.skip("the Python kernel leaves memory to the interpreter")
    done = subprocess.run([sys.executable, "-c", PIECES], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 800 * 6  # of the 123 pages of each
