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
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

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

PIECES: Final = 2  # that are committed together: each is in memory as it came, sealed, and bound to its statement
SILENT: Final = 60.0  # seconds without a byte
_THREADS: Final = ThreadPoolExecutor(2, "bodies")  # each keeps what it has freed, some mebibytes, for itself
_log: Final = logging.getLogger("lgsp.bodies")
T = TypeVar("T")


async def off_loop(work: Callable[..., T], *of: object, **how: object) -> T:
    """Returns `work(*of, **how)`, which runs in a thread for files."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(work, *of, **how))


async def send_body(services: Services, request: ApiRequest) -> Reply:
    headers, limit, params = request.received.headers, services.settings.opaque_body_limit, request.params
    size = known_size(headers)
    if size > limit:
        raise BODY_TOO_LARGE(limit=limit)
    if not size:
        raise BODY_NO_LENGTH(limit=limit)
    stated = Stated(params["contract"], params["operation"], media_of(headers), size, headers["content-digest"])
    upload = Upload(services, request, stated)
    upload.check(request.snapshot, request.received.at)
    services.uploads.enter(upload, upload.agency)
    try:
        await services.record(Write(replay=request.proven.replay))
        return await upload.take(coming(services, request, size))
    finally:
        services.uploads.leave(upload, upload.agency)


def media_of(headers: Mapping[str, str]) -> str:
    media = headers.get("content-type", "")
    if MEDIA.fullmatch(media) is None:
        raise BODY_MEDIA_TYPE(got=media[:80] or "—", expected="type/subtype")
    return media


async def coming(services: Services, request: ApiRequest, size: int) -> AsyncIterator[bytes]:
    """The `size` bytes of a request's body as they come, within its agency's budget.

    `body.too-slow` after a second for each million bytes, or where nothing comes for `SILENT` seconds. `Gone`. What
    came before is given first.
    """
    call, agency = request.call, request.proven.system.agency
    budgets, clock = call.shell.budgets, asyncio.get_running_loop().time
    seconds = services.settings.body_seconds + size / SLOWEST
    until = clock() + seconds
    parts, pending, came, more = list[bytes](), 0, 0, True
    ended: Exception | None = None
    while more and ended is None:
        try:
            async with asyncio.timeout_at(min(until, clock() + SILENT)):
                message = await call.receive()
        except TimeoutError:
            message, ended = {"more_body": True}, BODY_TOO_SLOW(seconds=f"{seconds:.0f}")
        parts.append(message.get("body", b""))
        pending += len(parts[-1])
        came += len(parts[-1])
        more = message.get("more_body", False)
        if came > size:
            raise BODY_TOO_LARGE(limit=size)
        if not more and came < size:
            ended = Gone()
        if pending < PART and more and ended is None:
            continue
        if budgets is not None:
            await budgets.admit(agency, pending)
        yield b"".join(parts)
        parts, pending = [], 0
    if ended is not None:
        raise ended


@dataclass(frozen=True, slots=True)
class Stated:
    """What a sender signed about a file. `size`: bytes that travel. `digest`: of them, as in Content-Digest."""

    contract: str
    operation: str
    media_type: str
    size: int
    digest: str


Beside = Callable[[dict[str, Any], str], tuple[VaultRow, ...]]


def _nothing(told: dict[str, Any], retention: str) -> tuple[VaultRow, ...]:
    return ()


@dataclass(slots=True, eq=False, weakref_slot=True)
class Upload:
    """One body that comes, `instead` of an upload in parts that is whole.

    `beside` makes rows that are committed with it, of what is told and its retention class.
    """

    services: Services
    request: ApiRequest
    stated: Stated
    beside: Beside = _nothing
    instead: str = ""
    retention: str = ""
    _receiver: EncryptKey | None = None  # of the answer, if the contract asks for encryption
    _opener: FileOpener | None = None
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
        hashes = hashes_of(self.stated.digest)
        self._file, self._salted, self._hashes = hashes["sha-256"], hashlib.sha256(self._salt), hashes

    @property
    def body(self) -> str:
        return self.request.received.transfer

    @property
    def agency(self) -> str:
        return self.request.proven.system.agency

    def check(self, snapshot: Snapshot, now: float) -> None:
        """Raises if the agency may not send such messages now, or they may name no bodies."""
        name, operation = self.stated.contract, self.stated.operation
        contract = snapshot.contract(name)
        if contract is None or operation not in contract.contract.operations:
            raise BODY_NOT_FOR_OPERATION(contract=name, operation=operation)
        decide(GrantQuery(snapshot, self.agency, contract.contract, operation, now))
        self.retention = retention_of(contract.contract, contract.contract.operations[operation])
        media = self.stated.media_type
        self._receiver = check_media(self.services, self.request, media, contract.contract, snapshot)
        if self._receiver is not None and self._opener is None:
            self._opener, self._file = opener(self.services, self.request), hashlib.sha256()

    async def take(self, coming: AsyncIterator[bytes]) -> Reply:
        """Keeps all that comes, then answers."""
        held = bytearray()
        try:
            await off_loop(self._reserve)
            async for part in coming:
                held += part
                if len(held) >= PIECES * PIECE:
                    rows = await off_loop(self._sealed, bytes(held), False)
                    held.clear()
                    if rows:
                        await self._keep(rows)
            if rows := await off_loop(self._sealed, bytes(held), True):
                await self._keep(rows)
            return await self._finish()
        finally:
            if not self._counts:
                await asyncio.shield(self._discard())

    def _reserve(self) -> None:
        """Runs in a thread."""
        room(self.services, self.stated.size)
        with writing(self.services.engine) as connection:
            reserve(self.services, connection, self.body, self.agency, self.stated.size, self.instead)

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
        services = self.services
        digests = {name: each.digest() for name, each in self._hashes.items()}
        check_content_digest(self.stated.digest, b"", digests)
        now, snapshot = services.clock(), services.registry.snapshot
        system = identify(self.request.received.certificate, snapshot, now).system
        self.check(snapshot, now)
        key = None if self._opener is None else self._opener.key
        described = bodies.Described(
            agency=system.agency,
            system=system.id,
            contract=self.stated.contract,
            operation=self.stated.operation,
            media_type=self.stated.media_type if key is None else key.media_type,
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
        until = self.request.received.at + services.settings.opaque_body_hours * 3600
        told = {
            "reference": str(described.reference(self.body)),
            "mediaType": described.media_type,
            "size": described.size,
            "sha256": described.sha256,
            "until": rfc3339(until),
        }
        receipt = Receipt(self.body, intent=note.leaf)
        beside = self.beside(told | {"receipt": note.leaf.hex()}, self.retention)
        self._counts = True
        await self._keep((row, *beside), (note,))
        return await kept_reply(services, told, receipt, self._receiver)

    async def _discard(self) -> None:
        try:
            if self._writing is not None and not self._writing.done():
                await asyncio.wait({self._writing})
            await off_loop(bodies.remove, self.services.engine, None, self.body, self.stated.size)
        except Exception:  # the database is away, which the caller is told by the first failure
            _log.exception("body %s: its pieces stay until the keeper removes them", self.body)


async def kept_reply(
    services: Services, told: Mapping[str, Any], receipt: Receipt, receiver: EncryptKey | None
) -> Reply:
    """201 with what is told of a body that is kept; encrypted for `receiver`."""
    content, media = json.dumps(told).encode(), "application/json"
    if receiver is not None:
        content = (await off_loop(jose.seal, content, media, services.rest.signing_key, receiver))[0]
        media = jose.MEDIA_TYPE
    sent = {"content-type": media, "lgsp-transfer": receipt.transfer, "lgsp-receipt": receipt_header(receipt)}
    return Reply(201, sent, content)


def hashes_of(digest: str) -> dict[str, Any]:
    """Empty hashes for the digests that a Content-Digest states, by their names in it; SHA-256 always."""
    hashes = {"sha-256": hashlib.sha256()}
    return hashes | ({"sha-512": hashlib.sha512()} if "sha-512" in digest else {})


def room(services: Services, size: int) -> None:
    """`body.no-room` if the disk has not twice as many bytes."""
    sqlite = services.engine.dialect.name == "sqlite"
    if sqlite and shutil.disk_usage(services.settings.data).free < 2 * size + RESERVE:
        raise BODY_NO_ROOM(retry_after=ROOM_SECONDS)


def reserve(services: Services, connection: Connection, body: str, agency: str, size: int, instead: str = "") -> None:
    """Counts a body that is to come (`opaque_bodies.reserve`)."""
    settings = services.settings
    now = services.clock()
    if not instead:
        services.exchange.vendors.keep(connection, agency, now, size)
    since = bodies.first_waiting(now, settings.opaque_body_hours)
    bodies.reserve(connection, body, agency, size, since, settings.opaque_bodies, instead)
