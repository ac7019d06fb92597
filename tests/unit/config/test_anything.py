"""What is tried of any configuration is tried of all of it: no key is forgotten by those who make them up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib.util import find_spec
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from lbproxy.config.model import Config
from tests.unit.config.anything import configs

ELSEWHERE = {
    "source": "the file's name",
    "line": "tells people where it stood",
    "variables": "the environment: what these held",
    "backup": "another word for a tier",
    "written": "texts that name environment variables",
    **dict.fromkeys(("allow_file", "deny_file", "allow_listed", "deny_listed"), "files of networks would have to be there"),
    **dict.fromkeys(("folder", "folder_key_mode", "folder_passphrase", "listed", "left_out"), "a folder would have to be there"),
    "ticket_keys": "files of keys would have to be there",
}
"""Fields that are no keys, by name."""
if find_spec("re2") is None:
    ELSEWHERE["regex"] = "google-re2 is not installed"

_seen: set[str] = set()
_there: set[str] = set()


def values(value: Any) -> Iterator[tuple[str, bool]]:
    """Every field of every dataclass inside, and whether it says something else than its default."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            default = field.default_factory() if field.default_factory is not MISSING else field.default
            here = getattr(value, field.name)
            yield f"{type(value).__name__}.{field.name}", here != default
            yield from values(here)
    elif isinstance(value, tuple) and not hasattr(value, "_fields"):
        for each in value:
            yield from values(each)


@settings(max_examples=200, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
@given(configs())
def _make_some(config: Config) -> None:
    for name, said in values(config):
        _there.add(name)
        if said:
            _seen.add(name)


def test_every_key_is_made_up() -> None:
    """Each takes another value than its default sooner or later."""
    _make_some()
    missing = {name for name in _there - _seen if name.partition(".")[2] not in ELSEWHERE}
    assert not missing, f"tests/unit/config/anything.py never says anything about {sorted(missing)}"
