"""Sends the agent's messages to the gateway with the client kit, optionally over another address (`connect`).

It classifies the results: a proven answer or refusal goes to the old system; without an answer a submission waits;
an unproven answer is dropped.
Invariant: a `Passed` comes from the gateway, or is its unsigned problem document to an unproven caller.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp.abc import AbstractResolver, ResolveResult

from contracts.base.errors import Branch, Failure
from contracts.base.words import Language
from gateway.agent.config import Address, Config
from gateway.agent.errors import AGENT_BAD_ANSWER, AGENT_IDENTITY, AGENT_TIMEOUT, AGENT_UNREACHABLE
from gateway.client import (
    Answer,
    AsyncClient,
    BadIdentity,
    BadState,
    Identity,
    LogObjection,
    NoConnection,
    NotProven,
    Refused,
)
from gateway.client.files import SentFile
from gateway.client.streams import Sent
from gateway.client.transport import HttpTransport

log = logging.getLogger("lgsp.agent")
_SHOWN: Final = (
    *("content-type", "content-language", "retry-after", "lgsp-transfer", "lgsp-receipt", "lgsp-checkpoint"),
    *("location", "preference-applied"),  # of what is answered later: an address that the agent serves too
)


class Passed(NamedTuple):
    """The answer for the old system, with what the queue needs."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    proven: bool
    code: str  # of a refusal, else empty
    transfer: str | None
    again: bool  # a later repeat may succeed
    retry_after: int | None = None

    @property
    def refused(self) -> bool:
        return bool(self.code)

    @property
    def shown(self) -> dict[str, str]:
        """The headers for the old system."""
        return dict(self.headers) | ({} if self.proven else {"lgsp-proven": "false"})


class Manner(NamedTuple):
    """How a message is sent by REST. `later`: its sender prefers a receipt, and fetches the answer later."""

    content_type: str
    language: Language
    later: bool = False


class Streamed(NamedTuple):
    """A stream: its first batch, and those to come."""

    first: Sent
    batches: AsyncGenerator[Sent]


class Away(NamedTuple):
    """No usable answer, with the failure for the caller. The gateway may have acted."""

    failure: Failure
    reason: str


class Elsewhere(AbstractResolver):
    """Resolves every name to one address. TLS and signatures still use the name."""

    def __init__(self, at: Address) -> None:
        self._at = at

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        place = ResolveResult(
            hostname=host, host=self._at.host, port=self._at.port, family=socket.AF_INET, proto=0, flags=0
        )
        if ":" in self._at.host:
            place["family"] = socket.AF_INET6
        return [place]

    async def close(self) -> None:
        pass


