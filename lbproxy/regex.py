"""Regular expressions that cannot backtrack: a thin adapter to google-re2, which is an extra.

Python's `re` may take exponential time for an unlucky pattern and a text that a client chose; RE2 takes time linear in the text,
whatever both say. It is loaded where a configuration with a regular expression is read, which is in the master and before any
worker is forked, so that workers need not be able to read its files.
"""

from __future__ import annotations

from collections.abc import Callable

LONGEST = 1024
"""Characters of a pattern."""
MEMORY = 1024 * 1024
"""Bytes of a pattern's program, and of the states that are kept while it runs; beyond those RE2 is slower, but as right."""

HINT = "pip install 'lbproxy[regex]'"


class RegexUnavailable(Exception):
    """Raised when google-re2 is needed and not installed."""


class Malformed(Exception):
    """RE2 does not take the pattern; the text says why."""


def searcher(pattern: str) -> Callable[[bytes], bool]:
    """Whether the pattern is found somewhere in some bytes. Raises Unavailable, Malformed."""
    if len(pattern) > LONGEST:
        raise Malformed(f"{len(pattern)} characters, at most {LONGEST}")
    try:
        import re2

        options = re2.Options()
    except (ImportError, AttributeError) as error:  # another package of that name has no Options
        raise RegexUnavailable("regular expressions need google-re2") from error
    options.encoding = re2.Options.Encoding.LATIN1  # a byte is a character: paths are ASCII, and nothing else is looked at
    options.max_mem = MEMORY
    options.never_capture = True
    options.log_errors = False
    try:
        found = re2.compile(pattern.encode("ascii"), options).search
    except UnicodeEncodeError:
        raise Malformed("only ASCII characters stand in a path") from None
    except re2.error as error:
        why = error.args[0] if error.args else "malformed"
        raise Malformed(why.decode("latin-1") if isinstance(why, bytes) else str(why)) from None
    return lambda text: found(text) is not None
