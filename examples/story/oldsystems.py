"""Old systems that cannot sign, each with an agent beside it (docs/agent.md).

A plain call passes and is proven. While the gateway is unreachable, a call waits, and is delivered once. The
gateway's own call reaches an old provider by plain HTTP.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

import yaml

from examples.story.exchange import ALERTS, read_feed
from examples.story.world import DidNotHold, Telling, World, check, same
from gateway.sample_client.audit import Receipt
from gateway.sample_client.errors import LogError, NoProof
from gateway.sample_client.jsontext import dump_json
from gateway.sandbox.standins import messages

CALLER: Final = "quan-trac"
PROVIDER: Final = "truong-ha"
_PATH: Final = f"/{ALERTS}/alerts"
# docs/operating.md promises delivery within ten seconds of a system's return; the rest is for slow machines.
BACK_SECONDS: Final = 40.0


@dataclass(frozen=True, slots=True)
class Plain:
    """What an old system knows: an address on its own host, and the local secret."""

    base: str
    secret: str

    def post(
        self, path: str, content: Any, message_id: str, *, secret: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        shown = base64.b64encode(f"he-thong-cu:{self.secret if secret is None else secret}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {shown}", "Idempotency-Key": message_id}
        request = urllib.request.Request(self.base + path, dump_json(content), headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            answer: HTTPResponse | HTTPError = opener.open(request, timeout=20)
        except HTTPError as no:
            answer = no
        with answer:
            return (
                int(answer.status or 0),
                {name.lower(): value for name, value in answer.headers.items()},
                answer.read(),
            )


def beside(folder: Path) -> tuple[dict[str, Any], str]:
    """An agent's configuration and secret, as its operator reads them."""
    return yaml.safe_load((folder / "agent.yaml").read_text("utf-8")), (folder / "local.secret").read_text(
        "utf-8"
    ).strip()


