"""Libraries that are written for httpx run on this package, unchanged, under `alias("httpx", "httpx2")`.

The alias is for a whole process: so `under_alias/check_NAME.py` are run by a pytest of their own, one for each library.
What is not installed is skipped, unless HTTPX_FAST_ECOSYSTEM=1 says that all of it has to be there: see the extra
"ecosystem".
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: The checks, and what each needs.
NEEDED = {
    "anthropic": "anthropic",
    "authlib": "authlib",
    "hishel": "hishel",
    "httpx_retries": "httpx_retries",
    "httpx_socks": "httpx_socks",
    "httpx_sse": "httpx_sse",
    "httpx_ws": "httpx_ws",
    "huggingface_hub": "huggingface_hub",
    "mcp": "mcp",
    "mistralai": "mistralai",
    "ollama": "ollama",
    "openai": "openai",
    "opentelemetry": "opentelemetry.instrumentation.httpx",
    "pytest_httpx": "pytest_httpx",
    "respx": "respx",
    "sentry": "sentry_sdk",
    "starlette": "starlette",
    "vcr": "vcr",
}


def installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


def test_every_check_is_run():
    assert {path.stem.removeprefix("check_") for path in HERE.glob("under_alias/check_*.py")} == set(NEEDED)


@pytest.mark.parametrize("name", NEEDED)
def test_a_library_runs_under_the_alias(name: str):
    if not installed(NEEDED[name]):
        problem = f"{NEEDED[name]} is not installed: pip install 'httpx-fast[ecosystem]'"
        if os.environ.get("HTTPX_FAST_ECOSYSTEM") == "1":
            pytest.fail(problem)
        pytest.skip(problem)
    command = [sys.executable, "-m", "pytest", "-p", "httpx_fast.testing.as_httpx"]
    # What the libraries do with what they deprecate is their business.
    command += ["-W", "default::DeprecationWarning", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(HERE / "under_alias" / f"check_{name}.py")],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
