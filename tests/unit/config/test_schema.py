"""The JSON Schema says what the reader says, as far as it can."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from lbproxy.config.emit import emit
from lbproxy.config.key import Stand
from lbproxy.config.model import Config
from lbproxy.config.schema import schema
from lbproxy.config.starter import STARTER
from tests.unit.config.anything import configs
from tests.unit.config.test_keys import KEYS, LEAST, table_of

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (pip install -e '.[test]')")

ROOT = Path(__file__).resolve().parents[3]
CONF = ROOT / "conf"
SCHEMA = schema()
VALIDATOR: Any = jsonschema.Draft202012Validator(SCHEMA)


def faults(tree: object) -> list[str]:
    """Where a tree does not fit, and why."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(tree)]


def test_it_is_a_schema() -> None:
    """Of the dialect that it names; `lbproxy schema` prints it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    printed = subprocess.run([sys.executable, "-m", "lbproxy", "schema"], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(printed.stdout) == json.loads(json.dumps(SCHEMA))


@pytest.mark.parametrize("text", [
    (CONF / "example.toml").read_text(encoding="utf-8"), (CONF / "minimal.toml").read_text(encoding="utf-8"), STARTER,
    'include = ["sites/*.toml"]\n[proxy]\nworkers = "${WORKERS}"\nwalls = "${WALLS}"\n[limits]\nbody = "${SIZE}"\nfields = "${N}"',
    '[[route]]\npool = "${POOL}"\npath = "/${WHERE}/"\n[pool."a.b"]\nbackends = ["${HOST}:80", "10.0.0.1:80", "unix:/run/a"]\n',
])  # fmt: skip
def test_good_files(text: str) -> None:
    """Ours, what init prints, and variables of the environment wherever they may stand."""
    assert faults(tomllib.loads(text)) == []


@pytest.mark.parametrize(("text", "where"), [
    ("[proxi]\nworkers = 1\n", "$"), ("[proxy]\nworker = 1\n", "$.proxy"), ("[proxy]\nworkers = 0\n", "$.proxy.workers"),
    ('[timeouts]\nconnect = "30"\n', "$.timeouts.connect"), ("[timeouts]\nconnect = 30\n", "$.timeouts.connect"),
    ('[timeouts]\nconnect = ""\n', "$.timeouts.connect"), ('[timeouts]\nconnect = "1s1m"\n', "$.timeouts.connect"),
    ('[limits]\nhead = "64k"\n', "$.limits.head"), ('[limits]\nhead = 64\n', "$.limits.head"),
    ('[[listen]]\nmax_connections = 1\n', "$.listen[0]"), ('[listen]\naddress = ":1"\n', "$.listen"),
    ('[[listen]]\naddress = "1.2.3.4"\n', "$.listen[0].address"),
    ('[pool.a]\n', "$.pool.a"), ('[pool.a]\nbackends = ["a"]\n', "$.pool.a.backends[0]"),
    ('[pool.a]\nbackends = ["a:1"]\n[pool.a.health]\ntype = "htpp"\n', "$.pool.a.health.type"),
])  # fmt: skip
def test_bad_files(text: str, where: str) -> None:
    """Names, kinds, units and limits."""
    assert [found for found in faults(tomllib.loads(text)) if found.startswith(f"{where}: ")]


@pytest.mark.parametrize("stand", KEYS, ids=lambda stand: stand.path)
def test_every_key(stand: Stand) -> None:
    """Its example and the others of its kind fit, what is of no kind does not, nor the same key with a letter more."""
    tree = deepcopy(LEAST)
    table = table_of(tree, stand)
    for example in (stand.item.example(), *stand.key.kind.examples):
        table[stand.item.name] = example
        assert faults(tree) == []
    table[f"{stand.item.name}x"] = table[stand.item.name]
    assert faults(tree)
    del table[f"{stand.item.name}x"]
    table[stand.item.name] = 1.5
    assert faults(tree)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a tenth of a second each
@given(configs())
def test_what_is_in_effect_fits(config: Config) -> None:
    """Whatever the reader may have made, written out with every key."""
    assert faults(tomllib.loads(emit(config))) == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name)
def test_the_examples_of_the_pages_fit(page: Path) -> None:
    """As the reader takes them."""
    for text in re.findall(r"^```toml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        assert faults(tomllib.loads(text)) == []
