"""HAProxy and nginx as balancers of connections, in front of lbproxy or behind it, which speak the PROXY protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.backends import Server
from tests.support.ports import free_port
from tests.support.tools import need

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def haproxy(directory: Path, sections: str, port: int) -> Server:
    """HAProxy with these sections of its configuration, one of which listens on `port` of 127.0.0.1."""
    config = directory / f"haproxy-{port}.cfg"
    times = "timeout connect 5s\n  timeout client 30s\n  timeout server 30s"
    config.write_text(f"global\n  log stdout format raw local0\ndefaults\n  log global\n  {times}\n{sections}\n")
    return Server([need("haproxy"), "-db", "-f", str(config)], port, directory)


def haproxy_in_front(directory: Path, to: int, sends: str) -> Server:
    """One that passes connections on to that port, with a header: send-proxy, send-proxy-v2, ..."""
    port = free_port()
    sections = f"listen front\n  mode tcp\n  bind 127.0.0.1:{port}\n  server lb 127.0.0.1:{to} {sends}\n"
    return haproxy(directory, sections, port)


def nginx_in_front(directory: Path, to: int) -> Server:
    """nginx's stream module, which writes version 1."""
    program, port = need("nginx"), free_port()
    if not STREAM_MODULE.exists():
        pytest.skip("nginx's stream module is not installed (libnginx-mod-stream)")
    config = directory / f"nginx-{port}.conf"
    config.write_text(
        f"""
        load_module {STREAM_MODULE};
        daemon off; worker_processes 1; pid {directory}/front.pid; error_log {directory}/front-error.log;
        events {{ worker_connections 1024; }}
        stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{to}; proxy_protocol on; }} }}
        """
    )
    return Server([program, "-c", str(config), "-e", f"{directory}/front-error.log"], port, directory)
