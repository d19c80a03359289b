"""Large bodies under way: files without a name, sealed under a key that is in this process's memory alone.

Form: AES-256-GCM in chunks of `CHUNK` bytes. Each chunk that is written has a nonce of its own, which is kept in
memory. So a chunk that was changed, moved or put back does not open.
Invariant: nothing of a body is on disk in clear, and a process that dies leaves no file: the kernel frees it.
Invariant: all files of a process together have at most `limit` bytes, and the disk keeps `RESERVE` bytes. Those of one
owner have at most as many as are left for others. So one owner has at most half, and no few owners fill the room.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.vault.errors import BODY_NO_ROOM, VAULT_BROKEN

CHUNK: Final = 65_536
TAG: Final = 16
RESERVE: Final = 268_435_456
RETRY_SECONDS: Final = 5
_SEALED: Final = CHUNK + TAG


@dataclass(slots=True)
class Room:
    """The files of one process in `folder`, which is made when it is needed."""

    folder: Path
    limit: int
    used: dict[str, int] = field(default_factory=dict)  # bytes by owner
    _lock: Lock = field(default_factory=Lock)

    def open(self, owner: str, expected: int = 0) -> Scratch:
        """An empty file. Raises `body.no-room` if `expected` bytes would not fit now."""
        self.take(owner, expected)
        self.give(owner, expected)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = os.statvfs(self.folder)
        if free.f_bavail * free.f_frsize < expected * 2 + RESERVE:  # once more in the vault
            raise BODY_NO_ROOM(retry_after=RETRY_SECONDS)
        return Scratch(_nameless(self.folder), owner, self)

    def take(self, owner: str, size: int) -> None:
        with self._lock:
            mine = self.used.get(owner, 0) + size
            if mine > self.limit - sum(self.used.values()) - size:
                raise BODY_NO_ROOM(retry_after=RETRY_SECONDS)
            self.used[owner] = mine

    def give(self, owner: str, size: int) -> None:
        with self._lock:
            left = self.used.get(owner, 0) - size
            if left > 0:
                self.used[owner] = left
            else:
                self.used.pop(owner, None)


def _nameless(folder: Path) -> int:
    with contextlib.suppress(OSError, AttributeError):  # not on each file system
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    descriptor, name = tempfile.mkstemp(dir=folder)
    os.unlink(name)
    return descriptor


class Scratch:
    """One file (`contracts.wire.attachments.File`). Bytes are added at its end only.

    One thread at a time uses it; any may close it meanwhile, as when a call is cancelled. ValueError afterwards.
    """

    def __init__(self, descriptor: int, owner: str, room: Room) -> None:
        self._descriptor = descriptor
        self._owner, self._room = owner, room
        self._cipher: Final = AESGCM(AESGCM.generate_key(256))
        self._written = 0  # chunks so far, also those that were cut off
        self._nonces: list[bytes] = []
        self._tail = bytearray()  # what is not yet a whole chunk
        self._at = 0
        self._taken = 0
        self._lock: Final = Lock()  # a descriptor that was closed may be another file's a moment later

    @property
    def size(self) -> int:
        return len(self._nonces) * CHUNK + len(self._tail)

    def write(self, data: bytes, /) -> int:
        if self._at != self.size:
            raise ValueError("a scratch file is written at its end")
        with self._lock:
            self._open()
            self._room.take(self._owner, len(data))
            self._taken += len(data)
        self._tail += data
        whole = len(self._tail) // CHUNK
        for number in range(whole):
            self._store(bytes(self._tail[number * CHUNK : (number + 1) * CHUNK]))
        del self._tail[: whole * CHUNK]
        self._at = self.size
        return len(data)

    def read(self, length: int = -1, /) -> bytes:
        end = self.size if length < 0 else min(self._at + length, self.size)
        parts: list[bytes] = []
        while self._at < end:
            number, inside = divmod(self._at, CHUNK)
            part = self._chunk(number)[inside : inside + end - self._at]
            parts.append(part)
            self._at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def seek(self, at: int, whence: int = 0, /) -> int:
        self._at = at + (self.size if whence == 2 else 0)
        return self._at

    def truncate(self) -> int:
        """Cuts off what is behind the position."""
        number, inside = divmod(self._at, CHUNK)
        if self._at > self.size:
            raise ValueError("nothing is there to cut off")
        gone = self.size - self._at
        tail = self._chunk(number)[:inside] if inside else b""
        del self._nonces[number:]
        self._tail = bytearray(tail)
        with self._lock:
            os.ftruncate(self._open(), number * _SEALED)
        with self._lock:
            self._open()
            self._room.give(self._owner, gone)
            self._taken -= gone
        return self._at

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
                self._room.give(self._owner, self._taken)
                self._taken = 0

    def _open(self) -> int:
        if self._descriptor < 0:
            raise ValueError("the file is closed")
        return self._descriptor

    def _store(self, chunk: bytes) -> None:
        nonce = self._written.to_bytes(12, "big")
        sealed, at = memoryview(self._cipher.encrypt(nonce, chunk, None)), len(self._nonces) * _SEALED
        with self._lock:
            while sealed:
                done = os.pwrite(self._open(), sealed, at)
                sealed, at = sealed[done:], at + done
        self._written += 1
        self._nonces.append(nonce)

    def _chunk(self, number: int) -> bytes:
        if number >= len(self._nonces):
            return bytes(self._tail)
        with self._lock:
            sealed = os.pread(self._open(), _SEALED, number * _SEALED)
        try:
            return self._cipher.decrypt(self._nonces[number], sealed, None)
        except InvalidTag:
            raise VAULT_BROKEN(id="scratch", key_id="-") from None
