"""Receipts that were forged, stolen or kept waiting, and what a stolen message key is worth: it signs answers, and no
checkpoint."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, select, update

from contracts.base.errors import Theirs
from gateway.audit.log.logkey import LogKey
from gateway.audit.verify.complete import check_complete
from gateway.client.answers import Receipt
from gateway.client.errors import LogObjection
from gateway.journal.database import writing
from gateway.journal.schema import tables
from security.transparency.entry import Outcome
from tests.attacks.audit.insider import (
    BEGAN,
    Agency,
    Gateway,
    answered,
    commit,
    entered,
    forged,
    handed_in,
    receipt,
    receipt_text,
    rewrite,
    row_of,
    sent_on,
)
from tests.attacks.audit.test_attack_log_history import Copy


# --- forged receipts --------------------------------------------------------------------------------------------------
@pytest.mark.attack("audit log: a forged receipt")
@pytest.mark.parametrize(
    "what", ["an outcome never logged", "the receipt of another transfer", "phases exchanged", "an intent never logged"]
)
def test_a_receipt_of_what_was_not_logged(inside: Connection, agency: Agency, what: str) -> None:
    log = entered(inside)
    mine, other = receipt(inside, log[301].transfer), receipt(inside, log[40].transfer)
    never = row_of(Outcome(mine.transfer, BEGAN, 502)).leaf
    leaves = {
        "an outcome never logged": {"intent": mine.leaves["intent"], "outcome": never},
        "an intent never logged": {"intent": never, "outcome": mine.leaves["outcome"]},
        "the receipt of another transfer": other.leaves,
        "phases exchanged": {"intent": mine.leaves["outcome"], "outcome": mine.leaves["intent"]},
    }[what]
    assert agency.prove(mine, inside)
    with pytest.raises(ValueError, match="the receipt's leaf is not in the log"):
        agency.prove(Receipt(mine.transfer, leaves), inside)


@pytest.mark.attack("audit log: a forged receipt")
def test_a_receipt_of_a_transfer_that_never_was(inside: Connection, agency: Agency) -> None:
    with pytest.raises(Theirs) as told:
        agency.prove(Receipt("0199c0de-0000-7000-8000-000000000000", {"intent": b"\x01" * 32}), inside)
    assert told.value.code == "audit.not-logged"


def _leaf(inside: Connection, transfer: str) -> str:
    return base64.b64encode(receipt(inside, transfer).leaves["intent"]).decode()


@pytest.mark.attack("audit log: a forged receipt")
def test_a_row_whose_receipt_was_changed(inside: Connection) -> None:
    """What a repeated message would be answered with; the kit would not accept it, and the rows are held against the
    log before that."""
    transfer = entered(inside)[301].transfer
    text = json.dumps(
        json.loads(receipt_text(row_of(Outcome(transfer, BEGAN, 502)))) | {"intent": _leaf(inside, transfer)}
    )
    inside.execute(update(tables.transfer).where(tables.transfer.c.id == transfer).values(receipt=text))
    assert check_complete(inside).wrong == (
        f"transfer {transfer} (accepted): its receipt names another outcome than the log has",
    )


# --- the key of messages is not the key of the log --------------------------------------------------------------------
@pytest.mark.attack("audit log: a stolen message key")
@pytest.mark.parametrize(
    ("name", "code"), [("the log's name", "client.log-key"), ("a name of its own", "client.log-other")]
)
def test_it_signs_no_checkpoint(
    honest: Gateway, inside: Connection, agency: Agency, tmp_path: Path, name: str, code: str
) -> None:
    """He answers in the gateway's name, with a receipt and a history of his own; the checkpoint under it has to be
    signed by the log's key."""
    stolen = LogKey(honest.key.origin if name == "the log's name" else "gateway.sign-1", Ed25519PrivateKey.generate())
    transfer = entered(inside)[301].transfer
    log = [forged(each) if (each.transfer, each.phase) == (transfer, "outcome") else each for each in entered(inside)]
    note = rewrite(inside, log, stolen)
    assert note is not None
    with pytest.raises(LogObjection) as objected:
        agency.see(note, inside)
    assert objected.value.code == code
    with pytest.raises(ValueError, match="NoteError"):
        agency.prove(receipt(inside, transfer), inside)