def alert(identifier: str) -> dict[str, Any]:
    """The message of an automatic station, in canonical JSON."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S+07:00", time.gmtime(time.time() + 7 * 3600))
    return {
        "identifier": identifier,
        "sender": "tram-do-mua@nnmt.caobang.example",
        "sent": now,
        "status": "Actual",
        "msgType": "Alert",
        "scope": "Public",
        "info": [
            {
                "language": "vi-VN",
                "category": ["Met"],
                "event": "Mưa rất to",
                "urgency": "Immediate",
                "severity": "Severe",
                "certainty": "Observed",
                "headline": "Trạm Nguyên Bình: lượng mưa một giờ vượt ngưỡng",
                "description": "Lượng mưa 1 giờ qua đạt 62,4 mm; nước suối Nhiên lên nhanh.",
                "area": [
                    {"areaDesc": "Xã Nguyên Bình, tỉnh Cao Bằng", "geocode": [{"valueName": "ma-xa", "value": "01726"}]}
                ],
            }
        ],
    }


def plain_call(world: World) -> str:
    config, secret = beside(world.data / "agents" / CALLER)
    old = Plain(f"http://{config['caller']['listen']}", secret)
    identifier = f"QT-{uuid.uuid4()}"
    status, _, body = old.post(_PATH, alert(identifier), identifier, secret="doan-mo")
    same((status, json.loads(body)["code"]), (401, "agent.secret"), "a call without the local secret")
    status, headers, body = old.post(_PATH, alert(identifier), identifier)
    same(status, 200, f"a plain call through the agent ({body[:300]!r})")
    receipt = Receipt.from_headers(headers)
    check(receipt is not None and receipt.intent and receipt.outcome, "the receipt comes through")
    assert receipt is not None

    def prove() -> object:
        with contextlib.suppress(LogError, NoProof):
            return world.rest(CALLER).prove(receipt)
        return None

    _, entries = world.wait("a checkpoint over the receipt", prove)
    same(sorted(entry.phase for entry in entries), ["intent", "outcome"], "the proved entries")
    world.wait("the alert in the feed", lambda: _times(world, identifier) == 1)
    return (
        f"plain HTTP with a local secret: accepted as {receipt.transfer}, both entries proved in the log; without the "
        "secret refused"
    )


def out_of_reach(world: World) -> str:
    with tempfile.TemporaryDirectory(prefix="lgsp-agent-") as place, _relay(world.identity(CALLER).gateway) as relay:
        folder = Path(place)
        port = _free()
        _, secret = beside(world.data / "agents" / CALLER)
        (folder / "local.secret").touch(0o600)
        (folder / "local.secret").write_text(secret)
        config = {
            "identity": str(world.identities / CALLER),
            "secret": "local.secret",
            "connect": relay.at,
            "caller": {"listen": f"127.0.0.1:{port}", "contracts": [ALERTS], "seconds": 6},
        }
        (folder / "agent.yaml").write_text(yaml.safe_dump(config))
        with program([*world.command, "agent", "run", str(folder / "agent.yaml")], port, folder / "agent.log"):
            old, identifier = Plain(f"http://127.0.0.1:{port}", secret), f"QT-{uuid.uuid4()}"
            same(
                old.post(_PATH, alert(f"{identifier}-0"), f"{identifier}-0")[0],
                200,
                "a call while the gateway is there",
            )
            relay.cut()
            message = alert(identifier)  # it has the time of now
            for _ in range(2):  # the old system sends it twice
                status, _, body = old.post(_PATH, message, identifier)
                told = json.loads(body)
                same(
                    (status, told.get("state") or told),
                    (202, "queued"),
                    "a submission while the gateway is out of reach",
                )
            same(_times(world, identifier), 0, "what the centre has of it")
            relay.mend()
            world.wait("the alert in the feed", lambda: _times(world, identifier))
            # the agent notes the answer after the gateway has the message
            world.wait("the agent's queue", lambda: not _queue(world, folder)["queued"])
            queue = _queue(world, folder)
            same((queue["queued"], queue["sent"], queue["dead"]), (0, 1, 0), "the agent's queue")
    same(_times(world, identifier), 1, "times that it stands in the feed")
    return "the connection was cut: the submission waited at the agent, sealed on disk; restored: delivered, once"


def old_provider(world: World) -> str:
    """The commune's office returns, in plain HTTP behind its agent."""
    folder = world.data / "agents" / PROVIDER
    config, secret = beside(folder)
    place = urlsplit(config["provider"]["system"])
    assert place.port is not None
    office = [
        sys.executable,
        "-m",
        "gateway.sandbox.standins.field_office",
        "--secret",
        str(folder / "local.secret"),
        "--port",
        str(place.port),
    ]
    with contextlib.ExitStack() as stack:
        stack.enter_context(program(office, place.port, folder / "office.log"))
        listen = int(config["provider"]["listen"].rpartition(":")[2])
        stack.enter_context(
            program([*world.command, "agent", "run", str(folder / "agent.yaml")], listen, folder / "agent.log")
        )
        report = messages.field_report(area=messages.TRUONG_HA)
        answer = world.rest("phan-anh").call("POST", "/field-report/v1/requests", report)
        check(
            answer.verified and answer.status in (200, 202),
            f"a report to the office ({answer.status} {answer.body[:300]!r})",
        )
        transfer = (
            answer.json()["transfer"] if answer.status == 202 else answer.receipt.transfer if answer.receipt else ""
        )

        def came() -> bool:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"{config['provider']['system']}/_seen"
            ) as seen:
                return {"transfer": transfer, "count": 1} in json.load(seen)["transfers"]

        world.wait("the report at the office", came, BACK_SECONDS)
        state = world.wait(
            "its end",
            lambda: (
                (answered := world.rest("phan-anh").call("GET", f"/transfers/{transfer}").json())["state"] == "answered"
                and answered
            ),
        )
    return (
        f"report {state['transfer']} reached the commune's old system in plain HTTP, once; its answer came back signed "
        "by the agent"
    )


def _queue(world: World, folder: Path) -> dict[str, Any]:
    return world.lgsp("agent", "status", str(folder / "agent.yaml"))


def _times(world: World, identifier: str) -> int:
    return sum(event["data"]["identifier"] == identifier for event in read_feed(world, ALERTS))


# --- parts of these steps ---


@contextmanager
def program(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """Run a process within the block. It listens when this yields."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LGSP_")}
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            if process.poll() is not None or time.monotonic() > until:
                raise DidNotHold(f"{' '.join(command[2:5])} did not start: {log.read_text('utf-8', 'replace')[-500:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free() -> int:
    """A port that nobody listens on now, outside the range of outgoing connections."""
    while True:
        port = random.randrange(12_000, 15_000)  # noqa: S311 (no secret)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Relay:
    """Carries bytes between an agent and the gateway until it is cut."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to, self._open = to, True
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.at = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open = False
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._open = True

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                here, _ = self._listener.accept()
                if not self._open:
                    here.close()
                    continue
                there = socket.create_connection(self._to)
                self._ends += [here, there]
                for of, to in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=(of, to), daemon=True).start()

    @staticmethod
    def _carry(of: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := of.recv(65536):
                to.sendall(data)
        for end in (of, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def _relay(gateway: str) -> Iterator[Relay]:
    parts = urlsplit(gateway)
    relay = Relay((parts.hostname or "localhost", parts.port or 443))
    try:
        yield relay
    finally:
        relay.close()


STEPS: tuple[Telling, ...] = (
    ("an old system calls its agent plainly", plain_call),
    ("the gateway out of reach: queued at the agent, delivered once", out_of_reach),
)
LATER: tuple[Telling, ...] = (("an old provider in plain HTTP behind its agent", old_provider),)
