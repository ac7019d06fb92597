"""Whatever configuration reads well, workers and control can be made of it; and `check` is who finds out when that is not so."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from lbproxy.balance.endpoints import is_name
from lbproxy.cli import rehearsal
from lbproxy.config import model
from lbproxy.config.emit import emit
from lbproxy.config.load import load_text
from lbproxy.config.model import Address, Config
from lbproxy.http import edits
from tests.conftest import Stage
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.process import LbProxy, run_cli
from tests.unit.cli.fake import Capture
from tests.unit.config.anything import configs

TEXT = """
[[listen]]
address = "127.0.0.1:8080"
[[route]]
pool = "app"
trace = "make"
request_headers = { remove = ["tracestate"] }
[pool.app]
backends = ["127.0.0.1:9000"]
"""


def with_files(config: Config, authority: Authority) -> Config:
    """The same with certificates, keys and authorities that are there."""
    pair = {kind: Path(path) for kind, path in authority.issue("localhost", "127.0.0.1").items()}
    listen = [
        replace(
            each,
            certificates=tuple(replace(one, cert=pair["cert"], key=pair["key"]) for one in each.certificates),
            listed=tuple(replace(one, cert=pair["cert"], key=pair["key"]) for one in each.listed),
            tls=replace(
                each.tls, client_ca=each.tls.client_ca and authority.file, client_crl=None,
                names=tuple(replace(one, client_ca=one.client_ca and authority.file, client_crl=None) for one in each.tls.names),
            ),
        )
        for each in config.listen
    ]
    pools = [
        replace(pool, tls=pool.tls and replace(
            pool.tls, ca=pool.tls.ca and authority.file, cert=pool.tls.cert and pair["cert"], key=pool.tls.key and pair["key"],
            crl=None,
        ))
        for pool in config.pools
    ]  # fmt: skip
    return replace(config, listen=tuple(listen), pools=tuple(pools))


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(configs())
def test_of_any_configuration_workers_can_be_made(authority: Authority, config: Config) -> None:
    """Every key there is, in any combination that the reader lets through."""
    assert rehearsal.complaints(with_files(config, authority)) == []


SMALL = 2**24 + 1
"""Bytes of a cache's memory: others want to live here, too."""


def here(config: Config, directory: Path, unix: Address) -> Config:
    """The same, made so that it can run on this machine beside others: free ports, no accounts or folders of a system, nor files of
    passwords and keys that would have to be there, and no authority that would be asked for certificates."""
    listen = [
        replace(
            each,
            address=unix if each.address.path else Address("127.0.0.1", free_port()),
            redirect_to_https=443 if each.redirect_port else each.redirect_to_https,
            access=replace(each.access, owner=None, group=None),
            acme=False,
            listed=() if each.acme else each.listed,
        )
        for each in config.listen
    ]
    pools = [
        replace(pool, backends=tuple(
            replace(each, address=Address(f"127.1.{index}.{number}", 9) if is_name(each.address.host) else each.address)
            for number, each in enumerate(pool.backends)
        ))
        for index, pool in enumerate(config.pools)
    ]  # fmt: skip
    metrics = replace(config.metrics, address=config.metrics.address and Address("127.0.0.1", free_port()))
    proxy = replace(
        config.proxy,
        workers=1,
        user=None,
        pid_file=config.proxy.pid_file and directory / "pid",
        control=config.proxy.control and directory / "control",
        drain_timeout=0.5,
        idle_grace=0.0,
        worker_memory=0,
        worker_memory_hard=0,
        temp_dir=directory,
        state_dir=None,
    )
    log = model.LogConfig("debug", "json", config.log.access if config.log.access == "off" else "stdout")
    routes = tuple(replace(each, basic_auth=None, jwt=None, waf=None) for each in config.routes)
    taps = tuple(
        replace(
            each,
            folder=each.folder and directory,
            fifo=each.fifo and directory / "tap",
            listen=each.listen and Address("127.0.0.1", free_port()),
            interface=None,
        )
        for each in config.taps
    )
    cache = config.cache and replace(
        config.cache, files=config.cache.files and directory, memory=SMALL, keep=config.cache.keep and directory / "kept"
    )
    found = replace(config, listen=tuple(listen), routes=routes, pools=tuple(pools), metrics=metrics, proxy=proxy, log=log)
    return replace(found, acme=None, taps=taps, cache=cache)


# Not made smaller when one fails: each try is a start of its own, and thousands of them take the suite's time.
@settings(
    suppress_health_check=list(HealthCheck), deadline=None, max_examples=3, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(configs())
def test_any_configuration_serves(authority: Authority, tmp_path_factory: pytest.TempPathFactory, config: Config) -> None:
    """A few of them for real: everything comes up, and goes again."""
    directory = tmp_path_factory.mktemp("any")
    with tempfile.TemporaryDirectory(prefix="lb") as short:  # a path of pytest's may be longer than a socket's may be
        possible = here(with_files(config, authority), directory, Address(f"unix:{short}/s", 0))
        with LbProxy(directory, emit(possible)) as proxy:
            proxy.wait_event("control.ready")
            assert proxy.stop() == 0


def test_check_tells_what_would_kill_every_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    """With the file's name, what happened, and that the file is not to blame."""
    from lbproxy import cli

    def broken(*_: object) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    file = tmp_path / "lbproxy.toml"
    file.write_text(TEXT)
    assert cli.main(["check", "-c", str(file)]) == 0
    monkeypatch.setattr(edits, "line_finder", broken)
    assert cli.main(["check", "-c", str(file)]) == 1
    told = capsys.readouterr().err
    assert f"{file}: a worker cannot be made of it: RecursionError: maximum recursion depth exceeded (" in told


def test_certificates_that_are_still_to_come(tmp_path: Path, capsys: Capture) -> None:
    """What a start obtains need not be there for `check`, which makes nothing where it would be."""
    from lbproxy import cli

    file = tmp_path / "lbproxy.toml"
    names = '[[listen]]\naddress = "127.0.0.1:8443"\nacme = true\n[[route]]\nhost = "a.example"\npool = "app"\n'
    file.write_text(f'[proxy]\nstate_dir = "state"\n[acme]\nterms_agreed = true\n{names}{TEXT}')
    (tmp_path / "state").mkdir(mode=0o700)
    assert cli.main(["check", "-c", str(file)]) == 0, capsys.readouterr().err
    assert list((tmp_path / "state").iterdir()) == []
    assert "fine" in capsys.readouterr().out


def test_a_name_that_a_preset_takes_off_may_be_taken_off(stage: Stage) -> None:
    """What `trace` puts on and a rule takes off: the same field twice is one field."""
    assert rehearsal.complaints(load_text(TEXT, "", Path("/"))) == []
    app = stage.app()
    proxy = stage.run(TEXT.replace("127.0.0.1:9000", app.address).replace("127.0.0.1:8080", f"127.0.0.1:{free_port()}"))
    answer = stage.client(proxy, tls=False).request("GET", "/echo", [("traceparent", "no"), ("tracestate", "a=b")])
    assert answer.status == 200
    assert b"tracestate" not in answer.body
    assert run_cli("check", "-c", str(proxy.file)).returncode == 0
