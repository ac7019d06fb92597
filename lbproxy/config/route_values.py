"""Values of the keys of [[route]] that say which requests it is for and where these go.

Paths are refused that no request can have when routes look at it (http/target.py): a condition that is never met is a hole that
looks closed. Targets of redirects are refused where a client could choose the host that whoever follows his link ends up at.
"""

from __future__ import annotations

import re

from lbproxy import coders, regex
from lbproxy.config import values
from lbproxy.config.units import Parse, ValueRefused, did_you_mean, is_number, show
from lbproxy.config.vocabulary import PLACEHOLDERS

LONGEST_TARGET = 2048
LONGEST_BODY = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
BODILESS = (204, 205, 304)
"""RFC 9110 15: answers without a body."""

_NOT_NORMAL = re.compile(r"%(?![0-9A-F]{2})|%(?:2D|2E|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE]|00)|/\.\.?(?:/|\Z)|\\")
"""RFC 3986 6.2.2, as http/target.py has it: "%5C" is one that routes may let pass."""
_NORMAL_HINT = "escapes in upper case; letters, digits, - . _ ~ without; no dot segments"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ABSOLUTE = re.compile(r"(?:https?|\{scheme\})://((?:[A-Za-z0-9._-]|\{host\}|\[[0-9A-Fa-f:.]+\])+(?::[0-9]{1,5})?)(.*)\Z")
_BEHIND_HOST = ("", "/", "?", "#")
_FAMILY = re.compile(r"[!#$%&'+.^_`|~0-9A-Za-z-]+/(?:\*|[!#$%&'+.^_`|~0-9A-Za-z-]+)\Z")
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[!-~ ]*[!-~])?\Z")
_COOKIE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z")
_OURS = re.compile(r"(?i)(x-forwarded-.*|x-real-ip|forwarded)\Z")


def normal(path: str) -> str:
    """A path, if it is in normal form."""
    if _NOT_NORMAL.search(path):
        raise ValueRefused(f"wanted a path in normal form, got {show(path)}", _NORMAL_HINT)
    return path


def prefix(value: object) -> str:
    """What a route's paths begin with."""
    return normal(values.route_path(value))


def exact(value: object) -> str:
    """The whole of a path."""
    path = values.url_path(value)
    if "?" in path:
        raise ValueRefused(
            f"wanted a path without query, got {show(value)}", 'conditions on the query are query = { name = "value" }'
        )
    if "*" in path:
        raise ValueRefused(f"wanted a path without stars, got {show(value)}", f'write glob = "{path}"')
    return normal(path)


def glob(value: object) -> str:
    """A path with stars."""
    path = normal(values.path_pattern(value))
    if "*" not in path:
        raise ValueRefused(f"wanted a path with stars, got {show(value)}", f'write exact = "{path}"; for all below it, path')
    return path


def regular_expression(value: object) -> str:
    """One that RE2 takes, and that does not ask for more than it may."""
    pattern = values.text(value)
    try:
        regex.searcher(pattern)
    except regex.RegexUnavailable as error:
        raise ValueRefused(str(error), regex.HINT) from error
    except regex.Malformed as error:
        hint = "back-references and look-around cannot be had without backtracking" if "invalid" in str(error) else ""
        raise ValueRefused(f"wanted a regular expression as RE2 has them, got {show(value)}: {error}", hint) from error
    return pattern


def asked_field(value: object) -> str:
    """The name of a field that a route may ask for."""
    name = values.field_name(value)
    if name.lower() == "host":
        raise ValueRefused("Host has a key of its own", 'write host = "example.com" in the route')
    if _OURS.match(name):
        raise ValueRefused(f"{name} is anybody's to send, and what clients say there is dropped", "a client's address: allow, deny")
    return name


def asked_name(value: object) -> str:
    """A name in a query, decoded."""
    if not isinstance(value, str) or not value.isprintable() or not value or len(value) > 256:
        raise ValueRefused(f"wanted a name of at most 256 characters, got {show(value)}")
    return value


def field_patterns(value: object) -> tuple[str, ...]:
    """What a field's value can be like: a text with stars, or several."""
    return _several(value, values.value_pattern)


def query_patterns(value: object) -> tuple[str, ...]:
    """The same of a value in the query, decoded."""

    def one(text: object) -> str:
        if not isinstance(text, str) or not text.isprintable():
            hint = f'write "{text}"' if is_number(text) else ""
            raise ValueRefused(f'wanted a text with stars, such as "1" or "v*", got {show(text)}', hint)
        return text

    return _several(value, one)


def _several(value: object, one: Parse[str]) -> tuple[str, ...]:
    if isinstance(value, list):
        if not 1 <= len(value) <= 64:
            raise ValueRefused(f"wanted 1 to 64 texts, got {len(value)}")
        return tuple(one(each) for each in value)
    return (one(value),)


# ---------------------------------------------------------------- destinations


def cookie_name(value: object) -> str:
    """RFC 6265 4.1.1: a token, as names of fields are."""
    if not isinstance(value, str) or not _COOKIE.match(value):
        raise ValueRefused(f'wanted the name of a cookie, such as "shop", got {show(value)}')
    return value


