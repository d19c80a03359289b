"""Serves `GET /transfers/{transfer}/bodies/{body}`: an opaque body, for those who may see the reference to it.

These are the sender of the transfer, its receiver while the message is with it, and a reader of the contract's feed
whose masks leave the field with the reference (`gateway.vault.opaque_bodies`).
Invariant: to all others the answer is that of a body that does not exist.
Invariant: an entry of the log names reader, body and range before a byte leaves. While it is sent, the reader is judged
  anew before each piece; one piece is in memory.
Invariant: of a contract with encrypted bodies, what leaves is encrypted for the reader (`encrypted_bodies`).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Engine, select

from contracts.base.errors import Failure, Ours
from contracts.canonical.model import Pattern
from gateway.doors.api.encrypted_bodies import reader_key
from gateway.doors.api.encrypted_bodies import sealer as make_sealer
from gateway.doors.api.errors import BODY_RANGE, BODY_UNKNOWN
from gateway.doors.api.feed_pages import Part, make_page
from gateway.doors.api.feed_readings import decided, judged_anew, reading
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.feeds.places import Times, cursor_at
from gateway.journal.schema import tables
from gateway.journal.write import Write
from gateway.transfer import entries
from gateway.transfer.states import State
from gateway.vault import attachments
from gateway.vault import opaque_bodies as bodies
from gateway.vault.integrity import check_bound, intent_of
from gateway.vault.opaque_bodies import Described
from gateway.vault.vault import GONE, Vault
from security import file_encryption
from security.file_encryption import FileSealer

WITH_RECEIVER: Final = frozenset({State.FORWARDING.value, State.IN_DOUBT.value, State.ANSWERED.value})
_RANGE: Final = re.compile(r"bytes=(\d{1,15})?-(\d{1,15})?")  # one range (RFC 9110 §14.1.2)


async def read_body(services: Services, request: ApiRequest) -> Reply:
    transfer, body = request.params["transfer"], request.params["body"]
    run, owner = services.readers.run, request.owner
    described = await run(owner, _described, services.engine, services.vault, request)
    seen = described is not None and (
        await run(owner, _party_sees, services.engine, services.vault, request, described)
        or await _reader_sees(services, request, described)
    )
    if not seen:
        raise BODY_UNKNOWN(body=body, transfer=transfer)
    assert described is not None
    start, stop = _range(request.received.headers.get("range"), described.size)
    receiver, sealer = reader_key(request, described), None
    if receiver is not None:
        sealer = await run(owner, make_sealer, services, described, stop - start, receiver)
    download = _Download(services, request, request, body, described.size, start, stop, sealer)
    services.streams.enter(download, request.proven.system.agency)
    try:
        facts = {"transfer": transfer, "body": body, "contract": described.contract, "from": start, "to": stop}
        note = entries.note(bodies.FETCHED, facts, services.clock(), actor=request.proven.system.name)
        await services.record(Write(replay=request.proven.replay, log=(note,)))
    except BaseException:
        await download.aclose()
        raise
    digest = f"sha-256=:{base64.b64encode(bytes.fromhex(described.sha256)).decode()}:"
    if sealer is None:
        headers = {"content-type": described.media_type, "content-length": str(stop - start), "repr-digest": digest}
    else:
        headers = {"content-type": file_encryption.MEDIA_TYPE, "content-length": str(sealer.total)}
    headers |= {"accept-ranges": "bytes", "content-disposition": f'attachment; filename="{body}"'}
    if stop - start == described.size:
        return Reply(200, headers, b"", download)
    return Reply(206, headers | {"content-range": f"bytes {start}-{stop - 1}/{described.size}"}, b"", download)


def _described(engine: Engine, vault: Vault, request: ApiRequest) -> Described | None:
    """The body, if it is whole and the agency that sent the transfer uploaded it. Runs in a thread. `vault.expired` for
    a party of the transfer only.
    """
    table = tables.transfer.c
    with engine.connect() as connection:
        parties = select(table.caller_agency, table.caller_system, table.provider)
        row = connection.execute(parties.where(table.id == request.params["transfer"])).first()
        if row is None:
            return None
        try:
            described = bodies.description(attachments.of_connection(connection, vault), request.params["body"])
        except Ours as failure:
            if failure.code in GONE and request.proven.system.id not in row[1:]:
                return None
            raise
    return described if described is not None and described.agency == row.caller_agency else None


def _party_sees(services_engine: Engine, vault: Vault, request: ApiRequest, described: Described) -> bool:
    """Whether the caller sent the message that names the body, or has received it. Runs in a thread."""
    transfer, system = request.params["transfer"], request.proven.system.id
    table = tables.transfer
    with services_engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.id == transfer)).one()
        sent = row.caller_system == system
        if not sent and not (row.provider == system and row.state in WITH_RECEIVER):
            return False
        intent = intent_of(connection, row)
        opened = vault.open_bound(connection, f"{transfer}/canonical")
        if row.pattern != Pattern.SUBMIT:  # of what was handed in, the event is bound
            check_bound(opened, row, intent)
    return _names(opened.plain, request, described)


async def _reader_sees(services: Services, request: ApiRequest, described: Described) -> bool:
    """Whether the transfer's event, as the caller may read it, names the body. It is logged as a reading of it."""
    transfer = request.params["transfer"]
    place = await services.readers.run(request.owner, _place, services.engine, transfer)
    if place is None:
        return False
    name, after = place
    try:
        contract, decision = decided(services, request, name)
    except Failure:
        return False
    make = partial(make_page, services, contract, Part(after, 1, Times(None, None)))
    page = await reading(services, request, contract, decision, make, None)
    return any(_names(event, request, described) for event in page.events)


