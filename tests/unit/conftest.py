"""What one unit test sets for its whole process is gone before the next, in whichever order they come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def unconfigured_log() -> Iterator[None]:
    """A log that a test configured goes to the real stderr, past the capture of whoever comes next and looks at what it told."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
