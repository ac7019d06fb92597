"""The states of an order and of its authorizations (RFC 8555 7.1.6), and what each of them asks of us. Pure."""

from __future__ import annotations

from enum import Enum


class OrderStep(Enum):
    """What is to be done next about an order."""

    PROVE = "prove that its names are ours"
    FINALIZE = "send the request for the certificate"
    WAIT = "ask again a little later"
    FETCH = "fetch the certificate"
    GIVE_UP = "it comes to nothing"


ORDER: dict[str, OrderStep] = {
    "pending": OrderStep.PROVE,
    "ready": OrderStep.FINALIZE,
    "processing": OrderStep.WAIT,
    "valid": OrderStep.FETCH,
    "invalid": OrderStep.GIVE_UP,
}


class Proof(Enum):
    """What is to be done next about an authorization."""

    ANSWER = "answer a challenge"
    WAIT = "ask again a little later"
    DONE = "nothing"
    GIVE_UP = "it is refused"


AUTHORIZATION: dict[str, Proof] = {
    "pending": Proof.ANSWER,
    "valid": Proof.DONE,
    "invalid": Proof.GIVE_UP,
    "deactivated": Proof.GIVE_UP,
    "expired": Proof.GIVE_UP,
    "revoked": Proof.GIVE_UP,
}


def next_step(status: object) -> OrderStep:
    """By the order's status; what nobody has ever heard of comes to nothing."""
    return ORDER.get(status, OrderStep.GIVE_UP) if isinstance(status, str) else OrderStep.GIVE_UP


def next_proof(status: object, answered: bool) -> Proof:
    """By an authorization's status, and whether its challenge was answered already."""
    found = AUTHORIZATION.get(status, Proof.GIVE_UP) if isinstance(status, str) else Proof.GIVE_UP
    return Proof.WAIT if found is Proof.ANSWER and answered else found
