"""Bytes over TLS as an attacker sends them, with nothing that would put them right on the way."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Prepared

LGSP = "urn:lgsp:wire:1"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


@dataclass(frozen=True)
class Told:
    """One answer of the gateway; `code` of its problem document or Fault, else an empty text."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        media = self.headers.get("content-type", "")
        if media.startswith("application/problem+json") or b'"urn:lgsp:problem:' in self.body[:40]:
            return str(json.loads(self.body)["code"])
        if "xml" in media and self.body:
            return etree.fromstring(self.body).findtext(f".//{{{LGSP}}}Code") or ""
        return ""

    @property
    def transfer(self) -> str:
        return self.headers.get("lgsp-transfer", "")


async def told_by(app: Callable[..., Awaitable[object]], scope: Mapping[str, Any]) -> Told:
    """The answer of a server without a socket to one call that has no body."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "query_string": b"", "headers": [], "extensions": {}, **scope}, None, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Told(sent[0]["status"], headers, sent[1]["body"])


def port_of(identity: Identity) -> int:
    return int(identity.gateway.rpartition(":")[2])


def connect(identity: Identity, *, with_certificate: bool = True, timeout: float = 60.0) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port_of(identity)), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _context(identity.folder, with_certificate).wrap_socket(plain, server_hostname="localhost")


@lru_cache
def loaded(folder: Path) -> Identity:
    return Identity.load(folder)


@lru_cache
def _context(folder: Path, with_certificate: bool) -> ssl.SSLContext:
    return loaded(folder).client_context(with_certificate=with_certificate)


def head(
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]] | Mapping[str, str] = (),
    *,
    host: str | None = "localhost",
) -> bytes:
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    lines = [
        f"{method} {target} HTTP/1.1",
        *([f"Host: {host}"] if host is not None else []),
        *(f"{name}: {value}" for name, value in pairs),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def of(
    prepared: Prepared, more: Sequence[tuple[str, str]] = (), *, host: str = "localhost", target: str | None = None
) -> bytes:
    """A prepared request as the bytes that a plain client would write."""
    pairs = [*prepared.headers.items(), *more]
    if prepared.body and not any(name in ("content-length", "transfer-encoding") for name, _ in pairs):
        pairs.append(("content-length", str(len(prepared.body))))
    return head(prepared.method, target or prepared.path, pairs, host=host) + prepared.body


def read_one(sock: socket.socket, left: bytes = b"", *, bodiless: bool = False) -> tuple[Told | None, bytes]:
    """The next answer, and what came behind it; None where the connection ended first."""
    data = left
    while b"\r\n\r\n" not in data:
        try:
            part = sock.recv(65536)
        except ConnectionError:
            part = b""
        if not part:
            return None, data
        data += part
    top, _, data = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if int(first.split()[1]) == 100:
        return read_one(sock, data, bodiless=bodiless)
    size = 0 if bodiless else int(headers.get("content-length", "0"))
    while len(data) < size:
        part = sock.recv(65536)
        if not part:
            break
        data += part
    return Told(int(first.split()[1]), headers, data[:size]), data[size:]


def ask(
    identity: Identity, data: bytes, *, with_certificate: bool = True, bodiless: bool = False, timeout: float = 60.0
) -> Told | None:
    """One exchange on a connection of its own."""
    with connect(identity, with_certificate=with_certificate, timeout=timeout) as sock:
        return answer(sock, data, bodiless=bodiless)


def answer(sock: ssl.SSLSocket, data: bytes, *, bodiless: bool = False) -> Told | None:
    with contextlib.suppress(ConnectionError):
        sock.sendall(data)
    return read_one(sock, bodiless=bodiless)[0]


def problem(told: Told) -> Any:
    return json.loads(told.body)
