"""What each state of an order asks of us."""

from __future__ import annotations

import pytest

from lbproxy.acme.order_states import AUTHORIZATION, ORDER, OrderStep, Proof, next_proof, next_step


def test_every_state_of_the_rfc() -> None:
    """RFC 8555 7.1.6."""
    assert {status: next_step(status) for status in ORDER} == {
        "pending": OrderStep.PROVE, "ready": OrderStep.FINALIZE, "processing": OrderStep.WAIT, "valid": OrderStep.FETCH,
        "invalid": OrderStep.GIVE_UP
    }  # fmt: skip
    assert [next_proof(status, False) for status in ("pending", "valid", "invalid")] == [Proof.ANSWER, Proof.DONE, Proof.GIVE_UP]
    assert next_proof("pending", True) is Proof.WAIT
    assert {next_proof(status, True) for status in AUTHORIZATION} == {Proof.WAIT, Proof.DONE, Proof.GIVE_UP}


@pytest.mark.parametrize("status", ["", "VALID", None, 7, ["valid"], {}])
def test_what_nobody_has_heard_of_comes_to_nothing(status: object) -> None:
    """Of whatever type."""
    assert next_step(status) is OrderStep.GIVE_UP
    assert next_proof(status, False) is Proof.GIVE_UP
