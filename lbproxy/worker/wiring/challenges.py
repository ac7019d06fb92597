"""The answers to ACME's challenges that a worker shows: by token over plain HTTP, by name in handshakes."""

from __future__ import annotations

import ssl

from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import ChallengeOver, ChallengeShown
from lbproxy.observe.log import get_logger
from lbproxy.proxy.service import Service
from lbproxy.tls.challenge_hello import ChallengeHellos


class ShownChallenges:
    """What the master says is shown; it bounds how much that is."""

    def __init__(self, handover: Handover, service: Service) -> None:
        """`service`: looks for tokens here, where any certificates are obtained."""
        self.by_token: dict[bytes, bytes] = {}
        """For http-01: the key authorization."""
        self._hellos = ChallengeHellos([bound.context for bound in handover.listeners if bound.context is not None])
        if handover.config.acme is not None:
            service.challenges = self.by_token

    def obey(self, message: ChallengeShown | ChallengeOver) -> None:
        """Show, or show no more."""
        http = message.challenge == "http-01"
        if isinstance(message, ChallengeOver):
            if http:
                self.by_token.pop(message.token.encode(), None)
            else:
                self._hellos.hide(message.name)
        elif http:
            self.by_token[message.token.encode()] = message.answer.encode()
        else:
            try:
                self._hellos.show(message.name, message.answer)
            except (ssl.SSLError, OSError, ValueError) as error:
                get_logger().error("acme.challenge", name=message.name, why=str(error))
