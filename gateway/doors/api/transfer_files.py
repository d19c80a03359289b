"""Tells the parties of a transfer which files its document names, and whether the receiver has asked for all of each.

Invariant: only a file that the sender's agency uploaded is told, and to the receiver only when the message is with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from contracts.base.errors import Ours
from gateway.audit.search.files import files_of
from gateway.audit.search.search import reading
from gateway.doors.api.body_fetches import WITH_RECEIVER
from gateway.vault import opaque_bodies
from gateway.vault.attachments import of_connection
from gateway.vault.vault import GONE, Vault


def told_files(engine: Engine, vault: Vault, status: Mapping[str, Any], system: str) -> list[dict[str, Any]]:
    """`status`: as a party sees the transfer. Runs in a thread."""
    agency, _, sender = str(status["sender"]).partition("/")
    if system != sender and status["state"] not in WITH_RECEIVER:
        return []
    told = []
    with reading(engine) as connection:
        for each in files_of(connection, status["transfer"]):
            try:
                described = opaque_bodies.description(of_connection(connection, vault), each.id)
            except Ours as failure:
                if failure.code not in GONE:
                    raise
                continue  # its retention has ended
            if described is None or described.agency != agency:
                continue
            fetched = each.whole_at(status.get("receiver", ""))
            file = {
                "reference": str(described.reference(each.id)),
                "mediaType": described.media_type,
                "size": described.size,
                "sha256": described.sha256,
            }
            told.append(file | ({} if fetched is None else {"fetched": fetched}))
    return told
