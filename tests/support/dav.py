"""WsgiDAV on cheroot, without users: `python -m tests.support.dav PORT FOLDER`."""

from __future__ import annotations

import sys

from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp

if __name__ == "__main__":
    application = WsgiDAVApp(
        {"provider_mapping": {"/": sys.argv[2]}, "simple_dc": {"user_mapping": {"*": True}}, "logging": {"enable": False}}
    )
    Server(("127.0.0.1", int(sys.argv[1])), application).start()