def redirect(value: object) -> str:
    """A target with placeholders whose host is written there, or is the one that was asked."""
    wanted = 'wanted a target such as "https://new.example{path}" or "/new{path}"'
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        raise ValueRefused(f"{wanted}, got {show(value)}", "percent-encode blanks and the like" if isinstance(value, str) else "")
    if len(value) > LONGEST_TARGET:
        raise ValueRefused(f"wanted at most {LONGEST_TARGET} characters, got {len(value)}")
    for name in _PLACEHOLDER.findall(value):
        if name not in PLACEHOLDERS:
            near = did_you_mean(name, list(PLACEHOLDERS)) or f"there are: {', '.join(PLACEHOLDERS)}"
            raise ValueRefused(f"there is no placeholder {{{name}}}", near)
    if set(_PLACEHOLDER.sub("", value)) & set("{}"):
        raise ValueRefused(f"a brace without its other half in {show(value)}", "%7B and %7D are braces that stand for themselves")
    if "\\" in value:
        raise ValueRefused(f"a backslash in {show(value)}", "browsers take it for a slash; %5C stands for itself")
    _check_host(value, wanted)
    before, _, fragment = value.partition("#")
    if "{query}" in before.partition("?")[0] or "{query}" in fragment:
        raise ValueRefused("{query} stands behind a question mark", "without one the client's query is put there as it is")
    return value


def _check_host(value: str, wanted: str) -> None:
    if value.startswith("{path}"):
        why = '"//evil.example/" is a path, too, and browsers take it for another host'
        raise ValueRefused(f"{show(value)} begins with {{path}}: {why}", f'write "{{scheme}}://{{host}}{value}"')
    if value.startswith("/"):
        if value[1:2] == "/" or value.startswith(("/{path}", "/{query}")):
            raise ValueRefused(f"{show(value)} may name another host: two slashes begin one", 'write "https://" and the host')
        return
    absolute = _ABSOLUTE.match(value)
    if absolute is None:
        raise ValueRefused(f"{wanted}, got {show(value)}", "a host, then a path; a user's name is not offered")
    behind = absolute[2]
    if not behind.startswith("{path}") and behind[:1] not in _BEHIND_HOST:
        raise ValueRefused(f"{show(value)}: a client could go on with the host at {show(behind)}", 'put a "/" in front of it')


def redirect_status(value: object) -> int:
    """301, 302, 303, 307 or 308."""
    if not isinstance(value, int) or isinstance(value, bool) or value not in REDIRECTS:
        raise ValueRefused(f"wanted 301, 302, 303, 307 or 308, got {show(value)}", "308 keeps the method, 301 makes a POST a GET")
    return value


def body(value: object) -> str:
    """What an answer says."""
    if not isinstance(value, str):
        raise ValueRefused(f"wanted a text in quotes, got {show(value)}")
    if (size := len(value.encode("utf-8", "surrogatepass"))) > LONGEST_BODY:
        raise ValueRefused(f"wanted at most {LONGEST_BODY} bytes, got {size}", "larger ones are for a backend")
    return value


def media_type(value: object) -> str:
    """Of such a body."""
    if not isinstance(value, str) or not _TYPE.match(value) or len(value) > 256:
        raise ValueRefused(f'wanted a type such as "application/json", got {show(value)}')
    return value


def type_or_family(value: object) -> str:
    """Of bodies that are compressed, in lower case: "text/css", or "text/*" for all that begin so."""
    if not isinstance(value, str) or not _FAMILY.match(value) or len(value) > 256:
        hint = "parameters such as charset do not count"
        raise ValueRefused(f'wanted a type such as "text/css", or "text/*", got {show(value)}', hint)
    return value.lower()


def coding(value: object) -> str:
    """What bodies are compressed with; its library is loaded."""
    name = values.choice(*coders.CODINGS)(value)
    try:
        coders.maker(name)
    except coders.CoderUnavailable as error:
        raise ValueRefused(str(error), coders.HINT) from error
    return name


def prefix_to_change(value: object) -> str:
    """What strip_prefix, add_prefix and replace_prefix take: without the slash at its end; "" for "/"."""
    path = normal(values.route_path(value)).rstrip("/")
    if path.startswith("//"):
        raise ValueRefused(f"wanted one slash in front, got {show(value)}")
    return path


def some_prefix(value: object) -> str:
    """One that is there."""
    path = prefix_to_change(value)
    if not path:
        raise ValueRefused(f'wanted a prefix such as "/app", got {show(value)}', 'every path begins with "/"')
    return path


def prefix_pair(value: object) -> tuple[str, str]:
    """{ from = "/old", to = "/new" }"""
    if not isinstance(value, dict) or value.keys() != {"from", "to"}:
        raise ValueRefused(f'wanted {{ from = "/old", to = "/new" }}, got {show(value)}')
    old, new = prefix_to_change(value["from"]), prefix_to_change(value["to"])
    if old == new:
        raise ValueRefused(f"wanted two different prefixes, got {show(value['from'])} twice")
    return old, new
