"""Header rules of the configuration, as they are applied to a head: theirs comes off, ours goes on.

The rules of a pool come first and those of the route after them, as if one proxy stood behind the other; inside one table what came
is removed before anything is put on. All that is folded into one step here: which lines come off a message as it came, and which
lines go on. Framing and connection fields stand in no rule (config/headers.py refuses them): what a message means stays.

Rules for requests work on the head as lbproxy would send it, so they have the last word on X-Forwarded-For and its kind. Rules for
responses work on what the backend said; what lbproxy adds to it for its own reasons (the cookie of a sticky pool) stays, but for
Via, which `remove` takes off as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lbproxy.config.model import TELLTALES, HeaderRulesConfig
from lbproxy.http.forwarding import cut, without
from lbproxy.http.grammar import END, line_finder, with_twins
from lbproxy.http.message import ResponseHead
from lbproxy.http.prefix import Prefix
from lbproxy.http.trailers import Trailers
from lbproxy.http.variables import CHANGING, RequestFacts, Template, template


class Folded(NamedTuple):
    """The rules of several tables as one step."""

    drops: tuple[str, ...]
    """Names in lower case that come off; "x-internal-*" is all that begin so."""
    lines: tuple[tuple[str, str], ...]
    """(name, value) that go on, in order."""
    swaps: tuple[tuple[str, str, str], ...] = ()
    """(name, old, new): values of what came that begin with `old` begin with `new` then."""


def fold(tables: Iterable[HeaderRulesConfig]) -> Folded:
    """One table after another: a later one also takes away what an earlier one has put on."""
    drops: dict[str, None] = {}
    lines: list[tuple[str, str]] = []
    swaps: list[tuple[str, str, str]] = []
    for rules in tables:
        lines = [(name, _swapped(name, value, rules.replace)) for name, value in lines]
        swaps += rules.replace
        gone = dict.fromkeys([name.lower() for name in rules.remove] + [name.lower() for name, _ in rules.set])
        lines = [line for line in lines if not covered(line[0], gone)]
        lines += [*rules.set, *rules.add]
        drops |= gone
    return Folded(tuple(drops), tuple(lines), tuple(swaps))


def _swapped(name: str, value: str, swaps: Iterable[tuple[str, str, str]]) -> str:
    """A value that an earlier table has put on."""
    for swapped, old, new in swaps:
        if swapped.lower() == name.lower() and value.startswith(old):
            return new + value[len(old) :]
    return value


def covered(name: str, drops: Iterable[str]) -> bool:
    """Whether a field of that name comes off."""
    name = name.lower()
    return any(name == drop or (drop.endswith("*") and name.startswith(drop[:-1])) for drop in drops)


def unruled(trailers: Trailers, names: Iterable[str]) -> Trailers:
    """Those about which no rule says anything: what a rule removes or sets in front of a body must not come behind it, nor what a
    backend may take for that."""
    drops = [_plain(name) for name in names]
    return tuple(field for field in trailers if not covered(_plain(field[0].decode("latin-1")), drops))


def _plain(name: str) -> str:
    return name.replace("_", "-").replace(".", "-")


def telltales(tables: Sequence[HeaderRulesConfig]) -> tuple[str, ...]:
    """What is removed from responses though no rule says so: lower-case names, without those that one of the tables keeps."""
    kept = {name for rules in tables for name in rules.keep}
    return tuple(name.lower() for name in TELLTALES if name not in kept)


class _Line(NamedTuple):
    name: bytes
    value: Template

    def render(self, facts: RequestFacts) -> bytes:
        """A field line with its CRLF in front, or b"" when there is nothing to say."""
        value = self.value.render(facts)
        return b"\r\n%b: %b" % (self.name, value) if value else b""


def _lines(pairs: Iterable[tuple[str, str]]) -> list[_Line]:
    return [_Line(name.encode("ascii"), template(value)) for name, value in pairs]


def _finder(names: Iterable[str]) -> re.Pattern[bytes] | None:
    wanted = tuple(name.encode("ascii") for name in names)
    return re.compile(with_twins(line_finder(wanted))) if wanted else None


class _Swap:
    """What replaces the beginning of one field's values; the first that fits counts."""

    __slots__ = ("_pattern", "_values")

    def __init__(self, name: str, pairs: Sequence[tuple[str, str]]) -> None:
        fronts = b"|".join(b"(" + re.escape(old.encode("ascii")) + b")" for old, _ in pairs)
        self._pattern = re.compile(rb"(\r\n(?i:" + re.escape(name.encode("ascii")) + rb"):[ \t]*+)(?:" + fronts + rb")")
        self._values = [template(new) for _, new in pairs]

    def apply(self, block: bytes, facts: RequestFacts | None) -> bytes:
        """`facts`: None where the values have no variables."""

        def put(found: re.Match[bytes]) -> bytes:
            value = self._values[(found.lastindex or 2) - 2]
            return found[1] + (value.texts[0] if facts is None else value.render(facts))

        return self._pattern.sub(put, block)


