from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa as rsa_keys

from lbproxy.tls.facts import facts_in
from lbproxy.tls.sni import (
    NO_NAMES,
    UNKNOWN,
    Arrangement,
    Candidate,
    CertificateChooser,
    Names,
    Together,
    arrange,
    preferred,
)
from tests.unit.http.work import growth
from tests.unit.tls.files import NOW, certificate, ec_key, pair


def chooser(**names: list[str]) -> tuple[CertificateChooser, dict[str, ssl.SSLContext]]:
    contexts = {label: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for label in names}
    by_number = list(contexts.values())
    arranged = arrange([made(*listed) for listed in names.values()], NOW)
    return CertificateChooser(arranged, lambda together, _: by_number[together[0]]), contexts


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("a.test", "a"),
        ("A.Test", "a"),
        ("a.test.", "a"),
        ("www.a.test", "wild"),
        ("exact.a.test", "exact"),
        ("WWW.A.TEST", "wild"),
        ("two.labels.a.test", None),
        (".a.test", None),
        ("a.test..", None),
        ("*.a.test", "wild"),
        ("test", None),
        ("", None),
        (".", None),
        ("xn--bcher-kva.test", "idna"),
        ("both.test", "a"),
    ],
)
def test_choice(asked: str, expected: str | None) -> None:
    """Exact before wildcard, one label, any case, the first configured on a tie; None is the default."""
    choose, contexts = chooser(
        a=["a.test", "both.test"], wild=["*.a.test"], exact=["exact.a.test"], idna=["xn--bcher-kva.test"], late=["both.test"]
    )
    assert choose.choose(asked) is (contexts[expected] if expected else None)


def candidate(text: bytes) -> Candidate:
    return facts_in(Path("x.crt"), text).candidate


def names(*alternative: str, common: str = "nameless") -> Names:
    return candidate(certificate(ec_key(), *alternative, common=common)).names


def test_names_of_a_certificate() -> None:
    """Alternative names, lower case, wildcards as they stand; where there are none the common name, which may be an address."""
    assert names("A.test", "*.B.test", "a.test.") == Names(("a.test", "*.b.test"))
    assert names("10.0.0.5", "0::1", "a.test") == Names(("a.test",), ("10.0.0.5", "::1"))
    assert names("a.test", common="other.test") == Names(("a.test",))
    assert names("10.0.0.5", common="other.test") == Names((), ("10.0.0.5",))
    assert names(common="*.Common.test") == Names(("*.common.test",))
    assert names(common="10.0.0.5") == Names((), ("10.0.0.5",))


@pytest.mark.parametrize("name", ["w*.a.test", "*", "*.*.test", "a..test", "a b.test"])
def test_names_that_nobody_can_ask_for(name: str) -> None:
    """Left out; so is a common name that is no host."""
    assert names(name, "b.test") == Names(("b.test",))
    assert names(common=name) == NO_NAMES


def made(*alternative: str, good: bool = True, kind: str = "EC") -> Candidate:
    end = timedelta(days=1) if good else timedelta(seconds=-1)
    return Candidate(Names(alternative), NOW - timedelta(days=1), NOW + end, kind)


@pytest.mark.parametrize(
    ("candidates", "order"),
    [
        ([made("a.test"), made("b.test"), made("a.test")], [0, 1, 2]),
        ([made("a.test"), made("b.test", good=False), made("b.test")], [0, 2, 1]),
        ([made("a.test", good=False), made("b.test")], [0, 1]),
        ([made("a.test", good=False), made("b.test"), made("a.test", "c.test")], [2, 1, 0]),
        ([made("a.test", "b.test", good=False), made("a.test"), made("b.test")], [0, 1, 2]),
        ([made("a.test", good=False), made("a.test", good=False)], [0, 1]),
        ([made(good=False), made("a.test")], [0, 1]),
    ],
)
def test_what_is_out_of_date_gives_way(candidates: list[Candidate], order: list[int]) -> None:
    """To one that is good for the same names, as default as well; where there is none it is shown all the same."""
    assert preferred(candidates, NOW) == order


def rsa(*alternative: str, good: bool = True) -> Candidate:
    return made(*alternative, good=good, kind="RSA")


