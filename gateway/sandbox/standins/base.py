"""What all stand-ins share: a TLS listener, a record of calls, faults on command.

    POST /_fault {"kind": "slow", "seconds": 2, "count": 1}       kinds: gateway/sandbox/simulation/faults.py
    GET  /_seen  {"system", "calls", "refused", "records", "transfers": [{"transfer", "count"}]}

Both serve tests and demonstrations. They listen on the loopback address and require a client certificate.
A header of one call (`LGSP-Sandbox-Fault`) counts before the fault that was set for all of them.
Invariant: a message id is carried out once; a repeat gets the same content, signed anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import sys
import threading
import time
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from gateway.sample_client.errors import ClientError
from gateway.sample_client.identity import Identity
from gateway.sandbox.simulation.faults import HEADER, KINDS, Fault

MAX_BODY: Final = 5 * 1024 * 1024
SLOW: Final = 2.0  # seconds, unless the fault says how many
_CALLERS: Final = 1000  # whose last answers are kept
GIVEN_UP: Final = 60.0  # seconds after which nobody waits for an answer any more
# the longest time that a signature is fresh (SOAP: five minutes, plus clock differences)
_REMEMBER: Final = 330.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished HTTP answer. `caller`: agency/system of the call, once it is proved."""

    status: int
    headers: dict[str, str]
    body: bytes
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A received HTTP request, unparsed, as signatures need it. Header names in lower case, repeated ones joined."""

    method: str
    target: str
    path: str
    headers: dict[str, str]
    body: bytes


class Conflict(ClientError):
    """This message id was carried out for another content."""


class Records:
    """What was carried out, by message id, and which calls came. In a file if it must outlive the process."""

    def __init__(self, file: Path | None) -> None:
        self._base = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._base.executescript(
            "create table if not exists records(message text primary key, digest blob not null, number integer not "
            "null, content blob not null);"
            "create table if not exists calls(transfer text not null, refused integer not null);"
        )

    def saw(self, transfer: str, *, refused: bool) -> None:
        with self._lock:
            self._base.execute("insert into calls values (?, ?)", (transfer, int(refused)))

    def once(self, message: str, request: bytes, carry_out: Callable[[int], bytes]) -> bytes:
        """Carry a message out, or return what it returned the first time."""
        digest = hashlib.sha256(request).digest()
        with self._lock:
            known = self._base.execute("select digest, content from records where message = ?", (message,)).fetchone()
            if known is not None:
                if known[0] != digest:
                    raise Conflict(f"{message} was already used for another content")
                return bytes(known[1])
            (number,) = self._base.execute("select coalesce(max(number), 0) + 1 from records").fetchone()
            content = carry_out(number)
            self._base.execute("insert into records values (?, ?, ?, ?)", (message, digest, number, content))
            return content

    def knows(self, message: str) -> bool:
        with self._lock:
            return self._base.execute("select 1 from records where message = ?", (message,)).fetchone() is not None

    def seen(self) -> dict[str, Any]:
        with self._lock:
            rows = self._base.execute(
                "select transfer, count(*) from calls where not refused group by transfer order by min(rowid)"
            ).fetchall()
            (calls, refused) = self._base.execute("select count(*), coalesce(sum(refused), 0) from calls").fetchone()
            (records,) = self._base.execute("select count(*) from records").fetchone()
        transfers = [{"transfer": transfer, "count": count} for transfer, count in rows]
        return {"calls": calls, "refused": refused, "records": records, "transfers": transfers}

    def close(self) -> None:
        self._base.close()


class Replays:
    """Signatures seen within the time that one can be fresh."""

    def __init__(self) -> None:
        self._seen: dict[bytes, float] = {}

    def first_time(self, key: bytes, now: float) -> bool:
        # a dict keeps its order: the oldest come first
        while self._seen and (oldest := next(iter(self._seen))) and self._seen[oldest] < now:
            del self._seen[oldest]
        if key in self._seen:
            return False
        self._seen[key] = now + _REMEMBER
        return True


@dataclass(slots=True)
class StandIn(ABC):
    """A component system that listens. Subclasses answer calls; this class does the rest."""

    identity: Identity
    port: int = 0
    file: Path | None = None
    base: str | None = None
    fault: Fault = field(default_factory=Fault)
    clock: Callable[[], float] = time.time
    records: Records = field(init=False)
    replays: Replays = field(init=False, default_factory=Replays)
    _runner: web.AppRunner | None = field(init=False, default=None)
    _last: dict[str, Reply] = field(init=False, default_factory=dict)  # by caller: nobody gets another's answer
    _answered: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.records = Records(self.file)

    @abstractmethod
    def answer(self, call: Call, fault: Fault) -> Reply:
        """Check, carry out and answer one call. What the fault spoils in the answer is spoilt here."""

    def fault_of(self, call: Call) -> Fault:
        """What goes wrong with this call. ValueError for a header that names no fault."""
        named = call.headers.get(HEADER)
        return self.fault.take() if named is None else Fault.of_header(named)

    def set_fault(self, path: str, content: Any) -> Fault:
        """Takes an order for all calls to come. ValueError or TypeError for one that is no fault."""
        self.fault = Fault.read(content)
        return self.fault

    def shown(self, path: str) -> dict[str, Any]:
        return {"system": self.identity.system} | self.records.seen()

    def too_lax(self, message: str, content: bytes) -> str:
        """Why a strict system refuses a message that others take; empty if it takes it."""
        if self.records.knows(message):
            return f"{message} was carried out before"
        composed = unicodedata.is_normalized("NFC", content.decode("utf-8", "replace"))
        return "" if composed else "text that is not in Unicode form NFC"

    def target_of(self, host: str, path: str) -> str:
        """The address that the caller must have signed. A Host header with another address is refused."""
        if self.base is not None:
            return self.base.rstrip("/") + path
        ours = {f"localhost:{self.port}", f"127.0.0.1:{self.port}"}
        return f"https://{host if host in ours else f'localhost:{self.port}'}{path}"

    def is_ours(self, address: str) -> bool:
        place = urlsplit(address).netloc
        return place in {f"localhost:{self.port}", f"127.0.0.1:{self.port}"} or (
            self.base is not None and place == urlsplit(self.base).netloc
        )

    # --- listening -------------------------------------------------------------------------------------------------

    async def start(self) -> str:
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_post("/{path:.*}_fault", self._set_fault)
        application.router.add_get("/{path:.*}_seen", self._show_seen)
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.identity.server_context())
        await site.start()
        self.port = self._runner.addresses[0][1]
        return f"https://localhost:{self.port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.records.close()

    async def _set_fault(self, request: web.Request) -> web.Response:
        try:
            fault = self.set_fault(request.match_info["path"], await request.json())
        except (ValueError, TypeError) as wrong:
            return web.json_response({"ok": False, "error": str(wrong)}, status=400)
        return web.json_response({"ok": True, "kind": fault.kind, "seconds": fault.seconds, "count": fault.count})

    async def _show_seen(self, request: web.Request) -> web.Response:
        return web.json_response(self.shown(request.match_info["path"]))

    async def _take(self, request: web.Request) -> web.StreamResponse:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        call = Call(
            request.method, self.target_of(request.host, request.raw_path), request.path, headers, await request.read()
        )
        try:
            fault = self.fault_of(call)
        except ValueError as wrong:
            return web.Response(status=400, text=str(wrong))
        if fault.kind == "wrong-status":
            return web.Response(
                status=500, text="java.lang.NullPointerException\n\tat vn.caobang.TiepNhan.xuLy(TiepNhan.java:118)"
            )
        if fault.kind == "silent":
            await gone(request, fault.seconds or GIVEN_UP)
        if fault.kind in ("silent", "down"):
            return dropped(request)
        reply = self.answer(call, fault)
        if fault.kind == "duplicate":
            reply = self._last.get(reply.caller, reply)
        if len(self._last) >= _CALLERS:
            self._last.clear()
        self._last[reply.caller] = reply
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds or SLOW)
        elif fault.kind == "late":
            await gone(request, fault.seconds or GIVEN_UP)
        elif fault.kind == "out-of-order":
            await self._overtaken(fault.seconds or SLOW)
        elif fault.kind == "close":
            return dropped(request)
        response = web.Response(status=reply.status, headers=reply.headers, body=reply.body)
        await response.prepare(request)
        await response.write_eof()
        self._answered += 1
        return response

    async def _overtaken(self, seconds: float) -> None:
        """Wait until another call was answered, at most so long. Its caller has half a second to read the answer."""
        before, until = self._answered, time.monotonic() + seconds
        while self._answered == before and time.monotonic() < until:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)


async def gone(request: web.Request, seconds: float) -> None:
    """Wait until the caller has given up, at most so long."""
    until = time.monotonic() + seconds
    while request.transport is not None and not request.transport.is_closing() and time.monotonic() < until:
        await asyncio.sleep(0.05)


def dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


@contextlib.contextmanager
def serving(stand_in: StandIn) -> Iterator[str]:
    """Run a stand-in in a thread of its own, for tests. Yields its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"stand-in {stand_in.identity.system}", daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(stand_in.start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(stand_in.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def serve(stand_in: StandIn, ready: Path | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its event loop
            loop.add_signal_handler(number, stopping.set)
    url = await stand_in.start()
    if ready is not None:
        content = {"system": stand_in.identity.system, "url": url, "port": stand_in.port, "pid": os.getpid()}
        part = ready.with_name(ready.name + ".part")
        part.write_text(json.dumps(content), "utf-8")
        part.replace(ready)
    else:
        print(f"{stand_in.identity.system}: {url}", flush=True)
    await stopping.wait()
    await stand_in.stop()


def run(kind: type[StandIn], module: str, arguments: list[str] | None = None) -> int:
    """The command line of a stand-in."""
    parser = argparse.ArgumentParser(
        prog=f"python -m gateway.sandbox.standins.{module}",
        description=(sys.modules[kind.__module__].__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--identity", required=True, type=Path, metavar="DIR", help="the system's identity folder")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port on 127.0.0.1; 0 takes a free one (see --ready-file)"
    )
    parser.add_argument(
        "--ready-file", type=Path, metavar="F", help="written once it listens: JSON with url, port and pid"
    )
    parser.add_argument(
        "--records",
        type=Path,
        metavar="F",
        help="keep what was carried out in this file, so that a restart repeats nothing",
    )
    parser.add_argument(
        "--base", metavar="URL", help="address under which the gateway calls, where it is not this host's"
    )
    parser.add_argument("--fault", choices=KINDS, default="none", help="do this wrong from the start")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long *slow* takes")
    options = parser.parse_args(arguments)
    try:
        identity = Identity.load(options.identity)
        stand_in = kind(identity, options.port, options.records, options.base, Fault(options.fault, options.seconds))
        asyncio.run(serve(stand_in, options.ready_file))
    except (ClientError, OSError, sqlite3.Error) as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2
    return 0
