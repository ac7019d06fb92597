"""The pages under docs/ are true: examples are accepted, verbs and files exist, links lead somewhere, Sphinx builds them."""

from __future__ import annotations

import ast
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.cli.command_line import parser
from lbproxy.config.key import every_key, shape_of
from lbproxy.config.load import load_text
from lbproxy.config.model import Config

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if not path.parts[-2].startswith("_"))
EXAMPLES = [*PAGES, ROOT / "README.md"]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STEP = re.compile(r"^\d+\. .*?`(lbproxy/[\w/]+)\.py`\s+`([\w.]+)`", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[tuple[str, str]]:
    """(page, text) of each block of that kind."""
    return [
        (str(page.relative_to(ROOT)), match[2])
        for page in EXAMPLES
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match[1] == kind
    ]


def test_there_is_something_to_look_at() -> None:
    """The patterns find what they are for."""
    assert len(PAGES) >= 12
    assert len(blocks("toml")) >= 5
    assert len(blocks("sh")) >= 5


@pytest.mark.parametrize(("page", "text"), blocks("toml"))
def test_configurations_are_accepted(page: str, text: str) -> None:
    """Whole ones; files are not looked for."""
    if "[[listen]]" in text and "[[route]]" in text:
        load_text(text, page, Path("/etc/lbproxy"))
    else:
        pytest.fail(f"{page}: an example that is no whole configuration cannot be tried:\n{text}")


@pytest.mark.parametrize(("page", "text"), blocks("json"))
def test_json_is_json(page: str, text: str) -> None:
    """In whatever form it is shown."""
    for document in [text] if text.startswith("{\n") else text.splitlines():
        json.loads(document)


@pytest.mark.parametrize(("page", "text"), blocks("sh"))
def test_verbs_exist(page: str, text: str) -> None:
    """Each line that begins with lbproxy is one that the parser takes."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["lbproxy"] and words[1:2] != ["--version"]:
            parser().parse_args([word for word in words[1:] if word not in ("...",)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """To pages, pictures and files of the project."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            aim = (page.parent / target).resolve()
            assert aim.exists(), f"{page.name}: {target}"
            inside = aim.is_relative_to(ROOT / "docs")
            assert inside or (aim.is_file() and aim.suffix != ".md"), f"{page.name}: {target} is no page that Sphinx knows"
    for named in re.findall(r"`((?:lbproxy|tests|conf|scripts|bench)/[\w./-]+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / named).exists(), f"{page.name}: {named}"


def test_the_way_of_a_request() -> None:
    """Ten steps, and each names a function that exists."""
    steps = _STEP.findall((ROOT / "docs/internals/request.md").read_text(encoding="utf-8"))
    assert len(steps) == 10
    for module, name in steps:  # in the source: what is compiled hides some of its methods
        found: list[ast.stmt] = ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8")).body
        for part in name.split("."):
            fitting = [node for node in found if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part]
            assert fitting, f"{module}.py has no {name}"
            found = fitting[0].body


def test_the_glossary_tells_each_term_once_and_where_it_lives() -> None:
    """In order; each with a file that exists (test_links_lead_somewhere), whose name, code or docstrings use the word."""
    page = (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")
    entries = re.findall(r"^(\S.*)\n: (.*(?:\n  .*)*)", page, re.MULTILINE)
    terms = [term for term, _ in entries]
    assert len(terms) >= 50
    assert terms == sorted(set(terms), key=str.lower)
    for term, says in entries:
        files = re.findall(r"`(lbproxy/[\w/]+\.py)`", says)
        assert files, f"{term}: where does it live?"
        text = " ".join(f"{file} {(ROOT / file).read_text(encoding='utf-8')}" for file in files).lower()
        for word in term.lower().split(", "):
            spellings = {word, word.replace(" ", "_"), word.replace(" ", ""), word.replace("-", "")}
            assert any(spelling in text for spelling in spellings), f"{word}: not a word of {files}"


def test_what_comes_out_of_the_code(tmp_path: Path) -> None:
    """Every key with what it does, every verb, every metric; also where Sphinx is not installed."""
    runpy.run_path(str(ROOT / "docs/generate.py"))["generate"](tmp_path)
    keys, listed, metrics = ((tmp_path / f"{name}.md").read_text(encoding="utf-8") for name in ("keys", "verbs", "metrics"))
    for stand in every_key(shape_of(Config)):
        table = keys.partition(f"[{stand.path.rpartition('.')[0]}]")[2]
        assert f"| `{stand.item.name}` |" in table
        assert stand.key.about.replace("|", "\\|").replace("*", "") in table.replace("\\*", "").replace("*", "")
    assert "## check\n" in listed
    assert "| `lbproxy_" in metrics


def test_sphinx_builds_them(tmp_path: Path) -> None:
    """Without a warning."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed (pip install -e '.[docs]')")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path / "html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "least connections" in (tmp_path / "html/concepts.html").read_text(encoding="utf-8").lower()
