"""Configurations as text: what toml writes of a dict, with the empty tables that it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import toml

_NOTHING = "nothing_stands_in_this_table"


def written(config: Mapping[str, Any] | str) -> str:
    """As it stands, if it is text."""
    if isinstance(config, str):
        return config
    return toml.dumps(_marked(dict(config))).replace(f"{_NOTHING} = true\n", "")


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _marked(each) for key, each in value.items()} or {_NOTHING: True}
    return [_marked(each) for each in value] if isinstance(value, list) else value
