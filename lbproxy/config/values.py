"""The values that a single key accepts: choices, numbers within bounds, host names, paths, files. Each raises `ValueRefused`."""

from __future__ import annotations

import re
from pathlib import Path

from lbproxy.config.atoms import Hash
from lbproxy.config.units import (
    FromEnvironment,
    Parse,
    ValueRefused,
    did_you_mean,
    format_size,
    is_number,
    literal_ip,
    parse_duration,
    parse_name,
    parse_size,
    show,
)

MAX_WORKERS = 62
"""Three generations of them, and a control process each, fit into the ledger's rows."""

MOST_BYTES = 2**62
"""What no size exceeds, so that every one fits into a signed word."""

_URL_PATH = re.compile(r"/[!-~]*\Z")
_POOL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")


def text(value: object) -> str:
    """Any non-empty text without control characters."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueRefused(f"wanted a text in quotes, got {show(value)}")
    return value


def text_within(most: int) -> Parse[str]:
    """Such a text of at most so many characters."""

    def parse(value: object) -> str:
        if len(words := text(value)) > most:
            raise ValueRefused(f"wanted a text of at most {most} characters, got {len(words)}")
        return words

    return parse


def boolean(value: object) -> bool:
    """true or false."""
    if isinstance(value, FromEnvironment) and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        hint = f"write {str(value).lower()} without quotes" if str(value).lower() in ("true", "false") else ""
        raise ValueRefused(f"wanted true or false, got {show(value)}", hint)
    return value


def redirect(value: object) -> bool | int:
    """A port, or true for the one that there will be, or false."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, int) or not 1 <= value <= 65535:
        raise ValueRefused(f"wanted true, false or a port from 1 to 65535, got {show(value)}")
    return value


def choice(*known: str) -> Parse[str]:
    """One of some words."""

    def parse(value: object) -> str:
        if isinstance(value, str) and value in known:
            return value
        wanted = " or ".join(f'"{word}"' for word in known)
        raise ValueRefused(
            f"wanted {wanted}, got {show(value)}", did_you_mean(value, list(known)) if isinstance(value, str) else ""
        )

    return parse


def text_like(pattern: str, what: str) -> Parse[str]:
    """A text that a pattern fits as a whole."""
    fits = re.compile(rf"(?:{pattern})\Z")

    def parse(value: object) -> str:
        if not isinstance(value, str) or fits.match(value) is None:
            raise ValueRefused(f"wanted {what}, got {show(value)}")
        return value

    return parse


def whole(least: int, most: int) -> Parse[int]:
    """A whole number within bounds."""

    def parse(value: object) -> int:
        if isinstance(value, FromEnvironment) and value.isascii() and value.isdecimal() and len(value) < 20:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        hint = "write it without quotes" if isinstance(value, str) and value.isdecimal() else ""
        raise ValueRefused(f"wanted a whole number from {least} to {most}, got {show(value)}", hint)

    return parse


def file_mode(value: object) -> int:
    """Who may read and write a file, in octal digits as chmod takes them: "0660"."""
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value):
        return int(value, 8)
    octal = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 0o1000
    hint = f'write it in quotes: "{value:04o}"' if octal else ""
    raise ValueRefused(f'wanted a mode such as "0660", got {show(value)}', hint)


KEY_MODE = choice("private", "any")
"""Who may be able to read a private key."""


