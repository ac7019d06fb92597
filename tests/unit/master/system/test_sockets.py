"""Binding: what a listener is, and that every way to fail says what to do."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from lbproxy.config.model import Address, Config, ListenConfig, MetricsConfig
from lbproxy.errors import StartError
from lbproxy.master.system import sockets
from lbproxy.master.system.sockets import explain, listen_on, open_listeners, open_metrics, port_holder, restore
from tests.support.ports import free_port


@pytest.fixture
def held() -> Iterator[socket.socket]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def config_of(*listen: ListenConfig, metrics: Address | None = None) -> Config:
    return Config("proxy.toml", listen=listen, routes=(), pools=(), metrics=MetricsConfig(metrics))


def test_what_a_listener_is() -> None:
    port = free_port()
    with listen_on(ListenConfig(Address("127.0.0.1", port))) as sock:
        assert sock.getsockname() == ("127.0.0.1", port)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) == 0
        assert not sock.getblocking()
        assert not os.get_inheritable(sock.fileno())
        with socket.create_connection(("127.0.0.1", port), 60):
            sock.settimeout(60)
            sock.accept()[0].close()


def test_ipv4_and_ipv6_stand_side_by_side_on_one_port() -> None:
    port = free_port()
    with listen_on(ListenConfig(Address("0.0.0.0", port))), listen_on(ListenConfig(Address("::", port))) as six:
        assert six.family == socket.AF_INET6
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_a_port_with_connections_in_time_wait_can_be_bound_again() -> None:
    port = free_port()
    with listen_on(ListenConfig(Address("127.0.0.1", port))) as sock:
        sock.settimeout(60)
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            served, _ = sock.accept()
            served.close()  # closes first: TIME_WAIT stays on the listener's port
            client.recv(1)
    listen_on(ListenConfig(Address("127.0.0.1", port))).close()


def test_the_backlog_is_what_the_kernel_gives_up_to_4096() -> None:
    assert 0 < sockets.backlog() <= sockets.MAX_BACKLOG


def test_a_port_in_use_names_its_holder_and_the_line(held: socket.socket) -> None:
    port = held.getsockname()[1]
    with pytest.raises(StartError) as caught:
        open_listeners(config_of(ListenConfig(Address("127.0.0.1", port), line=4)), "/usr/bin/python3")
    message = str(caught.value)
    assert message.startswith(f"proxy.toml:4: listen.address: cannot listen on 127.0.0.1:{port}: the port is in use by ")
    assert f"(pid {os.getpid()})" in message


def test_every_listener_that_fails_is_told_and_the_others_are_closed_again(held: socket.socket) -> None:
    taken, free = held.getsockname()[1], free_port()
    listens = [ListenConfig(Address("127.0.0.1", port), line=line) for line, port in ((1, free), (2, taken), (3, taken))]
    with pytest.raises(StartError) as caught:
        open_listeners(config_of(*listens), "python")
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == ["proxy.toml:2:", "proxy.toml:3:"]
    listen_on(ListenConfig(Address("127.0.0.1", free))).close()


def test_an_address_of_another_machine_tells_which_addresses_there_are() -> None:
    with pytest.raises(StartError, match=r"no interface of this machine has it \(it has .*127\.0\.0\.1"):
        open_listeners(config_of(ListenConfig(Address("192.0.2.1", free_port()))), "python")  # RFC 5737: nobody's address


def test_a_port_without_the_right_tells_every_way_to_it() -> None:
    message, hint = explain(PermissionError(errno.EACCES, "Permission denied"), Address("0.0.0.0", 443), "/opt/python")
    assert message == "cannot listen on 0.0.0.0:443: permission denied: ports below 1024 need a privilege"
    for way in (
        "run as root",
        "setcap cap_net_bind_service=+ep /opt/python",
        "sysctl net.ipv4.ip_unprivileged_port_start=443",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
    ):
        assert way in hint


def test_a_high_port_that_is_forbidden_blames_somebody_else() -> None:
    _, hint = explain(PermissionError(errno.EACCES, "Permission denied"), Address("0.0.0.0", 8443), "python")
    assert "setcap" not in hint


def test_ipv6_switched_off() -> None:
    message, _ = explain(OSError(errno.EAFNOSUPPORT, "Address family not supported"), Address("::", 443), "python")
    assert message == "cannot listen on [::]:443: IPv6 is switched off on this machine"


def test_an_error_nobody_thought_of_is_passed_on_in_its_own_words() -> None:
    message, hint = explain(OSError(errno.ENOBUFS, "No buffer space available"), Address("::1", 443), "python")
    assert (message, hint) == ("cannot listen on [::1]:443: No buffer space available", "")


def test_the_holder_of_a_port_nobody_holds() -> None:
    assert port_holder(free_port()) == 0


def test_metrics_are_bound_when_wanted(held: socket.socket) -> None:
    assert open_metrics(config_of(), "python") is None
    port = free_port()
    sock = open_metrics(config_of(metrics=Address("127.0.0.1", port)), "python")
    assert sock is not None
    with sock:
        assert sock.getsockname()[1] == port
    with pytest.raises(StartError, match=r"^proxy\.toml: metrics\.address: cannot listen"):
        open_metrics(config_of(metrics=Address("127.0.0.1", held.getsockname()[1])), "python")


def test_a_socket_that_is_there_already_is_taken(held: socket.socket) -> None:
    there, free = held.getsockname()[1], free_port()
    config = config_of(*(ListenConfig(Address("127.0.0.1", port)) for port in (free, there)))
    fresh, taken = open_listeners(config, "python", {Address("127.0.0.1", there): held})
    with fresh:
        assert taken is held
        assert fresh.getsockname()[1] == free
    assert open_metrics(config_of(metrics=Address("127.0.0.1", there)), "python", {Address("127.0.0.1", there): held}) is held


def test_a_failure_closes_what_was_opened_and_leaves_what_was_there(held: socket.socket) -> None:
    there, free = held.getsockname()[1], free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1:{taken}: the port is in use"):
            open_listeners(
                config_of(*(ListenConfig(Address("127.0.0.1", port)) for port in (free, there, taken))),
                "python",
                {Address("127.0.0.1", there): held},
            )
    listen_on(ListenConfig(Address("127.0.0.1", free))).close()
    socket.create_connection(("127.0.0.1", there), 60).close()


def test_a_port_that_becomes_free_in_a_moment_is_waited_for() -> None:
    port = free_port()
    holder = listen_on(ListenConfig(Address("127.0.0.1", port)))
    letting_go = threading.Timer(0.1, holder.close)
    letting_go.start()
    (got,) = open_listeners(config_of(ListenConfig(Address("127.0.0.1", port))), "python")
    got.close()
    letting_go.join()


def test_an_address_whose_port_is_ours_already(held: socket.socket) -> None:
    """A reload from one interface to all of them: the old socket lives until the new generation serves."""
    port = held.getsockname()[1]
    with pytest.raises(StartError, match=f"this lbproxy listens on port {port} already, at another address.*restart"):
        open_listeners(config_of(ListenConfig(Address("0.0.0.0", port))), "python", {Address("127.0.0.1", port): held})


def test_what_a_process_did_to_a_shared_listener_is_undone() -> None:
    """It listens again, at the same port, and does not block; one that is as it should be is left alone."""
    address = Address("127.0.0.1", free_port())
    with listen_on(ListenConfig(address)) as sock:
        held = {address: sock}
        assert restore(held) == []
        assert ctypes.CDLL(None).connect(sock.fileno(), bytes(16), 16) == 0  # to AF_UNSPEC
        os.set_blocking(sock.fileno(), True)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.host, address.port)).close()
        assert [what for _, what in restore(held)] == ["it was made to block", "it did not listen any more"]
        assert restore(held) == []
        socket.create_connection((address.host, address.port)).close()
