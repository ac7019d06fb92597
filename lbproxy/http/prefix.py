"""One prefix of paths in place of another, and what answers say led back the same way.

An application that is at "/" for itself may be at "/app" for its clients: requests lose that prefix on their way to it, and what it
answers is true for itself alone. Where it names a place of its own (Location, Content-Location, Refresh, the Path of a cookie), the
prefix goes on again; where it names itself by the host that it knows (an address in a pool, a Host that a rule has set), that is
the client's host again, the Domain of a cookie as well. What it names elsewhere is left alone, and so is what already has the
client's prefix, since many frameworks read X-Forwarded-Prefix (sent where a prefix is merely taken off) and put it on themselves.
Bodies are not looked at: links in them are the application's business.

What comes out never begins with two slashes, on either side: a browser takes "//host/x" (and "/\\host/x") for another host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from lbproxy.config.model import PathRulesConfig
from lbproxy.http.grammar import END

FORWARDED_PREFIX = b"X-Forwarded-Prefix"

# With LF alone as well: a tolerant pool's heads are looked at as they come.
_LINES = re.compile(rb"(?i)(\r?\n(location|content-location|refresh|set-cookie):[ \t]*)([^\r\n]*)")
_ABSOLUTE = re.compile(rb"((?:(?i:https?):)?//)([^/?#\\]*)(.*)\Z", re.DOTALL)
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_REFRESH = re.compile(rb"([ \t]*[0-9.]+[ \t]*[;, \t][ \t]*(?:(?i:url)[ \t]*=[ \t]*)?[\"']?)([^\"']*)(.*)\Z", re.DOTALL)
_PATH = re.compile(rb"[^?#]*")
_HOST_LINE = re.compile(rb"(?i)\r\nhost:([^\r\n]*)")
_SAID = re.compile(rb"(?i)\r\nx-forwarded-prefix:[ \t]*([^\r\n]*)")
_SOUND = re.compile(rb"(?:/[!-.0-:<-~]+)+\Z")  # what a trusted proxy may have put in front: one path without empty segments
_PORTS = (b":80", b":443", b":")
_NAMED = re.compile(rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.(?!\d+\Z)[a-z0-9-]+\Z")
"""A host that may stand in a cookie's Domain: a name with a dot in it, which no address is."""


class PrefixRequest(NamedTuple):
    """What is to be known of the request that is answered."""

    authority: bytes
    """Its Host, in lower case; b"" when it had none."""
    path: bytes
    """As the backend got it."""
    host: bytes = b""
    """What the backend got as Host, if a rule made that another than `authority`."""


def host_of(sent: bytes) -> bytes:
    """What a whole request head says as Host, in lower case."""
    found = _HOST_LINE.search(sent)
    return b"" if found is None else found[1].strip(b" \t").lower()


