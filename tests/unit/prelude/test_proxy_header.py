"""PROXY headers of both versions: the corpus whole, at every split, and with bytes behind; anything at all."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.prelude.announce import Ends, header
from lbproxy.prelude.bad import BadHeader
from lbproxy.prelude.proxy_header import LONGEST_LINE, MOST, NOBODY, SIGNATURE, ProxyHeader, parse
from tests.corpus.proxy_header import Case, cases

ACCEPTED, REFUSED = cases("accept"), cases("reject")
BEHIND = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def told(header: ProxyHeader) -> str:
    """As the first line of a file has it."""
    words = []
    if header.source:
        words.append(f"source={header.source}:{header.source_port}")
        words.append(f"destination={header.destination}:{header.destination_port}")
    else:
        words.append("nobody")
    words += [f"authority={header.authority}"] if header.authority else []
    words += [f"alpn={header.alpn.decode()}"] if header.alpn else []
    words += [f"unique_id={header.unique_id.decode()}"] if header.unique_id else []
    words += [f"tls={header.tls.version}/{header.tls.cipher}"] if header.tls is not None else []
    return " ".join(words)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_accepted(case: Case) -> None:
    """Whole, it is what the file says, and of what stands behind it nothing is taken; cut anywhere, more is wanted."""
    for behind in (b"", BEHIND, SIGNATURE, b"PROXY "):
        found = parse(case.data + behind)
        assert found is not None
        assert (told(found[0]), found[1]) == (case.verdict, len(case.data))
    for size in range(len(case.data)):
        assert parse(case.data[:size]) is None


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Case) -> None:
    """Whole it is refused by that name; cut anywhere it is refused or more is wanted, and never anything taken from it."""
    with pytest.raises(BadHeader, match=f"^{case.verdict}$"):
        parse(case.data + BEHIND)
    refused = False
    for size in range(len(case.data) + 1):
        try:
            assert parse(case.data[:size]) is None
        except BadHeader:
            refused = True
        else:
            assert not refused, "what was refused is not wanted any more"


def test_the_corpus_is_there() -> None:
    assert len(ACCEPTED) >= 25
    assert len(REFUSED) >= 60


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\x00"]))
def test_anything(data: bytes, front: bytes) -> None:
    """No bytes at all make it more than refuse, and it never takes more than there is, nor waits for more than there may be."""
    data = front + data
    try:
        found = parse(data)
    except BadHeader:
        return
    if found is not None:
        assert 0 < found[1] <= len(data)
    elif data.startswith(b"PROXY"):
        assert len(data) < LONGEST_LINE
    else:
        assert len(data) < MOST


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(0, 65535)


@given(st.builds(Ends, addresses, ports, addresses, ports), st.sampled_from(["v1", "v2"]))
def test_what_we_write_is_what_we_read(ends: Ends, version: str) -> None:
    """In both versions, whatever families the two ends are of."""
    written = header(version, ends, b"db.example", b"h2", b"id-1")
    found = parse(written + BEHIND)
    assert found is not None
    said, size = found
    assert size == len(written)
    plain = [getattr(ip_address(address), "ipv4_mapped", None) or ip_address(address) for address in (ends[0], ends[2])]
    assert (said.source, said.source_port) == (str(plain[0]), ends.source_port)
    assert (said.destination, said.destination_port) == (str(plain[1]), ends.destination_port)
    if version == "v2":
        assert (said.authority, said.alpn, said.unique_id) == ("db.example", b"h2", b"id-1")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nobody_is_named_for_a_unix_socket(version: str) -> None:
    found = parse(header(version, Ends("", 0, "", 0)))
    assert found is not None
    assert found[0] == NOBODY
