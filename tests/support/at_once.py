"""Many requests at once over one connection of HTTP/2, by httpx.

By its asynchronous client: the other one, shared by threads, lets two of them compress fields at the same time, and the server then
ends the connection with COMPRESSION_ERROR, or waits for what was never sent.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import PATIENCE


def get_at_once(authority: Path, base: str, paths: Sequence[str], *, http1: bool = False) -> list[Any]:
    """Their answers, in the order of `paths`; `http1`: over HTTP/1.1 instead, on as many connections as that takes."""
    httpx = pytest.importorskip("httpx")

    async def ask() -> list[Any]:
        context = ssl.create_default_context(cafile=str(authority))
        async with httpx.AsyncClient(
            http1=http1, http2=not http1, base_url=base, verify=context, timeout=PATIENCE, trust_env=False
        ) as client:
            return await asyncio.gather(*map(client.get, paths))

    return asyncio.run(ask())
