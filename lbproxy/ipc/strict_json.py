"""JSON of which nothing is left to the reader's taste: one object, every field once, integers of at most 18 digits, no NaN."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NoReturn


class NotStrict(ValueError):
    """What is wrong with it, in words."""


def strict_object(text: str) -> dict[str, object]:
    """The fields of the JSON object in `text`. Raises NotStrict, whatever the text is."""
    try:
        fields = json.loads(
            text,
            object_pairs_hook=_no_doubles,
            parse_constant=_no_such_number,
            parse_float=_no_such_number,
            parse_int=_short_integer,
        )
    except NotStrict:
        raise
    except (ValueError, RecursionError) as error:  # JSONDecodeError is a ValueError; a deep nest ends the parser's stack
        raise NotStrict(f"{error!s:.120}") from error
    if not isinstance(fields, dict):
        raise NotStrict(f"wanted a JSON object, came {type(fields).__name__}")
    return fields


def _no_doubles(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise NotStrict("a field stands twice")
    return fields


def _no_such_number(word: str) -> NoReturn:
    raise NotStrict(f"no field takes the number {word:.40}")


def _short_integer(digits: str) -> int:
    if len(digits) > 18:  # beyond every rule; and int() of very many digits costs time
        raise NotStrict(f"a number of {len(digits)} digits")
    return int(digits)
