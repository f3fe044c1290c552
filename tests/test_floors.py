"""The house stands: a module imports only from floors below its own, and nothing of another client's protocol code.

docs/architecture.md draws the layers. Imports inside functions and under TYPE_CHECKING count: what a module must
not know it must not know late or for its types only either.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "httpx_fast"

GROUND = (
    "__version__ _byte_streams _masking _debug _copying _deadline _encodings _exceptions _head _origin "
    "_hpack_tables _trace _patterns _pickling _late_fields "
    "_journey _journey_facts _journey_parts _journey_steps _journey_certificate _journey_drawing _journey_html "
    "_journey_json _trust_stores _turns"
)
FACE = (
    "_types _argument_names _caller _checks _models _urls _urlparse _content _pairs _multipart _decoders _status_codes "
    "_config _trust _auth _utils _sse _chunkers _tcp_keepalive"
)
#: From bottom to top. Rooms that stand side by side on one floor do not know each other.
FLOORS: list[dict[str, str]] = [
    {"ground": GROUND},
    {"kernel": "_kernel"},
    {"wire": "_wire", "net": "_net", "drive": "_drive"},
    {"conn": "_conn"},
    {"pool": "_pool"},
    {"face": FACE},
    {"transports": "_transports _resolvers"},
    {"retry": "_retry"},
    {"client": "_client websockets"},
    {"api": "_api _alias _bulk _har _report _report_drawing"},
    {"integrations": "integrations"},
    {"cli": "_cli testing __main__"},
    {"package": "__init__"},
]
#: What a room may import, where that is less than all floors below its own.
NARROW: dict[str, set[str]] = {
    "ground": {
        *(
            "_deadline",
            "_exceptions",
            "_masking",
            "_origin",
            "_patterns",
            "_pickling",
            "_trace",
            "_journey",
            "_journey_facts",
            "_journey_parts",
            "_journey_steps",
        ),
        *("_journey_certificate", "_journey_drawing", "_journey_html", "_journey_json"),
    },
    "kernel": {"_exceptions", "_hpack_tables"},
    "wire": {*GROUND.split(), "_kernel"},
    "net": set(GROUND.split()),
    "drive": {"_kernel.select"},
    "conn": {*GROUND.split(), "_kernel", "_wire", "_net"},
    "pool": {*GROUND.split(), "_kernel", "_wire", "_net", "_conn"},
    "face": {*GROUND.split(), "_kernel.constants", "_kernel.select", *FACE.split()},
}
#: The one upward look: exceptions name what they carry, for type checkers.
ALLOWED = {("_exceptions", "_journey"), ("_exceptions", "_models")}
#: The order inside the face, from bottom to top: modules of one line do not know each other.
FACE_ORDER = [
    "_status_codes _argument_names _caller _checks _pairs _urlparse _tcp_keepalive _chunkers",
    "_trust",
    "_urls",
    "_utils _models.headers _models.field_values",
    "_config _multipart _decoders _models.cookie_rules",
    "_content _models.cookie_jar _models.body_iterators _models.dispatch",
    "_models.cookies _models.upload_progress",
    "_models.request _models.saving",
    "_models.response_body",
    "_models.response",
    "_models",
    "_auth _sse",
    "_types",
]
#: Circles of imports that are still there. Nothing is added to this.
CIRCLES: list[set[str]] = []
FOREIGN = {"h11", "h2", "hpack", "httptools", "httpcore", "httpcore2", "httpx", "httpx2", "hyperframe", "zttp"}
#: Modules for the users of another package, which import it and no other.
FOR_FOREIGN = {
    "integrations.httpx": {"httpx", "httpcore"},
    "integrations.httpx2": {"httpx2", "httpcore2"},
    "testing.respx_mocker": {"httpx"},
}


def rooms() -> dict[str, tuple[int, str]]:
    """Floor and room of each top-level module name."""
    return {
        name: (floor, room)
        for floor, doors in enumerate(FLOORS)
        for room, names in doors.items()
        for name in names.split()
    }


ROOMS = rooms()


def module_of(path: Path) -> str:
    """The dotted name inside the package: `_wire.h1`; a package's `__init__` stands for its package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imported(source: str, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that a module of `package` (inside the project) imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = [PACKAGE.name, *package[: len(package) - node.level + 1]] if node.level else []
            base += [node.module] if node.module else []
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name])


