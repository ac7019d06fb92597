"""How windows grow and how much is held, on plain numbers."""

from __future__ import annotations

from itertools import pairwise

from lbproxy.http.h2.windows import (
    BEHIND,
    CONNECTION,
    CROWDED,
    FIRST,
    FIRST_OF_CLIENTS,
    LEAST,
    OTHERS,
    STEP,
    STREAM,
    Windows,
    may_write,
    share,
)


def test_who_waits_for_more_gets_more_up_to_a_bound() -> None:
    """By doubling, and the connection with it."""
    windows = Windows()
    seen = [windows.waited(1, -1, 65_536) for _ in range(4)]
    assert [stream for stream, _ in seen] == [2 * FIRST + 2, STREAM, 0, 0]
    assert [whole for _, whole in seen] == [FIRST + 2 * (2 * FIRST + 2), FIRST + 2 * STREAM, 0, 0]


def test_all_streams_together_stay_within_the_connections_bound() -> None:
    """However many are read at once."""
    windows = Windows()
    largest = 0
    for stream in range(1, 201, 2):
        for _ in range(4):
            largest = max(largest, windows.waited(stream, -1, 65_536)[1])
    assert largest == CONNECTION


def test_what_fits_needs_no_more() -> None:
    """A body whose rest is known to fit has its window already."""
    assert Windows().waited(1, 10_000, 65_536) == (0, 0)
    assert Windows().waited(1, 100_000, 65_536)[0] > FIRST


def test_the_connection_is_opened_for_all_that_are_read() -> None:
    """Also for those whose own windows are wide enough: else each of them has it opened for every 32 KiB."""
    windows = Windows(FIRST_OF_CLIENTS)
    assert windows.waited(1, 40_000, 60_000) == (0, FIRST + 2 * FIRST_OF_CLIENTS)
    assert windows.waited(1, 38_000, 2000) == (0, 0)
    assert windows.waited(3, 40_000, 60_000) == (0, FIRST + 4 * FIRST_OF_CLIENTS)
    assert windows.ended(1) == 0
    assert windows.waited(5, 40_000, 60_000) == (0, 0)
    assert windows.ended(3) == windows.ended(5) == 0
    assert windows.idle() == FIRST


def test_who_sends_little_at_a_time_needs_no_more() -> None:
    """As in a WebSocket: what it waits for is somebody who types."""
    windows = Windows()
    assert windows.waited(1, -1, 100) == (0, 0)
    assert windows.waited(1, -1, FIRST // 16) != (0, 0)


def test_an_idle_connection_promises_little_again() -> None:
    """When the last stream that needed more has ended, and nothing is under way, or what ends is of another kind."""
    windows = Windows()
    assert windows.idle() == 0
    windows.waited(1, -1, 65_536)
    windows.waited(3, -1, 65_536)
    assert windows.idle() == windows.ended(1) == windows.idle() == windows.ended(3) == 0
    assert windows.idle() == FIRST
    assert windows.idle() == windows.ended(3) == 0
    assert windows.waited(5, -1, 65_536)[1] > FIRST
    assert windows.ended(5) == 0
    assert [windows.ended(stream) for stream in range(7, 7 + 2 * OTHERS, 2)] == [0] * (OTHERS - 1) + [FIRST]


def test_a_series_of_uploads_has_its_window_once() -> None:
    """Also when all of them have ended before the next begin."""
    windows = Windows(FIRST_OF_CLIENTS)
    assert windows.waited(1, 40_000, 60_000)[1] > FIRST
    for stream in range(1, 201, 2):
        assert windows.ended(stream) == 0
        assert windows.waited(stream + 2, 40_000, 60_000) == (0, 0)


def test_what_may_be_put_before_a_peer_that_takes_nothing() -> None:
    """A piece, and another while less than that waits; nobody when all together hold enough."""
    assert may_write(0, 0)
    assert may_write(STEP - 1, STEP)
    assert not may_write(STEP, STEP)
    assert not may_write(0, CONNECTION)
    assert STEP + STEP <= STREAM


def test_the_less_urgent_a_stream_is_the_sooner_there_is_no_room_for_it() -> None:
    """And always some for those that are more so; below CROWDED for all."""
    full = [next(held for held in range(0, CONNECTION, 4096) if not may_write(0, held, urgency)) for urgency in range(8)]
    assert full == sorted(full, reverse=True)
    assert all(more - less == BEHIND for more, less in pairwise(full))
    assert full[-1] == CROWDED


def test_what_is_read_next_never_takes_all_that_is_left() -> None:
    """Whoever is asked behind others gets less, and at last the least that is of use; all together stay within the bound."""
    spoken_for, sizes = 0, []
    for _ in range(128):
        sizes.append(share(STEP, spoken_for, 3))
        spoken_for += sizes[-1] - LEAST
    assert sizes[0] == STEP
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == LEAST
    assert sum(sizes) <= CONNECTION - STEP + 128 * LEAST
    assert share(100, 0, 0) == LEAST
    assert share(STEP, 2 * CONNECTION, 0) == LEAST
