"""Runs a suite against a called system, as the gateway calls it: with its keys, in parallel, in bounded time.

Invariant: a case that cannot be judged, because a good call before it failed, is never counted as passed or failed.
"""

from __future__ import annotations

import asyncio
import shlex
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from adapters.errors import ProviderFailure, ProviderMissing
from adapters.http import Call, HttpAnswer, send
from adapters.model import AdapterServices, Incoming, Outgoing
from adapters.opening import Peers, open_session
from adapters.rest import RestAdapter
from adapters.rest import make as make_rest
from adapters.soap import SoapAdapter
from adapters.soap import make as make_soap
from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from gateway.sandbox.conformance import judging
from gateway.sandbox.conformance.cases import Case
from gateway.sandbox.conformance.exchange import GatewayKeys, Prepared, Target, new_transfer
from gateway.sandbox.conformance.judging import Reader
from gateway.sandbox.conformance.rest_requests import Rest
from gateway.sandbox.conformance.results import Result, Verdict
from gateway.sandbox.conformance.rules import Kind
from gateway.sandbox.conformance.soap_requests import Soap

Progress = Callable[[int, int, Result], None]  # how many are done, of how many, and the newest


@dataclass(frozen=True, slots=True)
class Bounds:
    """`parallel` calls at a time; `seconds` for one answer, and three times that for a case. Of what travels a result
    keeps `part` bytes of a request and of an answer, and the results of a run `whole` bytes.
    """

    parallel: int = 8
    seconds: float = 10.0
    part: int = 100_001  # one more than a report shows, so that it says what was cut
    whole: int = 50_000_000


@dataclass(slots=True)
class Sent:
    """What travelled in a case so far: the last request and its answer."""

    prepared: Prepared | None = None
    request: bytes = b""
    answer: bytes = b""
    http: HttpAnswer | None = None
    reached: bool = True  # whether every connection was made


