"""The grammar that both requests and responses share, as byte patterns beside their sections of the standards.

Everything here works on bytes, never on text: `str.strip`, `int` and `splitlines` know dozens of characters that the wire does not,
and every one of them has been a smuggling hole somewhere. Repetitions are possessive (`*+`, `++`): no input can make a pattern
back-track, so the work is linear in the input. (Never of a group, though: Python before 3.11.5, and Debian 12 has 3.11.2, gets
that wrong, its gh-106052.)

Why patterns and not a tokeniser library: the policy has to look at every byte in any case, and here it stands on one page, with
nobody else's leniency in front of it. Tokenising alone, without any of the policy, takes httptools 1.7 us for a small head and
4.0 us for a browser's; all of it takes 4.6 and 9.5 us here (2026-11-23). A client that repeats its head pays neither (LastFields).
"""

from __future__ import annotations

import re
from itertools import groupby

END = b"\r\n\r\n"
"""Of a head: its last line's end, and the empty line (RFC 9112 2.1)."""

# RFC 9110 5.6.2: token. Method and field names are tokens; a space or a control byte inside one is how "Transfer-Encoding :"
# and its kind get past one parser and not the other.
TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"

# RFC 9110 5.5: field-value, with obs-text (0x80-0xFF) passed through as opaque. No NUL, no bare CR or LF, no other control byte but
# HTAB. A line that starts with white space (obs-fold, RFC 9112 5.2) is no field line in this grammar, so it is refused.
FIELD_BYTES = rb"\t -~\x80-\xff"

_ALLOWED = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F), *range(0x80, 0x100)])
_NO_FIELD = re.compile(rb"\r(?!\n[" + TCHAR + rb"]++:)")
_NOT_PLAIN = re.compile(rb"\r(?!\n[0-9A-Za-z-]++:)")


def count_fields(block: bytes) -> int:
    """How many field lines `block` has, each starting with its CRLF (RFC 9112 2.1, 5); -1 when anything in it breaks the grammar.

    The same as matching (CRLF token ":" *FIELD_BYTES)* to the end, said as four sweeps, because a repeated group costs Python's
    `re` five times as much: only allowed bytes; LF, a name and a colon behind each CR; as many LFs as CRs, so that none is
    alone. (Counting CRLFs costs four times what counting bytes does.)
    """
    lines = block.count(b"\n")
    if block.count(b"\r") != lines or block.translate(None, _ALLOWED):
        return -1
    return lines if _NO_FIELD.search(block) is None else -1


def count_plain_fields(block: bytes) -> int:
    """The same for names of letters, digits and hyphens, which nearly all are; -1 when there are others, right or wrong."""
    lines = block.count(b"\n")
    if block.count(b"\r") != lines or block.translate(None, _ALLOWED):
        return -1
    return lines if _NOT_PLAIN.search(block) is None else -1


ODDLY_NAMED = (b"", b"")
"""Among a request's special fields (h1/request.py): there is a name that is not plain. CGI-like backends make "_" of whatever is no
letter and no digit (lighttpd of everything, PHP of "."), and read it as another one."""


def with_twins(lines: re.Pattern[bytes]) -> bytes:
    """A line_finder's pattern, for whatever such backends take for these names as well."""
    return lines.pattern.replace(rb"\-", rb"[^0-9a-z:\r]")


HOP_BY_HOP = (
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"http2-settings",
)
"""RFC 9110 7.6.1, and those that RFC 2616 13.5.1 listed: for the next hop only. What is looked for is what is dropped."""

SAID_OF_PLACES = (
    # another host, path or method than the request's (Symfony, IIS: CVE-2018-14773; ASP.NET, Spring, Envoy, Azure, Traefik), or
    # where an application is mounted (WSGI)
    b"forwarded-host",
    b"x-envoy-original-*",
    b"x-host",
    b"x-host-override",
    b"x-http-host-override",
    b"x-ms-original-url",
    b"x-original-host",
    b"x-original-method",
    b"x-original-path",
    b"x-original-prefix",
    b"x-original-uri",
    b"x-original-url",
    b"x-replaced-path",
    b"x-rewrite-url",
    b"x-script-name",
    b"x-waws-unencoded-url",
    # another scheme (Exchange, IIS, ASP.NET, Tornado, Cloudflare, Amazon)
    b"cf-visitor",
    b"cloudfront-forwarded-proto",
    b"forwarded-proto",
    b"front-end-https",
    b"x-arr-ssl",
    b"x-original-proto",
    b"x-original-scheme",
    b"x-proto",
    b"x-scheme",
    b"x-url-scheme",
    # how files are sent (Rack: CVE-2025-61780)
    b"x-accel-mapping",
    b"x-sendfile-type",
)
"""What proxies tell backends of where a request goes, beside X-Forwarded-* and Forwarded: another place is another answer."""

