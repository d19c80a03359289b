"""Files beside documents, for `AsyncClient`: uploads one and gives its reference, fetches one by its reference.

A file is hashed before it is sent, as the signature covers its digest. What is fetched is compared with the size and
digest in the reference, which the document's sender signed (docs/wire.md, "Files beside documents").
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote, urlencode

from contracts.base.words import Language
from contracts.wire.body_references import BodyReference, body_reference
from gateway.client import rest
from gateway.client.answers import Answer, Receipt
from gateway.client.errors import CLIENT_USAGE, NoConnection
from gateway.client.rest import Prepared
from gateway.client.transport import RawAnswer, StreamTransport, Transport, UploadTransport
from security.structured_fields import serialise_bytes

PIECE: Final = 262_144  # bytes
_TRIES: Final = 5  # connections that bring nothing
_PAUSE: Final = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class SentFile:
    """`reference`: for a text field of the document, before the time `until` (RFC 3339)."""

    reference: str
    size: int
    sha256: str
    until: str
    receipt: Receipt | None


class Files(ABC):
    """What a client with these parts can do with files."""

    _transport: Transport
    _language: Language

    @abstractmethod
    async def token(self) -> str: ...

    @abstractmethod
    def _sign(self, method: str, path: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        """(URL, the headers with the signature over them)"""

    @abstractmethod
    async def _opened(self, path: str) -> Prepared: ...

    @abstractmethod
    async def _proven(self, prepared: Prepared, raw: RawAnswer) -> Answer: ...

    async def send_file(
        self, file: Path, contract: str, operation: str, *, media_type: str = "application/octet-stream"
    ) -> SentFile:
        """Upload a file for a message of this operation. Raises `ClientError`, OSError."""
        if not isinstance(self._transport, UploadTransport):
            raise TypeError("this transport has no uploads")
        size, digest = await asyncio.to_thread(_hashed, file)
        query = urlencode({"contract": contract, "operation": operation}, safe="/")
        unsigned = {
            "accept": f"{rest.JSON}, application/problem+json",
            "accept-language": self._language,
            "authorization": f"Bearer {await self.token()}",
            "content-type": media_type,
            "content-digest": f"sha-256={serialise_bytes(digest)}",
        }
        url, headers = self._sign("POST", f"/bodies?{query}", unsigned)
        headers["content-length"] = str(size)
        raw = await self._transport.upload("POST", url, headers, _pieces(file))
        answer = await self._proven(Prepared("POST", url, headers, None, None), raw)
        told = answer.json()
        named = body_reference(str(told.get("reference"))) if isinstance(told, dict) else None
        if named is None or (named.size, named.sha256) != (size, digest.hex()):
            raise rest.not_proven("POST", url, answer.status, "a reference to another file")
        return SentFile(str(named), size, digest.hex(), str(told.get("until")), answer.receipt)

    async def fetch_file(self, transfer: str, reference: str, file: Path) -> int:
        """Fetch a file that the message of this transfer refers to; returns its size.

        `file` appears when all of it has come and was compared. Where a connection breaks off, the next one goes on
        from there. Raises `ClientError`, OSError.
        """
        named = body_reference(reference)
        if named is None:
            raise CLIENT_USAGE(what=f"reference: {reference[:80]!r}")
        if not isinstance(self._transport, StreamTransport):
            raise TypeError("this transport has no streams")
        part, sha256, size, left = file.with_name(f"{file.name}.part"), hashlib.sha256(), 0, _TRIES
        path = f"/transfers/{quote(transfer, safe='')}/bodies/{named.body}"
        with part.open("wb") as out:
            while size < named.size:
                before = size
                try:
                    async for data in self._fetched(path, size, named):
                        sha256.update(data)
                        size += out.write(data)
                except NoConnection:
                    left = _TRIES if size > before else left - 1
                    if not left:
                        raise
                    await asyncio.sleep(_PAUSE)
        if size != named.size or sha256.hexdigest() != named.sha256:
            part.unlink()
            raise rest.not_proven("GET", path, 200, "not the file that the reference names")
        part.replace(file)
        return size

    async def _fetched(self, path: str, start: int, named: BodyReference) -> AsyncIterator[bytes]:
        assert isinstance(self._transport, StreamTransport)
        prepared = await self._opened(path)
        headers = {**prepared.headers, "accept": "*/*"} | ({"range": f"bytes={start}-"} if start else {})
        async with self._transport.stream(prepared.method, prepared.url, headers) as raw:
            expected = f"bytes {start}-{named.size - 1}/{named.size}" if start else None
            if raw.status not in (200, 206):
                await self._proven(prepared, await raw.whole())
            await self._proven(prepared, RawAnswer(raw.status, raw.headers, b""))
            if raw.status != (206 if start else 200) or raw.headers.get("content-range") != expected:
                raise rest.not_proven(prepared.method, prepared.url, raw.status, "another part than was asked for")
            async for data in raw.parts():
                yield data


def _hashed(file: Path) -> tuple[int, bytes]:
    """(size, SHA-256). Runs in a thread."""
    with file.open("rb") as read:
        digest = hashlib.file_digest(read, "sha256").digest()
        return read.tell(), digest


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as read:
        while piece := await asyncio.to_thread(_read, read):
            yield piece


def _read(file: BinaryIO) -> bytes:
    return file.read(PIECE)