def _place(engine: Engine, transfer: str) -> tuple[str, str] | None:
    """The feed of the transfer's event, and the cursor before it."""
    event = tables.feed_event.c
    with engine.connect() as connection:
        row = connection.execute(select(event.contract, event.offset).where(event.transfer == transfer)).first()
        return None if row is None else (row.contract, cursor_at(connection, row.contract, row.offset - 1))


def _names(message: bytes, request: ApiRequest, described: Described) -> bool:
    """`message`: JSON, whose writer escapes nothing in a reference."""
    return f'"{described.reference(request.params["body"])}"'.encode() in message


def _range(header: str | None, size: int) -> tuple[int, int]:
    """(first byte, the one behind the last). All of it without the header; `body.range` for anything but one range."""
    if header is None:
        return 0, size
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match[1] is None and match[2] is None:
        raise BODY_RANGE(size=size)
    if match[1] is None:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), size if match[2] is None else min(int(match[2]) + 1, size)
    if start >= stop:
        raise BODY_RANGE(size=size)
    return start, stop


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Download:
    """The parts of the reply."""

    services: Services
    request: ApiRequest
    proven: ApiRequest
    body: str
    size: int
    at: int
    stop: int
    sealer: FileSealer | None  # what it takes is encrypted for the reader

    async def next_part(self) -> bytes | None:
        if self.at >= self.stop:
            return None
        try:
            self.proven = judged_anew(self.services, self.request, self.proven)
            number, inside = divmod(self.at, attachments.PIECE)
            opened = attachments.opener(self.services.engine, self.services.vault)
            size, part = await self.services.readers.run(self.request.owner, self._part, opened, number, inside)
        except Failure as failure:
            await self.services.exchange.refusals.refuse(self.request.received, failure)
            raise
        self.at += size
        return part

    def _part(self, opened: attachments.OpenBody, number: int, inside: int) -> tuple[int, bytes]:
        """(bytes of the body, what is sent for them). Runs in a thread."""
        part = bodies.piece(opened, self.body, number, self.size)[inside : inside + self.stop - self.at]
        return len(part), part if self.sealer is None else self.sealer.add(part)

    async def aclose(self) -> None:
        self.services.streams.leave(self, self.request.proven.system.agency)
