"""Real agents for tests: a configuration, a process, a road to the gateway that can be cut or tampered with, an old
system behind it."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import requests
import yaml

from tests import commandline, warm

SKEWED = "import time; real = time.time; time.time = lambda: real() + {skew}; from gateway.cli import main; main()"


class Told(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Agent:
    """One agent's folder and, between `start` and `stop` or `kill`, its process. `skew` sets its clock wrong."""

    folder: Path
    config: dict[str, Any]
    skew: float = 0.0
    process: subprocess.Popen[bytes] | warm.Program | None = None
    said: Path = field(init=False)

    def __post_init__(self) -> None:
        self.said = self.folder / "said.log"

    @property
    def file(self) -> Path:
        return self.folder / "agent.yaml"

    @property
    def secret(self) -> str:
        return (self.folder / "local.secret").read_text().strip()

    @property
    def base(self) -> str:
        return f"http://{self.config['caller']['listen']}"

    def start(self) -> Agent:
        self.folder.mkdir(parents=True, exist_ok=True)
        secret = self.folder / "local.secret"
        if not secret.exists():
            secret.touch(0o600)
            secret.write_text("bi-mat-noi-bo-de-thu-nghiem\n")
        self.file.write_text(yaml.safe_dump(self.config | {"secret": "local.secret"}, allow_unicode=True))
        read, write = os.pipe()
        words = ["agent", "run", str(self.file), "--ready", str(write)]
        with self.said.open("ab") as said:
            if self.skew:
                command = [sys.executable, "-c", SKEWED.format(skew=self.skew), *words]
                self.process = subprocess.Popen(command, pass_fds=(write,), stderr=said, stdout=said)
            else:
                self.process = warm.start(words, out=said, err=said, keeps=[write])
        os.close(write)
        with os.fdopen(read, "rb") as ready:
            assert ready.read(5) == b"ready", self.said.read_text()
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise

    def call(self, method: str, path: str, body: Any = None, *, secret: str | None = None, **headers: str) -> Told:
        """As an old system calls: plain HTTP and Basic."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        shown = self.secret if secret is None else secret
        if shown:
            sent["Authorization"] = "Basic " + base64.b64encode(f"he-thong-cu:{shown}".encode()).decode()
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json")
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, self.base + path, data=body, headers=sent, timeout=60)
        return Told(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)

    def lgsp(self, command: str, *words: str) -> dict[str, Any]:
        done = commandline.forked("agent", command, str(self.file), *words, "--json")
        found: dict[str, Any] = json.loads(done.out)
        assert done.code == (0 if found["ok"] else 1 if "error" not in found else done.code), done.err
        return found

    def count(self, state: str) -> int:
        """What `status` says, without a process of its own."""
        return int(self.rows(f"select count(*) from message where state = '{state}'")[0][0])

    def rows(self, query: str) -> list[Any]:
        base = sqlite3.connect(f"file:{self.folder / 'state' / 'agent.db'}?mode=ro", uri=True, timeout=60)
        try:
            return base.execute(query).fetchall()
        finally:
            base.close()


@contextmanager
def running(agent: Agent) -> Iterator[Agent]:
    try:
        yield agent.start()
    finally:
        agent.stop()


def wait(what: str, done: Callable[[], Any], seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while True:
        found = done()
        if found:
            return found
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.1)


class Road:
    """The way from an agent to the gateway: a relay that can be cut. With `tls`, it opens both ends itself and may
    `tamper`."""

    def __init__(self, to: tuple[str, int], tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None) -> None:
        self._to, self._tls = to, tls
        self.tamper: Callable[[bytes], bytes] = lambda data: data
        self.came: list[bytes] = []
        self.open = True
        self._pairs: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.at = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.open = False
        for each in self._pairs:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def mend(self) -> None:
        self.open = True

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if not self.open:
                here.close()
                continue
            threading.Thread(target=self._join, args=(here,), daemon=True).start()

    def _join(self, here: socket.socket) -> None:
        try:
            there = socket.create_connection(self._to)
            if self._tls is not None:
                here = self._tls[0].wrap_socket(here, server_side=True)
                there = self._tls[1].wrap_socket(there, server_hostname="localhost")
        except OSError:
            here.close()
            return
        self._pairs += [here, there]
        threading.Thread(target=self._carry, args=(here, there, self.came.append), daemon=True).start()
        self._carry(there, here, None)

    def _carry(self, of: socket.socket, to: socket.socket, note: Callable[[bytes], None] | None) -> None:
        with suppress(OSError, ValueError):
            while data := of.recv(1 << 16):
                if note is not None:
                    note(data)
                to.sendall(data if note is not None else self.tamper(data))
        for each in (of, to):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@dataclass
class OldSystem:
    """A system that speaks plain HTTP and checks the local secret. `answer` makes status, media type and body of what
    it was sent."""

    secret: str
    answer: Callable[[str, bytes], tuple[int, str, bytes]]
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def serving(self) -> Iterator[OldSystem]:
        system = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("lgsp-agent-secret") != system.secret:
                    status, media, content = 401, "text/plain", b"who?"
                else:
                    system.calls.append(
                        (self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                    )
                    status, media, content = system.answer(self.path, body)
                if status == 0:  # goes silent
                    time.sleep(float(content))
                    return
                self.send_response(status)
                self.send_header("content-type", media)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
