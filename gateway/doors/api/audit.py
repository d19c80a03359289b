"""Serves the audit log in the layout of C2SP tlog-tiles: checkpoint, tiles, entries, proofs.

Invariant: hashes and checkpoints are public and cacheable. A full tile never changes.
Invariant: entries go to agencies with the role of the centre and are not cached, since each read is logged.
Invariant: proofs of a transfer go to its sender and its receiver.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Engine

from gateway.audit.log import origins, proofs
from gateway.audit.log.tiles import read_path
from gateway.audit.log.transfer_proofs import as_json, proved, text
from gateway.doors.api.errors import AUDIT_NO_CHECKPOINT, AUDIT_NOT_YOURS, TRANSFER_UNKNOWN
from gateway.doors.api.services import ApiRequest, Common, Handler, Services
from gateway.doors.api.transfers import is_party
from gateway.doors.reply import Reply
from gateway.journal.write import Write
from gateway.registry.snapshot import CENTRE
from gateway.transfer import entries

_OCTETS: Final = "application/octet-stream"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
# a partial tile never changes either, but is not requested once the log has grown
_FOR_NOW: Final = "public, max-age=3600, immutable"


async def read_checkpoint(services: Common, request: ApiRequest) -> Reply:
    note = services.newest_checkpoint.note()
    if not note:
        raise AUDIT_NO_CHECKPOINT(retry_after=1)
    mark = f'"{hashlib.sha256(note.encode()).hexdigest()[:32]}"'
    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-cache", "etag": mark}
    if _is_known(mark, request.received.headers.get("if-none-match", "")):
        return Reply(304, headers, b"")
    return Reply(200, headers, note.encode())


async def read_tile(services: Common, request: ApiRequest) -> Reply:
    path = f"tile/{request.params['level']}/{request.params['index']}"
    data = await services.readers.run(request.owner, _path, services.engine, path)
    return Reply(200, {"content-type": _OCTETS, "cache-control": _FOR_NOW if ".p/" in path else _FOR_EVER}, data)


async def read_consistency(services: Common, request: ApiRequest) -> Reply:
    consistency = await services.readers.run(
        request.owner,
        _consistency,
        services.engine,
        request.params["from"],
        request.params.get("to"),
        request.params.get("origin"),
    )
    return _json(
        {
            "from": consistency.old,
            "to": consistency.new,
            "proof": _texts(consistency.hashes),
            "checkpoint": consistency.note,
        }
    )


async def read_origin(services: Common, request: ApiRequest) -> Reply:
    vkey = (services.settings.data / "log" / "log.vkey").read_text("ascii").strip()
    return _json(
        await services.readers.run(
            request.owner, _origin, services.engine, request.params.get("origin"), services.settings.origin, vkey
        )
    )


async def read_entries(services: Services, request: ApiRequest) -> Reply:
    caller = request.proven
    agency = request.snapshot.agency(caller.system.agency)
    if agency is None or CENTRE not in agency.roles:
        raise AUDIT_NOT_YOURS(agency=caller.system.agency)
    path = f"tile/entries/{request.params['index']}"
    data = await services.readers.run(request.owner, _path, services.engine, path)
    entry = entries.note("log-read", {"path": path}, services.clock(), actor=caller.system.name)
    await services.record(Write(replay=caller.replay, log=(entry,)))
    headers = {"content-type": _OCTETS, "vary": "accept-encoding"}
    if _takes_gzip(request.received.headers.get("accept-encoding", "")):
        headers["content-encoding"] = "gzip"
        data = await services.readers.run(request.owner, partial(gzip.compress, data, 6, mtime=0))
    return Reply(200, headers, data)


async def read_proof(services: Services, request: ApiRequest) -> Reply:
    transfer = request.params["transfer"]
    if not await services.readers.run(request.owner, is_party, services.engine, transfer, request.proven.system.id):
        raise TRANSFER_UNKNOWN(transfer=transfer)
    inclusions = await services.readers.run(request.owner, proved, services.engine, transfer)
    return _json(as_json(transfer, inclusions))


HANDLERS: Final[dict[str, Handler]] = {
    "readCheckpoint": read_checkpoint,
    "readTile": read_tile,
    "readConsistency": read_consistency,
    "readOrigin": read_origin,
}


def _is_known(mark: str, header: str) -> bool:
    """If-None-Match (RFC 9110 §13.1.2), by weak comparison."""
    return header.strip() == "*" or mark in (each.strip().removeprefix("W/") for each in header.split(","))


def _takes_gzip(header: str) -> bool:
    """Whether Accept-Encoding names gzip (RFC 9110 §12.5.3). Else the bundle is sent uncompressed."""
    for each in header.split(","):
        name, _, weight = each.partition(";")
        if name.strip().lower() == "gzip":
            return re.fullmatch(r"q=0(\.0*)?", weight.strip()) is None
    return False


def _path(engine: Engine, path: str) -> bytes:
    with engine.connect() as connection:
        return read_path(connection, path)


def _origin(engine: Engine, origin: str | None, present: str, vkey: str) -> dict[str, Any]:
    with origins.within(engine, origin if origin != present else None) as connection:
        past = origins.ended_as(connection, origin)
        top = proofs.newest(connection)
        said: dict[str, Any] = (
            {"origin": present, "vkey": vkey} if past is None else {"origin": past.origin, "vkey": past.vkey}
        )
        if top is not None:
            said["checkpoint"] = top[1]
            before = origins.beginning(connection, said["origin"], top[0])
            if before is not None:
                said["before"] = {"entry": text(before.entry), "proof": _texts(before.hashes), "began": before.began}
        return said


def _consistency(engine: Engine, old: int, new: int | None, origin: str | None) -> proofs.Consistency:
    with origins.within(engine, origin) as connection:
        return proofs.consistency(connection, old, new)


def _texts(hashes: Sequence[bytes]) -> list[str]:
    return [text(each) for each in hashes]


def _json(value: dict[str, Any]) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps(value, ensure_ascii=False).encode())
