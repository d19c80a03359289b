"""Reads the log of a gateway over HTTP: public checkpoint, tiles and proofs; entries for a system of the centre.

Only the log's signature makes an answer trusted, so a proxy or plain HTTP does no harm.

Invariant: all answers of a source belong to its first checkpoint, however much the log grew since.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, TypeVar

from gateway.audit.verify.sources import NoSource, Opening, Record, Signed
from gateway.client import AsyncClient, Identity, Refused
from gateway.client.answers import hashes_of
from gateway.client.transport import HttpTransport, RawAnswer
from security.transparency import checkpoint as notes
from security.transparency.tiles import WIDTH, entries_path, parse_bundle, tile_path

_AHEAD: Final = 32  # tiles asked for at once
_BUNDLES: Final = 8
_SECONDS: Final = 30.0
_PATIENCE: Final = 3.0  # seconds until each process of a gateway shows what one of them showed
_PAUSE: Final = 0.1
T = TypeVar("T")


class Remote:
    """A gateway, with blocking calls. A context manager."""

    def __init__(self, base: str, tls: ssl.SSLContext, identity: Identity | None = None) -> None:
        self.base: Final = base.rstrip("/")
        self._runner: Final = asyncio.Runner()
        self._transport: Final = HttpTransport(tls, seconds=_SECONDS, connections=_AHEAD)
        self._client = None if identity is None else AsyncClient(identity)

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, trouble: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def close() -> None:
            await self._transport.close()
            if self._client is not None:
                await self._client.close()

        self._runner.run(close())
        self._runner.close()

    @property
    def proven(self) -> bool:
        """Whether it has an identity to sign requests with."""
        return self._client is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def checkpoint(self) -> str:
        answer = self.run(self._get("/audit/checkpoint"))
        if answer.status != 200:
            raise NoSource(f"{self.base}/audit/checkpoint: {_describe(answer)}")
        return answer.body.decode("utf-8", "replace")

    async def consistency(self, older: int, newer: int) -> Sequence[bytes] | None:
        """For a witness: LookupError if the log has no such sizes, None if there is no answer now."""
        answer = await self._get(f"/audit/consistency?from={older}&to={newer}")
        if answer.status == 404:
            raise LookupError(newer)
        try:
            return hashes_of(json.loads(answer.body)["proof"], "proof") if answer.status == 200 else None
        except (ValueError, KeyError, TypeError):
            return None

    def get_all(self, paths: Sequence[str]) -> list[RawAnswer]:
        async def work() -> list[RawAnswer]:
            return await asyncio.gather(*(self._get(path) for path in paths))

        return self.run(work())

    def entries(self, paths: Sequence[str]) -> list[bytes | None]:
        """Bundles, requested with signatures and logged by the gateway; None where there is none."""
        client = self._client
        assert client is not None, "only a system that proves itself may ask"

        async def one(path: str) -> bytes | None:
            try:
                return (await client.rest("GET", path)).body
            except Refused as no:
                if no.status == 404:
                    return None
                raise

        async def work() -> list[bytes | None]:
            return await asyncio.gather(*(one(path) for path in paths))

        return self.run(work())

    async def _get(self, path: str) -> RawAnswer:
        return await self._transport.send("GET", self.base + path, {"accept": "*/*"}, None)


class RemoteSource:
    """A gateway's log as a source. `at_least`: the size of a checkpoint that it showed before. A process learns of a
    checkpoint a moment after another, so a smaller one is asked for again before it is judged.
    """

    def __init__(self, remote: Remote, at_least: int = 0) -> None:
        self._at_least: Final = at_least
        self.what: Final = f"the log at {remote.base}"
        self._remote: Final = remote
        self._size = 0
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._broken: list[str] = []

    def open(self) -> Opening:
        end = time.monotonic() + _PATIENCE
        note = self._newest()
        while self._size < self._at_least and time.monotonic() < end:
            time.sleep(_PAUSE)
            note = self._newest()
        return Opening(
            self._size, (Signed("the checkpoint that is served", note),), claims=True, readable=self._remote.proven
        )

    def _newest(self) -> str:
        note = self._remote.checkpoint()
        try:
            self._size = notes.Checkpoint.from_text(note.partition("\n\n")[0] + "\n").size
        except notes.NoteError as error:
            raise NoSource(f"{self._remote.base}/audit/checkpoint: {error}") from None
        return note

    def records(self, start: int, stop: int) -> Iterator[Sequence[Record]]:
        numbers = range(start // WIDTH, -(-stop // WIDTH))
        for at in range(0, len(numbers), _BUNDLES):
            part = numbers[at : at + _BUNDLES]
            bundles = self._remote.entries(
                [f"/audit/{entries_path(number, self._width(0, number))}" for number in part]
            )
            for number, raw in zip(part, bundles, strict=True):
                try:
                    entries = parse_bundle(raw or b"")
                except ValueError as error:
                    self._broken.append(f"{entries_path(number)}: {error}")
                    return
                page = [Record(number * WIDTH + place, entry) for place, entry in enumerate(entries)]
                yield [each for each in page if start <= each.idx < stop]

    def tile(self, level: int, number: int, width: int) -> bytes:
        if (level, number) not in self._tiles:
            count = -(-(self._size >> 8 * level) // WIDTH)
            wanted = range(number, min(number + (_AHEAD if level == 0 else 1), count))
            if not wanted:
                return b""
            if len(self._tiles) > 8 * _AHEAD:
                self._tiles.clear()
            paths = [tile_path(level, each, self._width(level, each)) for each in wanted]
            for each, path, answer in zip(
                wanted, paths, self._remote.get_all([f"/audit/{path}" for path in paths]), strict=True
            ):
                if answer.status == 404 and ".p/" in path:  # a partial tile may be replaced by the full one
                    answer = self._remote.get_all([f"/audit/{tile_path(level, each)}"])[0]
                if answer.status not in (200, 404):
                    raise NoSource(f"{self._remote.base}/audit/{path}: {_describe(answer)}")
                body = answer.body if answer.status == 200 else b""
                self._tiles[level, each] = body[: self._width(level, each) * 32]
        return self._tiles[level, number][: width * 32]

    def rest(self, size: int) -> Iterator[str]:
        yield from self._broken

    def _width(self, level: int, number: int) -> int:
        return max(1, min(WIDTH, (self._size >> 8 * level) - number * WIDTH))


def _describe(answer: RawAnswer) -> str:
    try:
        return f"{answer.status} {json.loads(answer.body)['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"answer {answer.status}"
