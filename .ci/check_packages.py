"""Looks into what was built: check_packages.py FOLDER-OF-SDIST-AND-COMPILED-WHEEL FOLDER-OF-PURE-WHEEL."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent.parent


def main(dist: Path, pure: Path) -> None:
    sources = {f"ext/{path.name}" for path in (HERE / "ext").iterdir() if path.suffix in {".pyx", ".pxd"}}
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    missing = (sources | {"LICENSE", "README.md", "CHANGELOG.md", "setup.py", "tests/conftest.py"}) - packed
    demand(not missing, f"{sdist.name} lacks {missing}")
    demand(not any(name.endswith((".c", ".so")) for name in packed), f"{sdist.name} has generated files")

    (compiled,) = dist.glob("*.whl")
    demand(not compiled.name.endswith("-none-any.whl"), f"{compiled.name} is called pure")
    kernels = {Path(name).stem + "_c" for name in sources if name.endswith(".pyx")}
    demand(extensions(compiled) == kernels, f"{compiled.name} has {extensions(compiled)}, not {kernels}")

    (universal,) = pure.glob("*.whl")
    demand(universal.name.endswith("-py3-none-any.whl"), f"{universal.name} is bound to a platform")
    demand(extensions(universal) == set(), f"{universal.name} has {extensions(universal)}")
    for wheel in (compiled, universal):
        names = zipfile.ZipFile(wheel).namelist()
        demand("httpx_fast/py.typed" in names, f"{wheel.name} lacks py.typed")
        strange = {name for name in names if not name.startswith(("httpx_fast/", "httpx_fast-"))}
        demand(not strange, f"{wheel.name} brings {strange}")


def extensions(wheel: Path) -> set[str]:
    names = zipfile.ZipFile(wheel).namelist()
    return {Path(name).name.partition(".")[0] for name in names if name.endswith((".so", ".pyd"))}


def demand(kept: bool, otherwise: str) -> None:
    if not kept:
        sys.exit(otherwise)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
