"""Serves `POST /bodies`: takes an opaque body, a file of up to a gibibyte that a document will refer to.

The signature covers address, media type and Content-Digest, so it is verified before a byte of the body is read. The
body then goes to the vault in sealed pieces while it comes. It is compared with the signed digest before it counts.
Invariant: a body counts from the commit of its description, which the same transaction tells to the log.
Invariant: of a body that is refused, breaks off or differs nothing stays; what a dying process leaves is removed by the
  keeper (`gateway.keeper.tasks.loose_bodies`).
A body of a contract with encrypted bodies comes encrypted (`security.file_encryption`), and is decrypted while it
comes.
Invariant: a few mebibytes of a body are in memory; bodies under way and bytes that wait are limited for each agency.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.base.randomness import random_bytes
from contracts.base.times import rfc3339
from gateway.doors.api.encrypted_bodies import MEDIA, check_media, opener
from gateway.doors.api.errors import BODY_NO_LENGTH
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.errors import BODY_MEDIA_TYPE
from gateway.doors.http.body import AT_ONCE as PART
from gateway.doors.http.body import SLOWEST, Gone, known_size
from gateway.doors.http.channel import identify
from gateway.doors.http.errors import BODY_TOO_LARGE, BODY_TOO_SLOW
from gateway.doors.reply import Reply
from gateway.doors.rest import receipt_header
from gateway.exchange.errors import BODY_NOT_FOR_OPERATION
from gateway.exchange.opaque_bodies import retention_of
from gateway.exchange.quotas import GrantQuery, decide
from gateway.journal.database import writing
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.write import LogRow, VaultRow, Verdict, Write
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries
from gateway.transfer.stages import Receipt
from gateway.vault import opaque_bodies as bodies
from gateway.vault.attachments import PIECE
from gateway.vault.errors import BODY_NO_ROOM
from gateway.vault.scratch import RESERVE
from gateway.vault.scratch import RETRY_SECONDS as ROOM_SECONDS
from security import jose
from security.encryption_keys import EncryptKey
from security.file_encryption import FileOpener
from security.http_signatures import check_content_digest
from security.transparency.entry import SALT

PIECES: Final = 4  # that are committed together
_log: Final = logging.getLogger("lgsp.bodies")


async def send_body(services: Services, request: ApiRequest) -> Reply:
    headers, limit = request.received.headers, services.settings.opaque_body_limit
    size = known_size(headers)
    if size > limit:
        raise BODY_TOO_LARGE(limit=limit)
    if not size:
        raise BODY_NO_LENGTH(limit=limit)
    media = headers.get("content-type", "")
    if MEDIA.fullmatch(media) is None:
        raise BODY_MEDIA_TYPE(got=media[:80] or "—", expected="type/subtype")
    upload = _Upload(services, request, size)
    upload.check(request.snapshot, request.received.at)
    services.uploads.enter(upload, upload.agency)
    try:
        return await upload.take()
    finally:
        services.uploads.leave(upload, upload.agency)


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Upload:
    """One body that comes."""

    services: Services
    request: ApiRequest
    size: int
    retention: str = ""
    _receiver: EncryptKey | None = None  # of the answer, if the contract asks for encryption
    _opener: FileOpener | None = None
    _came: int = 0
    _kept: int = 0  # bytes of the file that were sealed
    _plain: bytearray = field(default_factory=bytearray)  # what is less than a piece
    _number: int = 0  # of the next piece
    _salt: bytes = field(default_factory=lambda: random_bytes(SALT))
    _hashes: Mapping[str, Any] = field(init=False)  # of what comes
    _file: Any = field(init=False)  # of the file
    _salted: Any = field(init=False)
    _writing: asyncio.Future[Any] | None = None
    _counts: bool = False  # its description may be committed

    def __post_init__(self) -> None:
        stated = self.request.received.headers["content-digest"]
        hashes = {"sha-256": hashlib.sha256()}
        self._file, self._salted = hashes["sha-256"], hashlib.sha256(self._salt)
        self._hashes = hashes | ({"sha-512": hashlib.sha512()} if "sha-512" in stated else {})

    @property
    def body(self) -> str:
        return self.request.received.transfer

    @property
    def agency(self) -> str:
        return self.request.proven.system.agency

    def check(self, snapshot: Snapshot, now: float) -> None:
        """Raises if the agency may not send such messages now, or they may name no bodies."""
        name, operation = self.request.params["contract"], self.request.params["operation"]
        contract = snapshot.contract(name)
        if contract is None or operation not in contract.contract.operations:
            raise BODY_NOT_FOR_OPERATION(contract=name, operation=operation)
        decide(GrantQuery(snapshot, self.agency, contract.contract, operation, now))
        self.retention = retention_of(contract.contract, contract.contract.operations[operation])
        self._receiver = check_media(self.services, self.request, contract.contract, snapshot)
        if self._receiver is not None and self._opener is None:
            self._opener, self._file = opener(self.services, self.request), hashlib.sha256()

    async def take(self) -> Reply:
        services, settings = self.services, self.services.settings
        await services.record(Write(replay=self.request.proven.replay))
        seconds = settings.body_seconds + self.size / SLOWEST
        try:
            await asyncio.to_thread(self._reserve)
            async with asyncio.timeout(seconds):
                await self._receive()
            return await self._finish()
        except TimeoutError:
            raise BODY_TOO_SLOW(seconds=f"{seconds:.0f}") from None
        finally:
            if not self._counts:
                await asyncio.shield(self._discard())

    def _reserve(self) -> None:
        """Runs in a thread."""
        services, settings = self.services, self.services.settings
        if services.engine.dialect.name == "sqlite" and shutil.disk_usage(settings.data).free < 2 * self.size + RESERVE:
            raise BODY_NO_ROOM(retry_after=ROOM_SECONDS)
        since = bodies.first_waiting(self.request.received.at, settings.opaque_body_hours)
        with writing(services.engine) as connection:
            bodies.reserve(connection, self.body, self.agency, self.size, since, settings.opaque_bodies)

    async def _receive(self) -> None:
        call, held, parts, more = self.request.call, bytearray(), list[bytes](), True
        budgets, pending = call.shell.budgets, 0
        while more:
            message = await call.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            pending += len(parts[-1])
            self._came += len(parts[-1])
            more = message.get("more_body", False)
            if self._came > self.size:
                raise BODY_TOO_LARGE(limit=self.size)
            if not more and self._came < self.size:
                raise Gone
            if pending < PART and more:
                continue
            if budgets is not None:
                await budgets.admit(self.agency, pending)
            held += b"".join(parts)
            parts, pending = [], 0
            if len(held) >= PIECES * PIECE or not more:
                rows = await asyncio.to_thread(self._sealed, bytes(held), not more)
                held.clear()
                if rows:
                    await self._keep(rows)

    def _sealed(self, data: bytes, last: bool) -> tuple[VaultRow, ...]:
        """The pieces that this completes. Runs in a thread."""
        rows = list[VaultRow]()
        for at in range(0, max(1, len(data)), PIECE):  # few copies at once
            rows += self._taken(data[at : at + PIECE], last and at + PIECE >= len(data))
        return tuple(rows)

    def _taken(self, part: bytes, last: bool) -> Iterator[VaultRow]:
        for each in self._hashes.values():
            each.update(part)
        if self._opener is not None:
            part = self._opener.feed(part) + (self._opener.end() if last else b"")
            self._file.update(part)
        self._salted.update(part)
        self._kept += len(part)
        self._plain += part
        vault, now = self.services.vault, self.services.clock()
        while len(self._plain) >= PIECE or last and self._plain:
            yield bodies.sealed_piece(vault, self.body, self._number, bytes(self._plain[:PIECE]), now, self.retention)
            del self._plain[:PIECE]
            self._number += 1

    async def _keep(self, rows: tuple[VaultRow, ...], log: tuple[LogRow, ...] = ()) -> None:
        self._writing = self.services.journal.commit(Write(vault=rows, log=log))
        if (await asyncio.shield(self._writing)).verdict is not Verdict.COMMITTED:
            raise JOURNAL_FENCED(retry_after=1)

    async def _finish(self) -> Reply:
        """Compares what came with what was signed, and asks the registry again: the body may have come slowly."""
        services, headers = self.services, self.request.received.headers
        digests = {name: each.digest() for name, each in self._hashes.items()}
        check_content_digest(headers["content-digest"], b"", digests)
        now, snapshot = services.clock(), services.registry.snapshot
        system = identify(self.request.received.certificate, snapshot, now).system
        self.check(snapshot, now)
        key = None if self._opener is None else self._opener.key
        described = bodies.Described(
            agency=system.agency,
            system=system.id,
            contract=self.request.params["contract"],
            operation=self.request.params["operation"],
            media_type=headers["content-type"] if key is None else key.media_type,
            size=self._kept,
            sha256=self._file.hexdigest(),
            salt=self._salt.hex(),
            encrypted=key is not None,
        )
        facts = {
            "contract": described.contract,
            "operation": described.operation,
            "size": described.size,
            "sha256": self._salted.hexdigest(),  # of the salt and the body
        }
        note = entries.note(bodies.RECEIVED, facts, now, actor=system.name, about=self.body)
        row = bodies.sealed_description(services.vault, self.body, described, note.leaf, now, self.retention)
        self._counts = True
        await self._keep((row,), (note,))
        until = self.request.received.at + services.settings.opaque_body_hours * 3600
        told = {
            "reference": str(described.reference(self.body)),
            "mediaType": described.media_type,
            "size": described.size,
            "sha256": described.sha256,
            "until": rfc3339(until),
        }
        receipt = receipt_header(Receipt(self.body, intent=note.leaf))
        content, media = json.dumps(told).encode(), "application/json"
        if self._receiver is not None:
            content = await asyncio.to_thread(self._encrypted, content, media, self._receiver)
            media = jose.MEDIA_TYPE
        sent = {"content-type": media, "lgsp-transfer": self.body, "lgsp-receipt": receipt}
        return Reply(201, sent, content)

    def _encrypted(self, content: bytes, media: str, receiver: EncryptKey) -> bytes:
        return jose.seal(content, media, self.services.rest.signing_key, receiver)[0]

    async def _discard(self) -> None:
        try:
            if self._writing is not None and not self._writing.done():
                await asyncio.wait({self._writing})
            await asyncio.to_thread(bodies.remove, self.services.engine, None, self.body, self.size)
        except Exception:  # the database is away, which the caller is told by the first failure
            _log.exception("body %s: its pieces stay until the keeper removes them", self.body)
