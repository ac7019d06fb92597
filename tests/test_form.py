"""The form of the package, enforced: files, classes and functions that can be taken in at once; docstrings that are sentences."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_architecture import ROOT, source_files, tree_of

MOST_LINES = 500
"""Of any file, blanks and comments included."""
FEWER_LINES = {"lbproxy/config/": 400, "lbproxy/proxy/exchange.py": 300}
"""Where less is enough: what stands there comes out of declarations; and the way of a request, which everybody reads first."""

MOST_IN_FILE, MOST_IN_CLASS, MOST_IN_FUNCTION = 400, 250, 50
"""Lines of code of lbproxy: without blanks, comments and docstrings."""

LARGER: dict[str, tuple[int, str]] = {
    "http/h1/chunks.py ChunkDecoder.feed": (62, "one loop, compiled to C: a call for each byte would cost more than the loop"),
    "net/tcp_stream.py TcpStream": (329, "its watcher, its buffer and its waits share a dozen fields that each read touches"),
    "proxy/client.py ClientConnection._next_request": (55, "what every request passes: a call more would cost each of them"),
    "proxy/h2/connection.py H2Connection": (336, "one connection and its engine's callbacks, which share its tables of streams"),
    "proxy/h2/shared_connection.py SharedConnection": (278, "the same on the backends' side"),
    "proxy/request_body.py RequestBody": (284, "the moves between its states, which share what is held of the body"),
}
"""What stands above the limits, how far, and why; none of it may grow."""


def test_files_stay_small() -> None:
    """A file is about one concern; what grows past the limit has grown a second one."""
    faults = []
    for path in source_files("lbproxy", "tests", "bench"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        name = str(path.relative_to(ROOT))
        most = next((fewer for folder, fewer in FEWER_LINES.items() if name.startswith(folder)), MOST_LINES)
        if lines > most:
            faults.append(f"{name}: {lines} lines, at most {most}")
    assert not faults, "\n".join(faults)


def test_a_class_has_a_name_of_its_own() -> None:
    """A word means one thing: who reads or searches for the name of a class finds that class. Tables of the configuration end in
    Config, so that what somebody wrote in a file is not taken for what runs."""
    places: dict[str, list[str]] = {}
    for path in source_files("lbproxy"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert len(places) > 600
    faults = [f"{name}: {', '.join(found)}" for name, found in sorted(places.items()) if len(found) > 1]
    assert not faults, "\n".join(faults)


@cache
def lines_of_code(path: Path) -> frozenset[int]:
    """The numbers of its lines that are neither blank nor comment nor docstring."""
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in quiet:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(lines)


def sizes(path: Path, body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, int, int]]:
    """(what, its lines of code, how many it may have) of classes and functions, those inside them included."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{owner}{node.name}"
            own = lines_of_code(path) & set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            yield name, len(own), MOST_IN_CLASS if isinstance(node, ast.ClassDef) else MOST_IN_FUNCTION
            yield from sizes(path, node.body, f"{name}.")


def test_files_classes_and_functions_can_be_taken_in_at_once() -> None:
    """A function fits a screen, a class is about one thing; LARGER names the few that do not."""
    faults, unused = [], set(LARGER)
    for path in source_files("lbproxy"):
        file = str(path.relative_to(ROOT / "lbproxy"))
        if (code := len(lines_of_code(path))) > MOST_IN_FILE:
            faults.append(f"{file}: {code} lines of code, at most {MOST_IN_FILE}")
        for name, size, most in sizes(path, tree_of(path).body):
            if size > most:
                allowed, _ = LARGER.get(f"{file} {name}", (most, ""))
                unused.discard(f"{file} {name}")
                if size > allowed:
                    faults.append(f"{file}: {name} has {size} lines of code, at most {allowed}")
    assert not faults, "\n".join(faults)
    assert not unused, f"they keep to the limits by now, or are gone: {unused}"


@pytest.mark.parametrize(("text", "expected"), [
    ("x = 1\n\n# no\n", 1), ('"""Not\nthis."""\nx = (\n    1,\n)\n', 3), ('def f():\n    "no"\n    return """a\nb"""\n', 3),
])  # fmt: skip
def test_lines_of_code(text: str, expected: int, tmp_path: Path) -> None:
    """Blanks, comments and docstrings are none; a string over lines is."""
    path = tmp_path / "a.py"
    path.write_text(text)
    assert len(lines_of_code(path)) == expected


def _is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """`...` as the whole body, with or without a docstring: a method of a Protocol."""
    return all(isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) for statement in node.body)


def _is_small(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A method of at most three statements may let its name speak."""
    return sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1 <= 3


def _undocumented(body: list[ast.stmt], owner: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            speaks = ast.get_docstring(node) is not None or _is_stub(node) or (owner and _is_small(node))
            if not node.name.startswith("_") and not speaks:
                yield f"{owner}{node.name} (line {node.lineno})"
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            behaves = any(isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) for inner in node.body)
            if behaves and ast.get_docstring(node) is None:
                yield f"{owner}{node.name} (line {node.lineno})"
            yield from _undocumented(node.body, f"{owner}{node.name}.")


def test_public_names_are_documented() -> None:
    """Every public function, method and class that does something says what. Values and the smallest methods need not."""
    faults = [
        f"{path.relative_to(ROOT)}: {name}" for path in source_files("lbproxy") for name in _undocumented(tree_of(path).body, "")
    ]
    assert not faults, "no docstring:\n" + "\n".join(faults)


_RELATIVE = re.compile(
    r"(What|Which|Who|Whose|Whom|When|Where|Why|How|Whether|That|If|As|Is|May|Has|Have|Does|Do|Can|Are|Of|From|By|For|To|In|Into|With)\b"
)


def test_module_docstrings_open_with_what_the_module_is() -> None:
    """A noun of the field first, not a relative clause, a question, or a word that leans on the file's name."""
    faults = []
    for path in source_files("lbproxy"):
        says = ast.get_docstring(tree_of(path)) or ""
        if not says or _RELATIVE.match(says) or (says[0].islower() and not says.startswith("lbproxy")):
            faults.append(f"{path.relative_to(ROOT)}: {says.splitlines()[0] if says else 'nothing'}")
    assert not faults, "\n".join(faults)


def test_class_docstrings_are_sentences() -> None:
    """At least five words with a capital at the beginning and a period at the end, not "One pool's." or "See above."."""
    faults = []
    for path in source_files("lbproxy"):
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.ClassDef) or (says := ast.get_docstring(node)) is None:
                continue
            whole = len(says.split()) >= 5 and says.endswith((".", '."')) and not says[0].islower()
            if not whole or re.match(r"(Of|See|By)\b", says):
                faults.append(f"{path.relative_to(ROOT)}:{node.lineno}: {says.splitlines()[0]}")
    assert not faults, "\n".join(faults)