class Link:
    """One per process. `reached` is called after each proven answer of the gateway."""

    def __init__(self, config: Config, identity: Identity, seconds: float, clock: Callable[[], float]) -> None:
        resolver = Elsewhere(config.connect) if config.connect is not None else None
        self.transport: Final = HttpTransport(
            identity.tls(), seconds=seconds, connections=config.calls, resolver=resolver
        )
        self.client: Final = AsyncClient(
            identity,
            state=config.state / "checkpoints",
            language=config.language,
            seconds=seconds,
            tries=1,  # the queue or the caller repeats
            transport=self.transport,
            clock=clock,
        )
        self.reached: Callable[[], None] = lambda: None
        self._seconds = seconds

    async def close(self) -> None:
        await self.client.close()

    async def rest(
        self,
        method: str,
        target: str,
        body: bytes | None,
        message_id: str | None,
        manner: Manner,
    ) -> Passed | Away:
        type, language, later = manner
        call = self.client.rest(
            method, target, body, message_id, content_type=type, language=language, respond_async=later
        )
        return await self._result(call)

    async def soap(self, contract: str, content: bytes, message_id: str, call: Mapping[str, Any]) -> Passed | Away:
        """`call`: action and version, and whether its sender prefers the answer later."""
        action, version, later = call["action"], call["version"], bool(call.get("later", False))
        return await self._result(
            self.client.soap(contract, content, message_id, action=action, version=version, respond_async=later)
        )

    async def send(self, message_id: str, call: Mapping[str, Any], body: bytes) -> Passed | Away:
        """Sign and send a queued submission."""
        if call["face"] == "soap":
            return await self.soap(call["contract"], body, message_id, call)
        manner = Manner(call["content_type"], call["language"], call.get("later", False))
        return await self.rest("POST", call["target"], body, message_id, manner)

    async def stream(self, path: str, after: str) -> Streamed | Passed | Away:
        """The stream at an address, once the gateway has proved its beginning."""
        batches = self.client.stream_path(path, after)
        first: list[Sent] = []

        async def begin() -> Answer:
            first.append(await anext(batches))
            return Answer(200, {}, b"", b"", True)

        result = await self._result(begin())
        return Streamed(first[0], batches) if first else result

    async def send_file(self, file: Path, contract: str, operation: str, media_type: str) -> SentFile | Passed | Away:
        """Upload a file for a message of this operation. Raises OSError."""
        sent: list[SentFile] = []

        async def send() -> Answer:
            sent.append(await self.client.send_file(file, contract, operation, media_type=media_type))
            return Answer(201, {}, b"", b"", True)

        result = await self._result(send())
        return sent[0] if sent else result

    async def fetch_file(self, transfer: str, reference: str, file: Path) -> Passed | Away | None:
        """Fetch the file of a reference; None once it is there and is that file. Raises OSError."""
        fetched: list[int] = []

        async def fetch() -> Answer:
            fetched.append(await self.client.fetch_file(transfer, reference, file))
            return Answer(200, {}, b"", b"", True)

        result = await self._result(fetch())
        return None if fetched else result

    async def _result(self, answer: Awaitable[Answer]) -> Passed | Away:
        try:
            passed = _passed(await answer)
        except Refused as no:
            if not no.proven and (no.status >= 500 or no.code.startswith("http.")):  # the page of a proxy
                return Away(AGENT_UNREACHABLE(reason=f"status {no.status}", retry_after=30), f"status {no.status}")
            passed = _refused(no)
        except NoConnection as no:
            reason = str(no.facts.get("reason", ""))[:120]
            if no.sent:
                return Away(AGENT_TIMEOUT(seconds=f"{self._seconds:g}", retry_after=30), reason or "no answer")
            return Away(AGENT_UNREACHABLE(reason=reason, retry_after=30), reason)
        except (NotProven, LogObjection) as no:
            log.error("%s: %s", no.code, no.what("en"))
            return Away(AGENT_BAD_ANSWER(reason=no.code), f"{no.code}: {no.facts.get('reason', '')}"[:200])
        except BadState as full:  # the local disk: the gateway gives a repeat the same answer
            log.error("%s: %s", full.code, full.what("en"))
            return Away(full, f"{full.code}: {full.facts.get('reason', '')}"[:200])
        except BadIdentity as wrong:  # such as no encryption key: submissions wait until a person fixes it
            reason = str(wrong.facts.get("reason", wrong.code))
            return Away(AGENT_IDENTITY(reason=reason), f"agent.identity: {reason}")
        if passed.proven:
            self.reached()
        return passed


def _passed(answer: Answer, code: str = "", *, again: bool = False, retry_after: int | None = None) -> Passed:
    headers = {name: answer.headers[name] for name in _SHOWN if name in answer.headers}
    return Passed(
        status=answer.status,
        headers=headers,
        body=answer.body,
        proven=answer.proven,
        code=code,
        transfer=answer.transfer,
        again=again,
        retry_after=retry_after,
    )


def _refused(no: Refused) -> Passed:
    again = not no.proven or no.branch is Branch.OURS or no.retry_after is not None or no.status in (429, 503)
    return _passed(no.answer, no.code, again=again, retry_after=no.retry_after)
