"""Files beside documents, for `AsyncClient`: uploads one and gives its reference, fetches one by its reference.

A file is hashed before it is sent, as the signature covers its digest. What is fetched is compared with the size and
digest in the reference, which the document's sender signed (docs/wire.md, "Files beside documents"). Where the contract
asks for encryption, each file goes encrypted for its receiver (`security.file_encryption`).
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote, urlencode

from contracts.base.errors import Failure
from contracts.base.randomness import random_bytes
from contracts.base.words import Language
from contracts.wire.body_references import BodyReference, body_reference
from gateway.client import rest
from gateway.client.answers import Answer, Receipt
from gateway.client.errors import CLIENT_IDENTITY, CLIENT_USAGE, ClientError, NoConnection, NotProven
from gateway.client.identities.trusted import TrustedKeys
from gateway.client.rest import Prepared
from gateway.client.transport import RawAnswer, StreamTransport, Transport, UploadTransport
from security import file_encryption, jose
from security.encryption_keys import EncryptKey
from security.file_encryption import FileKey, FileOpener, FileSealer
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
    _trusted: TrustedKeys
    _opener: jose.Opener | None
    _clock: Callable[[], float]

    @abstractmethod
    async def token(self) -> str: ...

    @abstractmethod
    def _sign(self, method: str, path: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        """(URL, the headers with the signature over them)"""

    @abstractmethod
    async def _opened(self, path: str) -> Prepared: ...

    @abstractmethod
    def _sealed_key(self, key: FileKey, receiver: EncryptKey) -> bytes: ...

    @abstractmethod
    async def _encrypt_for(self, contract: str | None) -> EncryptKey | None: ...

    @abstractmethod
    async def _adapted(self, once: Callable[[], Awaitable[Answer]], contract: str | None) -> Answer: ...

    @abstractmethod
    async def _proven(self, prepared: Prepared, raw: RawAnswer) -> Answer: ...

    async def send_file(
        self, file: Path, contract: str, operation: str, *, media_type: str = "application/octet-stream"
    ) -> SentFile:
        """Upload a file for a message of this operation, encrypted if the contract asks for it.

        Raises `ClientError`, OSError.
        """
        transport = self._transport
        if not isinstance(transport, UploadTransport):
            raise TypeError("this transport has no uploads")
        query = urlencode({"contract": contract, "operation": operation}, safe="/")
        size, digest = await asyncio.to_thread(_hashed, file)

        async def once() -> Answer:
            receiver, length, sent, sealer = await self._encrypt_for(contract), size, digest, _same
            if receiver is not None:
                key = file_encryption.new_key(size, media_type)
                again = partial(FileSealer, self._sealed_key(key, receiver), key, random_bytes(16))
                length, sent = await asyncio.to_thread(_hashed, file, again().add)
                sealer = again().add
            unsigned = {
                "accept": f"{rest.JSON}, application/problem+json",
                "accept-language": self._language,
                "authorization": f"Bearer {await self.token()}",
                "content-type": media_type if receiver is None else file_encryption.MEDIA_TYPE,
                "content-digest": f"sha-256={serialise_bytes(sent)}",
            }
            url, headers = self._sign("POST", f"/bodies?{query}", unsigned)
            headers["content-length"] = str(length)
            raw = await transport.upload("POST", url, headers, _pieces(file, sealer))
            return await self._proven(Prepared("POST", url, headers, None, None, encrypted=receiver is not None), raw)

        answer = await self._adapted(once, contract)
        told = answer.json()
        named = body_reference(str(told.get("reference"))) if isinstance(told, dict) else None
        if named is None or (named.size, named.sha256) != (size, digest.hex()):
            raise rest.not_proven("POST", f"/bodies?{query}", answer.status, "a reference to another file")
        return SentFile(str(named), size, digest.hex(), str(told.get("until")), answer.receipt)

    async def fetch_file(self, transfer: str, reference: str, file: Path) -> int:
        """Fetch a file that the message of this transfer refers to, decrypted; returns its size.

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
                except NotProven:
                    part.unlink(missing_ok=True)
                    raise
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
            if raw.headers.get("content-type") != file_encryption.MEDIA_TYPE:
                async for data in raw.parts():
                    yield data
                return
            opener = FileOpener(self._file_key)

            def opened(work: Callable[[], bytes]) -> bytes:
                try:
                    return work()
                except ClientError:
                    raise
                except Failure as failure:
                    raise rest.not_proven(prepared.method, prepared.url, raw.status, rest.why(failure)) from None

            async for data in raw.parts():
                yield opened(partial(opener.feed, data))
            yield opened(opener.end)

    def _file_key(self, head: bytes) -> FileKey:
        if self._opener is None:
            raise CLIENT_IDENTITY(folder="–", reason="encrypt.key, encrypt.crt ∄")
        return file_encryption.file_key(self._opener.open(head, self._trusted.by_id, self._clock()))


def _same(data: bytes) -> bytes:
    return data


def _hashed(file: Path, change: Callable[[bytes], bytes] = _same) -> tuple[int, bytes]:
    """(size, SHA-256) of what is sent. Runs in a thread."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as read:
        while piece := read.read(PIECE):
            piece = change(piece)
            digest.update(piece)
            size += len(piece)
    return size, digest.digest()


async def _pieces(file: Path, change: Callable[[bytes], bytes]) -> AsyncIterator[bytes]:
    with file.open("rb") as read:
        while piece := await asyncio.to_thread(_read, read):
            if sent := await asyncio.to_thread(change, piece):
                yield sent


def _read(file: BinaryIO) -> bytes:
    return file.read(PIECE)
