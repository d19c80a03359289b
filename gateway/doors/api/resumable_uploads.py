"""Serves uploads in parts: a file whose connection broke off goes on from what has come.

`POST /bodies` with `Upload-Complete: ?0` begins one; it states size and digest of the file. `HEAD /uploads/{upload}`
tells how much is kept, `PATCH` adds a part there, `DELETE` gives it up. The fields are those of the IETF's draft
"Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload-12). The signature of each request covers them.
When the last part is there, the file is taken as one that comes in one request (`body_uploads`).
Invariant: an upload exists for the system that began it alone.
Invariant: of a part whose connection breaks off, whole pieces stay. Nothing counts before the whole is compared with
  the digest that was signed at the beginning.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.wire.body_references import body_reference
from gateway.doors.api.body_uploads import (
    PIECES,
    Stated,
    Upload,
    coming,
    hashes_of,
    kept_reply,
    media_of,
    off_loop,
    reserve,
    room,
)
from gateway.doors.api.body_uploads import send_body as send_at_once
from gateway.doors.api.errors import UPLOAD_FORM
from gateway.doors.api.services import ApiRequest, Handler, Services
from gateway.doors.errors import BODY_MEDIA_TYPE
from gateway.doors.http.body import Gone, known_size
from gateway.doors.http.errors import BODY_TOO_LARGE, BODY_TOO_SLOW
from gateway.doors.reply import Reply
from gateway.exchange.answer_keys import demand_key
from gateway.journal.database import writing
from gateway.journal.write import VaultRow, Write
from gateway.transfer.stages import Receipt
from gateway.vault import partial_bodies as partials
from gateway.vault.attachments import PIECE, of_connection, opener
from gateway.vault.errors import UPLOAD_OFFSET, UPLOAD_UNKNOWN
from gateway.vault.partial_bodies import Partial
from security.encryption_keys import EncryptKey
from security.http_signatures import check_content_digest, stated_digests

MEDIA: Final = "application/partial-upload"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,14}")  # an Integer of RFC 9651 that is not negative
_ENDED: Final = frozenset({400, 415})  # statuses of files that will never be whole


async def send_body(services: Services, request: ApiRequest) -> Reply:
    """A file in one request, or the beginning of an upload in parts."""
    if "upload-complete" in request.received.headers:
        return await _begin(services, request)
    return await send_at_once(services, request)


async def _begin(services: Services, request: ApiRequest) -> Reply:
    headers, params, limit = request.received.headers, request.params, services.settings.opaque_body_limit
    if _complete(headers) or known_size(headers) or "transfer-encoding" in headers:
        raise UPLOAD_FORM(where="Upload-Complete", rule="?0, Content-Length: 0")
    size = _number(headers, "upload-length")
    if size > limit:
        raise BODY_TOO_LARGE(limit=limit)
    if not size:
        raise UPLOAD_FORM(where="Upload-Length", rule=f"1 … {limit}")
    digest = headers.get("repr-digest", "")
    stated_digests({"content-digest": digest})
    stated = Stated(params["contract"], params["operation"], media_of(headers), size, digest)
    upload = Upload(services, request, stated)
    upload.check(request.snapshot, request.received.at)
    id, system = request.received.transfer, request.proven.system
    await services.record(Write(replay=request.proven.replay))
    partial = Partial(
        system.agency, system.id, stated.contract, stated.operation, stated.media_type, size, digest, upload.retention
    )

    def begin() -> None:
        room(services, size)
        row = partials.sealed_statement(services.vault, id, partial, services.clock())
        with writing(services.engine) as connection:
            reserve(services, connection, id, system.agency, size)
            partials.begin(connection, row)

    await off_loop(begin)
    return Reply(201, {"location": f"/uploads/{id}", **_state(services, 0, size)}, b"")


async def read_upload(services: Services, request: ApiRequest) -> Reply:
    partial, came, done = await _found(services, request)
    await services.record(Write(replay=request.proven.replay))
    offset = partial.size if done is not None else came
    return Reply(204, _state(services, offset, partial.size, done is not None), b"")


async def cancel_upload(services: Services, request: ApiRequest) -> Reply:
    await _found(services, request)
    await services.record(Write(replay=request.proven.replay))
    await off_loop(partials.clear, services.engine, request.params["upload"], whole=False)
    return Reply(204, {}, b"")


async def append_body(services: Services, request: ApiRequest) -> Reply:
    headers, id = request.received.headers, request.params["upload"]
    if headers.get("content-type") != MEDIA:
        raise BODY_MEDIA_TYPE(got=headers.get("content-type", "—")[:80], expected=MEDIA)
    if "transfer-encoding" in headers:
        raise UPLOAD_FORM(where="Content-Length", rule="Content-Length")
    offset, last, size = _number(headers, "upload-offset"), _complete(headers), known_size(headers)
    partial, came, done = await _found(services, request)
    upload = _whole(services, request, partial)
    upload.check(request.snapshot, request.received.at)
    here = partial.size if done is not None else came
    if offset != here or size and done is not None:
        raise UPLOAD_OFFSET(offset=here, got=offset)
    end = offset + size
    if end > partial.size:
        raise BODY_TOO_LARGE(limit=partial.size)
    if last and end != partial.size:
        raise UPLOAD_FORM(where="Upload-Complete", rule=f"Upload-Offset + Content-Length = {partial.size}")
    if not last and (not size or size % PIECE and end != partial.size):
        raise UPLOAD_FORM(where="Content-Length", rule=f"n × {PIECE}")
    services.uploads.enter(upload, partial.agency)
    try:
        await services.record(Write(replay=request.proven.replay))
        if done is None and size:
            await off_loop(room, services, 2 * partial.size - offset)
            await _take(services, request, partial, offset)
        if not last:
            return Reply(204, _state(services, end, partial.size), b"")
        return await _answered(services, upload, partial, id, done)
    finally:
        services.uploads.leave(upload, partial.agency)


async def _take(services: Services, request: ApiRequest, partial: Partial, offset: int) -> None:
    """Keeps this part. If it breaks off, whole pieces of it stay; if its digest differs, nothing of the file."""
    headers, id = request.received.headers, request.params["upload"]
    size, held, at = known_size(headers), bytearray(), offset
    hashes = hashes_of(headers["content-digest"])

    def sealed(rest: bool) -> None:
        nonlocal at
        rows, begin, now = list[VaultRow](), at, services.clock()
        while len(held) >= PIECE or rest and held:
            piece = bytes(held[:PIECE])
            rows.append(partials.sealed_part(services.vault, id, at // PIECE, piece, now, partial.retention))
            del held[:PIECE]
            at += len(piece)
        if rows:
            partials.add(services.engine, id, begin, tuple(rows))

    try:
        async for part in coming(services, request, size):
            for each in hashes.values():
                each.update(part)
            held += part
            if len(held) >= PIECES * PIECE:
                await off_loop(sealed, False)
    except (Gone, Failure) as end:
        if isinstance(end, Gone) or end.code == BODY_TOO_SLOW.code:
            await asyncio.shield(off_loop(sealed, False))
        raise
    await off_loop(sealed, True)
    try:
        check_content_digest(headers["content-digest"], b"", {name: each.digest() for name, each in hashes.items()})
    except Failure:
        await off_loop(partials.clear, services.engine, id, whole=False)
        raise


def _whole(services: Services, request: ApiRequest, partial: Partial) -> Upload:
    """Takes the file when all of it is there."""

    def beside(told: dict[str, Any], retention: str) -> tuple[VaultRow, ...]:
        upload, now = request.params["upload"], services.clock()
        return (partials.sealed_answer(services.vault, upload, told, now, retention),)

    stated = Stated(partial.contract, partial.operation, partial.media_type, partial.size, partial.digest)
    return Upload(services, request, stated, beside, request.params["upload"])


async def _answered(
    services: Services, upload: Upload, partial: Partial, id: str, done: dict[str, Any] | None
) -> Reply:
    """201 with the reference of the whole file; the same again for a repeat. What will never be whole is removed."""
    try:
        reply = await upload.take(_parts(services, id, partial.size)) if done is None else None
    except Exception as trouble:
        done = await off_loop(partials.answer, opener(services.engine, services.vault), id)
        if done is None:  # another request was not quicker
            if isinstance(trouble, Failure) and trouble.status in _ENDED:
                await off_loop(partials.clear, services.engine, id, whole=False)
            raise
        reply = None
    if reply is None:
        assert done is not None
        told = {name: value for name, value in done.items() if name != "receipt"}
        reference = body_reference(told["reference"])
        assert reference is not None
        receipt = Receipt(reference.body, intent=bytes.fromhex(done["receipt"]))
        reply = await kept_reply(services, told, receipt, _receiver(services, upload))
    else:
        await off_loop(partials.clear, services.engine, id, whole=True)
    reply.headers.update(_state(services, partial.size, partial.size, True))
    return reply


def _receiver(services: Services, upload: Upload) -> EncryptKey | None:
    contract = upload.request.snapshot.contract(upload.stated.contract)
    if contract is None or contract.contract.protection == "signed":
        return None
    return demand_key(contract.contract, upload.request.snapshot, upload.request.proven.system, services.clock())


async def _parts(services: Services, upload: str, size: int) -> AsyncIterator[bytes]:
    opened = opener(services.engine, services.vault)
    for number in range(-(-size // PIECE)):
        yield await off_loop(partials.part, opened, upload, number)


async def _found(services: Services, request: ApiRequest) -> tuple[Partial, int, dict[str, Any] | None]:
    """(what was stated, bytes that have come, what was answered) of an upload of this system."""
    id = request.params["upload"]

    def read() -> tuple[Partial | None, int, dict[str, Any] | None]:
        with services.engine.connect() as connection:
            opened = of_connection(connection, services.vault)
            return partials.statement(opened, id), partials.came(connection, id), partials.answer(opened, id)

    partial, came, done = await services.readers.run(request.owner, read)
    if partial is None or partial.system != request.proven.system.id:
        raise UPLOAD_UNKNOWN(upload=id)
    return partial, came, done


def _state(services: Services, offset: int, size: int, complete: bool = False) -> dict[str, str]:
    hours = services.settings.opaque_body_hours
    return {
        "upload-offset": str(offset),
        "upload-length": str(size),
        "upload-complete": "?1" if complete else "?0",
        "upload-limit": f"max-size={services.settings.opaque_body_limit}, max-age={int(hours * 3600)}",
    }


def _complete(headers: Mapping[str, str]) -> bool:
    value = headers.get("upload-complete", "")
    if value not in ("?0", "?1"):
        raise UPLOAD_FORM(where="Upload-Complete", rule="?0, ?1")
    return value == "?1"


def _number(headers: Mapping[str, str], name: str) -> int:
    value = headers.get(name, "")
    if _NUMBER.fullmatch(value) is None:
        raise UPLOAD_FORM(where="-".join(each.capitalize() for each in name.split("-")), rule="0 … 10¹⁵ - 1")
    return int(value)


HANDLERS: Final[dict[str, Handler]] = {
    "sendBody": send_body,
    "readUpload": read_upload,
    "appendBody": append_body,
    "cancelUpload": cancel_upload,
}
