"""A request body that is too large to be held: sealed in a scratch file, its digests computed while it came.

`lift` moves its large base64 contents beside it and returns the small rest, with stand-ins (`contracts.wire`). An
encrypted body is decrypted into another such file before (`decrypt`).
Invariant: the rest with its contents put back, and the layers of an encrypted body around it, is the body, octet by
octet: its digest is compared.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from contracts.base.errors import Theirs
from contracts.errors import XML_TOO_LARGE
from contracts.wire.attachments import File, Spool
from gateway.vault.scratch import Room, Scratch

_HASHES: Final = {"sha-256": "sha256", "sha-512": "sha512"}  # RFC 9530


HEAVY: Final = 65_536  # bytes: what is done with longer messages could be felt by other calls
T = TypeVar("T")
Around = Callable[[bytes, Spool], bytes | None]


async def off_loop(heavy: object, work: Callable[..., T], *of: object) -> T:
    """Returns `work(*of)`. It runs in a thread if `heavy` is true: the message is long, or has large contents."""
    return await asyncio.to_thread(work, *of) if heavy else work(*of)


class NotLifted(Exception):
    """Without its base64 contents the body is still over the limit."""


@dataclass(slots=True)
class LargeBody:
    """`owner` has a share of the room. `spool` is set by `lift`."""

    room: Room
    owner: str
    source: Scratch
    hashes: Mapping[str, Any]
    size: int = 0
    spool: Spool | None = None
    _around: Around | None = None
    _any_size: bool = False
    _more: list[Scratch] = field(default_factory=list)

    @classmethod
    def begin(cls, room: Room, owner: str, expected: int, content_digest: str) -> LargeBody:
        """Raises `body.no-room`."""
        names = ["sha-256"] + (["sha-512"] if "sha-512" in content_digest else [])
        hashes = {name: hashlib.new(_HASHES[name]) for name in names}
        return cls(room, owner, room.open(owner, expected), hashes)

    def add(self, part: bytes) -> None:
        for each in self.hashes.values():
            each.update(part)
        self.source.write(part)
        self.size += len(part)

    @property
    def digests(self) -> dict[str, bytes]:
        """The digests of the whole body, by their names in Content-Digest."""
        return {name: each.digest() for name, each in self.hashes.items()}

    def decrypt(
        self,
        decrypt: Callable[[File, Callable[[bytes], object]], T],
        around: Callable[[T], Around],
        *,
        any_size: bool = False,
    ) -> T:
        """Puts what `decrypt` writes in the place of the body. The digests stay those of what travelled.

        `around` gives what makes the body of the decrypted one, with stand-ins in both; None if it cannot. `any_size`:
        a body without large contents is taken too, as a whole.
        """
        plain = self.scratch()
        opened = decrypt(self.source, plain.write)
        self._around, self._any_size = around(opened), any_size
        self.source.close()
        self.source = plain
        return opened

    def scratch(self) -> Scratch:
        """An empty file, closed with the body."""
        self._more.append(self.room.open(self.owner))
        return self._more[-1]

    def lift(self, lift: Callable[[File, Spool, int], bytes], limit: int) -> bytes:
        """The body with stand-ins, at most `limit` bytes, as `lift` of `contracts.wire` makes it. Raises NotLifted."""
        spool = Spool(self.scratch())
        try:
            rest = lift(self.source, spool, limit)
        except Theirs as failure:
            if failure.code != XML_TOO_LARGE.code:
                raise
            raise NotLifted from None
        body = self.body(rest, spool)
        if body is None:
            raise NotLifted
        whole = hashlib.sha256()
        for part in spool.restore(body):
            whole.update(part)
        if whole.digest() != self.digests["sha-256"]:
            raise NotLifted
        self.source.close()
        self.spool = spool
        return rest

    def body(self, rest: bytes, spool: Spool) -> bytes | None:
        """What travelled, with stand-ins. None of an encrypted one without large contents, which is over its limit."""
        if self._around is None:
            return rest
        if spool.attachments:
            return self._around(rest, spool)
        whole = self._around(rest, spool) if self._any_size else None
        return None if whole is None else b"".join(spool.restore(whole))

    def close(self) -> None:
        for each in (self.source, *self._more):
            each.close()
