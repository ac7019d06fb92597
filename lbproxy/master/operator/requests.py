"""The requests of the control socket: each a typed value, and one line of JSON on the wire.

    {"command": "backend", "name": "api/127.0.0.1:9001", "action": "drain"}

Whoever may ask is root or the master's own user, and still every byte is checked: a misspelled field of a script is an error that
tells what is wanted, never a request that does half of what was meant. Each command's fields stand in one row of COMMANDS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal, NamedTuple

from lbproxy.errors import LbproxyError
from lbproxy.ipc.codec import Number, Rule, Text
from lbproxy.ipc.strict_json import strict_object

Answer = dict[str, object]
"""A JSON object. Always "ok": bool; a failure has "error": text of one or more lines; "note", optional: text for a person."""

MAX_WEIGHT = 1000
Action = Literal["drain", "enable", "weight"]
CacheAction = Literal["url", "prefix", "tag", "all", "stats", "show"]
"""The first four purge."""
Level = Literal["debug", "info", "warning", "error"]


class RequestRefused(LbproxyError):
    """The request cannot be understood; the text says what was wanted and what came."""


class StatusRequest(NamedTuple):
    """Asks how lbproxy and its backends are."""


class ReloadRequest(NamedTuple):
    """Read the configuration again; the answer comes when the new generation serves, or cannot."""


class StopRequest(NamedTuple):
    """Drain and exit; `now`: exit without draining."""

    now: bool


class BackendRequest(NamedTuple):
    """Take a backend out, put it back, or give it another weight."""

    name: str  # "POOL/HOST:PORT", or "HOST:PORT" where one pool alone has it
    action: Action
    weight: int  # 0..MAX_WEIGHT; 0 where the action is not "weight"


class WorkersRequest(NamedTuple):
    """One worker more or less."""

    delta: Literal[1, -1]


class LogLevelRequest(NamedTuple):
    """Log from this level on."""

    level: Level


class CertificatesRequest(NamedTuple):
    """Asks which certificates are served; `name`: to who asks for that one, with their chains. "": all."""

    name: str


class CacheRequest(NamedTuple):
    """What the cache has, or what is not to be served out of it any more."""

    action: CacheAction
    text: str
    """A URL, the beginning of one, or a tag; "" for the other actions."""


Request = (
    CacheRequest
    | StatusRequest
    | ReloadRequest
    | StopRequest
    | BackendRequest
    | WorkersRequest
    | LogLevelRequest
    | CertificatesRequest
)


class Flag(NamedTuple):
    """The rule for true or false."""

    def fault(self, value: object) -> str:
        """What is wrong with it; "" when nothing is."""
        return "" if type(value) is bool else f"wanted true or false, came {type(value).__name__}"


class OneOf(NamedTuple):
    """The rule for a few numbers."""

    numbers: tuple[int, ...]

    def fault(self, value: object) -> str:
        """What is wrong with it; "" when nothing is."""
        if type(value) is int and value in self.numbers:
            return ""
        return f"wanted {' or '.join(map(str, self.numbers))}, came {value!r:.40}"


class Field(NamedTuple):
    rule: Rule | Flag | OneOf
    default: object = None  # None: has to be there


class Command(NamedTuple):
    make: Callable[..., Request]
    fields: dict[str, Field]


CACHE_ACTIONS = ("url", "prefix", "tag", "all", "stats", "show")
LEVELS = ("debug", "info", "warning", "error")
ACTIONS = ("drain", "enable", "weight")
COMMANDS: dict[str, Command] = {
    "status": Command(StatusRequest, {}),
    "reload": Command(ReloadRequest, {}),
    "stop": Command(StopRequest, {"now": Field(Flag(), False)}),
    "backend": Command(
        BackendRequest,
        {
            "name": Field(Text(1024)),
            "action": Field(Text(8, one_of=ACTIONS)),
            "weight": Field(Number(MAX_WEIGHT), 0),
        },
    ),
    "workers": Command(WorkersRequest, {"delta": Field(OneOf((1, -1)))}),
    "cache": Command(CacheRequest, {"action": Field(Text(8, one_of=CACHE_ACTIONS)), "text": Field(Text(16_384), "")}),
    "certificates": Command(CertificatesRequest, {"name": Field(Text(256), "")}),
    "log-level": Command(LogLevelRequest, {"level": Field(Text(8, one_of=LEVELS))}),
}
NAMES: dict[type, str] = {
    StatusRequest: "status", ReloadRequest: "reload", StopRequest: "stop", BackendRequest: "backend", WorkersRequest: "workers",
    LogLevelRequest: "log-level",
    CertificatesRequest: "certificates", CacheRequest: "cache",
}  # fmt: skip


def encode(request: Request) -> bytes:
    """The line that `parse` reads, its end included."""
    fields = request._asdict()
    if isinstance(request, BackendRequest) and request.action != "weight":
        del fields["weight"]
    return json.dumps({"command": NAMES[type(request)], **fields}).encode("ascii") + b"\n"


def parse(line: bytes) -> Request:
    """The request that a line of JSON means. Raises Refused."""
    given = _object(line)
    name = given.pop("command", None)
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if command is None:
        came = "none" if name is None else f"{name!r:.40}"
        raise RequestRefused(f'"command": wanted one of {", ".join(COMMANDS)}, came {came}')
    if unknown := sorted(given.keys() - command.fields.keys()):
        raise RequestRefused(f"{name} has no field {', '.join(unknown)!r:.80}; it has {', '.join(command.fields) or 'none'}")
    values = {}
    for key, field in command.fields.items():
        values[key] = given.get(key, field.default)
        if values[key] is None:
            raise RequestRefused(f'{name} wants a field "{key}"')
        if fault := field.rule.fault(values[key]):
            raise RequestRefused(f'{name}, "{key}": {fault:.200}')
    if command.make is BackendRequest and (values["action"] == "weight") is not ("weight" in given):
        wanted = "wants" if values["action"] == "weight" else "has no"
        raise RequestRefused(f'{name}, "action" {values["action"]}: {wanted} field "weight"')
    return command.make(**values)


def _object(line: bytes) -> dict[str, object]:
    try:
        return strict_object(line.decode("utf-8"))
    except ValueError as error:  # NotStrict, UnicodeDecodeError
        raise RequestRefused(f"wanted one line of JSON: {error!s:.160}") from error
