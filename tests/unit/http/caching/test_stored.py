"""What is kept beside a body comes back as it was, and anything else is nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.lifetime import Lifetime
from lbproxy.http.caching.stored import Fork, StoredAnswer, read
from lbproxy.http.caching.storing import StorableAnswer
from lbproxy.http.caching.variants import KEY_BYTES, MOST_VARIANTS

_FLOATS = st.floats(allow_nan=False)


@given(st.tuples(_FLOATS, _FLOATS, _FLOATS, _FLOATS), st.booleans(), st.booleans(), st.binary(max_size=50))
def test_an_answer(times: tuple[float, float, float, float], anybody: bool, immutable: bool, head: bytes) -> None:
    """Numbers and bytes."""
    stored = StoredAnswer(StorableAnswer(Lifetime(*times), (), anybody, immutable), head)
    assert read(stored.written()) == stored


def _key(number: int) -> bytes:
    return b"%0*d" % (KEY_BYTES, number)


def test_a_fork() -> None:
    """The newest variants stay, by whatever number of values they are asked for."""
    fork = Fork((b"a",), (), b"12345678")
    gone: list[bytes] = []
    for number in range(10_000):
        fork, left = fork.with_variant(_key(number))
        gone += left
        assert len(fork.variants) <= MOST_VARIANTS
    assert read(fork.written()) == fork
    assert fork.variants == tuple(_key(number) for number in range(10_000 - MOST_VARIANTS, 10_000))
    assert len(gone) == 10_000 - MOST_VARIANTS
    again, left = fork.with_variant(fork.variants[0])
    assert (again.variants[-1], left) == (fork.variants[0], ())


def test_other_names() -> None:
    """Who depends on less is one of those that are told apart by more."""
    fork = Fork((b"a", b"b"), (), b"12345678")
    assert fork.tells_apart((b"a",))
    assert fork.tells_apart((b"a", b"b"))
    assert not fork.tells_apart((b"a", b"c"))


@given(st.binary(max_size=300))
def test_anything(written: bytes) -> None:
    """Damage is no answer, and no traceback."""
    assert isinstance(read(written), StoredAnswer | Fork | None)


def test_damage() -> None:
    """Too short, and of no kind."""
    assert read(b"") is None
    assert read(b"A123") is None
    assert read(b"Fabc\na") is None
    assert read(b"X" * 100) is None
