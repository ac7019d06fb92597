"""The values that header fields' keys accept: names and values of rules, Strict-Transport-Security, names of telltales.

What may not be touched is refused here, with the reason: where a message ends and how a connection goes on is not said twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lbproxy.config.atoms import Hsts
from lbproxy.config.units import Parse, ValueRefused, did_you_mean, format_duration, parse_duration, show
from lbproxy.config.vocabulary import VARIABLES

TELLTALES = ("Server", "X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version")
"""What backends tell about their software, which is taken out of responses: it helps nobody but who looks for its holes."""

LONGEST_VALUE = 4096
LONGEST_HSTS = 10 * 365 * 86400
PRELOAD_HSTS = 365 * 86400
"""What the browsers' list wants (hstspreload.org)."""

_FRAMING = "it says where the body ends, which has to stay as it was checked"
_HOP = "it is meant for one connection only, and lbproxy's to say"
_HANDSHAKE = "client and backend agree on a WebSocket with it"
NEVER = {
    "connection": _HOP, "content-length": _FRAMING, "http2-settings": _HOP, "keep-alive": _HOP, "proxy-authenticate": _HOP,
    "proxy-authorization": _HOP, "proxy-connection": _HOP, "te": _HOP, "trailer": _HOP, "transfer-encoding": _FRAMING,
    "upgrade": _HOP, "via": "lbproxy says who it is with it, and knows loops by it",
    "sec-websocket-accept": _HANDSHAKE, "sec-websocket-extensions": _HANDSHAKE, "sec-websocket-key": _HANDSHAKE,
    "sec-websocket-protocol": _HANDSHAKE, "sec-websocket-version": _HANDSHAKE,
}  # fmt: skip
"""Names in lower case that no rule may touch, and why."""
NEVER_IN_REQUESTS = {
    "expect": "lbproxy answers it, or passes it on, with the body in mind",
    "proxy": "backends read it as the variable HTTP_PROXY",
}
ONCE = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip")
"""lbproxy puts these on every request: a rule may replace or remove them, and there must not be two."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z")  # RFC 9110 5.6.2
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?\Z")
VARIABLE = re.compile(r"\{([a-z_]+)\}")
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?!-)[0-9A-Za-z_.-]{1,253})(?::[0-9]{1,5})?\Z")


REPLACEMENT = '{ Destination = { from = "https:", to = "http:" } }'


def swap_for(of_requests: bool) -> Parse[tuple[str, str]]:
    """What the beginning of a value is, and what it becomes: { from = "https:", to = "http:" }."""
    value = value_for(of_requests)

    def parse(raw: object) -> tuple[str, str]:
        if not isinstance(raw, dict) or raw.keys() != {"from", "to"}:
            raise ValueRefused(f'wanted {{ from = "...", to = "..." }}, got {show(raw)}')
        old, new = raw["from"], raw["to"]
        if not isinstance(old, str) or not _VALUE.match(old):
            raise ValueRefused(f"wanted visible ASCII characters in from, got {show(old)}")
        if new == "":
            return old, new
        [new] = value(new)
        if not of_requests and VARIABLE.search(new):
            raise ValueRefused("variables do not stand in replace of response_headers", "set can have them")
        return old, new

    return parse


def name_for(of_requests: bool, verb: str) -> Parse[str]:
    """A name that this rule may have; "X-Internal-*" only for remove."""
    never = NEVER | (NEVER_IN_REQUESTS if of_requests else {})

    def parse(value: object) -> str:
        if not isinstance(value, str) or not _NAME.match(value):
            raise ValueRefused(f'wanted the name of a header, such as "X-Team", got {show(value)}')
        name = value.lower()
        if verb == "remove" and name.endswith("*"):
            _check_prefix(value, {**never, "host": ""} if of_requests else never)
            return value
        if name in never and not (name == "via" and verb == "remove"):
            raise ValueRefused(f"{value} is not for rules: {never[name]}", "remove may take it off" if name == "via" else "")
        if name == "host" and (not of_requests or verb not in ("set", "probe")):
            raise ValueRefused(
                "Host is not for this rule: every request has exactly one, and no response", "requests can have it set"
            )
        if name == "strict-transport-security" and verb != "remove":
            raise ValueRefused(f"{value} must not be sent over plain HTTP", 'write hsts = "365d" instead')
        if verb == "add" and of_requests and name in ONCE:
            raise ValueRefused(f"{value} is sent by lbproxy already, and two of it are ambiguous", "use set to replace it")
        return value

    return parse


def copied(value: object) -> str:
    """The name of a field that somebody who was asked about a request says, for the backend."""
    return name_for(True, "copy")(value)


_REALM = re.compile(r"[ !#-\[\]-~]{1,128}\Z")


def realm(value: object) -> str:
    """What stands between quotes in a challenge."""
    if not isinstance(value, str) or not _REALM.match(value):
        raise ValueRefused(
            f"wanted 1 to 128 visible ASCII characters and blanks, without quotes and backslashes, got {show(value)}"
        )
    return value


def _check_prefix(value: str, never: dict[str, str]) -> None:
    for name in never:
        if name.startswith(value[:-1].lower()):
            raise ValueRefused(f"{show(value)} would remove {name} as well", "name what is to go")


def value_for(of_requests: bool) -> Parse[tuple[str, ...]]:
    """One value, in which variables may stand."""
    known = [name for name in VARIABLES if name != "backend" or not of_requests]

    def parse(value: object) -> tuple[str, ...]:
        text = plain(value)
        for name in VARIABLE.findall(text):
            if name == "backend" and of_requests:
                raise ValueRefused("{backend} is not known before the request is sent", "it is for response_headers")
            if name not in known:
                near = did_you_mean(name, known)
                raise ValueRefused(f"there is no variable {{{name}}}", near or f"there are: {', '.join(known)}")
        return (text,)

    return parse


def plain(value: object) -> str:
    """What can stand in a header line."""
    if not isinstance(value, str):
        raise ValueRefused(f"wanted a text in quotes, got {show(value)}")
    if not value:
        raise ValueRefused("wanted a text, got an empty one", "remove takes a header out")
    if not _VALUE.match(value):
        raise ValueRefused(f"wanted visible ASCII characters, and blanks between them, got {show(value)}")
    if len(value) > LONGEST_VALUE:
        raise ValueRefused(f"wanted at most {LONGEST_VALUE} characters, got {len(value)}")
    return value


def probe_name(value: object) -> str:
    """The name of a header that a health check sends."""
    name = name_for(True, "probe")(value)
    if name.lower() == "host":
        raise ValueRefused("Host has a key of its own", 'write host = "app.internal" in the same table')
    return name


def probe_value(value: object) -> tuple[str, ...]:
    """What it says; nothing of it is a variable, for there is no client's request."""
    return (plain(value),)


