"""What is handed on: the sdist, the container, the pins, and the list of what a release is made of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
HASHES = r"(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+"
PINNED = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[0-9.]+)(?: ;[^\\]*)? \\\n" + HASHES, re.M)
MANY = 60
"""Of something that a repository without a list of its files would not have."""


def pins() -> dict[str, str]:
    return {match["name"]: match["version"] for match in PINNED.finditer((ROOT / "constraints.txt").read_text())}


def tracked() -> set[str]:
    """By git; where this is an unpacked sdist itself, what lies here of the folders that must come along."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        return set(subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())
    folders = ("conf", "scripts", "bench", "tests", "lbproxy", "docs")
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".toml", ".http"))
    return {str(path.relative_to(ROOT)) for path in found if "_build" not in path.parts and "_generated" not in path.parts}


def test_the_sdist_has_what_the_repository_has(tmp_path: Path) -> None:
    """Also how to report a fault, the tests, the benches and the files for operators; scripts can be run; nothing compiled."""
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        members = {member.name.partition("/")[2]: member for member in opened.getmembers() if member.isfile()}
    expected = tracked()
    assert len(expected) > MANY
    assert expected <= set(members), f"left out: {sorted(expected - set(members))[:20]}"
    assert {"SECURITY.md", "CHANGELOG.md", "conf/example.toml", "tests/conftest.py", "constraints.txt"} <= set(members)
    assert all(members[name].mode & 0o100 for name in members if name.startswith("scripts/"))
    assert not [name for name in members if name.endswith((".so", ".pyc")) or "/_compiled/" in name]


def test_no_image_has_a_key_in_it() -> None:
    """Whoever can pull an image has all of its layers."""
    recipe = (ROOT / "conf/container.md").read_text().partition("```dockerfile")[2].partition("```")[0]
    assert recipe.count("\nFROM ") == 2
    last = recipe.rpartition("\nFROM ")[2]
    copied = [line.split()[1:-1] for line in last.splitlines() if line.startswith(("COPY", "ADD"))]
    assert copied == [["lbproxy.toml"]]
    assert not re.search(r"\.(key|crt|pem)\b", recipe)


def test_what_is_needed_is_pinned_with_hashes() -> None:
    """Run scripts/lock after a change of pyproject.toml."""
    pinned = pins()
    assert len(pinned) == len(re.findall(r"^[a-z]", (ROOT / "constraints.txt").read_text(), re.M))
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        needed = Requirement(line)
        assert needed.name in pinned, needed.name
        assert needed.specifier.contains(pinned[needed.name]), f"{needed} is pinned to {pinned[needed.name]}"


def test_the_list_of_parts_names_all_of_them(tmp_path: Path) -> None:
    """By scripts/sbom, with versions; the same bytes each time."""
    if not (ROOT / ".venv/bin/cyclonedx-py").exists():
        pytest.skip("needs .venv with the extra release, as scripts/test makes it")
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        subprocess.run([ROOT / "scripts/sbom", file], check=True, capture_output=True)
    assert files[0].read_bytes() == files[1].read_bytes()
    told = json.loads(files[0].read_text())
    assert told["bomFormat"] == "CycloneDX"
    assert told["metadata"]["component"]["name"] == "lbproxy"
    assert re.fullmatch(r"[0-9.]+", told["metadata"]["component"]["version"])
    assert {part["name"]: part["version"] for part in told["components"]} == pins()
