"""The repository keeps what it promises about itself."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LIMITS = re.findall(r"^\| `([\w.]+)\.([A-Z_]+)` \| (\d+) \|", ARCHITECTURE, re.MULTILINE)


def test_the_readme_opens_with_the_two_commands():
    first, second = (line for line in README.splitlines() if line.startswith("python3 -m venv"))
    assert first in README.splitlines()[:12]
    assert shlex.split(first)[-1] == ".venv/bin/httpx-fast"
    assert shlex.split(second)[-3:] == [".venv/bin/python", "-m", "pytest"]


@pytest.mark.parametrize(("module", "name", "value"), LIMITS, ids=[name for _, name, _ in LIMITS])
def test_a_limit_of_the_documentation_is_the_limit_of_the_code(module: str, name: str, value: str):
    assert getattr(importlib.import_module(f"httpx_fast.{module}"), name) == int(value)


def test_the_documentation_names_limits():
    assert len(LIMITS) >= 10


def listed_modules() -> set[str]:
    """Return the paths of the modules that docs/architecture.md gives a line, relative to the repository."""
    listed = set()
    for line in ARCHITECTURE[ARCHITECTURE.index("## Modules") :].splitlines():
        if match := re.fullmatch(r"### `([\w/]+)/`", line):
            package = match[1]
        elif match := re.match(r"\| `(\w+\.py)` \| .{5,}", line):
            listed.add(f"{package}/{match[1]}")
    return listed


def test_every_module_has_its_line_in_the_architecture():
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "httpx_fast").rglob("*.py")}
    assert sorted(modules - listed_modules()) == []
    assert sorted(listed_modules() - modules) == []


def test_no_module_has_more_than_600_lines():
    """Kernels of Cython are left out: what one C function inlines has to be in its file."""
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in (ROOT / "httpx_fast").rglob("*.py")
        if (lines := path.read_bytes().count(b"\n")) > 600
    }
    assert long == {}


def test_files_that_the_pages_name_exist():
    pages = [
        README,
        ARCHITECTURE,
        *((ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "SECURITY.md")),
    ]
    named = {path for page in pages for path in re.findall(r"`((?:tests|bench|docs|ext)/[\w/]+\.\w+)`", page)}
    assert len(named) > 20
    assert [path for path in sorted(named) if "NAME" not in path and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.name)
def test_no_test_sleeps(path: Path):
    sleeping = re.compile(r"\b(?:time\.sleep|asyncio\.sleep|trio\.sleep|anyio\.sleep)\((?!0\))")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if sleeping.search(line)] == []


# First words of a docstring that say what something is, or in the third person what it does, and no verb in -s.
NO_VERBS = frozenset(
    [
        "A",
        "After",
        "All",
        "An",
        "As",
        "At",
        "Both",
        "By",
        "Called",
        "Each",
        "Every",
        "For",
        "From",
        "Has",
        "His",
        "How",
        "If",
        "In",
        "It",
        "Its",
        "Names",
        "No",
        "None",
        "Not",
        "Of",
        "On",
        "One",
        "Our",
        "Same",
        "Some",
        "That",
        "The",
        "Their",
        "These",
        "They",
        "This",
        "Those",
        "To",
        "Were",
        "What",
        "When",
        "Where",
        "Whether",
        "Which",
        "Who",
        "Whom",
        "Whose",
        "Why",
        "With",
    ]
)
VERBS_IN_S = frozenset(
    ("Access", "Address", "Compress", "Decompress", "Discuss", "Express", "Pass", "Process", "Suppress")
)


def is_imperative(docstring: str) -> bool:
    """Return whether a docstring begins with a capital letter and, as far as its form tells, with a verb."""
    first = re.match(r"[A-Z][A-Za-z]*(?![\w'])", docstring)
    return first is not None and first[0] not in NO_VERBS and (first[0] in VERBS_IN_S or not first[0].endswith("s"))


@pytest.mark.parametrize(
    "docstring", ["What it is.", "Sends it.", "`key` is sent.", "curl's forms.", "", "Names of it."]
)
def test_a_docstring_without_an_imperative_is_found(docstring: str):
    assert not is_imperative(docstring)


def test_docstrings_of_functions_begin_with_a_verb_in_the_imperative():
    """Those of classes may say what the class is, but do not begin with a question word or in the third person."""
    wrong, seen = [], 0
    for path in sorted((ROOT / "httpx_fast").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            docstring = ast.get_docstring(node)
            if docstring is None:
                continue
            seen += 1
            asks = re.match(r"(What|Who|Whether|How|Where|When|Why|Is|Has|Says|Tells|Holds|Gives|Sends)\b", docstring)
            if asks if isinstance(node, ast.ClassDef) else not is_imperative(docstring):
                wrong.append(f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {docstring.splitlines()[0]}")
    assert seen > 1000
    assert wrong == []


# Modules without a test module of their name; what they do is tested by others. This list may only become shorter.
WITHOUT_TESTS_OF_THEIR_NAME: frozenset[str] = frozenset(
    (
        "_byte_streams.py",
        "_cli/building.py",
        "_cli/command.py",
        "_cli/completion.py",
        "_cli/demonstration.py",
        "_cli/exchange.py",
        "_cli/failures.py",
        "_cli/help_text.py",
        "_cli/inputs.py",
        "_cli/items.py",
        "_cli/journal.py",
        "_cli/options.py",
        "_cli/output.py",
        "_cli/timings.py",
        "_cli/usage.py",
        "_client/async_client.py",
        "_client/async_extras.py",
        "_client/base.py",
        "_client/client_io.py",
        "_client/event_requests.py",
        "_client/explanation.py",
        "_client/extras.py",
        "_conn/base.py",
        "_copying.py",
        "_journey_html.py",
        "_journey_json.py",
        "_journey_parts.py",
        "_kernel/constants.py",
        "_kernel/h2_constants.py",
        "_kernel/http1_py.py",
        "_models/dispatch.py",
        "_models/saving.py",
        "_net/errors.py",
        "_net/scratch.py",
        "_net/sockets.py",
        "_report_drawing.py",
        "_retry/origins.py",
        "_retry/transport.py",
        "_retry/waits.py",
        "_transports/asgi_tasks.py",
        "_transports/base.py",
        "_transports/bodies.py",
        "_transports/core/bodies.py",
        "_transports/core/messages.py",
        "_transports/default.py",
        "_transports/heads.py",
        "_transports/http.py",
        "_wire/events.py",
        "_wire/heads.py",
        "integrations/_bridge.py",
        "integrations/_opentelemetry_instrumentor.py",
        "integrations/_package.py",
        "integrations/_streams.py",
        "integrations/_tls.py",
        "integrations/httpx.py",
        "integrations/httpx2.py",
        "testing/_fake_asyncio.py",
        "testing/_fake_places.py",
        "testing/_fake_sync.py",
        "testing/_fake_time.py",
        "testing/_fake_trio.py",
        "testing/_matching.py",
        "testing/_patching.py",
        "testing/_tape.py",
        "testing/as_httpx.py",
        "testing/connection.py",
        "testing/conversation.py",
        "testing/listening.py",
        "testing/messages.py",
        "testing/proxy_steps.py",
        "testing/pytest_plugin.py",
        "testing/replies.py",
        "testing/resolving.py",
        "testing/steps.py",
        "websockets/_asgi.py",
        "websockets/_session.py",
    )
)


def has_tests_of_its_name(module: Path) -> bool:
    """Return whether tests/PACKAGE has a `test_MODULE.py`, or one whose name begins so.

    Modules outside packages may be tested in any folder; `websockets` is tested with the clients.
    """
    name = module.stem.strip("_").removesuffix("_py")
    package = module.parts[0].strip("_") if len(module.parts) > 1 else "**"
    folder = {"websockets": "client"}.get(package, package)
    return any((ROOT / "tests").glob(f"{folder}/test_{name}*.py"))


def test_list_of_modules_without_tests_of_their_name_is_exact():
    """A new module comes with tests of its name; a module that gets some leaves the list."""
    package = ROOT / "httpx_fast"
    modules = [path.relative_to(package) for path in package.rglob("*.py") if not path.name.startswith("__")]
    missing = {module.as_posix() for module in modules if not has_tests_of_its_name(module)}
    assert len(modules) > 200
    assert sorted(missing - WITHOUT_TESTS_OF_THEIR_NAME) == []
    assert sorted(WITHOUT_TESTS_OF_THEIR_NAME - missing) == []
    assert not any(name.startswith("_pool/") for name in missing)