def _swaps(swaps: Iterable[tuple[str, str, str]]) -> list[_Swap]:
    by_name: dict[str, list[tuple[str, str]]] = {}
    for name, old, new in swaps:
        by_name.setdefault(name.lower(), []).append((old, new))
    return [_Swap(name, pairs) for name, pairs in by_name.items()]


class RequestEdits:
    """What a place does to requests."""

    __slots__ = ("_drops", "_first", "_lines", "_swaps", "says_host", "steady")

    def __init__(self, folded: Folded) -> None:
        self._drops = _finder(folded.drops)
        self._first = _lines(pair for pair in folded.lines if pair[0].lower() == "host")  # RFC 9110 7.2: it should come first
        self._lines = _lines(pair for pair in folded.lines if pair[0].lower() != "host")
        self.says_host = bool(self._first)
        self._swaps = _swaps(folded.swaps)
        values = [*(line.value for line in self._lines), *(template(new) for _, _, new in folded.swaps)]
        self.steady = not any(CHANGING & set(value.names) for value in values)
        """The same head of the same connection becomes the same again."""

    def apply(self, sent: bytes, facts: RequestFacts) -> bytes:
        """`sent`: a whole head for the backend, from the request line to the empty line."""
        end = sent.find(b"\r\n")
        block = sent[end:-4]
        if self._drops is not None:
            block = cut(block, block.lower(), self._drops)
        for swap in self._swaps:
            block = swap.apply(block, facts)
        first = [line.render(facts) for line in self._first]
        return b"".join([sent[:end], *first, block, *[line.render(facts) for line in self._lines], END])


class PrefixedEdits:
    """What a destination does to requests whose paths change, too: rules see the path that the backend gets."""

    __slots__ = ("_edits", "_prefix", "_says_prefix", "says_host", "steady")

    def __init__(self, prefix: Prefix, edits: RequestEdits | None, says_prefix: bool) -> None:
        """`says_prefix`: the backend is told what was taken off; no rule says something else about that field."""
        self._prefix = prefix
        self._edits = edits
        self._says_prefix = says_prefix
        self.says_host = edits is not None and edits.says_host
        self.steady = edits is None or edits.steady

    def apply(self, sent: bytes, facts: RequestFacts) -> bytes:
        """See RequestEdits."""
        sent = self._prefix.request(sent, self._says_prefix)
        return sent if self._edits is None else self._edits.apply(sent, facts)


class ResponseEdits:
    """What a place does to responses, as far as it is the same for all of them; `VaryingLines` is the rest.

    `defaults`, (name, value)s, go onto responses that have no such field yet.
    """

    __slots__ = ("_dated", "_defaults", "_drops", "_lines", "_swaps", "via")

    def __init__(
        self,
        drops: Iterable[str],
        lines: Iterable[tuple[str, str]],
        defaults: Iterable[tuple[str, str]] = (),
        swaps: Iterable[tuple[str, str, str]] = (),
    ) -> None:
        """`lines`, `swaps`: without variables."""
        drops = tuple(drops)
        self._drops = _finder(drops)
        self._swaps = _swaps(swaps)
        self._dated = covered("date", drops)
        """Whether there is a Date, and which, is the rules' to say."""
        self.via = not covered("via", drops)
        """Ours is put on."""
        self._lines = b"".join(line_of(*pair) for pair in lines)
        self._defaults = [(b"\r\n%b:" % name.lower().encode(), line_of(name, value)) for name, value in defaults]

    def apply(self, head: ResponseHead) -> ResponseHead:
        """The head as if the backend had said it so. Interim responses only lose what comes off: they are not the answer yet."""
        block = head.block
        if self._drops is not None:
            block = cut(block, head.lowered, self._drops)
        for swap in self._swaps:
            block = swap.apply(block, None)
        nominated = head.nominated
        if head.status >= 200 and (self._lines or self._defaults):
            if nominated:  # theirs comes off first: their Connection cannot name ours
                block, nominated = without(block, nominated), ()
            block += self._lines
            lowered = block.lower()
            for mark, line in self._defaults:
                if lowered.find(mark) < 0:
                    block += line
        undated = head.undated and not self._dated
        if block is head.block and undated is head.undated:
            return head
        return head.edited(block, nominated, undated)


class VaryingLines:
    """Lines for responses whose values have variables in them."""

    __slots__ = ("_lines",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._lines = _lines(pairs)

    def __len__(self) -> int:
        return len(self._lines)

    def render(self, facts: RequestFacts) -> bytes:
        """Each with its CRLF in front."""
        return b"".join([line.render(facts) for line in self._lines])


def line_of(name: str, value: str) -> bytes:
    """A field line that is always the same, with its CRLF in front."""
    return f"\r\n{name}: {value}".encode("ascii")


def varies(value: str) -> bool:
    """It has variables in it."""
    return bool(template(value).names)