@pytest.mark.attack("audit log: a stolen message key")
def test_a_true_checkpoint_under_a_forged_entry(inside: Connection, agency: Agency) -> None:
    """He shows a checkpoint that the log's key truly signed, and tells of an entry that is not under it."""
    transfer = entered(inside)[301].transfer
    table, false = tables.log_entry, row_of(Outcome(transfer, BEGAN, 502))
    this = (table.c.transfer == transfer) & (table.c.phase == "outcome")
    inside.execute(update(table).where(this).values(entry=false.entry, leaf=false.leaf))
    with pytest.raises(ValueError, match=r"ProofError: leaf \d+ is not under this root"):
        agency.prove(Receipt(transfer, {"outcome": false.leaf}), inside)


# --- what was acknowledged and never came to have an index ------------------------------------------------------------
def pending(gateway: Gateway) -> tuple[str, Receipt]:
    """A transfer whose answer left with its receipt, a moment before the sequencer comes."""
    unit = handed_in("door-1")
    assert unit.transfer is not None
    commit(gateway.engine, [unit, handed_in("door-1")])
    with gateway.engine.connect() as connection:
        return unit.transfer.id, receipt(connection, unit.transfer.id)


@pytest.mark.attack("audit log: a pending entry changed or deleted")
def test_a_pending_entry_changed(copy: Copy) -> None:
    """Its leaf was frozen with it: the sequencer refuses."""
    gateway = copy()
    transfer, _ = pending(gateway)
    this = (tables.log_pending.c.transfer == transfer) & (tables.log_pending.c.phase == "outcome")
    with writing(gateway.engine) as connection:
        connection.execute(
            update(tables.log_pending).where(this).values(entry=row_of(Outcome(transfer, BEGAN, 502)).entry)
        )
    assert gateway.refuses() == f"pending entry of transfer {transfer}, outcome, is not what was committed"


@pytest.mark.attack("audit log: a pending entry changed or deleted")
@pytest.mark.parametrize("how", ["leaf too", "deleted", "deleted, with the row of the transfer"])
def test_a_pending_entry_with_its_leaf_or_deleted(copy: Copy, tmp_path: Path, how: str) -> None:
    """No hash of the log covers it yet, so the log goes on and verifies. The row of the transfer tells; without it, the
    receipt's holder does."""
    gateway = copy()
    transfer, held = pending(gateway)
    table, false = tables.log_pending, row_of(Outcome(transfer, BEGAN, 502))
    this = table.c.transfer == transfer
    with writing(gateway.engine) as connection:
        if how == "leaf too":
            connection.execute(
                update(table).where(this, table.c.phase == "outcome").values(entry=false.entry, leaf=false.leaf)
            )
        else:
            connection.execute(delete(table).where(this))
        if "row" in how:
            connection.execute(delete(tables.transfer).where(tables.transfer.c.id == transfer))
            connection.execute(delete(tables.feed_pending).where(tables.feed_pending.c.transfer == transfer))
    gateway.sequence()
    assert gateway.verify().ok, "the tree holds what it was given"
    wrong = gateway.complete().wrong
    if how == "leaf too":
        assert f"transfer {transfer} (accepted): its row says status 200, its outcome in the log 502" in wrong
    elif how == "deleted":
        assert f"transfer {transfer} (accepted): the log has no intent of it" in wrong
        assert f"transfer {transfer} (accepted): it has ended, and the log has no outcome of it" in wrong
    else:
        assert wrong == (), "nothing inside tells"
    with gateway.engine.connect() as connection:
        agency = Agency(tmp_path / "agency", gateway.key, gateway.note, connection=connection)
        with pytest.raises(ValueError if how == "leaf too" else Theirs) as told:
            agency.prove(held, connection)
    assert (
        "the receipt's leaf is not in the log" in str(told.value)
        or getattr(told.value, "code", "") == "audit.not-logged"
    )


