"""Reads the recorded end of a transfer for a repeat of its message, if row, log and vault agree.

The answer is read from `<transfer>/answer`, whatever the row refers to. It is sealed with the leaf of its outcome, and
its salted digest is the outcome's `out`.
Invariant: one check reads one snapshot of the database, so a transfer that ends meanwhile is no contradiction.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from contracts.base.errors import BRANCHES, TYPES, Failure, Ours
from gateway.exchange.errors import TRANSFER_IN_DOUBT
from gateway.journal.logged import Logged, entry_of
from gateway.journal.schema import tables
from gateway.transfer.states import FINAL, State
from gateway.transfer.transfer_records import has_answer, receipt_of
from gateway.vault.classes import SALT_PART
from gateway.vault.errors import VAULT_EXPIRED, VAULT_NOT_FOUND
from gateway.vault.integrity import intent_of, matches, request_of, tampered
from gateway.vault.salting import unpack
from gateway.vault.vault import GONE, Vault


class RecordedEnd(NamedTuple):
    """`answer` is None if the transfer has none, or its answer is no longer kept."""

    state: State
    payload_digest: bytes
    status: int | None
    failure: str | None
    receipt: str | None
    answer: bytes | None
    intent: bytes  # the leaf of its entry


def message_id(connection: Connection, transfer: str) -> str:
    """The message id of a transfer; empty for an unknown one, which `recorded_end` refuses."""
    return connection.scalar(select(tables.transfer.c.message_id).where(tables.transfer.c.id == transfer)) or ""


def recorded_end(connection: Connection, vault: Vault, transfer: str, message: str) -> RecordedEnd:
    """`message` is the keyed hash of the message's id. Raises `transfer.tampered` on any contradiction."""
    row = connection.execute(select(tables.transfer).where(tables.transfer.c.id == transfer)).first()
    if row is None:
        raise tampered(transfer, "transfer")
    intent = intent_of(connection, row)
    if intent.value.get("message") != message:
        raise tampered(transfer, "transfer.message_id")
    try:
        state = State(row.state)
    except ValueError:
        raise tampered(transfer, "transfer.state") from None
    outcome = entry_of(connection, transfer, "outcome")
    _check_end(row, state, intent, outcome)
    salt = _salt(connection, vault, row, intent)
    answered = outcome is not None and has_answer(state, row.pattern)
    answer = _answer(connection, vault, transfer, outcome, salt) if answered and outcome is not None else None
    return RecordedEnd(
        state=state,
        payload_digest=bytes(row.payload_digest),
        status=row.status,
        failure=row.failure,
        receipt=row.receipt,
        answer=answer,
        intent=intent.leaf,
    )


def _check_end(row: Row[Any], state: State, intent: Logged, outcome: Logged | None) -> None:
    """Checks state, end and receipt of the row against the outcome's entry."""
    if (outcome is not None) != (state in FINAL):
        raise tampered(row.id, "transfer.state")
    if outcome is None:
        return
    if not outcome.sound or outcome.value.get("kind") != "outcome" or outcome.value.get("transfer") != row.id:
        raise tampered(row.id, "log: outcome")
    if outcome.value.get("provider") != row.provider:
        raise tampered(row.id, "log: outcome")
    failed = outcome.value.get("failure") is not None
    fits = {State.FAILED, State.DEAD} if failed else {State.ACCEPTED if row.provider is None else State.ANSWERED}
    if state not in fits:
        raise tampered(row.id, "transfer.state")
    for column in ("status", "failure"):
        if outcome.value.get(column) != getattr(row, column):
            raise tampered(row.id, f"transfer.{column}")
    if row.answer_ref != (f"{row.id}/answer" if has_answer(state, row.pattern) else None):
        raise tampered(row.id, "transfer.answer_ref")
    try:
        receipt = receipt_of(row.id, row.receipt)
    except (ValueError, TypeError, AttributeError):
        raise tampered(row.id, "transfer.receipt") from None
    # Of a queued message that was lost the intent may not be named.
    if receipt.outcome != outcome.leaf or receipt.intent not in (intent.leaf, None if failed else intent.leaf):
        raise tampered(row.id, "transfer.receipt")


def _salt(connection: Connection, vault: Vault, row: Row[Any], intent: Logged) -> bytes | None:
    """The transfer's salt from its verified request; None if neither is kept any more."""
    try:
        return request_of(connection, vault, row, intent)[0]
    except Ours as failure:
        if failure.code not in GONE and failure.code != VAULT_NOT_FOUND.code:
            raise
    try:
        return unpack(vault.open(connection, f"{row.id}/{SALT_PART}"))[0]
    except Ours as failure:
        if failure.code not in GONE and failure.code != VAULT_NOT_FOUND.code:
            raise
    return None


def _answer(connection: Connection, vault: Vault, transfer: str, outcome: Logged, salt: bytes | None) -> bytes | None:
    try:
        opened = vault.open_bound(connection, f"{transfer}/answer")
    except Ours as failure:
        if failure.code not in (VAULT_EXPIRED.code, VAULT_NOT_FOUND.code):
            raise
        return None
    if opened.binding is not None and opened.binding != outcome.leaf:
        raise tampered(transfer, "log: outcome")
    if salt is not None and not matches(outcome.value.get("out"), salt, (opened.plain,)):
        raise tampered(transfer, "log: outcome")
    return opened.plain


def repeat_answer(code: str, transfer: str) -> Failure:
    """The failure of the first call, raised again for its repeat."""
    error = TYPES.get(code, TRANSFER_IN_DOUBT)
    return BRANCHES[error.branch](error, transfer=transfer)