def values_for(of_requests: bool) -> Parse[tuple[str, ...]]:
    """One value, or a list of them: a header line each."""
    one = value_for(of_requests)

    def parse(value: object) -> tuple[str, ...]:
        return tuple(text for each in value for text in one(each)) if isinstance(value, list) and value else one(value)

    return parse


def telltale(value: object) -> str:
    """One of TELLTALES, in any case."""
    by_name: dict[str, str] = {name.lower(): name for name in TELLTALES}
    if isinstance(value, str) and value.lower() in by_name:
        return by_name[value.lower()]
    hint = did_you_mean(value, list(by_name)) if isinstance(value, str) else ""
    raise ValueRefused(f"wanted one of those that are removed otherwise ({', '.join(TELLTALES)}), got {show(value)}", hint)


_YEARS: Callable[[str], re.Match[str] | None] = re.compile(r"([0-9]{1,2})y\Z").match


def parse_hsts(value: object) -> Hsts:
    """ "off", or how long, and perhaps "subdomains" and "preload": "365d subdomains"."""
    wanted = 'wanted "off" or a duration such as "365d", with "subdomains" and "preload" behind it where they are meant'
    if value == "off":
        return Hsts()
    if not isinstance(value, str) or not value:
        raise ValueRefused(f"{wanted}, got {show(value)}")
    age, *more = value.split(" ")
    if len(set(more)) != len(more) or not set(more) <= {"subdomains", "preload"}:
        near = next((did_you_mean(word, ["subdomains", "preload"]) for word in more if word not in ("subdomains", "preload")), "")
        raise ValueRefused(f"{wanted}, got {show(value)}", near)
    years = _YEARS(age)
    seconds = int(years[1]) * 365 * 86400 if years else round(parse_duration(age))
    if seconds > LONGEST_HSTS:
        raise ValueRefused(f"wanted at most 10y, got {show(age)}")
    hsts = Hsts(seconds, "subdomains" in more, "preload" in more)
    if hsts.preload and (not hsts.subdomains or seconds < PRELOAD_HSTS):
        raise ValueRefused(
            f"browsers preload only with subdomains and at least a year, got {show(value)}", '"1y subdomains preload"'
        )
    return hsts


def format_hsts(hsts: Hsts) -> str:
    """What parse_hsts reads back equal."""
    if hsts.max_age < 0:
        return "off"
    more = [word for word, there in (("subdomains", hsts.subdomains), ("preload", hsts.preload)) if there]
    return " ".join([format_duration(float(hsts.max_age)), *more])
