"""huggingface_hub: one client for all threads, which a factory may make, with hooks and retries of its own."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import huggingface_hub
import pytest
import tqdm
from huggingface_hub import HfApi, close_session, get_session, hf_hub_download, set_client_factory

from httpx_fast.testing import Reply, Request

COMMIT = "0" * 40


def answer(request: Request) -> Reply:
    if "/resolve/" in request.target:
        return Reply(200, [("ETag", '"abc"'), ("X-Repo-Commit", COMMIT)], b"content of the file")
    if request.target == "/api/whoami-v2":
        return Reply(200, [("Content-Type", "application/json")], json.dumps({"name": "me"}).encode())
    return Reply(404, [("X-Error-Code", "RepoNotFound")])


@pytest.fixture
def site(serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)  # no thread for progress bars
    yield serve(answer)
    set_client_factory(httpx.Client)
    close_session()


def test_the_shared_client_is_ours(site):
    assert isinstance(get_session(), httpx.Client)
    assert get_session() is get_session()


def test_requests_are_authorised(site):
    assert HfApi(endpoint=site.url).whoami(token="hf_x")["name"] == "me"
    assert site.seen[0].field("Authorization") == "Bearer hf_x"


def test_a_file_is_downloaded_and_cached(site, tmp_path: Path):
    for _ in range(2):
        path = hf_hub_download("owner/repo", "file.txt", endpoint=site.url, cache_dir=tmp_path)
        assert Path(path).read_bytes() == b"content of the file"
    assert [request.method for request in site.seen] == ["HEAD", "GET", "HEAD"]


def test_a_missing_repository_has_the_library_s_exception(site):
    with pytest.raises(huggingface_hub.errors.RepositoryNotFoundError, match="404") as caught:
        HfApi(endpoint=site.url).model_info("owner/none")
    assert isinstance(caught.value, httpx.HTTPError)
    assert caught.value.response.status_code == 404


def test_a_client_may_come_from_a_factory(site):
    made = []

    def factory() -> httpx.Client:
        made.append(httpx.Client(headers={"X-Own": "1"}, follow_redirects=True, timeout=None))
        return made[-1]

    set_client_factory(factory)
    HfApi(endpoint=site.url).whoami(token="hf_x")
    assert (len(made), site.seen[0].field("X-Own")) == (1, "1")
