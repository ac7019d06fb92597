"""Regular expressions: what is refused, with what words, and that no text takes them long."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from lbproxy.regex import LONGEST, Malformed, RegexUnavailable, searcher


def test_found_anywhere() -> None:
    """Unless the pattern says where; bytes are characters."""
    pytest.importorskip("re2")
    assert searcher("b+c")(b"abbcd")
    assert not searcher("^b")(b"ab")
    assert searcher("^.$")(b"\xff")


@pytest.mark.parametrize(("pattern", "why"), [
    ("(a", "missing"), ("(?=a)", "invalid perl operator"), (r"(a)\1", "invalid escape"), ("a" * (LONGEST + 1), "at most 1024"),
    ("/ä", "only ASCII"), ("((a{100}){100}){100}", "repetition size"), ("(.{900}){1}" * 90, "too large"),
])  # fmt: skip
def test_malformed(pattern: str, why: str) -> None:
    """What RE2 cannot do without backtracking it does not do; nor does it take programs of any size."""
    pytest.importorskip("re2")
    with pytest.raises(Malformed, match=why):
        searcher(pattern)


def test_no_text_takes_long() -> None:
    """Nested repetitions on which Python's own would take longer than the universe is old."""
    pytest.importorskip("re2")
    begun = time.process_time()
    assert not searcher("^(x+x+)+y$")(b"/" + b"x" * 8000)
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("instead", ["None", "type(sys)('re2')"])
def test_not_installed(instead: str) -> None:
    """Nor is another package of that name."""
    code = f"""
import sys
sys.modules["re2"] = {instead}
from lbproxy.regex import RegexUnavailable, searcher
try:
    searcher("a")
except RegexUnavailable as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "regular expressions need google-re2\n"
    assert issubclass(RegexUnavailable, Exception)
