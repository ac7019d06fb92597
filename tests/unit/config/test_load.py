"""TOML in, a Config or every complaint out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbproxy.config.load import load_file, load_text
from lbproxy.config.model import Config
from lbproxy.config.starter import STARTER
from lbproxy.errors import Complaint, ConfigError
from tests.unit.config.text import BASE, LEAST, complaint, read, refused

CONF = Path(__file__).resolve().parents[3] / "conf"


def test_every_complaint_at_once_in_file_order() -> None:
    """A person fixes a file in one go."""
    text = """\
[proxy]
worker = 3
drain_timeout = 30
[[listen]]
address = "localhost:443"
[[route]]
pool = "ap"
[pool.app]
backends = ["10.0.0.1:80",
  "http://foo:80"]
[limits]
head = "64k"
"""
    assert [str(found) for found in refused(text)] == [
        'test.toml:2: proxy.worker: unknown key (did you mean "workers"?)',
        "test.toml:3: proxy.drain_timeout: "
        'wanted a duration such as "30s", "250ms" or "1m30s", got the number 30 (write the unit, e.g. "30s")',
        'test.toml:5: listen[0].address: wanted the IP address to listen on, got "localhost" (e.g. "127.0.0.1:443")',
        'test.toml:7: route[0].pool: there is no pool "ap" (did you mean "app"?)',
        "test.toml:10: pool.app.backends[1]: "
        'wanted an address such as "10.0.0.1:8080" or "app.internal:8080", got "http://foo:80" (leave out "http://")',
        "test.toml:12: limits.head: "
        'wanted a size such as "64KiB", "32KB" or "1MiB", got "64k" (write "64KiB" (1024) or "64KB" (1000))',
    ]


@pytest.mark.parametrize(("text", "line", "message"), [
    ("a = 1\nb = \n", 2, "Invalid value"),
    ("a = 1\na = 2\n", 2, "Cannot overwrite a value"),
    ("a = 1 b = 2\n", 1, "Expected newline or end of document after a statement"),
    ('x = """\n\n', 3, "Unterminated string at the end of the file"),
    ("[a\n", 1, "Expected ']'"),
    ("a = yes\n", 1, "Invalid value"),
    ("\x00", 1, "Invalid statement"),
])  # fmt: skip
def test_broken_toml(text: str, line: int, message: str) -> None:
    """The line is tomllib's, its words are kept."""
    found = complaint(text)
    assert found.line == line
    assert found.message.startswith("not valid TOML: ")
    assert message in found.message


def test_nothing_at_all() -> None:
    """An empty file is told what is missing."""
    messages = [(found.message, found.hint) for found in refused("")]
    assert messages == [
        ("nothing to listen on", 'add [[listen]] with address = "0.0.0.0:443"'),
        ("no route leads to a pool", 'add [[route]] with pool = "NAME" and [pool.NAME] with its backends'),
    ]


def test_only_redirects_need_no_route() -> None:
    """They never ask a backend."""
    assert read('[[listen]]\naddress = ":80"\nredirect_to_https = true').routes == ()
    assert complaint('[[listen]]\naddress = ":80"\n[pool.app]\nbackends = ["a:1"]').hint == 'add [[route]] with pool = "app"'


@pytest.mark.parametrize(("key", "hint"), [
    ("lisen", 'did you mean "listen"?'),
    ("upstream", "[pool.NAME] is what it is called here"),
    ("workers", "it belongs in [proxy]"),
    ("zzz", "known here: include, listen, route, pool, proxy, log, timeouts, limits, metrics, client_limit, tap, audit"),
])  # fmt: skip
def test_unknown_tables(key: str, hint: str) -> None:
    """Also for people who come from other proxies."""
    assert complaint(f"{key} = 1\n" + LEAST).hint == hint


def test_line_ends_and_marks_of_other_systems(tmp_path: Path) -> None:
    """A file from Windows: carriage returns and a byte-order mark."""
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode())
    assert load_file(file).routes[0].line == 4


