"""The digest of what is in force by founding or adoption; each sealed entry states it."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, select

from contracts.base import jcs
from gateway.journal.schema import tables


def basis(connection: Connection) -> str | None:
    """The digest of the content that is in force by founding or adoption, not by officers; None if there is none.

    It is made once and stays, so that an entry which states another one tells of content that nobody approved.
    """
    table = tables.registry_proposal.c
    query = select(table.subject, table.edition, table.body, table.basis).where(table.basis != "officers")
    contents = sorted(list(row) for row in connection.execute(query))
    return hashlib.sha256(jcs.encode(contents)).hexdigest() if contents else None
