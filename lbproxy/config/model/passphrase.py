"""The kind of a key that says where the passphrase of a private key comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lbproxy.config import values
from lbproxy.config.atoms import Passphrase
from lbproxy.config.kinds import Kind, Place, Schema
from lbproxy.config.units import Parse, ValueRefused, did_you_mean, show

ABOUT = (
    'where the passphrase of an encrypted key, or of a PKCS #12 file, comes from: { file = "a.pass" } (for its owner only), '
    '{ credential = "a" } (of systemd, LoadCredential), { command = ["/usr/bin/vault", "read"] } (what it prints; no shell, '
    "5 seconds) or { fd = 3 } (a pipe or file that lbproxy is started with)"
)
FIRST, LAST = 3, 1023
"""Of descriptors: before them stand input, output and errors."""
_CREDENTIAL = re.compile(r"[A-Za-z0-9_.@-]{1,255}\Z")


def _descriptor(value: object) -> tuple[str, ...]:
    return (str(values.whole(FIRST, LAST)(value)),)


def _credential(value: object) -> tuple[str, ...]:
    name = values.text(value)
    if not _CREDENTIAL.match(name) or name in (".", ".."):
        raise ValueRefused("wanted the name of a credential, got something else", "the one in LoadCredential=NAME:PATH of the unit")
    return (name,)


def _command(value: object) -> tuple[str, ...]:
    wanted = 'a program and its arguments such as ["/usr/bin/vault", "read"]'
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and word and "\0" not in word for word in value):
        raise ValueRefused(f"wanted {wanted}, got something else", "a list: there is no shell to take a line apart")
    if not value[0].startswith("/"):
        raise ValueRefused(f"wanted {wanted}, got {show(value[0])}", "with its whole path: nothing is looked for in PATH")
    return tuple(map(str, value))


def _file(base: Path) -> Parse[tuple[str, ...]]:
    below = values.file_below(base)
    return lambda value: (str(below(value)),)


_WAYS = ("fd", "credential", "file", "command")
_SCHEMA: Schema = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "fd": {"anyOf": [{"type": "integer", "minimum": FIRST, "maximum": LAST}, {"$ref": "#/$defs/variable"}]},
        "credential": {"anyOf": [{"type": "string", "pattern": "^[A-Za-z0-9_.@-]{1,255}$"}, {"$ref": "#/$defs/variable"}]},
        "file": {"type": "string", "minLength": 1},
        "command": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    },
}


class _Source(Kind[Passphrase]):
    """A table with one key, which says how, and what stands there."""

    def __init__(self) -> None:
        super().__init__(
            "table with one of fd, credential, file, command",
            lambda value: None,  # type: ignore[arg-type,return-value]  # not asked: `read` is ours
            _SCHEMA,
            examples=({"file": "a.pass"}, {"credential": "a"}),
        )

    def read(self, value: object, place: Place) -> Passphrase | None:
        """A passphrase itself is refused, and shown to nobody."""
        if not isinstance(value, dict):
            hint = 'say where it is: { file = "a.pass" }, { credential = "a" }, { command = ["/bin/vault", "read"] } or { fd = 3 }'
            place.complain("a passphrase does not stand in a configuration, which is copied, shown and kept", hint)
            return None
        if len(value) != 1:
            what = f"wanted one of fd, credential, file and command, got {len(value)} of them"
            place.complain(what, 'such as { file = "a.pass" }')
            return None
        [(way, raw)] = value.items()
        readers: Mapping[str, Parse[tuple[str, ...]]] = {
            "fd": _descriptor, "credential": _credential, "file": _file(place.base), "command": _command,
        }  # fmt: skip
        if way not in readers:
            place.inside(way).complain("unknown key", did_you_mean(way, list(_WAYS)) or f"known here: {', '.join(_WAYS)}")
            return None
        words = place.inside(way).parse(raw, readers[way])
        return None if words is None else Passphrase(way, words)

    def write(self, value: Passphrase) -> object:
        """As it is read."""
        match value.way:
            case "fd":
                return {"fd": int(value.words[0])}
            case "command":
                return {"command": [*value.words]}
            case way:
                return {way: value.words[0]}

    def tell(self, value: Passphrase) -> object:
        """In one word."""
        return str(value)


PASSPHRASE: Kind[Passphrase] = _Source()
