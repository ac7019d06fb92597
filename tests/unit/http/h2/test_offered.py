"""Where the library is missing, HTTP/2 is not offered, and that is all."""

from __future__ import annotations

import subprocess
import sys


def test_without_the_library_it_is_only_not_offered() -> None:
    """Everything can be imported; why there is no HTTP/2 is told."""
    code = (
        "import sys; sys.modules['ngh2'] = None\n"
        "from lbproxy.http.h2 import engine, offered\n"
        "assert offered.MISSING.startswith('HTTP/2 is not offered: '), offered.MISSING\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
