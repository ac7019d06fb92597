"""Caddy. Go's TLS prefers AES-128 where the others take AES-256, and cannot be told otherwise for TLS 1.3."""

from __future__ import annotations

from bench.macro.machine import require
from bench.macro.site import KEPT, Recipe, Site

WAIVED = {"cipher": "Go's TLS chooses AES-128 for TLS 1.3 by itself"}

_CONFIG = """\
{{
    admin off
    auto_https off
    default_sni localhost
    servers {{
        protocols h1 h2
    }}
    log {{
        output stderr
        level ERROR
    }}
}}
(duties) {{
    bind 127.0.0.1
    log {{
        output file {access} {{
            roll_disabled
        }}
        format json
    }}
    reverse_proxy {servers} {{
        lb_policy least_conn
        header_up X-Real-IP {{remote_host}}
        transport http {{
            keepalive 300s
            keepalive_idle_conns {kept}
            keepalive_idle_conns_per_host {per_host}
            compression off
            {spoken}
        }}
    }}
}}
https://:{https} {{
    tls {certificate.cert} {certificate.key} {{
        protocols tls1.2 tls1.3
    }}
    import duties
}}
http://:{http} {{
    import duties
}}
"""


def caddy(site: Site) -> Recipe:
    config = site.folder / "Caddyfile"
    verified = f"tls_trusted_ca_certs {site.backend_ca}\n            tls_server_name localhost" if site.backend_ca else ""
    config.write_text(
        _CONFIG.format(
            **site._asdict(),
            access=site.access_log,
            servers=" ".join(f"127.0.0.1:{port}" for port in site.backends),
            per_host=KEPT,
            kept=2 * max(KEPT, len(site.backends)),
            spoken="versions h2c 2" if site.backend_http2 else verified,
        )
    )
    command = [require("caddy", "a peer"), "run", "--config", str(config), "--adapter", "caddyfile"]
    env = {"GOMAXPROCS": str(site.workers), "HOME": str(site.folder), "XDG_DATA_HOME": str(site.folder)}
    return Recipe(command, env, site.folder)
