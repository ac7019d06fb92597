"""What a pool takes in whole."""

from __future__ import annotations

import pytest

from lbproxy.config.emit import emit
from lbproxy.config.plan import lines, plan
from tests.unit.config.text import LEAST, complaint, read, without_lines


def test_by_default_bodies_are_passed_on_as_they_come() -> None:
    """And no file is needed."""
    config = read(LEAST)
    pool = config.pools[0]
    assert (pool.buffer_requests, pool.buffer_responses, pool.buffer_file) == (0, 0, 2**30)
    assert not config.buffers_on_disk


def test_every_key() -> None:
    """Each reaches its field; a reload tells of it, and what is in effect is written out."""
    text = LEAST + 'buffer_requests = "64KiB"\nbuffer_responses = "1MiB"\nbuffer_file = "2GiB"\n[proxy]\ntemp_dir = "spool"\n'
    config = read(text)
    pool = config.pools[0]
    assert (pool.buffer_requests, pool.buffer_responses, pool.buffer_file) == (65536, 2**20, 2**31)
    assert config.buffers_on_disk
    assert str(config.proxy.temp_dir) == "/base/spool"
    assert without_lines(read(emit(config))) == without_lines(config)
    assert lines(plan(read(LEAST), config)) == [
        "~ pool app: buffer_requests 0 -> 64KiB, buffer_responses 0 -> 1MiB, buffer_file 1GiB -> 2GiB",
        "~ proxy: temp_dir /var/tmp -> /base/spool",
    ]


def test_without_a_file_only_memory_is_used() -> None:
    """Then no file is opened."""
    assert not read(f'{LEAST}buffer_requests = "1MiB"\nbuffer_file = "0"').buffers_on_disk


@pytest.mark.parametrize(("keys", "key"), [
    ("buffer_requests = 65536", "buffer_requests"),
    ('buffer_responses = "1GiB"', "buffer_responses"),
    ('buffer_file = "1GiB"', "buffer_file"),
])  # fmt: skip
def test_what_cannot_be_meant(keys: str, key: str) -> None:
    """No unit, too much memory for each of thousands, a file for nothing."""
    assert complaint(f"{LEAST}{keys}").key == f"pool.app.{key}"
