"""Routes with one step each, below /step: how lbproxy and nginx are told to take it, and what has to be there for that."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bench.macro.machine import installed
from lbproxy.config.model import WafConfig
from lbproxy.config.model.waf import CRS
from lbproxy.waf.rules_text import before

PREFIX = "/step/"
MODSECURITY = Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")
ICAP_MODULES = Path("/usr/lib/x86_64-linux-gnu/c_icap")
TAP = "tap.fifo"
PASSWORD = "bench:everybody"
"""Of whoever asks; as htpasswd has it, with few rounds: what is measured is a password that was checked before."""
HASHED = "bench:$2b$05$b4cNOR/lZRdBW9vzw01cquU5pAUFRyfs8JewRU5VNblXpZyLeNtt.\n"
TOKEN = (
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImJlbmNoIiwidHlwIjoiSldUIn0.eyJzdWIiOiJiZW5jaCIsImV4cCI6NDEwMjQ0NDgwMH0"
    ".md8jNE9_UpZthw6hIEQlae9V1tShtMjI0ts7JFSzOsGPBZ9gehYfvBjvFPSesvFmsQOaRyDprzAIV8aLvB7ZeA"
)
"""Of whoever asks where tokens are checked, until 2100, in a cookie; nobody has the key any more."""
KEYS = (
    '{"keys": [{"kty": "EC", "crv": "P-256", "x": "MPONNdblBsO44Xl0UGCHP0k0IyvZqsdPu-8ligPWfV4",'
    ' "y": "gfnfWibuVwhFxWxFboqcwMR4i16t3-t_pZA50hKJiW4", "kid": "bench", "use": "sig", "alg": "ES256"}]}'
)
ATTACK = "?id=1%27%20or%20%271%27%3D%271%27--%20-"
DENIED = "denied"
"""A cookie that /auth of the backends does not let in."""
HEADERS = {"Host": "localhost", "User-Agent": "Mozilla/5.0", "Accept": "*/*"}
"""Without them the Core Rule Set finds something in each request; load.lua sends the same."""


def _rules() -> str:
    try:
        ctypes.CDLL("libmodsecurity.so.3")
    except OSError:
        return "libmodsecurity3 is not installed"
    return "" if Path(CRS[0]).exists() else "modsecurity-crs is not installed"


def _icap() -> str:
    return "" if installed("c-icap") and (ICAP_MODULES / "srv_echo.so").exists() else "c-icap is not installed"


class Step(NamedTuple):
    """One kind."""

    lbproxy: str
    """Lines of its route."""
    missing: Callable[[], str] = lambda: ""
    """Why it cannot be measured here; "" when it can."""
    nginx: str = ""
    """Directives of its location; "": nginx does not take part."""


STEPS = {
    "none": Step("", nginx="# nothing"),
    "authorize": Step('authorize = {{ pool = "pool", path = "/auth" }}', nginx="auth_request /auth;"),
    "basic_auth": Step(
        'basic_auth = {{ file = "{folder}/users", remember = "1h" }}',
        lambda: "" if find_spec("bcrypt") else "bcrypt is not installed; pip install bcrypt",
    ),
    "jwt": Step(
        'jwt = {{ jwks_file = "{folder}/jwks.json", algorithms = ["ES256"], cookie = "token" }}',
        lambda: "" if find_spec("jwt") else "PyJWT is not installed; pip install 'lbproxy[auth]'",
    ),
    "waf": Step('waf = {{ mode = "block" }}', _rules, "modsecurity on; modsecurity_rules_file {folder}/waf.conf;"),
    "waf-detect": Step('waf = {{ mode = "detect" }}', _rules),
    "icap": Step('icap = {{ pool = "icap", reqmod = "/echo" }}', _icap),
    "mirror": Step('mirror = {{ pool = "pool", percent = 100, queue = 1000 }}'),
    "tap": Step('tap = "ids"'),
}


def name_of(step: str) -> str:
    """As a case is called."""
    return f"step-{step}"


def missing(case: str) -> str:
    """Why a case cannot be measured; "" when it can, or has no step."""
    step = STEPS.get(case.removeprefix("step-")) if case.startswith("step-") else None
    return "" if step is None else step.missing()


def without_nginx(step: str) -> bool:
    """Whether lbproxy alone takes it."""
    return not STEPS[step].nginx


def lbproxy_routes(folder: Path, icap: int) -> str:
    """`icap`: the port of a server; 0: there is none."""
    (folder / "users").write_text(HASHED)
    (folder / "users").chmod(0o644)
    (folder / "jwks.json").write_text(KEYS)
    able = {name: step for name, step in STEPS.items() if not step.missing() and (icap or name != "icap")}
    routes = [
        f'[[route]]\npath = "{PREFIX}{name}"\npool = "pool"\n{step.lbproxy.format(folder=folder)}' for name, step in able.items()
    ]
    pools = [f'[pool.icap]\nbackends = ["127.0.0.1:{icap}"]'] if icap else []
    return "\n".join([f'[tap.ids]\nfifo = "{folder / TAP}"', *pools, *routes])


def nginx_module() -> str:
    """What has to be loaded, where it is there."""
    return f"load_module {MODSECURITY};" if _nginx_waf() else ""


def _nginx_waf() -> bool:
    return MODSECURITY.exists() and not _rules()


def nginx_locations(folder: Path, passed: str) -> str:
    """`passed`: the directives that pass a request on. The rule engine gets the words in front of the rules that lbproxy's gets."""
    rules = before(WafConfig("block")) + "".join(f"Include {path}\n" for path in CRS)
    (folder / "waf.conf").write_text(rules)
    able = {name: step for name, step in STEPS.items() if step.nginx and (name != "waf" or _nginx_waf())}
    found = [f"location = {PREFIX}{name} {{ {step.nginx.format(folder=folder)}\n{passed} }}" for name, step in able.items()]
    asked = "proxy_pass_request_body off; proxy_set_header Content-Length '';"
    return "\n".join([*found, f"location = /auth {{ internal; {asked}\n{passed} }}"])


ICAP_CONFIG = """
PidFile {folder}/c-icap.pid
CommandsSocket {folder}/c-icap.ctl
StartServers 1
MaxServers 1
ThreadsPerChild 80
MinSpareThreads 1
MaxSpareThreads 80
MaxKeepAliveRequests -1
KeepAliveTimeout 300
Port 127.0.0.1:{port}
ServerAdmin nobody@example.com
ServerName localhost
TmpDir {folder}
ModulesDir {modules}
ServicesDir {modules}
TemplateDir /usr/share/c_icap/templates/
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog {folder}/c-icap.log
Service echo srv_echo.so
"""


def icap_command(folder: Path, port: int) -> list[str]:
    """c-icap with its echo, which lets a request without a body pass."""
    file = folder / "c-icap.conf"
    file.write_text(ICAP_CONFIG.format(folder=folder, port=port, modules=ICAP_MODULES))
    return ["c-icap", "-N", "-D", "-d", "0", "-f", str(file)]