SAID_BY_PROXIES = (
    # a client's certificate: RFC 9440, and the names that nginx, HAProxy, Traefik, Amazon, Azure and Cloudflare use
    b"cf-client-cert-*",
    b"client-cert",
    b"client-cert-chain",
    b"ssl-client-*",
    b"tls-client-*",
    b"x-amzn-mtls-*",
    b"x-arr-clientcert",
    b"x-client-cert*",
    b"x-client-dn",
    b"x-client-verif*",
    b"x-mtls-*",
    b"x-ssl-*",
    b"x-tls-*",
    # a client's address, as X-Real-IP
    b"cf-connecting-ip*",
    b"client-ip",
    b"fastly-client-ip",
    b"forwarded-for",
    b"true-client-ip",
    b"x-azure-clientip",
    b"x-azure-socketip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-envoy-external-address",
    b"x-forwarded",
    b"x-original-for",
    b"x-original-forwarded-*",
    b"x-originating-ip",
    b"x-remote-addr",
    b"x-remote-ip",
    *SAID_OF_PLACES,
)
"""Beside X-Forwarded-* and its kind: what proxies tell backends, who believe it. From whoever is no trusted proxy it is forged, and
a shared cache would give what it makes of an answer to others."""

TOKEN = re.compile(rb"[" + TCHAR + rb"]++\Z")

CONTENT_LENGTH = re.compile(rb"[0-9]{1,15}\Z")
"""RFC 9110 8.6: 1*DIGIT; fifteen digits are a petabyte. A sign, a list ("5, 5"), white space or hex are refused: parsers differ."""

# RFC 9110 7.2 and RFC 3986 3.2.2: uri-host [":" port]. Only what names a host on the wire: no percent-encoding, no userinfo, no
# sub-delims, no empty labels, so that the host that is routed on is the host that a backend reads, and so that it can be quoted in
# a Forwarded field and a Location as it is. Whether brackets hold an address is not for a pattern to say.
_LABEL = rb"[0-9A-Za-z_-]{1,63}+"
_NAME = rb"(?!-)(?=[^:\[]{1,253}+\.?(?::|\Z))" + _LABEL + rb"(?:\." + _LABEL + rb")*\.?"
HOST = re.compile(rb"(" + _NAME + rb"|\[[0-9A-Fa-f:.]{2,45}+\])(?::([0-9]{1,5}+)?)?\Z")

DEEPEST = 24
"""Levels of a pattern for names. Real lists have three or four; compiling nests some calls a level, of a thousand at most."""

_BARE_LF = re.compile(rb"\n(?<!\r\n)")
BARE_CR = re.compile(rb"\r(?!\n|\Z)")


def has_bare_lf(data: bytes, at: int = 0) -> bool:
    """Whether an LF stands there, from `at` on, without a CR in front of it.

    RFC 9112 2.2 lets a recipient take a lone LF for a line end; we do not, since a recipient behind us might not. The pattern
    begins with the LF, so that what is between two of them is passed over by memchr: one that looks back first tries at each byte.
    """
    if at and data[at - 1] == 0x0D:
        at -= 1  # it belongs to what may follow: heads come in pieces
    return _BARE_LF.search(data, at) is not None


def scanner(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """For findall on *lower-cased* field lines: (name, value) of each field among `names`.

    A name that ends in "*" stands for all that begin so. Values may end in white space: cutting it here would need a lazy match,
    which costs more than the rest of the scan.
    """
    return re.compile(rb"\r\n(" + _alternatives(names) + rb"):[ \t]*+([^\r]*+)")


def line_finder(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """For finditer on *lower-cased* field lines: the whole lines, CRLF in front included, of the fields among `names`."""
    return re.compile(rb"\r\n(?:" + _alternatives(names) + rb"):[^\r]*+")


def _alternatives(names: tuple[bytes, ...]) -> bytes:
    return _tree(sorted(set(names)), DEEPEST)


def _tree(names: list[bytes], depth: int) -> bytes:
    """A pattern for any of these sorted, different names that says what they have in common once: each line of a head is tried
    against all alternatives, and of a list of fifty that would cost a third of the parse. Below `depth` they stand side by side:
    hundreds of names each of which begins the next would nest deeper than a pattern can."""
    if depth == 0:
        return b"|".join(_tree([name], 1) for name in names)
    if len(names) == 1:
        [name] = names
        return re.escape(name[:-1]) + rb"[^:\r]*+" if name[-1:] == b"*" else re.escape(name)
    first, last = names[0], names[-1]
    common = 0
    while first[common : common + 1] == last[common : common + 1] not in (b"", b"*"):
        common += 1
    if common:
        return re.escape(first[:common]) + b"(?:" + _tree([name[common:] for name in names], depth - 1) + b")"
    branches = [_tree(list(group), depth) for _, group in groupby(names, lambda name: name[:1])]
    return b"|".join(branches)