def workers(value: object) -> int:
    """ "auto" (0) or a number."""
    if value == "auto":
        return 0
    if isinstance(value, FromEnvironment):
        return whole(1, MAX_WORKERS)(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WORKERS:
        return value
    hint = '"auto" is one for each core' if is_number(value) else "write it without quotes" if str(value).isdecimal() else ""
    raise ValueRefused(f'wanted "auto" or a number from 1 to {MAX_WORKERS}, got {show(value)}', hint)


def duration(most: float = 30 * 86400.0, *, zero: bool = False) -> Parse[float]:
    """Seconds, more than none unless `zero`, within a month unless told otherwise."""

    def parse(value: object) -> float:
        seconds = parse_duration(value)
        if not zero and seconds < 0.001:
            raise ValueRefused(f"wanted a duration of at least 1ms, got {show(value)}", "no limit at all is not offered")
        if seconds > most:
            raise ValueRefused(f"wanted a duration of at most {most / 86400:g}d, got {show(value)}")
        return seconds

    return parse


def size(least: int, most: int) -> Parse[int]:
    """Bytes within bounds."""

    def parse(value: object) -> int:
        number = parse_size(value)
        if not least <= number <= most:
            raise ValueRefused(f"wanted a size from {least} to {most} bytes, got {show(value)}")
        return number

    return parse


def ceiling(least: int) -> Parse[int]:
    """Bytes that something may grow to, `least` or more; 0 is no ceiling."""

    def parse(value: object) -> int:
        number = parse_size(value)
        if number and not least <= number <= MOST_BYTES:
            raise ValueRefused(f'wanted "0" (no limit) or a size of at least {format_size(least)}, got {show(value)}')
        return number

    return parse


def file_below(base: Path) -> Parse[Path]:
    """A file's name; a relative one is relative to `base`."""

    def parse(value: object) -> Path:
        if not isinstance(value, str) or not value.isprintable() or not value:
            raise ValueRefused(f"wanted a file name, got {show(value)}")
        if value.startswith("~"):
            raise ValueRefused(f"wanted a file name, got {show(value)}", '"~" is not expanded: write the whole path')
        return base / value

    return parse


def access_log(base: Path) -> Parse[str]:
    """ "stdout", "off" or a file."""

    def parse(value: object) -> str:
        if value in ("stdout", "off"):
            return str(value)
        if value == "stderr" or not isinstance(value, str):
            raise ValueRefused(f'wanted "stdout", "off" or a file name, got {show(value)}', "stderr is for events")
        return str(file_below(base)(value))

    return parse


# ---------------------------------------------------------------- HTTP


def route_host(value: object) -> str:
    """What a route matches: a host, exact, or "*.example.com" for exactly one label more. Lower case, ASCII, without port."""
    if not isinstance(value, str):
        raise ValueRefused(f"wanted a host name, got {show(value)}")
    if value == "*":
        raise ValueRefused('wanted a host name, got "*"', 'leave "host" out to match every host')
    if "*" in value:
        domain = value.removeprefix("*.")
        if "*" in domain or "." not in domain:
            hint = "one star, as the whole first label, above a domain"
            raise ValueRefused(f'wanted a host such as "*.example.com", got {show(value)}', hint)
        return f"*.{parse_name(domain)}"
    if re.search(r"[^:]:[0-9]+\Z", value) and literal_ip(value) is None:
        raise ValueRefused(f"wanted a host without port, got {show(value)}", f'write "{value.rpartition(":")[0]}"')
    if address := literal_ip(value.removeprefix("[").removesuffix("]")):
        return f"[{address}]" if ":" in address else address  # as it stands in a Host field
    return parse_name(value)


def passed_name(value: object) -> str:
    """The name that clients of a passthrough ask for: a host, "*.example.com" for exactly one label more, or "*"."""
    if value == "*":
        return "*"
    if isinstance(value, str) and literal_ip(value.removeprefix("[").removesuffix("]")):
        raise ValueRefused(
            f"wanted a name that clients ask for by SNI, got {show(value)}", "no client asks for an address (RFC 6066 3)"
        )
    return route_host(value)


def host_field(value: object) -> str:
    """What a health check sends as Host: a host with or without port."""
    if not isinstance(value, str):
        raise ValueRefused(f"wanted a host, got {show(value)}")
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?", value)
    if not match:
        raise ValueRefused(f'wanted a host such as "app.internal" or "app.internal:8080", got {show(value)}')
    host, port = match[1], match[2] or ""
    if host.startswith("["):
        if literal_ip(host[1:-1]) is None:
            raise ValueRefused(f"wanted an IPv6 address in the brackets, got {show(value)}")
        return value
    return (literal_ip(host) or parse_name(host)) + port


def server_name(value: object) -> str:
    """Whose certificate a backend must show: a DNS name or an IP address."""
    return literal_ip(value) or parse_name(value) if isinstance(value, str) else parse_name(value)


def sni(value: object) -> str:
    """What a backend is asked for by name: a DNS name, or "off"."""
    return "off" if value == "off" else parse_name(value)


_PIN = re.compile(r"(?:sha256//?)?([A-Za-z0-9+/]{43}=)\Z")


def public_key_pin(value: object) -> str:
    """Base64 of a SHA-256, as RFC 7469 has it; with "sha256//" in front, as curl does."""
    found = _PIN.match(value) if isinstance(value, str) else None
    if found is None:
        hint = "openssl x509 -in a.crt -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"
        raise ValueRefused(f"wanted the SHA-256 of a public key in base64, 44 characters, got {show(value)}", hint)
    return found[1]


def url_path(value: object) -> str:
    """The path of a URL, without query."""
    if not isinstance(value, str) or not value.startswith("/"):
        hint = f'write "/{value}"' if isinstance(value, str) and re.fullmatch(r"[!-~]+", value) else ""
        raise ValueRefused(f'wanted a path that starts with "/", got {show(value)}', hint)
    if not _URL_PATH.match(value):
        raise ValueRefused(f"wanted a path of visible ASCII characters, got {show(value)}", "percent-encode the others")
    if "#" in value:
        raise ValueRefused(f"wanted a path without fragment, got {show(value)}")
    return value


def route_path(value: object) -> str:
    """The prefix of a path: no query."""
    path = url_path(value)
    if "?" in path:
        raise ValueRefused(f"wanted a path prefix without query, got {show(value)}", f'write "{path.partition("?")[0]}"')
    if path.endswith("*"):
        raise ValueRefused(f"wanted a path prefix, got {show(value)}", f'a prefix needs no star: write "{path.rstrip("*")}"')
    return path


def status_range(value: object) -> tuple[int, int]:
    """Expected status codes, "200" or "200-399", both ends included."""
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(written, str) and (match := re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", written)):
        low, high = int(match[1]), int(match[2] or match[1])
        if low <= high:
            return low, high
    raise ValueRefused(f'wanted a status or a range such as "200" or "200-399", got {show(value)}')


def pool_name(value: object) -> str:
    """A pool's name: it stands in logs, metrics and commands."""
    if not isinstance(value, str) or not _POOL_NAME.match(value):
        raise ValueRefused(f'wanted a pool name of letters, digits, "_", "-" and ".", at most 64, got {show(value)}')
    return value


_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}\Z")
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z")
_SHORT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_PATTERN_PATH = re.compile(r"[/*][!-~]*\Z")
_NEVER_THERE = re.compile(r"%(?![0-9A-F]{2})|%(?:2D|2E|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE]|00|5C)")
"""RFC 3986 6.2.2: escapes that no path has when routes look at it (http/target.py)."""
_REFUSED_BEFORE = ("CONNECT", "TRACE")


def short_name(value: object) -> str:
    """Of a limit, or of a rule: it stands in logs."""
    if not isinstance(value, str) or not _SHORT_NAME.match(value):
        raise ValueRefused(f'wanted a name of letters, digits, "_" and "-", at most 64, got {show(value)}')
    return value


def method(value: object) -> str:
    """A method of HTTP that can come as far as a route."""
    if not isinstance(value, str) or not _METHOD.match(value):
        upper = value.upper() if isinstance(value, str) else ""
        raise ValueRefused(f'wanted a method such as "GET", got {show(value)}', f'write "{upper}"' if _METHOD.match(upper) else "")
    if value in _REFUSED_BEFORE:
        raise ValueRefused(f"{value} never comes as far as a route", "it is refused for everybody; leave it out")
    return value


def field_name(value: object) -> str:
    """The name of a header field."""
    if not isinstance(value, str) or not _FIELD.match(value):
        raise ValueRefused(f'wanted the name of a header, such as "User-Agent", got {show(value)}')
    return value


def path_pattern(value: object) -> str:
    """What a normal path can be like; a pattern that never matches is a hole that looks closed."""
    if not isinstance(value, str) or not _PATTERN_PATH.match(value):
        hint = f'write "*{value}"' if isinstance(value, str) and re.fullmatch(r"[!-~]+", value) else ""
        raise ValueRefused(f'wanted a path with stars, such as "/wp-*" or "*.php", got {show(value)}', hint)
    if "?" in value or "#" in value:
        raise ValueRefused(f"wanted a path, got {show(value)}", "the query is not looked at")
    if _NEVER_THERE.search(value):
        raise ValueRefused(
            f"wanted a path in normal form, got {show(value)}", "escapes in upper case; letters, digits, - . _ ~ without"
        )
    return value


_CLAIM = re.compile(r"[!-~]{1,128}\Z")


def claim(value: object) -> str:
    """The name of a claim in a token (RFC 7519 4)."""
    if not isinstance(value, str) or not _CLAIM.match(value):
        raise ValueRefused(f'wanted the name of a claim, such as "sub", got {show(value)}')
    return value


def claims(value: object) -> tuple[str, ...]:
    """One of them."""
    return (claim(value),)


def value_pattern(value: object) -> str:
    """What the value of a header can be like."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueRefused(f'wanted a text with stars, such as "*curl*", got {show(value)}', "regular expressions are not offered")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueRefused(f"wanted a text of Latin-1 characters, got {show(value)}") from error
    return value


_PLAIN_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}"  # RFC 9110 5.6.2; RFC 6265 4.1.1 has the same for names of cookies
_HASH = re.compile(rf"(address|header|cookie)(?: ({_PLAIN_NAME}))?\Z")
_COOKIE = re.compile(rf"{_PLAIN_NAME}\Z")


def hash_source(value: object) -> Hash:
    """ "address", "header X-User" or "cookie session"."""
    match = _HASH.match(value) if isinstance(value, str) else None
    if match is None or (match[1] == "address") is (match[2] is not None):
        raise ValueRefused(f'wanted "address", "header NAME" or "cookie NAME", got {show(value)}')
    name = match[2] or ""
    return Hash(match[1], name.lower() if match[1] == "header" else name)


def cookie_name(value: object) -> str:
    """A token."""
    if not isinstance(value, str) or not _COOKIE.match(value):
        raise ValueRefused(f'wanted the name of a cookie, such as "lbproxy", got {show(value)}')
    return value
