"""A Werkzeug application behind ProxyFix, as Flask's documentation wants it behind one proxy: says what it takes itself for.

Run as `python -m tests.support.behind_proxy PORT`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response


def say(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The URL that links would be made of, and who asked."""
    request = Request(environ)
    text = json.dumps({"url": request.url, "client": request.remote_addr})
    answer: Iterable[bytes] = Response(text, content_type="application/json")(environ, start_response)
    return answer


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), ProxyFix(say, x_for=1, x_proto=1, x_host=1, x_port=1))
