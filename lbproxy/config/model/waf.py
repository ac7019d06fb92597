"""Keys of a [route.waf]: rules that look for attacks in requests, in processes of their own."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.config.atoms import KIB, MIB
from lbproxy.config.key import key
from lbproxy.config.kinds import BOOLEAN, TEXT, Kind, ListOf, choice, duration, size, text_schema, whole
from lbproxy.config.values import text_like

CRS = ("/etc/modsecurity/crs/crs-setup.conf", "/usr/share/modsecurity-crs/rules/*.conf")
"""Where Debian puts the Core Rule Set."""
_RULES = Kind("file", text_like(r"/[!-~]+", "an absolute path, maybe with stars"), text_schema("^/[!-~]+$"), examples=CRS)
_ID = Kind("rule", text_like(r"[0-9]{1,9}(-[0-9]{1,9})?", 'an id or a range, "942100" or "942100-942199"'),
           text_schema("^[0-9]{1,9}(-[0-9]{1,9})?$"), examples=("942100", "920300-920399"))  # fmt: skip
_TAG = Kind("tag", text_like(r"[A-Za-z0-9_/.:-]{1,100}", "a tag"), text_schema("^[A-Za-z0-9_/.:-]{1,100}$"),
            examples=("attack-sqli", "language-php"))  # fmt: skip
_ARGUMENT = Kind("argument", text_like(r"[A-Za-z0-9_.:$\[\]-]{1,100}", "the name of an argument"),
                 text_schema(r"^[A-Za-z0-9_.:$\[\]-]{1,100}$"), examples=("comment", "user[about]"))  # fmt: skip
_PREFIX = Kind("path", text_like(r"/[!-~]*", "the beginning of a path"), text_schema("^/[!-~]*$"),
               examples=("/upload/", "/editor/"))  # fmt: skip
_TYPE = Kind("media type", text_like(r"[a-z0-9.+-]{1,50}/[a-z0-9.+-]{1,80}", "a type in small letters"),
             text_schema("^[a-z0-9.+-]{1,50}/[a-z0-9.+-]{1,80}$"), examples=("text/html", "application/json"))  # fmt: skip
TYPES = ("text/html", "text/plain", "text/xml", "application/json", "application/xml")


@dataclass(frozen=True, slots=True)
class WafConfig:
    """[route.waf]: what libmodsecurity says of requests, and of answers, by the rules that it is given."""

    mode: str = key(
        choice("detect", "block"),
        "detect",
        'what rules say is told, and no request waits for it; "block": who is found to attack gets 403, and a backend gets '
        "nothing of a request before it was looked at",
    )
    rules: tuple[str, ...] = key(
        ListOf(_RULES, 'a list of files such as ["/etc/lbproxy/rules.conf"]', empty=("file", "leave the key out")),
        CRS,
        "files of rules, in order; stars stand for several. Default: the Core Rule Set, where Debian's modsecurity-crs puts it",
        example=[*CRS],
    )
    engine: str = key(TEXT, "libmodsecurity.so.3", "the rule engine (apt install libmodsecurity3)")
    paranoia: int = key(whole(1, 4), 1, "how much the Core Rule Set suspects: 1 few mistakes, 4 many")
    threshold: int = key(whole(1, 1000), 5, "the score, of all rules that a request meets together, from which it is an attack")
    exclude_rules: tuple[str, ...] = key(
        ListOf(_ID, 'a list of ids such as ["942100"]'), (), "rules that are left out, by id or range", example=["920350"]
    )
    exclude_tags: tuple[str, ...] = key(
        ListOf(_TAG, 'a list of tags such as ["language-php"]'), (), "rules that are left out, by tag", example=["language-php"]
    )
    exclude_arguments: tuple[str, ...] = key(
        ListOf(_ARGUMENT, 'a list of names such as ["comment"]'),
        (),
        "arguments, of the query or of a form, or of JSON (json.comment), that no rule of the Core Rule Set looks at; those that "
        "look at the whole of a target (930100, 930110) still see one of the query. In the letters of the request",
        example=["comment"],
    )
    exclude_paths: tuple[str, ...] = key(
        ListOf(_PREFIX, 'a list of paths such as ["/upload/"]'),
        (),
        "beginnings of paths that are not looked at",
        example=["/upload/"],
    )
    max_body: int = key(size(0, MIB // 8), 64 * KIB, "of a request that is looked at")
    max_arguments: int = key(
        whole(1, 10_000),
        1000,
        "of a request that is looked at: of the query, of a form, cookies, values of JSON (and each 512 bytes of the names that "
        "they are called by); each costs each rule's time",
    )
    over_cap: str = key(
        choice("refuse", "pass"),
        "refuse",
        'with mode = "block", a longer body or more arguments: 413, a compressed body: 415; "pass": its head alone is looked at, '
        "or nothing where the query has too many. None is cut: rules take a part for a fault",
    )
    timeout: float = key(duration(60.0), 2.0, "for each request; who takes longer to look is ended and replaced")
    on_failure: str = key(
        choice("refuse", "pass"), "refuse", 'with mode = "block", nobody says in time what it is: 503; "pass": it is let through'
    )
    inspectors: int = key(whole(1, 16), 2, "processes for each worker")
    responses: bool = key(
        BOOLEAN,
        False,
        "true: answers are looked at as well (leaks of data and of errors); backends are asked for them without compression. To "
        "block, an answer is held until the verdict; who is found to leak is replaced by a 403",
    )
    response_types: tuple[str, ...] = key(
        ListOf(_TYPE, 'a list of types such as ["text/html"]', empty=("type", "leave the key out")),
        TYPES,
        "types of answers whose bodies are looked at, and those without a type; of others, and of events, the head alone",
        example=[*TYPES],
    )
    max_response: int = key(
        size(0, MIB // 8),
        64 * KIB,
        'of the body of an answer that is looked at. A longer or compressed one with mode = "block" is 502 by over_cap; "pass": '
        "its first bytes alone are looked at, or nothing but the head where it is compressed",
    )
    response_threshold: int = key(whole(1, 1000), 4, "the score from which an answer is a leak")
