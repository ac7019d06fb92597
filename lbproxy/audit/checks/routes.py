"""Dangers of what routes do to requests and answers on their way."""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.audit.finding import Check, Evidence, Path, Severity
from lbproxy.config.model import Config
from lbproxy.config.model.compress import TELLING, TYPES


def _at(number: int, *path: str) -> Path:
    return ("route", number, *path)


def _compressed_secrets(config: Config) -> Iterable[Evidence]:
    for number, route in enumerate(config.routes):
        if route.compress is not None:
            risky = [kind for kind in route.compress.all_types if kind not in TYPES and _tells(kind)]
            if risky:
                yield Evidence(_at(number, "compress", "types"), " ".join(risky), route.line)


def _tells(kind: str) -> bool:
    return kind in TELLING or any(kind == f"{telling.partition('/')[0]}/*" for telling in TELLING)


def _passwords_in_the_clear(config: Config) -> Iterable[Evidence]:
    plain = [str(listen.address) for listen in config.listen if listen.plain and listen.redirect_to_https is False]
    for number, route in enumerate(config.routes):
        if route.basic_auth is not None and plain:
            yield Evidence(_at(number, "basic_auth"), f"also on {plain[0]}", route.line)


def _unasked(config: Config) -> Iterable[Evidence]:
    for number, route in enumerate(config.routes):
        for name in ("authorize", "jwt", "icap"):
            table = getattr(route, name)
            if table is not None and table.on_failure == "pass":
                yield Evidence(_at(number, name, "on_failure"), "pass", route.line)
        if route.waf is not None and route.waf.mode == "block" and route.waf.on_failure == "pass":
            yield Evidence(_at(number, "waf", "on_failure"), "pass", route.line)


def _anybodys_keys(config: Config) -> Iterable[Evidence]:
    for number, route in enumerate(config.routes):
        keys = None if route.jwt is None else route.jwt.key_set
        if keys is not None and keys.parts.scheme != "https":
            yield Evidence(_at(number, "jwt", "jwks_url"), keys.url, route.line)
        elif keys is not None and not keys.verify:
            yield Evidence(_at(number, "jwt", "jwks_verify"), "false", route.line)


def _unseen(config: Config) -> Iterable[Evidence]:
    for number, route in enumerate(config.routes):
        if route.icap is not None and route.icap.over_cap == "pass":
            yield Evidence(_at(number, "icap", "over_cap"), "pass", route.line)


def _any_origin(config: Config) -> Iterable[Evidence]:
    """Where a browser says by itself who its user is. Routes that look at Origin or Upgrade, here or before, are for just that."""
    looked: set[str | None] = set()
    for number, route in enumerate(config.routes):
        if _LOOKS_AT & {name.lower() for name, _ in route.match.headers}:
            looked.add(route.host)
        if route.host in looked or None in looked:
            continue
        asks = {"basic_auth": route.basic_auth, "authorize": route.authorize, "jwt": route.jwt and route.jwt.cookie}
        for name in (name for name, asked in asks.items() if asked):
            yield Evidence(_at(number, name), "WebSockets from pages of any origin", route.line)


_LOOKS_AT = frozenset({"origin", "upgrade"})


def _unseen_by_rules(config: Config) -> Iterable[Evidence]:
    for number, route in enumerate(config.routes):
        if route.waf is None:
            continue
        if route.waf.mode == "detect":
            yield Evidence(_at(number, "waf", "mode"), "detect, whatever over_cap says", route.line)
        elif route.waf.over_cap == "pass":
            yield Evidence(_at(number, "waf", "over_cap"), "pass", route.line)


def _shared(config: Config) -> Iterable[Evidence]:
    """Fields by which requests tell who they are from; one that may come, and is not named, makes no difference."""
    for number, route in enumerate(config.routes):
        asked = route.authorize
        if asked is None or not asked.cache:
            continue
        named = {name.lower() for name in asked.cache_by}
        if left := [name for name in _WHO if name.lower() not in named]:
            yield Evidence(_at(number, "authorize", "cache_by"), f"without {' and '.join(left)}", route.line)


_WHO = ("Cookie", "Authorization")

CHECKS = (
    Check(
        "compressed-secrets",
        Severity.MEDIUM,
        "An answer with a secret and something that a stranger chose tells of the secret by its compressed length (BREACH).",
        "Name in types what is the same for everybody; see the how-to about compression.",
        _compressed_secrets,
    ),
    Check(
        "passwords-in-the-clear",
        Severity.HIGH,
        "Passwords are asked for where there is no TLS: everybody on the way can read them.",
        "Add redirect_to_https = true to the listener.",
        _passwords_in_the_clear,
    ),
    Check(
        "authorization-open",
        Severity.MEDIUM,
        "While whoever is asked does not answer, everybody may pass.",
        "Take on_failure out: requests get 503 then.",
        _unasked,
    ),
    Check(
        "keys-of-anybody",
        Severity.HIGH,
        "Keys of tokens are fetched from whoever answers: who stands on the way there makes tokens that let in.",
        "Fetch them over https and take jwks_verify out; jwks_ca names an authority of your own.",
        _anybodys_keys,
    ),
    Check(
        "icap-unseen",
        Severity.LOW,
        "Whoever makes a message large enough is not looked at.",
        "Take over_cap out, and say a max_body that your messages keep to.",
        _unseen,
    ),
    Check(
        "websocket-origins",
        Severity.LOW,
        "A page of any origin may open a WebSocket as the user whose browser shows it: browsers send passwords and cookies along.",
        "See that backends look at Origin, and accept this; or let routes look at it, by match.headers.",
        _any_origin,
    ),
    Check(
        "waf-unseen",
        Severity.LOW,
        "Whoever makes a request large enough is not looked at but for its head.",
        'With mode = "block" and without over_cap it gets 413.',
        _unseen_by_rules,
    ),
    Check(
        "verdicts-shared",
        Severity.MEDIUM,
        "An answer to one request lets another pass that says somebody else in a field that cache_by leaves out, and has his name.",
        'Say cache_by = ["Cookie", "Authorization"], and whatever else your users are told apart by.',
        _shared,
    ),
)
