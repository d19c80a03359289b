"""Verifies the signatures that stand for approvals: each that was not voided is its officer's, over a known content.

Doors ignore a signature that does not hold, so nothing is allowed by it. But nobody can have stored one either: it was
verified when it was taken. So one that does not hold was altered.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.journal.schema import tables
from gateway.registry.changes.granting import GRANT
from gateway.registry.changes.officers import PASSKEY, officers, passkey_content, persons
from security.grants.approvals import holds
from security.grants.grants import digest


def check_approvals(connection: Connection, wrong: Findings) -> None:
    known, contents = officers(connection), _contents(connection)
    table, count = tables.approval.c, 0
    for row in connection.execute(select(*table).where(table.voided.is_(None)).order_by(table.subject, table.officer)):
        content = contents.get((row.subject, row.digest))
        if content is None:
            continue  # of an officer who was admitted under another name, or of a release without a history
        count += 1
        officer = known.get(row.officer)
        if officer is None or not holds(content, row.signature, officer):
            wrong.add(f"the approval of {row.subject} by {row.officer}: its signature is not this officer's over it")
    wrong.count("approvals", count)


def _contents(connection: Connection) -> dict[tuple[str, str], bytes]:
    """What officers may have signed, by subject and digest."""
    found: dict[tuple[str, str], bytes] = {}

    def add(subject: str, content: bytes) -> None:
        found[subject, digest(content)] = content

    for row in connection.execute(select(tables.access_grant.c.id, tables.access_grant.c.body)):
        add(f"{GRANT} {row.id}", row.body.encode())
    history = tables.registry_history.c
    of_grants = select(history.key, history.content).where(
        history.of_table == tables.access_grant.name, history.content.is_not(None)
    )
    for key, content in connection.execute(of_grants):
        add(f"{GRANT} {key}", str(json.loads(content)["body"]).encode())
    for row in connection.execute(select(tables.registry_proposal.c.subject, tables.registry_proposal.c.body)):
        add(row.subject, row.body.encode())
    everyone = officers(connection)
    for officer in (*everyone.values(), *persons(connection).values()):
        add(f"{'officer' if officer.role == 'officer' else 'person'} {officer.id}", officer.content())
        for passkey in officer.passkeys:
            add(f"{PASSKEY} {passkey.thumbprint}", passkey_content(passkey))
    return found