def under(path: bytes, prefix: bytes) -> bool:
    """Whether a path is a prefix, or below it, in whole segments."""
    return not prefix or (path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/"))


class Prefix:
    """Changes the paths of one route's requests, and leads those of its answers back. Knows nothing of single requests."""

    __slots__ = ("_hosts", "_names", "back", "front")

    def __init__(self, rules: PathRulesConfig, names: Iterable[str] = ()) -> None:
        """`names`: what the backends are called in their pool: hosts with ports."""
        self.front = rules.front.encode()
        self.back = rules.back.encode()
        self._names = frozenset(_bare(name.lower().encode()) for name in names)
        self._hosts = frozenset(map(_host, self._names))

    # ---------------------------------------------------------------- requests

    def forward(self, path: bytes) -> bytes:
        """A normal path as the backend gets it; what does not begin as it should ("*") stays as it is."""
        if not path.startswith(b"/") or not under(path, self.front):
            return path
        rest = path[len(self.front) :]
        if not self.back:
            return b"/" + rest.lstrip(b"/")
        return self.back + rest

    def request(self, sent: bytes, says_prefix: bool = True) -> bytes:
        """A whole head as it goes to the backend. `says_prefix`: it may be told what was taken off."""
        begin = sent.index(b" ") + 1
        line = sent.index(b"\r\n")
        query = sent.find(b"?", begin, line)
        end = query if query >= 0 else sent.index(b" ", begin)
        out = sent[:begin] + self.forward(sent[begin:end]) + sent[end:]
        if not says_prefix or self.back or not self.front:
            return out
        outer = [value.strip(b" \t") for value in _SAID.findall(out)]
        front = outer[0] + self.front if len(outer) == 1 and _SOUND.match(outer[0]) else self.front
        return b"%b\r\n%b: %b%b" % (_SAID.sub(b"", out)[:-4], FORWARDED_PREFIX, front, END)

    # ---------------------------------------------------------------- answers

    def lead_back(self, raw: bytes, request: PrefixRequest) -> bytes:
        """A whole head as it came from the backend, well-formed or not; the same object when nothing is to be done."""
        if _LINES.search(raw) is None:
            return raw

        def line(found: re.Match[bytes]) -> bytes:
            name, value = found[2].lower(), found[3]
            if name == b"set-cookie":
                return found[1] + self._cookie(value, request)
            if name == b"refresh":
                parts = _REFRESH.match(value)
                return found[0] if parts is None else found[1] + parts[1] + self._url(parts[2], request) + parts[3]
            return found[1] + self._url(value, request)

        return _LINES.sub(line, raw)

    def _url(self, url: bytes, request: PrefixRequest) -> bytes:
        absolute = _ABSOLUTE.match(url)
        if absolute is not None:
            front, authority, rest = absolute.groups()
            authority = _bare(authority.lower())
            path = rest if rest[:1] == b"/" else b"/" + rest
            if authority == _bare(request.authority):
                led = self._path(path)
                return url if led is path else front + absolute[2] + led
            if authority in self._names or authority == _bare(request.host):
                led = self._path(path)
                return url if led is path else led
            return url
        if url[:1] == b"/":
            return self._path(url)
        if not url or url[:1] in b"?#" or _SCHEME.match(url) is not None:
            return url
        joined = resolved(request.path, url)
        led = self._path(joined)
        return url if led is joined else led

    def _path(self, path: bytes) -> bytes:
        """`path`: absolute, perhaps with a query and a fragment; the same object when it is not one that is led back."""
        found = _PATH.match(path)
        bare = path if found is None else found[0]
        if self.front and under(bare, self.front) and under(self.front, self.back):
            return path  # by somebody who knows where he is
        if not under(bare, self.back):
            return path
        led = self.front + path[len(self.back) :]
        if led[:1] != b"/":
            led = b"/" + led
        return led if led[1:2] not in (b"/", b"\\") else b"/" + led.lstrip(b"/\\")

    def _cookie(self, value: bytes, request: PrefixRequest) -> bytes:
        pair, *attributes = value.split(b";")
        fixed = pair.lstrip(b" \t").startswith(b"__Host-")  # RFC 6265bis 4.1.3.2: its Path is "/", or browsers drop it
        out = [pair]
        for attribute in attributes:
            name, equals, said = attribute.partition(b"=")
            key, said = name.strip(b" \t").lower(), said.strip(b" \t")
            if key == b"path" and said[:1] == b"/" and not fixed:
                led = self.front or b"/" if said == b"/" and not self.back else self._path(said)
                out.append(name + equals + led)
            elif key == b"domain" and self._inner(said.lower().lstrip(b"."), request):
                if _NAMED.match(_host(request.authority)):
                    out.append(name + equals + _host(request.authority))
            else:
                out.append(attribute)
        return b";".join(out)

    def _inner(self, domain: bytes, request: PrefixRequest) -> bool:
        """Whether it is the backends' own, which no browser that asked the client's host would take."""

        def within(host: bytes) -> bool:
            return host == domain or host.endswith(b"." + domain)

        if not domain or within(_host(request.authority)):
            return False
        return any(map(within, self._hosts)) or within(_host(request.host))


def resolved(base: bytes, reference: bytes) -> bytes:
    """A relative reference without scheme, host and slash in front, seen from a path (RFC 3986 5.2): an absolute one."""
    found = _PATH.match(reference)
    path = reference if found is None else found[0]
    segments: list[bytes] = base.split(b"/")[1:-1]
    *parts, last = path.split(b"/")
    for part in (*parts, last) if last in (b".", b"..") else parts:
        if part == b"..":
            del segments[-1:]
        elif part != b".":
            segments.append(part)
    segments.append(b"" if last in (b".", b"..") else last)
    joined = b"/" + b"/".join(segments)
    return (joined if joined[:2] != b"//" else b"/" + joined.lstrip(b"/")) + reference[len(path) :]


def _bare(authority: bytes) -> bytes:
    """Without a port that goes without saying, of either scheme."""
    for port in _PORTS:
        if authority.endswith(port):
            return authority[: -len(port)]
    return authority


def _host(authority: bytes) -> bytes:
    """Without a port."""
    at = authority.rfind(b":")
    return authority if at < 0 or authority.endswith(b"]") else authority[:at]
