"""Connections counted from outside."""

from __future__ import annotations

import os
import socket

from bench.macro import held

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0000000000000000 100 0 0 10 0
   1: 0100007F:20FB 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1002 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:C350 0100007F:20FB 01 00000000:00000000 00:00000000 00000000     0        0 1003 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:20FB 0100007F:C351 08 00000000:00000000 00:00000000 00000000     0        0 1004 1 0000000000000000 20 4 30 10 -1
"""


def test_only_connections_of_that_port_count_neither_its_listener_nor_their_clients() -> None:
    assert held.parse_established(TCP, 0x20FB) == {1002}
    assert held.parse_established(TCP, 1) == set()


def test_this_process_is_found_with_what_it_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        taken = [listener.accept()[0] for _ in range(2)]  # the third waits in the queue: nobody holds it yet
        assert held.per_process(os.getpid(), port) == {os.getpid(): 2}
        for sock in (*clients, *taken):
            sock.close()


def test_balance_is_the_largest_share_by_the_mean_and_idle_workers_count() -> None:
    assert held.balance([5, 5], 2) == 1.0
    assert held.balance([10], 2) == 2.0
    assert held.balance([4, 2, 2], 4) == 2.0
    assert held.balance([], 4) == 0.0
