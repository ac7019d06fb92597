"""Certificates and keys of a worker, as the master changes them while it serves."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from lbproxy.errors import LbproxyError
from lbproxy.ipc.handover import BoundListener, KeysElsewhere
from lbproxy.ipc.master_link import MasterLink
from lbproxy.ipc.messages import KeysSilent, Renewed
from lbproxy.observe.log import get_logger


def renew(listeners: Sequence[BoundListener], message: Renewed) -> None:
    """A listener shows others; where that cannot be, it is told, and all is as it was."""
    bound = listeners[message.listener]
    try:
        if bound.shows is not None:
            bound.shows.renew(message.at, message.size)
    except (LbproxyError, ValueError) as error:
        get_logger().error("certificate.unusable", listener=str(bound.listen.address), why=str(error), then="the old one stays")


class KeyLink:
    """The way to the process that holds this worker's keys, if there is one."""

    def __init__(self, keys: KeysElsewhere | None, link: MasterLink) -> None:
        self._keys = keys
        self._link = link
        if keys is not None:
            keys.on_silence = self._on_silence

    def reconnect(self) -> None:
        """To another one, whose socket came from the master just now."""
        fd = self._link.take_fd()
        if fd < 0:
            return
        sock = socket.socket(fileno=fd)
        if self._keys is None:
            sock.close()
        else:
            self._keys.reconnect(sock)

    def _on_silence(self) -> None:
        why = "the process that holds our keys does not answer"
        get_logger().error("keys.silent", why=why, then="handshakes fail until it is replaced")
        self._link.send(KeysSilent())