@pytest.mark.parametrize(
    ("candidates", "asked", "together"),
    [
        ([made("a.test"), rsa("a.test")], "a.test", (0, 1)),
        ([rsa("a.test"), made("a.test")], None, (0, 1)),
        ([rsa("a.test"), made("a.test"), made("a.test")], "a.test", (0, 1)),
        ([rsa("a.test", "b.test"), made("a.test")], None, (0,)),
        ([rsa("a.test", "b.test"), made("a.test")], "b.test", (0,)),
        ([rsa("a.test", "b.test"), made("a.test")], "a.test", (0, 1)),
        ([made("a.test", good=False), rsa("a.test")], "a.test", (1,)),
        ([rsa("a.test"), made("a.test", good=False)], "a.test", (0,)),
        ([made("a.test", good=False), rsa("a.test", good=False)], "a.test", (0, 1)),
        ([made("a.test", good=False), rsa("b.test")], None, (0,)),
        ([UNKNOWN, made("a.test")], None, (0,)),
        ([made("*.a.test"), rsa("www.a.test")], "www.a.test", (1,)),
    ],
)
def test_kinds_of_keys_stand_together(candidates: list[Candidate], asked: str | None, together: Together) -> None:
    """One of each, where they have the name in common; what is out of date stands beside nothing that is not."""
    arranged = arrange(candidates, NOW)
    assert (arranged.default if asked is None else arranged.named(asked)) == together


def test_kinds_are_told_apart(tmp_path: Path) -> None:
    """As OpenSSL does, which has room for one of each in a context."""
    small = rsa_keys.generate_private_key(65537, 2048)
    assert candidate(certificate(ec_key(), "a.test")).kind == "EC"
    assert candidate(certificate(small, "a.test")).kind == "RSA"


def test_who_asks_for_nothing_known_is_refused_where_that_is_wanted() -> None:
    """With the alert for it; who came to an address of which there is a certificate is served without a name."""

    class Connection:
        context: object = None

    outer, inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    arranged = Arrangement((0,), {"a.test": (0,)}, {"10.0.0.5": (0,)})
    for refuse, answer in ((True, ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME), (False, None)):
        choose = CertificateChooser(arranged, lambda *_: inner, refuse=refuse)
        for name in ("b.test", None):
            connection = Connection()
            connection.context = outer
            assert choose(connection, name, outer) == answer  # type: ignore[arg-type]  # all that is asked of one
        connection.context = choose.at_address("10.0.0.5")
        assert choose(connection, None, outer) is None  # type: ignore[arg-type]
        assert choose(connection, "A.test", outer) is None  # type: ignore[arg-type]
        assert connection.context is inner


BAD_NAME = """
import ssl, sys
from collections.abc import Callable
from pathlib import Path
from lbproxy.config.model import Address, CertificateConfig, ListenConfig
from lbproxy.tls.showcase import server_context

pairs = tuple(CertificateConfig(Path(path + ".crt"), Path(path + ".key")) for path in sys.argv[1:])
server = server_context(ListenConfig(Address("127.0.0.1", 0), pairs))
up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(down, up, server_hostname="xxxx.test")
try:
    client.do_handshake()
except ssl.SSLWantReadError:
    pass
hello = up.read().replace(b"xxxx.test", bytes([255, 254]) + b"xx.test")
up.write(hello)
try:
    server.wrap_bio(up, down, server_side=True).do_handshake()
except ssl.SSLError as error:
    print(error.reason, down.read().hex())


class Other:
    def __del__(self):
        raise UnicodeDecodeError("ascii", b"x", 0, 1, "another one")


Other()
"""


def test_a_name_that_is_not_ascii_fails_that_handshake_and_prints_nothing(tmp_path: Path) -> None:
    """An alert to the client, nothing on stderr; unraisable errors of others are still reported."""
    for name in ("a.test", "b.test"):
        pair(tmp_path, name)
    done = subprocess.run(
        [sys.executable, "-c", BAD_NAME, str(tmp_path / "a.test"), str(tmp_path / "b.test")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "CALLBACK_FAILED 15030300020250\n"
    assert "another one" in done.stderr
    assert done.stderr.count("Exception ignored in") == 1


def test_a_look_up_costs_the_same_among_many() -> None:
    """Sixteen times the certificates, the same time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def choose(count: int) -> Callable[[], None]:
        arranged = arrange([made(f"{number}.test", f"*.{number}.test") for number in range(count)], NOW)
        choosing = CertificateChooser(arranged, lambda *_: context)

        def ask() -> None:
            for number in range(1000):
                assert choosing.choose(f"www.{number % count}.test") is context
                assert choosing.choose(f"www.{number}.example") is None

        return ask

    few, many = choose(500), choose(8000)
    assert growth(lambda which: (few if which == b"few" else many)(), b"few", b"many") < 4