def test_files_are_relative_to_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to where the command was typed; and absolute, so that the daemon may change its directory."""
    (tmp_path / "a.toml").write_text('[log]\naccess = "access.log"\n' + LEAST)
    monkeypatch.chdir(tmp_path)
    config = load_file(Path("a.toml"))
    assert config.log.access == str(tmp_path / "access.log")
    assert config.source == "a.toml"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A complaint like any other."""
    (tmp_path / "latin1.toml").write_bytes(b"# ok\n# \xe9\n")
    cases = {
        "absent.toml": (0, "cannot be read: No such file or directory", "lbproxy init > FILE writes one to start from"),
        ".": (0, "cannot be read: Is a directory", "name the file in it"),
        "latin1.toml": (2, "wanted UTF-8, got the byte 0xe9", "save the file as UTF-8"),
    }
    for name, (line, message, hint) in cases.items():
        with pytest.raises(ConfigError) as error:
            load_file(tmp_path / name)
        assert error.value.complaints == [Complaint(str(tmp_path / name), line, "", message, hint)]


def test_a_file_by_the_name_that_the_user_gave_it(tmp_path: Path) -> None:
    """A daemon opens it by its whole path; complaints and `source` say what was typed, and files are still looked for beside it."""
    (tmp_path / "a.toml").write_text('[log]\naccess = "access.log"\n' + LEAST)
    config = load_file(tmp_path / "a.toml", named="conf/a.toml")
    assert (config.source, config.log.access) == ("conf/a.toml", str(tmp_path / "access.log"))
    for content in (None, b"\xe9", b"a =", LEAST.encode() + b"[log]\nx = 1\n"):
        if content is None:
            (tmp_path / "a.toml").unlink()
        else:
            (tmp_path / "a.toml").write_bytes(content)
        with pytest.raises(ConfigError) as error:
            load_file(tmp_path / "a.toml", named="conf/a.toml")
        assert [found.file for found in error.value.complaints] == ["conf/a.toml"]


def test_depth_is_no_crash() -> None:
    """Brackets without end are refused like anything else."""
    assert complaint("a = " + "[" * 100_000).message == "nested too deeply"


def test_what_init_prints_passes() -> None:
    """As it stands, and with its comments' lines taken in."""
    assert len(load_text(STARTER, "", BASE).pools) == 1
    keys = re.sub(r"^# (?=\[|[a-z_]+ = )", "", STARTER, flags=re.MULTILINE)
    config = load_text(keys, "", BASE)
    assert [listen.redirect_to_https for listen in config.listen] == [False, True]
    assert config.pools[0].health.type == "http"


def test_the_shipped_files_pass() -> None:
    """All but their certificates is there to be read."""
    assert [listen.address.port for listen in load_file(CONF / "minimal.toml").listen] == [443, 80]
    assert len(load_file(CONF / "example.toml").routes) == 10


def test_the_example_shows_the_defaults() -> None:
    """Where it does not say "example" or "required", the value is the model's default: without those lines nothing changes."""
    text = (CONF / "example.toml").read_text()
    bare = "\n".join(line for line in text.split("\n") if not _shows_a_default(line))
    assert text.count("\n") - bare.count("\n") >= 30
    assert _said(load_text(text, "", BASE)) == _said(load_text(bare, "", BASE))


def _shows_a_default(line: str) -> bool:
    is_key = re.match(r"\w+ = ", line) is not None
    return is_key and "# example" not in line and "# required" not in line


def _said(config: Config) -> str:
    return re.sub(r"line=\d+", "", repr(config))


def test_the_readmes_example_passes() -> None:
    """The counterpart of the nginx example is one that lbproxy takes."""
    (example,) = re.findall(r"```toml\n(.*?)```", (CONF.parent / "README.md").read_text(), re.DOTALL)
    config = load_text(example, "README.md", BASE)
    assert [(listen.address.port, len(listen.certificates), listen.redirect_to_https) for listen in config.listen] == [
        (443, 1, False),
        (80, 0, True),
    ]
    assert [backend.weight for backend in config.pool("app").backends] == [1, 2]


def test_a_file_without_end() -> None:
    """A device, or the wrong file: read up to a limit, and refused."""
    with pytest.raises(ConfigError) as refused:
        load_file(Path("/dev/zero"))
    assert "is longer than 16 MiB" in str(refused.value)