# --- rows that the log does not account for ---------------------------------------------------------------------------
@pytest.mark.attack("audit log: rows that the log does not account for")
@pytest.mark.parametrize(
    ("table", "values", "finding"),
    [
        ("transfer", {"state": "failed"}, None),
        (
            "transfer",
            {"caller_agency": "H99.9"},
            "its row says caller H99.9/phan-anh, its intent in the log H14.5/phan-anh",
        ),
        ("transfer", {"operation": "other"}, "its row says operation other, its intent in the log submitAlert"),
        ("transfer", {"grant_id": "G-9999"}, "its row says grant G-9999, its intent in the log G-0001"),
        ("transfer", {"status": 500}, "its row says status 500, its outcome in the log 200"),
        ("transfer", {"failure": "provider.fault"}, "its row says failure provider.fault, its outcome in the log None"),
        ("transfer", {"state": "forwarding"}, "the log has its outcome, and the row says that it has not ended"),
        ("transfer", {"state": "in-doubt"}, "the log does not say that it is in doubt"),
        ("transfer", {"state": "queued"}, "it is queued, and does not wait in the queue"),
        ("feed_event", {"contract": "field-report/v1"}, "no transfer of that contract was accepted under this id"),
        ("feed_event", {"transfer": "nobody"}, "it was accepted, and stands in no feed"),
        ("feed_event", {"offset": 9999}, "some are missing"),
    ],
    ids=lambda value: " ".join(f"{name}={each}" for name, each in value.items()) if isinstance(value, dict) else None,
)
def test_a_row_changed(inside: Connection, table: str, values: dict[str, object], finding: str | None) -> None:
    transfer = entered(inside)[301].transfer
    this = tables.metadata.tables[table]
    key = this.c.id if table == "transfer" else this.c.transfer
    inside.execute(update(this).where(key == transfer).values(values))
    wrong = check_complete(inside).wrong
    assert any((finding or "no transfer of that contract was accepted under this id") in one for one in wrong), wrong


@pytest.mark.attack("audit log: rows that the log does not account for")
@pytest.mark.parametrize("gone", ["transfer", "feed_event", "queue", "put in"])
def test_a_row_deleted_or_put_in(inside: Connection, gone: str) -> None:
    log = entered(inside)
    transfer = log[301].transfer
    if gone == "put in":
        row = inside.execute(select(tables.transfer).where(tables.transfer.c.id == transfer)).one()._asdict()
        inside.execute(tables.transfer.insert().values(row | {"id": "put-in", "message_id": "put-in", "receipt": None}))
        finding = "transfer put-in (accepted): the log has no intent of it"
    elif gone == "queue":
        values = {
            "transfer": "nobody",
            "provider": "do-thi",
            "body_ref": "b",
            "state": "waiting",
            "tries": 0,
            "next_at": 0.0,
        }
        inside.execute(tables.queue.insert().values(values))
        finding = "a message of the queue (transfer nobody): there is no such transfer"
    else:
        this = tables.metadata.tables[gone]
        inside.execute(delete(this).where((this.c.id if gone == "transfer" else this.c.transfer) == transfer))
        finding = "there is no such transfer" if gone == "transfer" else "it was accepted, and stands in no feed"
    wrong = check_complete(inside).wrong
    assert any(finding in one for one in wrong), wrong


@pytest.mark.attack("audit log: rows that the log does not account for")
def test_a_gateway_at_work_gives_no_false_alarm(copy: Copy) -> None:
    """Forwarding, not yet sequenced, just sequenced: at no moment does the log lag behind the rows."""
    gateway = copy()
    units = [sent_on("door-1") for _ in range(3)]
    commit(gateway.engine, units)
    assert gateway.complete().ok
    gateway.sequence()
    commit(gateway.engine, [answered("door-1", unit.transfer.id) for unit in units if unit.transfer is not None])
    assert gateway.complete().ok
    gateway.sequence()
    assert gateway.complete().ok
