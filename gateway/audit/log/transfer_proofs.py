"""The proofs of one transfer, from the current log or an ended one (RFC 6962 §2.1, C2SP tlog-proof)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from contracts.base.errors import Theirs
from gateway.audit.errors import AUDIT_NOT_LOGGED
from gateway.audit.log import origins, proofs


def proved(engine: Engine, transfer: str) -> list[proofs.Inclusion]:
    """A receipt stays valid under its origin. Raises `audit.not-logged`."""
    with engine.connect() as connection:
        past = origins.ended(connection)
        try:
            return proofs.inclusions(connection, transfer)
        except Theirs:
            if not past:
                raise
    for each in reversed(past):
        with origins.within(engine, each.origin) as connection:
            try:
                return proofs.inclusions(connection, transfer)
            except Theirs:
                continue
    raise AUDIT_NOT_LOGGED(transfer=transfer)


def as_json(transfer: str, inclusions: Sequence[proofs.Inclusion]) -> dict[str, Any]:
    """The answer of `GET /audit/proof/{transfer}`."""
    items = [
        {
            "phase": each.phase,
            "index": each.index,
            "leaf": text(each.leaf),
            "proof": [text(one) for one in each.hashes],
            "text": each.text(),
        }
        for each in inclusions
    ]
    return {"transfer": transfer, "checkpoint": inclusions[0].note, "entries": items}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
