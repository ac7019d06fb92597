"""A WSGI application that writes every order down before it answers, or does not answer any more.

POST /: a row in the file that ORDERS names. POST /hang: a row, and then nothing for a long time. GET: the process's id.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """PEP 3333."""
    answer = str(os.getpid()).encode()
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read()
        with open(os.environ["ORDERS"], "ab") as rows:
            rows.write(b"%d %b\n" % (os.getpid(), body))
        if environ["PATH_INFO"] == "/hang":
            time.sleep(60)
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
