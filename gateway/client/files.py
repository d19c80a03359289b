"""Files beside documents, for `AsyncClient`: uploads one and gives its reference, fetches one by its reference.

A file is hashed before it is sent, as the signature covers its digest. One of more than `AT_ONCE` bytes is uploaded in
parts: where a connection breaks off, the next one goes on from what the gateway has kept. What is fetched is compared
with the size and digest in the reference, which the document's sender signed (docs/wire.md, "Files beside documents").
Where the contract asks for encryption, each file goes encrypted for its receiver (`security.file_encryption`).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from contracts.base.errors import Failure
from contracts.base.randomness import random_bytes
from contracts.base.words import Language
from contracts.wire.body_references import BodyReference, body_reference
from gateway.client import rest
from gateway.client.answers import Answer, Receipt
from gateway.client.errors import CLIENT_IDENTITY, CLIENT_USAGE, ClientError, NoConnection, NotProven, Refused
from gateway.client.identities.trusted import TrustedKeys
from gateway.client.rest import Prepared
from gateway.client.transport import RawAnswer, StreamTransport, Transport, UploadTransport
from security import file_encryption, jose
from security.encryption_keys import EncryptKey
from security.file_encryption import FileKey, FileOpener, FileSealer
from security.structured_fields import serialise_bytes

PIECE: Final = 262_144  # bytes
AT_ONCE: Final = 4_194_304  # bytes of a file that goes in one request
_TRIES: Final = 5  # connections that bring nothing
_PAUSE: Final = 1.0  # seconds
_PARTIAL: Final = "application/partial-upload"
_OFFSET: Final = "upload.offset"  # what came before a cut was kept after we asked
_ADDRESS: Final = re.compile(r"/uploads/[0-9a-f-]{36}")


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
        if not isinstance(self._transport, UploadTransport):
            raise TypeError("this transport has no uploads")
        query = urlencode({"contract": contract, "operation": operation}, safe="/")
        size, digest = await asyncio.to_thread(_hashed, file)

        async def once() -> Answer:
            receiver = await self._encrypt_for(contract)
            if receiver is None:
                sent = _Sent(file, media_type, size, digest, lambda: _same)
            else:
                key = file_encryption.new_key(size, media_type)
                again = partial(FileSealer, self._sealed_key(key, receiver), key, random_bytes(16))
                length, sealed = await asyncio.to_thread(_hashed, file, again().add)
                sent = _Sent(file, file_encryption.MEDIA_TYPE, length, sealed, lambda: again().add)
            if sent.size > AT_ONCE:
                return await self._in_parts(f"/bodies?{query}", sent)
            fields = {"content-type": sent.media_type, "content-digest": sent.stated}
            return await self._uploaded("POST", f"/bodies?{query}", fields, sent, 0)

        answer = await self._adapted(once, contract)
        told = answer.json()
        named = body_reference(str(told.get("reference"))) if isinstance(told, dict) else None
        if named is None or (named.size, named.sha256) != (size, digest.hex()):
            raise rest.not_proven("POST", f"/bodies?{query}", answer.status, "a reference to another file")
        return SentFile(str(named), size, digest.hex(), str(told.get("until")), answer.receipt)

    async def _in_parts(self, path: str, sent: _Sent) -> Answer:
        """Begins an upload, and sends the file until it is whole."""
        fields = {
            "content-type": sent.media_type,
            "repr-digest": sent.stated,
            "upload-complete": "?0",
            "upload-length": str(sent.size),
        }
        begun = await self._asked("POST", path, fields, sent.encrypted)
        address, offset, left = begun.headers.get("location", ""), 0, _TRIES
        if _ADDRESS.fullmatch(address) is None:
            raise rest.not_proven("POST", path, begun.status, "no address of an upload")
        while True:
            fields = {"content-type": _PARTIAL, "upload-complete": "?1", "upload-offset": str(offset)}
            fields["content-digest"] = f"sha-256={serialise_bytes(await asyncio.to_thread(sent.digest_from, offset))}"
            try:
                return await self._uploaded("PATCH", address, fields, sent, offset)
            except (NoConnection, Refused) as trouble:
                if isinstance(trouble, Refused) and trouble.code != _OFFSET:
                    raise
                offset, before = await self._offset(address, sent, left), offset
                left = _TRIES if offset > before else left - 1
                if not left:
                    raise

    async def _offset(self, address: str, sent: _Sent, left: int) -> int:
        """How much the gateway has kept."""
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                told = (await self._asked("HEAD", address, {}, sent.encrypted)).headers.get("upload-offset", "")
                break
            except NoConnection:
                left -= 1
                if not left:
                    raise
        if not (told.isascii() and told.isdigit() and len(told) < 16 and int(told) <= sent.size):
            raise rest.not_proven("HEAD", address, 204, "Upload-Offset")
        return int(told)

    async def _asked(self, method: str, path: str, fields: dict[str, str], encrypted: bool) -> Answer:
        url, headers = self._sign(method, path, await self._unsigned(fields))
        raw = await self._transport.send(method, url, headers, None)
        return await self._proven(
            Prepared(method, url, headers, None, None, encrypted=encrypted and bool(raw.body)), raw
        )

    async def _uploaded(self, method: str, path: str, fields: dict[str, str], sent: _Sent, offset: int) -> Answer:
        assert isinstance(self._transport, UploadTransport)
        url, headers = self._sign(method, path, await self._unsigned(fields))
        headers["content-length"] = str(sent.size - offset)
        raw = await self._transport.upload(method, url, headers, sent.pieces(offset))
        return await self._proven(Prepared(method, url, headers, None, None, encrypted=sent.encrypted), raw)

    async def _unsigned(self, fields: dict[str, str]) -> dict[str, str]:
        return {
            "accept": f"{rest.JSON}, application/problem+json",
            "accept-language": self._language,
            "authorization": f"Bearer {await self.token()}",
            **fields,
        }

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
            asked = False  # also for a file of no bytes: only the gateway knows whether there is one
            while size < named.size or not asked:
                before = size
                try:
                    async for data in self._fetched(path, size, named):
                        if size + len(data) > named.size:  # nothing beyond the stated size is written
                            raise rest.not_proven("GET", path, 200, "not the file that the reference names")
                        sha256.update(data)
                        size += out.write(data)
                    asked = True
                except (NotProven, Refused):
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


@dataclass(frozen=True, slots=True)
class _Sent:
    """What travels of a file. `change` makes what makes it of the file's bytes: the same bytes each time."""

    file: Path
    media_type: str
    size: int
    digest: bytes
    change: Callable[[], Callable[[bytes], bytes]]

    @property
    def encrypted(self) -> bool:
        return self.media_type == file_encryption.MEDIA_TYPE

    @property
    def stated(self) -> str:
        return f"sha-256={serialise_bytes(self.digest)}"

    def read(self, offset: int) -> Iterator[bytes]:
        """From that byte on. Runs in a thread."""
        change = self.change()
        with self.file.open("rb") as read:
            if not self.encrypted:
                read.seek(offset)
                offset = 0
            while piece := read.read(PIECE):
                piece = change(piece)
                skipped = min(offset, len(piece))
                offset -= skipped
                if skipped < len(piece):
                    yield piece[skipped:]

    def digest_from(self, offset: int) -> bytes:
        """Runs in a thread."""
        if not offset:
            return self.digest
        digest = hashlib.sha256()
        for piece in self.read(offset):
            digest.update(piece)
        return digest.digest()

    async def pieces(self, offset: int) -> AsyncIterator[bytes]:
        pieces = self.read(offset)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
