"""Passes files beside documents for the old system, both ways, by plain HTTP (docs/agent.md, "Files beside documents").

    POST /bodies?contract=<contract>/v<n>&operation=<operation>   a file; the answer has its reference
    GET  /transfers/<transfer>/bodies/<reference>                 the file of a reference in a message of that transfer

A file passes through the folder `files` of the agent's state, readable by its owner alone, and is removed afterwards.
Invariant: nothing of a fetched file is given to the old system before all of it was compared with its reference.
Invariant: the files in the folder have at most `most` bytes together, and leave `LEAST_FREE` bytes of the disk free.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from contracts.base.ids import new_id
from contracts.wire.body_references import BodyReference, body_reference
from contracts.wire.jsontext import text_of
from gateway.agent.errors import (
    AGENT_ADDRESS,
    AGENT_BODY_TOO_LARGE,
    AGENT_FILES_FULL,
    AGENT_MEDIA_TYPE,
    AGENT_REFERENCE,
)
from gateway.agent.link import Away, Link, Passed
from gateway.agent.listener import Body, Head, Reply
from gateway.client.files import SentFile
from security.structured_fields import serialise_bytes

PATH: Final = "/bodies"
MOST: Final = 1_073_741_824  # bytes of a file, as docs/wire.md has it
SLOWEST: Final = 1_000_000  # bytes a second of a file, after the seconds of any body
PIECE: Final = 262_144  # bytes
LEAST_FREE: Final = 67_108_864  # bytes of the disk that files leave to the queue
_ANY: Final = "application/octet-stream"
_LONGEST_TYPE: Final = 255
_FETCHED: Final = re.compile(r"/transfers/([0-9a-f-]{36})/bodies/([^/]{1,300})")
_OPERATION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")


class FileRoom:
    """The folder through which files pass. One for each process; what an earlier process left is removed."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most, self._taken = folder, most, 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()

    @contextmanager
    def place(self, size: int) -> Iterator[Place]:
        """A place for a file of that many bytes, 0 if not known yet. Raises `agent.files-full`."""
        place = Place(self, self._folder / new_id())
        try:
            place.grow(size)
            yield place
        finally:
            self._taken -= place.size
            for each in (place.path, place.path.with_name(f"{place.path.name}.part")):
                each.unlink(missing_ok=True)

    def take(self, size: int) -> None:
        free = shutil.disk_usage(self._folder).free - LEAST_FREE
        if self._taken + size > self._most or size > free:
            raise AGENT_FILES_FULL(reason=f"{self._most} bytes" if size <= free else "disk", retry_after=30)
        self._taken += size


@dataclass(slots=True)
class Place:
    """Where one file lies. `size`: bytes that are reserved for it."""

    room: FileRoom
    path: Path
    size: int = 0

    def grow(self, size: int) -> None:
        """Raises `agent.files-full`."""
        if size > self.size:
            self.room.take(size - self.size)
            self.size = size

    async def write(self, parts: AsyncIterator[bytes]) -> int:
        """The size of what came."""
        came = 0
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=PIECE) as out:
            async for part in parts:
                came += len(part)
                self.grow(came)
                await asyncio.to_thread(out.write, part)
        return came


class _Upload(NamedTuple):
    contract: str
    operation: str


class _Fetch(NamedTuple):
    transfer: str
    reference: str


@dataclass(frozen=True, slots=True)
class Files:
    link: Link
    room: FileRoom
    contracts: tuple[str, ...]

    async def handle(self, head: Head, body: Body) -> Reply | None:
        """None for an address of something else. The secret was checked."""
        if head.method == "POST" and head.path == PATH:
            return await self._send(head, body, self._upload(head))
        match = _FETCHED.fullmatch(head.path) if head.method == "GET" and not head.query else None
        return None if match is None else await self._fetch(_Fetch(match[1], unquote(match[2])))

    def _upload(self, head: Head) -> _Upload:
        try:
            pairs = parse_qsl(head.query, keep_blank_values=True, strict_parsing=True, max_num_fields=2)
        except ValueError:
            pairs = []
        named = dict(pairs)
        contract, operation = named.get("contract", ""), named.get("operation", "")
        if len(pairs) != 2 or contract not in self.contracts or not _OPERATION.fullmatch(operation):
            allowed = ", ".join(f"POST {PATH}?contract={each}&operation=…" for each in self.contracts)
            raise AGENT_ADDRESS(method=head.method, path=head.target[:120], allowed=allowed)
        return _Upload(contract, operation)

    async def _send(self, head: Head, body: Body, to: _Upload) -> Reply:
        media = head.headers.get("content-type", _ANY)
        if not (media.isascii() and media.isprintable() and 0 < len(media) <= _LONGEST_TYPE):
            raise AGENT_MEDIA_TYPE(got=media[:80] or "—", expected=_ANY)
        if (body.declared or 0) > MOST:
            raise AGENT_BODY_TOO_LARGE(limit=MOST)
        with self.room.place(body.declared or 0) as place:
            try:
                await place.write(body.parts(MOST, SLOWEST))
            except ConnectionError:
                raise
            except OSError as trouble:
                raise _full(trouble) from None
            sent = await self.link.send_file(place.path, to.contract, to.operation, media)
        if not isinstance(sent, SentFile):
            return _refusal(sent)
        told = {"reference": sent.reference, "size": sent.size, "sha256": sent.sha256, "until": sent.until}
        return Reply(201, {"content-type": "application/json"} | _receipt(sent), text_of(told).encode())

    async def _fetch(self, asked: _Fetch) -> Reply:
        named = body_reference(asked.reference)
        if named is None or not 0 < named.size <= MOST:
            raise AGENT_REFERENCE(got=asked.reference[:120])
        with ExitStack() as stack:
            place = stack.enter_context(self.room.place(named.size))
            try:
                result = await self.link.fetch_file(asked.transfer, asked.reference, place.path)
            except OSError as trouble:
                raise _full(trouble) from None
            if result is not None:
                return _refusal(result)
            pieces = _pieces(place.path, stack.pop_all())
        return Reply(200, _headers(named), await anext(pieces), pieces)  # begun, so that its end removes the file


async def _pieces(path: Path, kept: ExitStack) -> AsyncGenerator[bytes]:
    with kept, path.open("rb") as file:
        yield b""
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


def _headers(named: BodyReference) -> dict[str, str]:
    return {
        "content-type": _ANY,  # what the sender calls it is not known here; a browser must not guess
        "x-content-type-options": "nosniff",
        "content-length": str(named.size),
        "repr-digest": f"sha-256={serialise_bytes(bytes.fromhex(named.sha256))}",
        "cache-control": "no-store",
    }


def _receipt(sent: SentFile) -> dict[str, str]:
    if sent.receipt is None:
        return {}
    leaves = ", ".join(f"{phase}={serialise_bytes(leaf)}" for phase, leaf in sent.receipt.leaves.items())
    return {"lgsp-transfer": sent.receipt.transfer, "lgsp-receipt": leaves}


def _refusal(result: Passed | Away) -> Reply:
    if isinstance(result, Away):
        raise result.failure
    return Reply(result.status, result.shown, result.body)


def _full(trouble: OSError) -> Exception:
    return AGENT_FILES_FULL(reason=trouble.strerror or type(trouble).__name__, retry_after=30)
