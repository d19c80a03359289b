"""Ends of a transfer: steps of the table of states alone; row, entry, receipt and evidence say the same."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from adapters.errors import PROVIDER_DOWN, PROVIDER_TIMEOUT, Acted
from adapters.model import Incoming
from contracts.canonical.model import Pattern
from gateway.journal.write import QueueRow
from gateway.transfer import outcome
from gateway.transfer.stages import Doubt, Ending, OpenTransfer
from gateway.transfer.states import TRANSITIONS, Event, State
from gateway.transfer.transfer_records import receipt_of
from gateway.vault.classes import keeping
from gateway.vault.vault import Vault
from security.transparency.entry import SALT, salted
from security.transparency.merkle import leaf_hash

ID, NOW, SALTED = "01935b6e-0000-7000-8000-000000000001", 1_800_000_000.0, b"s" * SALT
OPEN = OpenTransfer(
    id=ID,
    process="door-1",
    provider="do-thi",
    keep=keeping("full", 24, Pattern.DISPATCH),
    salt=SALTED,
    intent=bytes(32),
)
ENDS = {Event.ANSWER_CAME, Event.PROVIDER_REFUSED, Event.PROVIDER_DOWN, Event.GIVEN_UP}


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "keys")


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_no_end_is_written_that_the_table_does_not_hold(state: State, event: Event, vault: Vault) -> None:
    transfer, how = OPEN._replace(state=state), Ending(event, NOW, 502, "provider.down")
    held = (state, event) in TRANSITIONS or event is Event.GIVEN_UP and (state, Event.PUT_ASIDE) in TRANSITIONS
    if not held:
        with pytest.raises(LookupError, match="cannot have"):
            outcome.end(transfer, how, vault)
        return
    change = outcome.end(transfer, how, vault).write.change
    assert change is not None and (change.before, change.process) == (state, "door-1")
    assert change.state == (State.DEAD if event is Event.GIVEN_UP else TRANSITIONS[state, event])


def test_row_entry_receipt_and_evidence_of_an_answer_say_the_same(vault: Vault) -> None:
    call = Incoming({"x": 1}, b"sent", b"came back", "key-1", 200, 0.1)
    how = Ending(event=Event.ANSWER_CAME, at=NOW, status=200, call=call, answer=b'{"x":1}')
    write, receipt = outcome.end(OPEN, how, vault)
    change, (entry,) = write.change, write.log
    assert change is not None and change.answer_ref == f"{ID}/answer" and change.finished == NOW
    assert receipt_of(ID, change.receipt) == receipt and receipt.outcome == entry.leaf == leaf_hash(entry.entry)
    value = json.loads(entry.entry)
    assert (value["status"], value["provider"], entry.phase) == (change.status, "do-thi", "outcome")
    for name, data in (("sent", b"sent"), ("back", b"came back"), ("out", b'{"x":1}')):
        assert value[name] == {"sha256": salted(SALTED, data).sha256.hex(), "size": len(data)}
    assert [row.id for row in write.vault] == [f"{ID}/{part}" for part in ("forwarded", "provider-answer", "answer")]
    assert vault.unseal_bound(write.vault[2]).binding == entry.leaf


def test_a_failure_ends_it_without_an_answer(vault: Vault) -> None:
    failure = PROVIDER_DOWN(acted=Acted.NO, evidence_out=b"sent", system="do-thi", reason="x")
    write, receipt = outcome.end(OPEN, Ending(Event.PROVIDER_DOWN, NOW, failure.status, failure.code, failure), vault)
    change, value = write.change, json.loads(write.log[0].entry)
    assert (
        change is not None
        and (change.answer_ref, change.failure) == (None, "provider.down")
        and receipt.outcome is not None
    )
    assert (value["failure"], value["status"]) == ("provider.down", failure.status) and "back" not in value
    assert [row.id for row in write.vault] == [f"{ID}/forwarded"]


def test_what_was_never_opened_ends_without_digests(vault: Vault) -> None:
    write, receipt = outcome.end(
        OpenTransfer(ID, "keeper-1", "do-thi"), Ending(Event.GIVEN_UP, NOW, 502, "vault.not-found"), vault
    )
    assert receipt.intent is None and not write.vault and "sent" not in json.loads(write.log[0].entry)


def test_a_doubt_is_no_end(vault: Vault) -> None:
    failure = PROVIDER_TIMEOUT(acted=Acted.MAYBE, evidence_out=b"sent", system="do-thi", reason="x")
    why = Doubt(NOW, "keeper-1", failure.code, "in-doubt#2")
    write = outcome.unknown(OPEN, why, failure, vault)
    change = write.change
    assert change is not None and (change.state, change.finished, change.receipt) == ("in-doubt", None, None)
    assert write.log[0].phase == "in-doubt#2" and [row.id for row in write.vault] == [f"{ID}/in-doubt#2-forwarded"]
    again = outcome.abandoned(OPEN, why, Event.PROCESS_DIED, Event.SAFE_TO_REPEAT).change
    assert again is not None and (again.state, again.failure) == ("queued", None)
    with pytest.raises(LookupError):
        outcome.put_aside(OPEN._replace(state=State.IN_DOUBT), QueueRow(ID, "do-thi", f"{ID}/canonical", NOW))
