"""Serves `/feeds/readers`: which systems of the caller's agency read which feed, how far, and how far behind.

Invariant: nobody learns of the readers of another agency.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from contracts.base.times import rfc3339
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.exchange.feed_readers import FeedReader, readers
from gateway.feeds.places import cursor_at
from gateway.registry.snapshot import Snapshot


async def list_readers(services: Services, request: ApiRequest) -> Reply:
    """The readers of the caller's agency, by feed and system."""
    agency, at = request.proven.system.agency, request.received.at
    listed = await services.readers.run(request.owner, _listed, services, request.snapshot, agency, at)
    return Reply(200, {"content-type": "application/json"}, json.dumps({"readers": listed}).encode())


def _listed(services: Services, snapshot: Snapshot, agency: str, at: float) -> list[dict[str, Any]]:
    """Runs in a thread."""
    with services.engine.connect() as connection:
        return [_shown(connection, each) for each in readers(connection, snapshot, at, agency=agency)]


def _shown(connection: Connection, each: FeedReader) -> dict[str, Any]:
    return {
        "contract": each.contract,
        "agency": each.agency,
        "system": each.system,
        "position": cursor_at(connection, each.contract, each.position) if each.position else None,
        "offset": each.position,
        "newest": each.head,
        "readAt": None if each.read_at is None else rfc3339(each.read_at),
        "behind": each.behind,
        "behindSeconds": each.behind_seconds,
    }
