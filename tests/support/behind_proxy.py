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
    """The URL that links would be made of, and who asked, with which cookies; /login leads to /home, said in the `way` that is
    asked for, and gives a cookie for all of the application."""
    request = Request(environ)
    if request.path.endswith("/login"):
        root = request.path.removesuffix("/login")
        home = {
            "path": f"{root}/home",
            "url": f"{request.host_url.rstrip('/')}{root}/home",
            "relative": "home",
            "backend": f"http://127.0.0.1:{sys.argv[1]}{root}/home",
        }[request.args["way"]]
        response = Response("", 302, {"Location": home})
        response.autocorrect_location_header = False
        response.set_cookie("session", "1", path=root or "/")
    else:
        found: dict[str, Any] = {"url": request.url, "client": request.remote_addr}
        if request.path.endswith("/home"):
            found["cookies"] = dict(request.cookies)
        response = Response(json.dumps(found), content_type="application/json")
    answer: Iterable[bytes] = response(environ, start_response)
    return answer


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), ProxyFix(say, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1))
