"""Files of users and hashed passwords, as htpasswd writes them: read, and which hashes are good enough to be checked against.

A hash that costs nothing to try is none: crypt, MD5 ("$apr1$"), SHA-1 and plain text are refused, with what to write instead. One
that costs an hour is refused as well, since every log-in would take that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

MOST_COST = 16
"""Of bcrypt: 2**16 rounds take some five seconds."""
MOST_MEMORY, MOST_PASSES, MOST_LANES = 1024 * 1024, 64, 64
"""Of argon2: KiB, passes over it, lanes."""

_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}\Z")
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$v=19\$m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,9})\$[+/A-Za-z0-9]{11,86}\$[+/A-Za-z0-9]{22,86}\Z"
)
_NAME = re.compile(r"[!-9;-~](?:[ -9;-~]{0,253}[!-9;-~])?\Z")
_WEAK = (("$apr1$", "MD5"), ("$1$", "MD5"), ("{SHA}", "SHA-1"), ("{SSHA}", "SHA-1"), ("$5$", "SHA-256"), ("$6$", "SHA-512"))
_INSTEAD = "write it anew: htpasswd -B FILE USER"


class PasswordFault(NamedTuple):
    line: int
    message: str
    hint: str


class Users(NamedTuple):
    """The users of one file, and their hashed passwords."""

    hashes: Mapping[str, str]
    stand_in: str
    """A hash that costs as much to check as most of them do: for users that are not there."""

    @property
    def kinds(self) -> set[str]:
        """ "bcrypt", "argon2": what is needed to check them."""
        return {kind_of(each) for each in self.hashes.values()}


NOBODY = Users({}, "")


def kind_of(hashed: str) -> str:
    """What checks it."""
    return "argon2" if hashed.startswith("$argon2") else "bcrypt"


def parse(text: str) -> tuple[Users, list[PasswordFault]]:
    """One user a line, "name:hash"; what begins with "#" is a comment."""
    hashes: dict[str, str] = {}
    faults: list[PasswordFault] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, rest = line.partition(":")
        hashed = rest.partition(":")[0].strip()
        if not colon or not _NAME.match(name):
            faults.append(
                PasswordFault(number, "wanted name:hash, the name of visible ASCII characters", "htpasswd -B writes such lines")
            )
        elif name in hashes:
            faults.append(PasswordFault(number, f"{name} is here twice", "take one of them out"))
        elif why := _why_not(hashed):
            faults.append(PasswordFault(number, f"the password of {name} {why[0]}", why[1]))
        else:
            hashes[name] = hashed
    return Users(hashes, _stand_in(hashes)), faults


def _why_not(hashed: str) -> tuple[str, str] | None:
    """Why a hash is refused, and what to do."""
    if found := _BCRYPT.match(hashed):
        if not 4 <= int(found[1]) <= MOST_COST:
            return f"has a cost of {int(found[1])}, wanted 4 to {MOST_COST}", "htpasswd -B -C 10 FILE USER"
        return None
    if found := _ARGON2.match(hashed):
        memory, passes, lanes = (int(found[part]) for part in (1, 2, 3))
        if not (8 <= memory <= MOST_MEMORY and 1 <= passes <= MOST_PASSES and 1 <= lanes <= MOST_LANES):
            return "asks for more memory or time than a log-in may take", f"at most m={MOST_MEMORY},t={MOST_PASSES},p={MOST_LANES}"
        return None
    for begin, kind in _WEAK:
        if hashed.startswith(begin):
            return f"is hashed with {kind}, which is tried a million times a second or more", _INSTEAD
    return "is neither of bcrypt nor of argon2: plain text, crypt, or cut short", _INSTEAD


def _stand_in(hashes: Mapping[str, str]) -> str:
    """Of the kind and cost that is most frequent: who is not there must take as long as who is."""
    costs = Counter(map(_cost, hashes.values()))
    if not costs:
        return ""
    [(most, _)] = costs.most_common(1)
    return next(each for each in hashes.values() if _cost(each) == most)


def _cost(hashed: str) -> str:
    """What stands in front of salt and hash."""
    return hashed.rsplit("$", 2)[0] if kind_of(hashed) == "argon2" else hashed[4:6]