def faults(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """What breaks the direction of imports in `module`, at most one line of text for each import statement."""
    package = tuple(module.split(".")) if is_package and module != "__init__" else tuple(module.split(".")[:-1])
    top = module.split(".")[0]
    if top not in ROOMS:
        return [f"{module} stands on no floor: name it in tests/test_floors.py and README.md"]
    found = {}
    for line, name in imported(source, package):
        first, _, inside = name.partition(".")
        if first in FOREIGN - FOR_FOREIGN.get(module, set()):
            found[line] = f"{module}:{line} imports {first}"
        elif first == PACKAGE.name and not may_import(top, inside):
            found[line] = f"{module}:{line} imports {inside or first}, which is not below it"
    return list(found.values())


def may_import(top: str, name: str) -> bool:
    """Whether a module below `top` may import `name`, dotted, both counted from the package."""
    target = name.split(".")[0]
    if target not in ROOMS:
        target = "__init__"  # a public name
    if target == top or (top, target) in ALLOWED:
        return True
    floor, room = ROOMS[top]
    if room in NARROW:
        return any(f"{name}.".startswith(f"{allowed}.") for allowed in NARROW[room])
    return ROOMS[target][0] <= floor


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


MODULES = {module_of(path): path for path in modules()}


def known(module: str) -> set[str]:
    """Return the modules of the package that `module` imports, whenever and for whatever that is."""
    path = MODULES[module]
    package = path.relative_to(PACKAGE).parts[:-1]
    found: set[str] = set()
    for _, name in imported(path.read_text(encoding="utf-8"), package):
        if name != PACKAGE.name and not name.startswith(f"{PACKAGE.name}."):
            continue
        inside = name.removeprefix(PACKAGE.name).removeprefix(".")
        # The module itself, or the one that defines the name; a compiled kernel is in the package of its twin.
        while inside and inside not in MODULES:
            inside = inside.rpartition(".")[0]
        found.add(inside or "__init__")
    return {each for each in found - {module} if (module, each) not in ALLOWED}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules that reach each other by imports."""
    reach = {module: set(names) for module, names in graph.items()}
    for middle in graph:
        for module, names in reach.items():
            if middle in names:
                names |= reach[middle]
            assert module in reach
    found: list[set[str]] = []
    for module, names in reach.items():
        circle = {other for other in names if module in reach[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


def private_names(module: str, source: str) -> list[str]:
    """The names with a leading underscore, no modules, that `module` imports from another package of this one."""
    found = []
    package = tuple(module.split(".")[:-1])
    for line, name in imported(source, package):
        parts = name.split(".")[1:]
        is_module = any(PACKAGE.joinpath(*parts).with_suffix(suffix).exists() for suffix in ("", ".py"))
        is_private = parts[-1:] and parts[-1][0] == "_" and parts[-1][:2] != "__"
        if len(parts) > 1 and is_private and not is_module and parts[0] != module.split(".")[0]:
            found.append(f"{module}:{line} imports {'.'.join(parts)}")
    return found


def test_no_private_name_of_another_package_is_imported():
    found = [
        fault
        for path in sorted(PACKAGE.rglob("*.py"))
        for fault in private_names(module_of(path), path.read_text(encoding="utf-8"))
    ]
    assert found == []
    assert private_names("_client.x", "from .._retry.settings import _check") == [
        "_client.x:1 imports _retry.settings._check"
    ]


def test_modules_import_each_other_in_no_circle():
    found = circles({module: known(module) for module in MODULES})
    assert [sorted(circle) for circle in found if not any(circle <= listed for listed in CIRCLES)] == []


def test_a_planted_circle_is_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str]()}
    assert circles(graph) == [{"b", "c"}]


def test_the_face_is_in_order():
    rank = {name: number for number, names in enumerate(FACE_ORDER) for name in names.split()}
    face = {name for name in MODULES if name.split(".")[0] in FACE.split()}
    assert face == set(rank)
    upward = [(name, other) for name in face for other in known(name) & face if rank[other] >= rank[name]]
    assert upward == []


@pytest.mark.parametrize("path", modules(), ids=module_of)
def test_a_module_imports_only_from_floors_below_its_own(path: Path):
    source = path.read_text(encoding="utf-8")
    assert faults(module_of(path), source, is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("_wire.h1", "from .._net import base"),
        ("_wire.h1", "from .._net.base import Stream"),
        ("_wire.h1", "from .. import _net"),
        ("_wire.h1", "import httpx_fast._net.base"),
        ("_wire.h1", "from httpx_fast._net import base"),
        ("_wire.h1", "from httpx_fast import Client"),
        ("_net.tls", "from .._wire.heads import WireHead"),
        ("_net.tls", "from .._kernel.select import request_head"),
        ("_conn.http1", "from .._models import Request"),
        ("_conn.http1", "if TYPE_CHECKING:\n    from .._models import Request"),
        ("_conn.http1", "from .._pool.plan import Plan"),
        ("_pool.pool", "def late():\n    from .._models import Request"),
        ("_kernel.http1_py", "from .._wire import framing"),
        ("_models", "from ._transports import base"),
        ("_models", "from ._kernel.http1_py import HeadParser"),
        ("_models", "from ._pool.pool import Pool"),
        ("_transports.default", "from .._client import client"),
        ("_drive", "from ._models import Request"),
        ("_client.flow", "import httpx"),
        ("integrations._bridge", "import httpx2"),
        ("integrations.httpx", "import httpx2"),
        ("integrations.httpx2", "from httpx_fast import Client"),
        ("_client.client", "from ..integrations import httpx2"),
        ("_wire.h2", "from hpack.table import HeaderTable"),
        ("_net.asyncio", "def late():\n    import h11"),
        ("_nowhere", "import ssl"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str):
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("_wire.h1", "from .._kernel.select import request_head\nfrom . import framing"),
        ("_wire.h1", "from .._exceptions import shown\nimport enum"),
        ("_conn.http1", "from .._net.base import Stream\nfrom .._wire.h1 import H1\nimport ssl"),
        ("_exceptions", "if TYPE_CHECKING:\n    from ._models import Request"),
        ("_models", "from ._kernel.constants import FieldBlock\nfrom . import _urls\nfrom ._urls import URL"),
        ("_models", "from ._kernel import constants"),
        ("_cli.command", "from .. import _api\nfrom . import timings\nfrom ._client.client import Client"),
        ("integrations.httpx2", "import httpx2\nfrom . import _bridge\nfrom .._transports.raw import RawRequests"),
        ("testing.peers", "from .._client.client import Client\nfrom .._net import base"),
    ],
)
def test_an_import_from_below_is_allowed(module: str, source: str):
    assert faults(module, source) == []
