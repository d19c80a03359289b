"""The gateway as one side of a comparison: an instance with one door and its keeper, and one system's requests.

The sample clients prepare requests and verify answers. They share no code with the gateway.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bench import message
from bench.load import Reply, Shot, WrongAnswers, http_bytes
from bench.process import NotUp, free_port, last_lines, running
from gateway.doors.http.listening import bind
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Answer, Prepared, RestClient
from gateway.sample_client.transport import RawAnswer
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings, load
from gateway.settings.handing import handed

PATH: Final = "/field-report/v1/requests"
CALLER: Final = "phan-anh"
PROVIDER: Final = "do-thi"
READY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class GatewaySide:
    """A running gateway. `started`: seconds from starting the door's process until it is ready."""

    settings: Settings
    client: RestClient
    context: ssl.SSLContext
    door_pid: int
    keeper_pid: int
    started: float

    @property
    def port(self) -> int:
        return self.settings.exchange_port

    def prepare(self, first: int, count: int) -> list[tuple[Shot, Prepared]]:
        """Sign now: each request is valid for a minute and for one use."""
        token = self.client.token()
        shots = []
        for number in range(first, first + count):
            body = message.request(number)
            request = self.client.prepare("POST", PATH, body, message_id=message.mark(number), token=token)
            wire = http_bytes("POST", PATH, f"localhost:{self.port}", list(request.headers.items()), request.body)
            shots.append((Shot(wire, message.expected(number)), request))
        return shots

    def ask(self, path: str, expected: bytes) -> tuple[Shot, Prepared]:
        """A signed reading, whose answer has `expected` in its body."""
        request = self.client.prepare("GET", path, token=self.client.token())
        wire = http_bytes("GET", path, f"localhost:{self.port}", list(request.headers.items()), b"")
        return Shot(wire, expected), request

    def judge(self, request: Prepared, reply: Reply) -> Answer:
        """The answer, verified against its request."""
        return self.client.judge(request, RawAnswer(reply.status, _headers(reply.head), reply.body))

    def verify(self, prepared: Sequence[tuple[Shot, Prepared]], replies: Mapping[int, Reply]) -> int:
        """Verify whole answers: signature, binding to the request, receipt, checkpoint. Returns how many were valid."""
        for number, reply in replies.items():
            answer = self.judge(prepared[number][1], reply)
            if answer.receipt is None or not {"intent", "outcome"} <= answer.receipt.leaves.keys():
                raise WrongAnswers(f"answer {number} bears no receipt of its intent and its outcome")
        return len(replies)


def _headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = (
            f"{headers[name.lower()]}, {value.strip()}" if name.lower() in headers else value.strip()
        )
    return headers


@contextlib.contextmanager
def gateway_side(
    folder: Path,
    provider: str,
    core: int | None,
    *,
    caller: str = CALLER,
    fill: Callable[[Settings], None] = lambda _: None,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[GatewaySide]:
    """`folder` becomes the instance. `provider` is the address of the one provider that is called. `fill` may write
    into the database before a process has it open. `changes`: settings that differ from the usual ones.
    """
    settings = Settings(data=folder, exchange_port=free_port(), desk_port=free_port(), doors=1, live=False)
    settings = replace(settings, **changes)
    nobody = f"https://localhost:{free_port()}/"
    make_instance(
        settings,
        {PROVIDER: provider, "kinh-te": nobody, "mo-phong": nobody, "truong-ha": nobody},
        time.time(),
        province=True,
    )
    fill(settings)
    log = folder.with_name("gateway.log")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(bind(settings.host, settings.exchange_port))
        keeper = stack.enter_context(_child(settings, ["keeper"], log, core))
        start = time.monotonic()
        door = ["door", "--socket", f"exchange={listener.fileno()}"]
        pid = stack.enter_context(_child(settings, door, log, core, listener.fileno()))
        started = time.monotonic() - start  # before the caller loads its own keys
        identity = Identity.load(settings.identities / caller)
        yield GatewaySide(settings, RestClient(identity), identity.client_context(), pid, keeper, started)


def _readable(descriptor: int, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(seconds))


@contextlib.contextmanager
def _child(settings: Settings, arguments: list[str], log: Path, core: int | None, *inherited: int) -> Iterator[int]:
    """A process of the gateway, started as the supervisor does, once it is ready."""
    read, write = os.pipe()
    given = handed(load(settings.data))
    try:
        words = [*arguments, "--data", str(settings.data), "--settings", str(given), "--ready", str(write)]
        with running("gateway", words, log, fds=(*inherited, given, write), core=core) as process:
            os.close(write)
            write = -1
            if not _readable(read, READY_SECONDS) or not os.read(read, 16):
                raise NotUp(f"{arguments[0]} was not ready in {READY_SECONDS:.0f} s:\n{last_lines(log)}")
            yield process.pid
    finally:
        os.close(read)
        os.close(given)
        if write >= 0:
            os.close(write)
