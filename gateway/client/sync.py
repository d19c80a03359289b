"""`Client`: the blocking form of `AsyncClient`, which runs in a thread of its own. Any thread may call it.

Invariant: an interrupted call (Ctrl-C) is cancelled in that thread too: nothing is sent after the caller has gone on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from lxml import etree

from contracts.base.words import Language
from gateway.client import rest
from gateway.client.answers import Answer, Receipt
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.client.audit.proofs import Proof
from gateway.client.audit.reconciliation import Statement
from gateway.client.casework import NOTHING, OPEN, CaseReply, HandlingsWanted, NewCase
from gateway.client.client import AsyncClient
from gateway.client.feed_digests import SealedDigest
from gateway.client.feeds import FeedEvent, FeedPage
from gateway.client.files import SentFile
from gateway.client.identities.identity import Identity
from gateway.client.transfers import EVERY, Wanted
from security.transparency.checkpoint import Checkpoint

T = TypeVar("T")


class Client:
    """One system towards the gateway, with the options of `AsyncClient`. Used with `with`, or closed by `close()`."""

    def __init__(self, identity: Identity, **options: Any) -> None:
        self._client = AsyncClient(identity, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lgsp-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._done(self._client.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @property
    def identity(self) -> Identity:
        return self._client.identity

    @property
    def witness(self) -> CheckpointMonitor:
        return self._client.witness

    def rest(
        self,
        method: str,
        path: str,
        body: rest.Body | None = None,
        message_id: str | None = None,
        *,
        content_type: str = rest.JSON,
        language: Language | None = None,
        respond_async: bool = False,
    ) -> Answer:
        call = self._client.rest(
            method,
            path,
            body,
            message_id,
            content_type=content_type,
            language=language,
            respond_async=respond_async,
        )
        return self._done(call)

    def soap(
        self,
        contract: str,
        content: bytes | etree._Element,
        message_id: str | None = None,
        *,
        action: str | None = None,
        version: str = "1.1",
        respond_async: bool = False,
    ) -> Answer:
        call = self._client.soap(
            contract, content, message_id, action=action, version=version, respond_async=respond_async
        )
        return self._done(call)

    def token(self) -> str:
        return self._done(self._client.token())

    def feeds(self) -> list[dict[str, Any]]:
        return self._done(self._client.feeds())

    def feed(
        self,
        contract: str,
        after: str | None = None,
        limit: int = 100,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        wait: int = 0,
    ) -> FeedPage:
        return self._done(self._client.feed(contract, after, limit, since=since, until=until, wait=wait))

    def pages(self, contract: str, after: str | None = None, limit: int = 100, *, wait: int = 0) -> Iterator[FeedPage]:
        pages = self._client.pages(contract, after, limit, wait=wait)
        yield from self._each(pages)

    def state(self, contract: str, limit: int = 1000, *, at: datetime | str | None = None) -> Iterator[FeedPage]:
        yield from self._each(self._client.state(contract, limit, at=at))

    def export(
        self,
        contract: str,
        form: str,
        *,
        after: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> Iterator[bytes]:
        yield from self._each(self._client.export(contract, form, after=after, since=since, until=until))

    def digests(
        self, contract: str, *, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> tuple[SealedDigest, ...]:
        return self._done(self._client.digests(contract, since=since, until=until))

    def stream(self, contract: str | Sequence[str], after: str | None = None, **filters: str) -> Iterator[FeedEvent]:
        yield from self._each(self._client.stream(contract, after, **filters))

    def _each(self, items: AsyncIterator[T]) -> Iterator[T]:
        async def next_item() -> T | None:
            return await anext(items, None)

        while (item := self._done(next_item())) is not None:
            yield item

    def transfer(self, transfer: str) -> dict[str, Any]:
        return self._done(self._client.transfer(transfer))

    def answer(self, transfer: str, *, seconds: float = 0.0) -> Answer:
        return self._done(self._client.answer(transfer, seconds=seconds))

    def transfers(self, wanted: Wanted = EVERY, limit: int = 100) -> Iterator[dict[str, Any]]:
        yield from self._each(self._client.transfers(wanted, limit))

    def handlings(self, wanted: HandlingsWanted = OPEN, limit: int = 100) -> Iterator[dict[str, Any]]:
        yield from self._each(self._client.handlings(wanted, limit))

    def handling(self, handling: str) -> dict[str, Any]:
        return self._done(self._client.handling(handling))

    def cases(self, view: str = "open", kind: str | None = None) -> Iterator[dict[str, Any]]:
        yield from self._each(self._client.cases(view, kind))

    def case(self, case: str) -> dict[str, Any]:
        return self._done(self._client.case(case))

    def open_case(self, case: NewCase, key: str | None = None) -> dict[str, Any]:
        return self._done(self._client.open_case(case, key))

    def take_case_step(self, case: str, act: str, reply: CaseReply = NOTHING, key: str | None = None) -> dict[str, Any]:
        return self._done(self._client.take_case_step(case, act, reply, key))

    def send_file(
        self, file: Path, contract: str, operation: str, *, media_type: str = "application/octet-stream"
    ) -> SentFile:
        return self._done(self._client.send_file(file, contract, operation, media_type=media_type))

    def fetch_file(self, transfer: str, reference: str, file: Path) -> int:
        return self._done(self._client.fetch_file(transfer, reference, file))

    def reconcile(self, statement: Statement) -> dict[str, Any]:
        return self._done(self._client.reconcile(statement))

    def document(self, path: str) -> bytes:
        return self._done(self._client.document(path))

    def prove(self, of: Receipt | str, *, seconds: float = 10.0) -> Proof:
        return self._done(self._client.prove(of, seconds=seconds))

    def check_log(self) -> Checkpoint | None:
        return self._done(self._client.check_log())

    def _done(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