@dataclass(slots=True)
class ProviderRun:
    """One run against one system. Its sessions are opened by `run`. `traffic`: keep what travelled of each case."""

    compiled: CompiledContract
    target: Target
    keys: GatewayKeys
    peers: Peers
    bounds: Bounds = Bounds()
    clock: Callable[[], float] = time.time
    traffic: bool = False
    _session: aiohttp.ClientSession = field(init=False)
    _bare: aiohttp.ClientSession = field(init=False)
    _adapters: dict[Kind, RestAdapter | SoapAdapter] = field(init=False, default_factory=dict)
    _kept: int = field(init=False, default=0)  # bytes

    async def run(self, cases: Iterable[Case], progress: Progress = lambda done, of, newest: None) -> list[Result]:
        """The results in the order of the cases."""
        chosen, done = list(cases), 0
        places = asyncio.Semaphore(self.bounds.parallel)
        async with AsyncExitStack() as stack:
            keys, bare = self.keys, replace(self.peers, tls=_without_certificate(self.keys))
            self._session = await stack.enter_async_context(open_session(self.peers))
            self._bare = await stack.enter_async_context(open_session(bare))
            services = AdapterServices(self._session, keys.signing, keys.decrypting, self.clock)
            self._adapters = {"rest": make_rest(services), "soap": make_soap(services)}

            async def one(case: Case) -> Result:
                nonlocal done
                async with places:
                    result = await self._result(case)
                done += 1
                progress(done, len(chosen), result)
                return result

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(case)) for case in chosen]
        return [task.result() for task in tasks]

    async def _result(self, case: Case) -> Result:
        sent, started = Sent(), time.perf_counter()
        judged = True
        try:
            async with asyncio.timeout(3 * self.bounds.seconds):
                wrong, judged = await self._tried(case, sent)
        except TimeoutError:
            wrong = judging.too_slow(3 * self.bounds.seconds)
        seconds, judged = time.perf_counter() - started, judged and sent.reached
        if wrong is None and not self.traffic:
            return Result(case, "passed", seconds)
        if wrong is None:
            return Result(case, "passed", seconds, None, self._cut(sent.request), self._cut(sent.answer))
        verdict: Verdict = "failed" if judged else "not-judged"
        repeat = "" if sent.prepared is None else as_curl(sent.prepared.request, self.keys)
        repeat = self._cut(repeat.encode("utf-8", "surrogateescape")).decode("utf-8", "ignore")
        return Result(case, verdict, seconds, wrong, self._cut(sent.request), self._cut(sent.answer), repeat)

    def _cut(self, raw: bytes) -> bytes:
        """What a result keeps. A run that has kept its share keeps no more."""
        kept = raw[: max(0, min(self.bounds.part, self.bounds.whole - self._kept))]
        self._kept += len(kept)
        return kept

    async def _tried(self, case: Case, sent: Sent) -> tuple[Words | None, bool]:
        """What is wrong, if anything, and whether the case could be judged."""
        transfer, expected = new_transfer(), case.expected
        if expected in ("answered", "stated"):
            return await self._answered(case, transfer, sent)
        if expected in ("same", "conflict"):
            return await self._again(case, transfer, sent)
        prepared = self._prepare(case, transfer)
        if prepared.twice or expected == "closed":  # that nothing listens is no refusal of a connection
            first = prepared if prepared.twice else replace(self._prepare(case, new_transfer()), certificate=True)
            wrong, _ = await self._good(case, first, sent)
            if wrong is not None:
                return judging.first_failed(wrong), False
        try:
            answer = await self._send(case, prepared, sent)
        except ProviderFailure as trouble:
            if expected == "closed" and trouble.code in ("provider.dropped", "provider.down"):
                return None, True
            return judging.no_answer(trouble), True
        if expected == "closed":
            held = 400 <= answer.status < 500
            return (None if held else judging.without_certificate(answer.status)), True
        if expected == "unproven":
            return judging.not_held_off(answer, case.kind), True
        judge = judging.not_handled if expected == "handled" else judging.not_refused
        try:
            self._reader(case, transfer).read(prepared, answer)
        except (ProviderFailure, ProviderMissing) as trouble:
            return judge(trouble, answer), True
        return judge(None, answer), True

    async def _answered(self, case: Case, transfer: str, sent: Sent) -> tuple[Words | None, bool]:
        wrong, incoming = await self._good(case, self._prepare(case, transfer), sent)
        if incoming is not None and case.quoted and sent.http is not None:
            struct = self.compiled.messages[self.compiled.contract.operations[case.operation].answer]
            wrong = judging.badly_quoted(case, sent.http, incoming, struct)
        if incoming is not None and case.stated:
            wrong = judging.not_stated(case, incoming.answer)
        return wrong, True

    async def _again(self, case: Case, transfer: str, sent: Sent) -> tuple[Words | None, bool]:
        """The same id twice, each time signed anew."""
        wrong, first = await self._good(case, self._prepare(case, transfer), sent)
        if wrong is not None or first is None:
            return (judging.first_failed(wrong) if wrong else None), False
        prepared = self._prepare(case, transfer, case.other or None)
        if case.expected == "same":
            wrong, second = await self._good(case, prepared, sent)
            if wrong is None and second is not None and second.answer != first.answer:
                wrong = judging.other_answer()
            return wrong, True
        try:
            answer = await self._send(case, prepared, sent)
            again = self._reader(case, transfer).read(prepared, answer)
        except ProviderMissing:
            return None, True
        except ProviderFailure as trouble:
            if not trouble.evidence_in:
                return judging.no_answer(trouble), True
            return judging.not_refused(trouble, answer), True
        return (None if again.answer == first.answer else judging.taken_twice()), True

    async def _good(self, case: Case, prepared: Prepared, sent: Sent) -> tuple[Words | None, Incoming | None]:
        """The verified answer to a good request, or what is wrong with it."""
        try:
            answer = await self._send(case, prepared, sent)
        except ProviderFailure as trouble:
            return judging.no_answer(trouble), None
        try:
            return None, self._reader(case, prepared.message_id).read(prepared, answer)
        except (ProviderFailure, ProviderMissing) as trouble:
            return judging.not_answered(trouble), None

    # --- sending ------------------------------------------------------------------------------------------------------

    def _prepare(self, case: Case, transfer: str, content: bytes | None = None) -> Prepared:
        codec = self.compiled.codec(case.format)
        maker = (Rest if case.kind == "rest" else Soap)(self.keys, self.target, codec, self._encrypted)
        return maker.prepare(case, transfer, self.clock(), content)

    async def _send(self, case: Case, prepared: Prepared, sent: Sent) -> HttpAnswer:
        sent.prepared = prepared
        session = self._session if prepared.certificate else self._bare
        try:
            answer = await send(session, self.target.endpoint.system, Call(prepared.request, self.bounds.seconds))
        except ProviderFailure as trouble:
            sent.request, sent.answer = trouble.evidence_out, trouble.evidence_in
            sent.reached = sent.reached and trouble.code != "provider.down"
            raise
        sent.request, sent.answer, sent.http = answer.evidence_out, answer.evidence_in, answer
        return answer

    def _reader(self, case: Case, transfer: str) -> Reader:
        outgoing = Outgoing(
            transfer=transfer,
            caller=self.target.caller,
            operation=self.compiled.contract.operations[case.operation],
            codec=self.compiled.codec(case.format),
            message={},
            timeout=self.bounds.seconds,
            encrypted=self._encrypted,
        )
        return Reader(self._adapters[case.kind], self.target, case.kind, outgoing)

    @property
    def _encrypted(self) -> bool:
        return self.compiled.contract.protection == "encrypted"


def _without_certificate(keys: GatewayKeys) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # who answers is for `Peers.prove`
    context.load_verify_locations(keys.anchors)
    return context


def as_curl(request: Any, keys: GatewayKeys) -> str:
    """The request as it was sent, as one command for the folder of the instance. Its signature is fresh for a minute;
    then run the case again.
    """
    words = ["curl", "--silent", "--include", "--request", request.method, "--cacert", f"ca/{keys.anchors.name}"]
    words += ["--cert", f"keys/{keys.certificate.name}", "--key", f"keys/{keys.key.name}"]
    for name, value in request.headers.items():
        words += ["--header", f"{name}: {value}"]
    if request.body:
        words += ["--data-binary", request.body.decode("utf-8", "surrogateescape")]
    return shlex.join([*words, request.target_uri])
