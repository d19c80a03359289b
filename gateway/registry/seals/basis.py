"""The digest of what is in force by founding or adoption; each sealed entry states it."""

from __future__ import annotations

import hashlib
from typing import Final

from sqlalchemy import Connection, select

from contracts.base import jcs
from gateway.journal.schema import tables

BASES: Final = ("founding", "adopted")


def basis(connection: Connection) -> str | None:
    """The digest of the content that is in force by founding or adoption; None if there is none.

    It is made once and stays, so that an entry which states another one tells of content that nobody approved.
    """
    table = tables.registry_proposal.c
    query = select(table.subject, table.edition, table.body, table.basis).where(table.basis.in_(BASES))
    contents = sorted(list(row) for row in connection.execute(query))
    return hashlib.sha256(jcs.encode(contents)).hexdigest() if contents else None
