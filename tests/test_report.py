"""Responses as an HTML page: it shows what the journeys have, and nothing of a server is markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from browser import chromium
from peers import answering

import httpx_fast
from httpx_fast import report
from httpx_fast._journey import PHASES
from httpx_fast._journey_steps import percentile, steps
from httpx_fast._report_drawing import Scale, counts
from httpx_fast.testing import LocalServer, Reply, Request

SVG = "{http://www.w3.org/2000/svg}"


class Page(HTMLParser):
    """Collects elements with their attributes, and the text."""

    VOID = {"meta", "input", "br"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def answer(request: Request) -> Reply:
    if request.target.startswith("/evil"):
        return Reply(200, [("X-Evil", "</pre><script>alert(1)</script>")], b"<b>")
    return Reply(200, [("Set-Cookie", "session=hunter2")], b"ok")


def test_every_request_has_a_row_with_its_steps_in_scale() -> None:
    with LocalServer(answer=answer) as server, httpx_fast.Client(verify=server.client_context()) as client:
        responses = [client.get(f"{server.url}/{number}") for number in range(3)]
    page = Page(report(reversed(responses)))
    rows = page.all("details")
    assert [row["data-host"] for row in rows] == ["localhost"] * 3
    bars = page.all("rect")
    taken = [step for each in responses for step in steps(each.journey) if step.seconds is not None]
    assert len(bars) == len(taken)
    begin = responses[0].journey.started
    length = max(each.journey.started + each.journey.total for each in responses) - begin
    offsets = [
        each.journey.started - begin for each in responses for step in steps(each.journey) if step.seconds is not None
    ]
    for bar, step, offset in zip(bars, taken, offsets, strict=True):
        assert bar["class"] == f"s-{step.name}"
        assert abs(float(bar["x"] or 0) - (offset + step.begin) / length * 1000) < 0.01
        assert abs(float(bar["width"] or 0) - max((step.seconds or 0) / length * 1000, 0.5)) < 0.01
    assert "Reused connections: 2." in page.text
    assert "reused connection, request 3 on it" in page.text


def test_phases_are_counted_over_all_requests() -> None:
    with LocalServer(tls=False, answer=answer) as server, httpx_fast.Client() as client:
        responses = [client.get(f"{server.url}/") for _ in range(4)]
    page = report(responses)
    cells: dict[str, Any] = {
        row[0]: row[1:] for row in (re.findall(r"<td>([^<]*)</td>", line) for line in page.split("<tr>")) if row
    }
    assert cells["tcp"][0] == "1"
    assert cells["wait"][0] == cells["total"][0] == "4"
    waits = sorted(each.journey.phases()["wait"] for each in responses)
    assert cells["wait"][1:] == [f"{1000 * percentile(waits, share):.3f}" for share in (0.5, 0.95, 0.99, 1)]


def test_nothing_of_a_server_is_markup_and_no_secret_is_shown() -> None:
    with LocalServer(tls=False, answer=answer) as server, httpx_fast.Client(auth=("user", "hunter2")) as client:
        responses = [client.get(f"{server.url}/evil?token=hunter2"), client.get(f"{server.url}/<i>")]
    text = report(responses)
    page = Page(text)
    assert len(page.all("script")) == 1
    assert page.all("b") == [{}, {}]  # the status codes
    assert page.all("i") == [{"class": f"s-{name}"} for name in PHASES]  # the colours
    assert "<script>alert(1)" in page.text
    assert "hunter2" not in text
    assert "dXNlcjpodW50ZXIy" not in text
    assert not re.search(r"""(?:src|href)=|url\(|@import""", text)


def test_secrets_and_markup_are_in_no_picture_either(tmp_path: Path) -> None:
    with LocalServer(tls=False, answer=answer) as server, httpx_fast.Client() as client:
        responses = [client.get(f"{server.url}/<i>?token=hunter2"), client.get(f"{server.url}/2")]
    text = report(responses, tmp_path / "way.svg")
    assert (tmp_path / "way.svg").read_text("utf-8") == text
    assert "hunter2" not in text
    picture = ET.fromstring(text)
    bars = [each for each in picture.iter(f"{SVG}rect") if each.find(f"{SVG}title") is not None]
    assert len(bars) == sum(len(each.journey.spans()) for each in responses)
    assert [each.text for each in picture.iter(f"{SVG}title") if "waiting" in (each.text or "")]


def test_exceptions_and_hops_have_rows(peer: Any) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    url = peer(answering(moved, b"nonsense\r\n\r\n")).url()
    with (
        httpx_fast.Client(follow_redirects=True, trust_env=False) as client,
        pytest.raises(httpx_fast.RemoteProtocolError, match="nonsense") as caught,
    ):
        client.get(url)
    page = Page(report([caught.value, caught.value]))
    assert len(page.all("details")) == 2
    assert "RemoteProtocolError: " in page.text
    assert "302" in page.text


def test_mocks_beside_real_requests_do_not_stretch_the_time() -> None:
    with LocalServer(tls=False, answer=answer) as server, httpx_fast.Client() as client:
        real = client.get(server.url)
    transport = httpx_fast.MockTransport(lambda request: httpx_fast.Response(200))
    with httpx_fast.Client(transport=transport) as client:
        mocked = client.get("http://a.test/")
    page = Page(report([mocked, real]))
    assert f"2 requests in {1000 * real.journey.total:.3f} ms" in page.text
    assert len(page.all("details")) == 2
    assert str(mocked.journey) == "Sent without a network."


def test_connections_in_use_and_waiters_are_counted() -> None:
    def journey(*marks: float) -> httpx_fast.Journey:
        made = httpx_fast.Journey(100.0 + marks[0], lambda: 200.0)
        made.leased = made.sending = 100.0 + marks[1]
        made.sent = made.first = made.done = 100.0 + marks[2]
        return made

    in_use, waiting = counts([journey(0, 0, 2), journey(0, 2, 4), journey(1, 4, 5)])
    assert in_use == [(100, 1), (102, 1), (104, 1), (105, 0)]
    assert waiting == [(100, 1), (101, 2), (102, 1), (104, 0)]


def test_ticks_are_round_numbers() -> None:
    for length in (1e-6, 0.0496, 0.5, 1.0, 3.3, 7200.0):
        made = httpx_fast.Journey(0.0, lambda: 0.0)
        made.done = length
        ticks = Scale([made]).ticks()
        assert 5 <= len(ticks) <= 13
        assert ticks[-1] <= length * (1 + 1e-9)
        assert f"{ticks[1]:.10e}"[0] in "125"


@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_in_a_browser_shows_the_data(width: int, tmp_path: Path) -> None:
    with LocalServer(answer=answer) as server, httpx_fast.Client(verify=server.client_context()) as client:
        urls = [server.url, server.url.replace("localhost", "127.0.0.1")]
        responses = [client.get(f"{urls[number % 2]}/{number}?sig=hunter2") for number in range(5)]
    report(responses, tmp_path / "page.html")
    shown = "[...document.querySelectorAll('details')].filter(row => row.offsetParent !== null).length"
    cells = (
        "[...document.querySelectorAll('table')].filter(table => table.offsetParent !== null)"
        ".flatMap(table => [...table.rows].map(row => [...row.cells].map(cell => cell.innerText)))"
    )
    with chromium() as page:
        page.open(tmp_path / "page.html", width=width)
        assert page.ask("document.title") == "5 requests"
        assert page.ask(shown) == 5
        assert page.ask("document.documentElement.scrollWidth") <= width
        assert page.ask("document.querySelector('details pre').checkVisibility()") is False
        page.click("details:nth-of-type(2) summary")
        detail = page.ask("document.querySelector('details[open]').innerText")
        assert "2 GET " in detail
        assert f"{urls[1]}/1?sig=[secure]" in detail.replace("\n", "")
        for name, seconds in responses[1].journey.phases().items():
            assert f"{name} {seconds * 1000:.3f} ms" in detail
        assert "new connection" in detail
        bars = page.ask(
            "[...document.querySelectorAll('details[open] rect')].map(bar => bar.getBoundingClientRect().width)"
        )
        spans = responses[1].journey.spans()
        whole = page.ask("document.querySelector('details[open] svg').getBoundingClientRect().width")
        scale = whole / (
            max(each.journey.started + each.journey.took for each in responses) - responses[0].journey.started
        )
        for drawn, span in zip(bars, spans, strict=True):
            assert drawn == pytest.approx(max((span.end - span.begin) * scale, whole / 2000), abs=1.0)
        for host, mine in {"127.0.0.1": responses[1::2], "": responses}.items():
            page.ask(
                "(() => { const list = document.getElementById('host'); list.value = " + repr(host) + ";"
                " list.dispatchEvent(new Event('change')); })()"
            )
            assert page.ask(shown) == len(mine)
            waits = sorted(each.journey.phases()["wait"] for each in mine)
            wanted = [f"{1000 * percentile(waits, share):.3f}" for share in (0.5, 0.95, 0.99, 1)]
            assert ["wait", str(len(mine)), *wanted] in page.ask(cells)
        colour = "getComputedStyle(document.body).backgroundColor"
        assert page.ask(colour) == "rgb(255, 255, 255)"
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        assert page.ask(colour) == "rgb(13, 17, 23)"
        assert page.errors() == []


def test_no_requests_are_a_page_as_well() -> None:
    page = Page(report([]))
    assert page.text.count("0 requests") == 2
    assert page.all("details") == []
