"""A file that comes encrypted: the kit goes on where a connection broke off, and keeps nothing that does not open."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contracts.base.ids import new_id
from contracts.wire.body_references import BodyReference
from gateway.client import NotProven, files
from gateway.client.errors import CLIENT_NO_CONNECTION
from gateway.client.rest import Prepared
from gateway.client.transport import RawAnswer
from security.file_encryption import MEDIA_TYPE, RECORD, FileSealer, new_key
from security.jose import Opener
from tests.security.joseparts import NOW, known, receiver, signer

GATEWAY, MINE, OTHER = signer("gateway"), receiver("dieu-hanh", "P-256"), receiver("dieu-hanh", "P-256")
DATA = os.urandom(5 * RECORD)
REFERENCE = BodyReference(new_id(), len(DATA), hashlib.sha256(DATA).hexdigest())
Change = Callable[[bytes], bytes]


def sealed(data: bytes, to: Any = MINE) -> bytes:
    key = new_key(len(data), "video/mp4")
    return FileSealer(key.sealed(GATEWAY, to.encrypt_key()), key).add(data)


@dataclass
class Wire:
    """Gives a part of the file from where it is asked for. The first answer ends after `breaks` bytes, if any."""

    make: Callable[[bytes], bytes] = sealed
    breaks: int = 0
    asked: list[int] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, *of: Any) -> RawAnswer:
        raise AssertionError("not asked for")

    async def close(self) -> None: ...

    @asynccontextmanager
    async def stream(self, method: str, url: str, headers: Mapping[str, str]) -> AsyncIterator[Wire]:
        start = int(headers.get("range", "bytes=0-")[6:-1])
        self.asked.append(start)
        self.status, self.headers = (206 if start else 200), {"content-type": MEDIA_TYPE}
        if start:
            self.headers["content-range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        self.body = self.make(DATA[start:])
        yield self

    async def parts(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.body), 50_000):
            if self.breaks and at > self.breaks and len(self.asked) == 1:
                raise CLIENT_NO_CONNECTION(sent=True, method="GET", url="/", reason="broke off")
            yield self.body[at : at + 50_000]

    async def whole(self) -> RawAnswer:
        raise AssertionError("not asked for")


class Trusted:
    by_id = known(GATEWAY)


class Kit(files.Files):
    token = _sign = _sealed_key = _encrypt_for = _adapted = None  # type: ignore[assignment]

    def __init__(self, wire: Any) -> None:
        self._transport, self._opener, self._trusted = wire, Opener([MINE]), Trusted()  # type: ignore[assignment]
        self._clock = lambda: NOW

    async def _opened(self, path: str) -> Prepared:
        return Prepared("GET", path, {}, None, None)

    async def _proven(self, prepared: Prepared, raw: RawAnswer) -> Any:
        return None  # the head holds


async def fetched(wire: Wire, to: Path) -> int:
    return await Kit(wire).fetch_file("t-1", str(REFERENCE), to)


async def test_it_goes_on_behind_the_last_whole_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PAUSE", 0.0)
    wire = Wire(breaks=3 * RECORD)
    assert await fetched(wire, tmp_path / "file") == len(DATA)
    assert (tmp_path / "file").read_bytes() == DATA
    assert wire.asked[0] == 0 and wire.asked[1] % (RECORD - 17) == 0 and wire.asked[1] >= 2 * (RECORD - 17)


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize(
    "make",
    [
        lambda data: sealed(data)[:-200],
        lambda data: sealed(data)[:-RECORD],
        lambda data: sealed(data) + b"x",
        lambda data: sealed(data)[:-1] + b"\0",
        lambda data: sealed(data, OTHER),
        lambda data: sealed(data[::-1]),  # whole, and another file
        lambda data: sealed(data[1:]),
        lambda data: data,
        lambda data: b"",
    ],
)
async def test_what_does_not_open_is_not_kept(tmp_path: Path, make: Change) -> None:
    with pytest.raises(NotProven):
        async with asyncio.timeout(60):
            await fetched(Wire(make), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@dataclass
class Endless(Wire):
    """A gateway that goes on after the stated size, in clear."""

    given: int = 0

    @asynccontextmanager
    async def stream(self, method: str, url: str, headers: Mapping[str, str]) -> AsyncIterator[Wire]:
        self.headers = {"content-type": "application/octet-stream"}
        yield self

    async def parts(self) -> AsyncIterator[bytes]:
        while self.given < 3 * len(DATA):
            self.given += 50_000
            yield bytes(50_000)


@pytest.mark.attack("large bodies")
async def test_no_more_is_taken_than_the_reference_states(tmp_path: Path) -> None:
    wire = Endless()
    with pytest.raises(NotProven):
        await fetched(wire, tmp_path / "file")
    assert wire.given <= len(DATA) + 50_000 and not list(tmp_path.iterdir())
