"""One normal form of a path, which is also what is forwarded."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbproxy.errors import RequestError
from lbproxy.http.target import merge_slashes, split_target
from tests.unit.http.work import growth


@pytest.mark.parametrize(
    ("target", "path", "forwarded"),
    [
        (b"/", b"/", b"/"),
        (b"/?", b"/", b"/?"),
        (b"/a?b=/../c", b"/a", b"/a?b=/../c"),
        (b"/a?b?c", b"/a", b"/a?b?c"),
        (b"/.", b"/", b"/"),
        (b"/./", b"/", b"/"),
        (b"/a/..", b"/", b"/"),
        (b"/a/.", b"/a/", b"/a/"),
        (b"/a/b/../c/./d", b"/a/c/d", b"/a/c/d"),
        (b"/a//../b", b"/a/b", b"/a/b"),
        (b"/%2E%2e%2f", b"/..%2F", None),
        (b"/a%2Fb", b"/a%2Fb", b"/a%2Fb"),
        (b"/%7e%41%2D", b"/~A-", b"/~A-"),
        (b"/%c3%a4", b"/%C3%A4", b"/%C3%A4"),
        (b"/%252e", b"/%252e", b"/%252e"),
        (b"/..a/...", b"/..a/...", b"/..a/..."),
        (b"/a;b/.c;d", b"/a;b/.c;d", b"/a;b/.c;d"),
    ],
)
def test_normal_form(target: bytes, path: bytes, forwarded: bytes | None) -> None:
    """RFC 3986 6.2.2; None: refused."""
    if forwarded is None:
        with pytest.raises(RequestError):
            split_target(target)
    else:
        assert split_target(target) == (path, forwarded)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (b"/#", "target_fragment"),
        (b"/a?b#c", "target_fragment"),
        (b"/%", "target_escape"),
        (b"/%a", "target_escape"),
        (b"/%0g", "target_escape"),
        (b"/%00", "target_escape"),
        (b"/%5c", "target_escape"),
        (b"/\\", "target_backslash"),
        (b"/..", "target_above_root"),
        (b"/a/../..", "target_above_root"),
        (b"/./..", "target_above_root"),
        (b"/%2e%2e", "target_above_root"),
        (b"/..;", "target_dots"),
        (b"/a/.;b", "target_dots"),
        (b"/a/..%3bb/", "target_dots"),
        (b"/a%2f..", "target_dots"),
        (b"/a%2F.%2Fb", "target_dots"),
        (b"/a/%2e%2e%2fb", "target_dots"),
        (b"/a/b%2f%2e%2e/c", "target_dots"),
    ],
)
def test_refused(target: bytes, reason: str) -> None:
    """What some parser behind us reads differently."""
    with pytest.raises(RequestError) as caught:
        split_target(target)
    assert (caught.value.status, caught.value.reason) == (400, reason)


PIECES = st.sampled_from(
    [
        b"/",
        b"/",
        b".",
        b"..",
        b"%2e",
        b"%2E",
        b"%2f",
        b"%2F",
        b"%25",
        b"%41",
        b"%5c",
        b"%00",
        b"%zz",
        b"%c3",
        b";",
        b"%3b",
        b"a",
        b"admin",
        b"?",
        b"#",
        b"\\",
        b"~",
    ]
)
TARGETS = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))
HEX = re.compile(rb"%([0-9A-Fa-f]{2})")


def decoded(path: bytes) -> bytes:
    """Every escape taken off once, as a careless backend does it."""
    return HEX.sub(lambda match: bytes.fromhex(match[1].decode()), path)


@given(TARGETS)
def test_normal_is_normal(target: bytes) -> None:
    """Normalising again changes nothing; the path is the target without its query; the query is the client's, byte by byte."""
    try:
        path, forwarded = split_target(target)
    except RequestError:
        return
    assert split_target(forwarded) == (path, forwarded)
    assert forwarded.partition(b"?")[0] == path
    assert forwarded.partition(b"?")[1:] == target.partition(b"?")[1:]


