"""Responses as an HTML page: it shows what the journeys have, and nothing of a server is markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import httpx_fast
from httpx_fast._journey_steps import steps
from httpx_fast._report import report
from httpx_fast.testing import LocalServer, Reply, Request


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
        assert bar["fill"] == f"var(--{step.name})"
        assert abs(float(bar["x"] or 0) - (offset + step.begin) / length * 1000) < 0.01
        assert abs(float(bar["width"] or 0) - max((step.seconds or 0) / length * 1000, 0.5)) < 0.01
    assert "Reused connections: 2." in page.text
    assert "request 3 on its connection" in page.text


def test_phases_are_counted_over_all_requests() -> None:
    with LocalServer(tls=False, answer=answer) as server, httpx_fast.Client() as client:
        responses = [client.get(f"{server.url}/") for _ in range(4)]
    page = report(responses)
    cells: dict[str, Any] = {
        row[0]: row[1:] for row in (re.findall(r"<td>([^<]*)</td>", line) for line in page.split("<tr>")) if row
    }
    assert cells["tcp"][0] == "1"
    assert cells["wait"][0] == "4"
    waits = sorted(each.journey.phases()["wait"] for each in responses)
    assert cells["wait"][1:] == [f"{1000 * waits[n]:.3f}" for n in (2, 3, 3, 3)]


def test_nothing_of_a_server_is_markup_and_no_secret_is_shown() -> None:
    with LocalServer(tls=False, answer=answer) as server, httpx_fast.Client(auth=("user", "hunter2")) as client:
        responses = [client.get(f"{server.url}/evil?token=hunter2"), client.get(f"{server.url}/<i>")]
    text = report(responses)
    page = Page(text)
    assert len(page.all("script")) == 1
    assert page.all("b") == [{}, {}]  # the status codes
    assert "<script>alert(1)" in page.text
    assert "hunter2" not in text
    assert "dXNlcjpodW50ZXIy" not in text
    assert not re.search(r"""(?:src|href)=|url\(|@import""", text)


def test_no_requests_are_a_page_as_well() -> None:
    page = Page(report([]))
    assert page.text.count("0 requests") == 2
    assert page.all("details") == []
