"""The server of the benchmarks: nginx in a process of its own, on a processor of its own where there are two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from certificates import Authority
from loads import apart
from servers import Nginx, Unavailable


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Nginx]:
    try:
        with Nginx(tmp_path_factory.mktemp("nginx"), authority, apart()) as server:
            yield server
    except Unavailable as error:
        pytest.skip(str(error))