@given(TARGETS)
def test_nobody_climbs(target: bytes) -> None:
    """Read as it is, or decoded first, or with its parameters cut off: no dot segment, backslash or NUL anywhere."""
    try:
        path, _ = split_target(target)
    except RequestError:
        return
    assert path[:1] == b"/"
    for reading in (path, decoded(path)):
        assert b"\\" not in reading
        assert b"\x00" not in reading
        segments = [segment.partition(b";")[0] for segment in reading.split(b"/")]
        assert not {b".", b".."} & set(segments)


@given(st.lists(st.sampled_from([b"a", b"b", b".x", b"%2F"]), min_size=1, max_size=6))
def test_dots_are_taken_out(segments: list[bytes]) -> None:
    """ "x/.." and "." inserted anywhere change nothing, encoded or not."""
    plain = b"/" + b"/".join(segments)
    noisy = b"".join(b"/./x/%2e." + b"/" + segment for segment in segments)
    assert split_target(noisy) == (plain, plain)


@pytest.mark.parametrize("unit", [b"/", b"/.", b"/a/..", b"%41", b"%2f", b"/..;", b"/%2e%2e", b"a%2F.", b"?", b"."])
def test_work_is_linear(unit: bytes) -> None:
    """Sixteen times the input takes about sixteen times as long; back-tracking would take 256 times."""

    def run(target: bytes) -> None:
        try:
            split_target(b"/" + target)
        except RequestError:
            pass  # refusing has to be linear too

    assert growth(run, unit * 256, unit * 4096) < 80


@pytest.mark.parametrize(("path", "merged"), [(b"/", b"/"), (b"//", b"/"), (b"/a//b///c/", b"/a/b/c/"), (b"/a%2F/b", b"/a%2F/b")])
def test_merged_slashes(path: bytes, merged: bytes) -> None:
    """Runs of slashes become one; encoded ones are data."""
    assert merge_slashes(path) == merged


def by_the_book(path: bytes) -> bytes | None:
    """RFC 3986 6.2.2 and 5.2.4 with matches and lists; None: refused before dots are looked for in disguise."""
    for match in re.finditer(rb"%(..?)?", path, re.DOTALL):
        if HEX.fullmatch(match[0]) is None or match[0].lower() in (b"%00", b"%5c"):
            return None
    unreserved = re.compile(rb"[A-Za-z0-9._~-]")

    def plain(match: re.Match[bytes]) -> bytes:
        byte = bytes.fromhex(match[1].decode())
        return byte if unreserved.match(byte) else match[0].upper()

    kept: list[bytes] = []
    segments = HEX.sub(plain, path).split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not kept:
                return None
            kept.pop()
        elif segment != b".":
            kept.append(segment)
    return b"/" + b"/".join([*kept, b""] if segments[-1] in (b".", b"..") else kept)


@given(st.lists(PIECES.filter(lambda piece: piece not in (b"?", b"#", b"\\")), max_size=12).map(b"".join))
@example(b"%5c/..")
@example(b"a/%5C/../b")
def test_normal_form_by_the_book(pieces: bytes) -> None:
    """A byte at a time comes to the same."""
    expected = by_the_book(b"/" + pieces)
    try:
        path: bytes | None = split_target(b"/" + pieces)[0]
    except RequestError as error:
        path = expected if error.reason == "target_dots" else None
    assert path == expected


@pytest.mark.parametrize("escape", range(256))
def test_every_escape(escape: int) -> None:
    """By its digits, large and small."""
    for text in (b"/a%%%02x" % escape, b"/a%%%02X" % escape):
        expected = by_the_book(text)
        if expected is None:
            with pytest.raises(RequestError):
                split_target(text)
        else:
            assert split_target(text) == (expected, expected)
