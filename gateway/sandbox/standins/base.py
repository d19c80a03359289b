"""What all stand-ins share: a TLS listener, a record of calls, faults on command.

    POST /_fault {"kind": "slow|wrong-signature|500|garbage|close|none", "seconds": 2, "count": 1}
    GET  /_seen  {"system", "calls", "refused", "records", "transfers": [{"transfer", "count"}]}

Both serve tests and demonstrations. They listen on the loopback address and require a client certificate.
*slow*, *wrong-signature* and *close* spoil the answer to a call that was carried out. *500* and *garbage* mean that
the system did nothing. Invariant: a message id is carried out once; a repeat gets the same content, signed anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import signal
import sqlite3
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from aiohttp import web

from gateway.sample_client.errors import ClientError
from gateway.sample_client.identity import Identity

FaultKind = Literal["slow", "wrong-signature", "500", "garbage", "close", "none"]
MAX_BODY: Final = 5 * 1024 * 1024
# the longest time that a signature is fresh (SOAP: five minutes, plus clock differences)
_REMEMBER: Final = 330.0


@dataclass(slots=True)
class ScriptedFault:
    """What to do wrong, and for how many calls (0: until changed)."""

    kind: FaultKind = "none"
    seconds: float = 0.0
    count: int = 0

    @classmethod
    def read(cls, content: Any) -> ScriptedFault:
        named: dict[str, FaultKind] = {kind: kind for kind in get_args(FaultKind)}
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind not in named:
            raise ValueError("kind is one of " + ", ".join(named))
        return cls(named[kind], float(content.get("seconds", 0)), int(content.get("count", 0)))

    def take(self) -> ScriptedFault:
        """The fault for this call. Counts down."""
        now = ScriptedFault(self.kind, self.seconds)
        if self.kind != "none" and self.count:
            self.count -= 1
            if not self.count:
                self.kind = "none"
        return now


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


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
    fault: ScriptedFault = field(default_factory=ScriptedFault)
    clock: Callable[[], float] = time.time
    records: Records = field(init=False)
    replays: Replays = field(init=False, default_factory=Replays)
    _runner: web.AppRunner | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.records = Records(self.file)

    @abstractmethod
    def answer(self, call: Call, spoil: bool) -> Reply:
        """Check, carry out and answer one call. `spoil` asks for an invalid signature."""

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
        application.router.add_post("/_fault", self._set_fault)
        application.router.add_get("/_seen", self._show_seen)
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
            self.fault = ScriptedFault.read(await request.json())
        except (ValueError, TypeError) as wrong:
            return web.json_response({"ok": False, "error": str(wrong)}, status=400)
        return web.json_response(
            {"ok": True, "kind": self.fault.kind, "seconds": self.fault.seconds, "count": self.fault.count}
        )

    async def _show_seen(self, _: web.Request) -> web.Response:
        return web.json_response({"system": self.identity.system} | self.records.seen())

    async def _take(self, request: web.Request) -> web.StreamResponse:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        call = Call(
            request.method, self.target_of(request.host, request.raw_path), request.path, headers, await request.read()
        )
        fault = self.fault.take()
        if fault.kind == "500":
            return web.Response(
                status=500, text="java.lang.NullPointerException\n\tat vn.caobang.TiepNhan.xuLy(TiepNhan.java:118)"
            )
        if fault.kind == "garbage":
            return web.Response(
                body=b"\x00\xff<html>" + secrets.token_bytes(400), content_type="application/octet-stream"
            )
        reply = self.answer(call, fault.kind == "wrong-signature")
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "close" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


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


async def _serve(stand_in: StandIn, ready: Path | None) -> None:
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
    parser.add_argument("--fault", choices=get_args(FaultKind), default="none", help="do this wrong from the start")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long *slow* takes")
    options = parser.parse_args(arguments)
    try:
        identity = Identity.load(options.identity)
        stand_in = kind(
            identity, options.port, options.records, options.base, ScriptedFault(options.fault, options.seconds)
        )
        asyncio.run(_serve(stand_in, options.ready_file))
    except (ClientError, OSError, sqlite3.Error) as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2
    return 0
