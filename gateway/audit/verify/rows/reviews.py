"""Verifies the recorded reviews of access: the officer signed the statement, and the matrix was so."""

from __future__ import annotations

from sqlalchemy import Connection

from contracts.base.errors import Failure
from gateway.audit.verify.findings import Findings
from gateway.journal.noted import Noted, read_notes
from gateway.registry import reviews
from gateway.registry.changes.officers import officers
from security.grants.approvals import Officer, holds


def check_reviews(connection: Connection, wrong: Findings) -> None:
    notes = read_notes(connection, {reviews.KIND})
    known = officers(connection) if notes else {}
    for note in notes:
        if trouble := _trouble(connection, note, known):
            wrong.add(f"{note.name}: a review of access: {trouble}")
    wrong.count("reviews of access", len(notes))


def _trouble(connection: Connection, note: Noted, known: dict[str, Officer]) -> str | None:
    statement, officer, signature = (note.facts.get(name) for name in ("statement", "officer", "signature"))
    if not isinstance(statement, str) or not isinstance(officer, str) or not isinstance(signature, str):
        return "it has another form"
    content = statement.encode()
    reviewed, signer = reviews.Reviewed.read(content), known.get(officer)
    if reviewed is None:
        return "its statement has another form"
    if signer is None:
        return f"it names {officer}, whom the registry does not have"
    if not holds(content, signature, signer):
        return f"{officer} did not sign its statement"
    try:
        then = reviews.digest_then(connection, reviewed)
    except Failure as failure:
        return f"the registry of revision {reviewed.registry} is not known ({failure.code})"
    return None if then == reviewed.matrix else f"the matrix of revision {reviewed.registry} is another one"
