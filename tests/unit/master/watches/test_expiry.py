"""When the end of a certificate is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from lbproxy.config.model import CertificateConfig
from lbproxy.master.watches.expiry import Expiry
from lbproxy.tls.contexts import HeldPair, Pem
from lbproxy.tls.keystore import KeyStore, Piece
from lbproxy.tls.sni import UNKNOWN, Candidate, Names
from tests.unit.tls.files import NOW

DAY = timedelta(days=1)


def held(life: timedelta, name: str = "a") -> HeldPair:
    pem = Pem(CertificateConfig(Path(name), Path(name)), KeyStore(), Piece(0, 0), Piece(0, 0))
    return HeldPair(pem, Candidate(Names((name,)), NOW, NOW + life))


def told(one: HeldPair, days: int) -> list[tuple[int, int]]:
    """(day, what is told) when it is looked at twice a day."""
    expiry = Expiry()
    return [(half // 2, each.days) for half in range(2 * days) for each in expiry.due([one], NOW + half * DAY / 2)]


def test_each_threshold_is_told_once() -> None:
    """When it is reached, and once more when it has ended."""
    assert told(held(90 * DAY), 92) == [(60, 30), (76, 14), (83, 7), (87, 3), (89, 1), (90, 0)]


def test_what_is_short_lived_is_told_in_the_second_half_of_its_life() -> None:
    assert told(held(6 * DAY), 8) == [(3, 3), (5, 1), (6, 0)]


def test_a_renewed_one_is_told_of_anew_and_one_that_is_gone_is_forgotten() -> None:
    expiry, old, new = Expiry(), held(60 * DAY), held(70 * DAY)
    assert [each.days for each in expiry.due([old], NOW + 31 * DAY)] == [30]
    assert expiry.due([old], NOW + 31 * DAY) == []
    assert expiry.due([new], NOW + 31 * DAY) == []
    assert [each.days for each in expiry.due([new], NOW + 41 * DAY)] == [30]
    assert expiry.due([], NOW) == []
    assert expiry._told == {}
    assert expiry.due([HeldPair(new.pem, UNKNOWN)], NOW) == []
