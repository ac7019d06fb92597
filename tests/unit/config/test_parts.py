"""Several files as one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbproxy.config.emit import emit
from lbproxy.config.load import load_file, load_text
from lbproxy.config.parts import patterns_of
from lbproxy.errors import ConfigError, Line
from lbproxy.tls.audit import audit

MAIN = """
include = ["sites/*.toml"]
[[listen]]
address = ":80"
[[route]]
pool = "rest"
[pool.rest]
backends = ["10.0.0.1:80"]
"""


def site(name: str, more: str = "") -> str:
    return f"""
[[route]]
host = "{name}.test"
pool = "{name}"
[pool.{name}]
backends = ["10.0.1.1:80"]
{more}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sites").mkdir()
    (tmp_path / "lb.toml").write_text(MAIN)
    (tmp_path / "sites" / "b.toml").write_text(site("b"))
    (tmp_path / "sites" / "a.toml").write_text(site("a"))
    return tmp_path


def told(folder: Path) -> list[str]:
    """Complaints, by the names that somebody typed."""
    here = os.getcwd()
    os.chdir(folder)
    try:
        with pytest.raises(ConfigError) as caught:
            load_file(Path("lb.toml"))
    finally:
        os.chdir(here)
    return list(map(str, caught.value.complaints))


def test_what_is_included_comes_first_in_the_order_of_names(folder: Path) -> None:
    """So the main file's route for everything else is the last one. Hidden files, and others, are none."""
    (folder / "sites" / ".c.toml.swp").write_text("rubbish")
    (folder / "sites" / ".c.toml").write_text("rubbish")
    (folder / "sites" / "readme").write_text("rubbish")
    config = load_file(folder / "lb.toml")
    assert [route.pool for route in config.routes] == ["a", "b", "rest"]
    assert [pool.name for pool in config.pools] == ["a", "b", "rest"]
    first = config.routes[0].line
    assert isinstance(first, Line)
    assert (int(first), first.file) == (2, str(folder / "sites" / "a.toml"))
    assert emit(config) == emit(load_text(emit(config), "", folder))
    (folder / "sites" / "a.toml").unlink()
    (folder / "sites" / "c.toml").write_text(site("c"))
    assert [route.pool for route in load_file(folder / "lb.toml").routes] == ["b", "c", "rest"]


def test_every_complaint_has_its_own_file_and_line(folder: Path) -> None:
    """All at once, keys as that file counts them, files in the order that they are read."""
    (folder / "lb.toml").write_text(MAIN + "balanse = 1\n")
    (folder / "sites" / "a.toml").write_text(site("a", "weight = 1"))
    (folder / "sites" / "b.toml").write_text(site("b") + '[[route]]\nhost = "b..test"\npool = "b"\n')
    assert [line.partition(" (")[0] for line in told(folder)] == [
        "sites/a.toml:7: pool.a.weight: unknown key",
        'sites/b.toml:9: route[1].host: wanted a host name or an IP address, got "b..test"',
        "lb.toml:9: pool.rest.balanse: unknown key",
    ]


def test_later_complaints_know_their_file_as_well(folder: Path) -> None:
    """Routes that are never reached, certificates, and whatever else goes by a line."""
    (folder / "sites" / "a.toml").write_text(site("b").replace("pool.b", "pool.a").replace('pool = "b"', 'pool = "a"'))
    assert told(folder) == [
        "sites/b.toml:2: route: this route is never reached: the one on line 2 of sites/a.toml matches first (take one of them out)"
    ]
    listen = '[[listen]]\naddress = ":443"\ncertificates = [{ cert = "no.crt", key = "no.key" }]\n'
    (folder / "sites" / "a.toml").write_text(listen + site("a"))
    complaints = audit(load_file(folder / "lb.toml"))
    assert {str(complaint).partition(": ")[0] for complaint in complaints} == {f"{folder}/sites/a.toml:2"}
    assert complaints[0].as_dict()["file"] == f"{folder}/sites/a.toml"
    assert f"{folder}/no.crt does not exist" in complaints[0].message  # relative to the main file's folder


def test_files_that_cannot_be_read(folder: Path) -> None:
    """Each by its name."""
    (folder / "sites" / "a.toml").write_text("[[route]\n")
    (folder / "sites" / "b.toml").write_bytes(b"# \xff\n")
    (folder / "sites" / "c.toml").mkdir()
    os.mkfifo(folder / "sites" / "d.toml")
    (folder / "sites" / "e.toml").symlink_to("gone")
    found = told(folder)
    assert [line.partition(": ")[0] for line in found] == [
        "sites/a.toml:1", "sites/b.toml:1", "sites/c.toml", "sites/d.toml", "sites/e.toml",
    ]  # fmt: skip
    assert "not valid TOML" in found[0]
    assert "wanted UTF-8" in found[1]
    assert "no regular file" in found[2]
    assert "No such file" in found[4]


def test_one_thing_in_two_files(folder: Path) -> None:
    """A pool, or a table that occurs once: told with where it is already."""
    (folder / "sites" / "a.toml").write_text('[log]\nlevel = "debug"\n' + site("a"))
    (folder / "sites" / "b.toml").write_text(site("a") + '[log]\naccess = "off"\n')
    assert told(folder)[:2] == [
        "sites/b.toml:5: pool.a: is in sites/a.toml:7 already (one file may have it)",
        "sites/b.toml:8: log: is in sites/a.toml:1 already (one file may have it)",
    ]


def test_included_files_include_no_others(folder: Path) -> None:
    """Not even themselves; and the main file is not included by its own pattern."""
    (folder / "sites" / "a.toml").write_text('include = ["*.toml"]\n' + site("a"))
    assert told(folder) == ["sites/a.toml:1: include: an included file includes no others (name them in the main file)"]
    (folder / "sites" / "a.toml").write_text(site("a"))
    (folder / "lb.toml").write_text(MAIN.replace("sites/*.toml", "*.toml"))
    (folder / "other.toml").write_text(site("b"))
    assert [route.pool for route in load_file(folder / "lb.toml").routes] == ["b", "rest"]


def test_patterns(folder: Path) -> None:
    """One that means nothing is fine, a name that is not there is not; twice the same is once."""
    patterns = '"none/*.toml", "sites/a.toml", "sites/*.toml", "sites/../sites/b.toml"'
    (folder / "lb.toml").write_text(MAIN.replace('"sites/*.toml"', patterns))
    assert [route.pool for route in load_file(folder / "lb.toml").routes] == ["a", "b", "rest"]
    (folder / "lb.toml").write_text(MAIN.replace('"sites/*.toml"', '"sites/*.toml", "gone.toml"'))
    assert told(folder) == ["lb.toml:2: include[1]: gone.toml does not exist (a name without a star has to be there)"]
    (folder / "lb.toml").write_text(MAIN.replace('"sites/*.toml"', '"${WHERE}/*.toml"'))
    assert len(load_file(folder / "lb.toml", environ={"WHERE": "sites"}).routes) == 3
    assert "the environment variable WHERE is not set" in told(folder)[0]


@pytest.mark.parametrize("value", ["sites/*.toml", [1], [""], 3, True, {"a": 1}])
def test_what_is_no_list_of_patterns(value: object) -> None:
    """Said with how it looks."""
    assert "wanted a list of file names" in str(patterns_of(value))
