"""The grammar that both requests and responses share, as byte patterns beside their sections of the standards.

Everything here works on bytes, never on text: `str.strip`, `int` and `splitlines` know dozens of characters that the wire does not,
and every one of them has been a smuggling hole somewhere. Repetitions are possessive (`*+`, `++`): no input can make a pattern
back-track, so the work is linear in the input.

Why patterns and not a tokeniser library: one match of a compiled pattern over a whole head checks *every* byte of it and costs less
than the callbacks of a C tokeniser per field (bench/micro/parse.py), and the whole policy stands on this page.
"""

from __future__ import annotations

import re

# RFC 9110 5.6.2: token. Method and field names are tokens; a space or a control byte inside one is how "Transfer-Encoding :"
# and its kind get past one parser and not the other.
TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"

# RFC 9110 5.5: field-value, with obs-text (0x80-0xFF) passed through as opaque. No NUL, no bare CR or LF, no other control byte but
# HTAB. A line that starts with white space (obs-fold, RFC 9112 5.2) is no field line in this grammar, so it is refused.
FIELD_BYTES = rb"\t -~\x80-\xff"

FIELD_LINES = rb"((?:\r\n[" + TCHAR + rb"]++:[" + FIELD_BYTES + rb"]*+)*)\r\n\r\n\Z"
"""All field lines of a head as one group, each starting with its CRLF, and the empty line that ends the head (RFC 9112 2.1).

The outer repetition is not possessive: Python before 3.11.5 (Debian 12 has 3.11.2) then refuses every head (its gh-106052). It is
linear all the same, since a line is given back whole and the next character is never the one that is wanted.
"""

TOKEN = re.compile(rb"[" + TCHAR + rb"]++\Z")

CONTENT_LENGTH = re.compile(rb"[0-9]{1,15}\Z")
"""RFC 9110 8.6: 1*DIGIT; fifteen digits are a petabyte. A sign, a list ("5, 5"), white space or hex are refused: parsers differ."""

# RFC 9110 7.2 and RFC 3986 3.2.2: uri-host [":" port]. Only what names a host on the wire: no percent-encoding, no userinfo, no
# sub-delims, so that the host that is routed on is the host that a backend reads.
HOST = re.compile(rb"([0-9A-Za-z_](?:[0-9A-Za-z._-]{0,252}+)|\[[0-9A-Fa-f:.]{2,45}+\])(?::([0-9]{1,5}+)?)?\Z")

BARE_LF = re.compile(rb"(?<!\r)\n")
"""RFC 9112 2.2 lets a recipient take a lone LF for a line end; we do not, since a recipient behind us might not."""

BARE_CR = re.compile(rb"\r(?!\n|\Z)")


def scanner(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """For findall on *lower-cased* field lines: (name, value) of each field among `names`.

    Values may end in white space: cutting it here would need a lazy match, which costs more than the rest of the scan.
    """
    return re.compile(rb"\r\n(" + _alternatives(names) + rb"):[ \t]*+([^\r]*+)")


def line_finder(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """For finditer on *lower-cased* field lines: the whole lines, CRLF in front included, of the fields among `names`."""
    return re.compile(rb"\r\n(?:" + _alternatives(names) + rb"):[^\r]*+")


def _alternatives(names: tuple[bytes, ...]) -> bytes:
    return b"|".join(re.escape(name) for name in sorted(names))
