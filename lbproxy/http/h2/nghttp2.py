"""The choice of what stands between the engine and libnghttp2: as plain Python, the objects of the package ngh2.

nghttp2.pyx is the same library, the very file that ngh2 has loaded, called without these objects, and takes this file's place where
it was compiled: frames became events, events became calls, and two thirds of what a small request cost here was theirs.
"""

from __future__ import annotations

from lbproxy.http.h2.bounds import Bounds
from lbproxy.http.h2.session import Session

NATIVE = False
"""This is nghttp2.pyx, and found everything where it expects it."""


def make_session(server: bool, bounds: Bounds, tunnels: bool) -> Session:
    """See Session."""
    return Session(server, bounds, tunnels)
