"""Python's collector of cycles, off while very much is made that stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_off() -> Iterator[None]:
    """As it was before, at the end. With ten thousand certificates it goes over all of them again and again, and finds nothing: a
    third of what remarks about them cost."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
