"""What releases are made by: the workflows keep their schema, and build wheels for every interpreter and system."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.joinpath(".github", "workflows").glob("*.yml"))
if not WORKFLOWS:
    pytest.skip("the tests run without the workflows: outside of a checkout", allow_module_level=True)

COMPILED = {"cp311", "cp312", "cp313", "cp314", "cp314t", "cp315", "cp315t"}
SYSTEMS = {
    "linux": ["manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64", "musllinux_aarch64"],
    "macos": ["macosx_x86_64", "macosx_arm64"],
    "windows": ["win_amd64", "win_arm64"],
}
RUNNERS = {
    "linux": {"ubuntu-24.04", "ubuntu-24.04-arm"},
    "macos": {"macos-15", "macos-15-intel"},
    "windows": {"windows-2025", "windows-11-arm"},
}


def required(module: str) -> None:
    """Skips the test where a tool of the extra `release` is not installed; where all have to be there, fails."""
    if importlib.util.find_spec(module) is None:
        miss(module)


def miss(tool: str) -> NoReturn:
    problem = f"{tool} is not installed: pip install 'httpx-fast[release]'"
    if os.environ.get("HTTPX_FAST_ECOSYSTEM") == "1":
        pytest.fail(problem)
    pytest.skip(problem)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_keep_the_schema(workflow):
    required("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_wheels_are_built_for_every_interpreter(system):
    required("cibuildwheel")
    archs = {"windows": "AMD64,ARM64", "macos": "x86_64,arm64", "linux": "x86_64,aarch64"}[system]
    command = [
        sys.executable,
        "-m",
        "cibuildwheel",
        "--platform",
        system,
        "--archs",
        archs,
        "--print-build-identifiers",
    ]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(done.stdout.split()) == {f"{python}-{name}" for python in COMPILED for name in SYSTEMS[system]}


@pytest.mark.parametrize("system", RUNNERS)
def test_every_system_has_a_machine_that_builds_its_wheels(system):
    text = (ROOT / ".github/workflows/wheels.yml").read_text(encoding="utf-8")
    matrix = text[text.index("        os:\n") : text.index("    steps:")]
    assert RUNNERS[system] <= set(re.findall(r"^ +- (\S+)", matrix, re.MULTILINE))


def test_scripts_pass_shellcheck():
    program = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    if program is None:
        miss("shellcheck")
    files = sorted(path for path in ROOT.joinpath(".ci").iterdir() if path.suffix in {"", ".sh"} and path.is_file())
    scripts = [path for path in files if path.suffix == ".sh" or re.match("#!.*sh\n", path.read_text(encoding="utf-8"))]
    assert scripts == files
    command = [program, "--external-sources", "--severity=warning"]
    done = subprocess.run([*command, *map(str, scripts)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_upload_may_prove_who_it_is():
    for workflow in WORKFLOWS:
        text = workflow.read_text(encoding="utf-8")
        assert "permissions:\n  contents: read\n" in text, f"{workflow.name} grants more to all of its jobs"
        assert text.count("id-token: write") == (workflow.name == "release.yml"), workflow.name
        assert "secrets." not in text, f"{workflow.name} uses a stored secret"
        # A branch of an action may change under us; the publishing action has no other name for its current version.
        used = set(re.findall(r"uses: ([^\s]+)", text))
        strange = {each for each in used if not each.startswith("./") and not re.search(r"@(v\d+|release/v1)$", each)}
        assert strange == set(), workflow.name


def test_tag_must_name_the_version_that_the_changelog_begins_with(tmp_path):
    for name in (".ci/check_version.py", "httpx_fast/__version__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["dynamic"]
    assert version == {"version": {"attr": "httpx_fast.__version__.__version__"}}

    hosted = tmp_path / "pyproject.toml"
    hosted.write_text('[project.urls]\nSource = "https://example.org/"\nIssues = "https://example.org/issues"\n')

    def check(tag: str, changelog: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
        command = [sys.executable, str(tmp_path / ".ci/check_version.py"), tag]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    found = re.search(r'__version__ = "(.*)"', (ROOT / "httpx_fast/__version__.py").read_text(encoding="utf-8"))
    assert found is not None
    good, number = f"v{found[1]}", found[1]
    assert check(good, f"# Changelog\n\n## {number} (2026-12-01)\n").returncode == 0
    assert f"the tag is v9, the version of the package {number}" in check("v9", f"## {number}\n").stderr
    assert "CHANGELOG.md begins with Unreleased" in check(good, f"## Unreleased\n\n## {number}\n").stderr
    hosted.write_text('[project.urls]\nHomepage = "https://example.org/"\n')
    assert "names no URL for Issues and Source" in check(good, f"## {number}\n").stderr


def test_metadata_names_authors_and_places():
    metadata = importlib.metadata.metadata("httpx-fast")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["authors"] == [{"name": "the httpx-fast developers"}]
    assert project["urls"]["Homepage"] == f"https://pypi.org/project/{project['name']}/"
    assert metadata["Name"] == "httpx-fast"
    for python in COMPILED:
        number = f"3.{python[3:].rstrip('t')}"
        assert f"Programming Language :: Python :: {number}" in project["classifiers"]
